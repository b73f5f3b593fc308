//! Sandbox mode: what a real executor would have done, pretended, the same each time.
//!
//! Outputs come from the component's declared types and the job; counts and pace are
//! plausible, or what the job's scenario says. Touches nothing but its own note of what it pretended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use remit_seal::Digest;
use remit_seal::document::{Output, PretendedFailure, UNHEALTHY, Value, ValueType};
use serde::{Deserialize, Serialize};

use super::classify::failed_as;
use super::tool::disk;
use super::{Action, Done, Executor, Held, Hold, Stage, Undone, Work};
use crate::outcome::{ChangeAction, Changes, Differences, Failure, Planned};
use crate::storage::data_dir::{read_bounded, write_atomic};
use crate::storage::outputs::Outputs;

const NOTE_LEN_MAX: u64 = 64 * 1024;
/// How long one pretended change takes, where nobody said.
const PACE: Duration = Duration::from_millis(40);
/// In how many words of progress a pretended time is told at most.
const WORDS_MAX: u32 = 100;

/// The executor of sandbox mode.
#[derive(Clone, Copy, Debug)]
pub struct Rehearse;

/// What was pretended last.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    release: String,
    inputs: String,
    parts: u32,
}

impl Executor for Rehearse {
    fn hold<'a>(&'a self, _of: Hold<'a>) -> BoxFuture<'a, Result<Arc<dyn Held>, Undone>> {
        Box::pin(async { Ok(Arc::new(Rehearse) as Arc<dyn Held>) })
    }
}

impl Held for Rehearse {
    fn run<'a>(&'a self, work: &'a Work) -> BoxFuture<'a, Result<Done, Undone>> {
        Box::pin(async move {
            let kind = work.component.kind.as_str();
            work.log.line(&format!(
                "rehearsing {} of a {kind} component: nothing real is touched",
                work.action.as_str()
            ));
            let path = work.places.state.join("rehearsed.json");
            let before = read_bounded(&path, NOTE_LEN_MAX).map_err(|e| disk(&e))?;
            let before: Option<Note> = before.and_then(|b| serde_json::from_slice(&b).ok());
            match (work.action, work.stage) {
                (Action::Drift | Action::Adopt, _) => drift(work).await,
                (Action::Run, _) => run(work).await,
                (Action::Health, _) => health(work).await,
                (_, Stage::Plan) => {
                    pretend(work, 1, "planned").await?;
                    Ok(Done::planned(planned(work, changes(work, before.as_ref()))))
                }
                (Action::Deploy, Stage::Whole | Stage::Apply(_)) => {
                    deploy(work, before.as_ref(), &path).await
                }
                (Action::Destroy, Stage::Whole | Stage::Apply(_)) => destroy(work, before.as_ref()).await,
            }
        })
    }
}

fn inputs_digest(work: &Work) -> String {
    let json = serde_json::to_vec(&work.inputs).expect("inputs are values without floats");
    Digest::of(&json).hex()
}

fn parts(work: &Work) -> u32 {
    1 + u32::try_from(number(work, "parts") % 4).unwrap_or(0)
}

/// What it would change, of what was pretended before.
fn changes(work: &Work, before: Option<&Note>) -> Changes {
    let none = Changes::default();
    match (work.action, before) {
        (Action::Deploy | Action::Destroy, _) if pretended(work).is_some() => {
            pretended(work).unwrap_or_default()
        }
        (Action::Drift | Action::Adopt | Action::Run | Action::Health, _) | (Action::Destroy, None) => none,
        (Action::Destroy, Some(note)) => Changes { delete: note.parts, ..none },
        (Action::Deploy, None) => Changes { create: parts(work), ..none },
        (Action::Deploy, Some(note))
            if note.release == work.release && note.inputs == inputs_digest(work) =>
        {
            none
        }
        (Action::Deploy, Some(note)) => Changes { update: note.parts, ..none },
    }
}

/// The same with a name for each part.
fn planned(work: &Work, changes: Changes) -> Planned {
    let mut planned = Planned { changes, ..Planned::default() };
    let (kind, name) = (work.component.kind.as_str(), &work.component.name);
    let counts = [
        (changes.create, ChangeAction::Create),
        (changes.update, ChangeAction::Update),
        (changes.delete, ChangeAction::Delete),
        (changes.replace, ChangeAction::Replace),
    ];
    for (count, action) in counts {
        (1..=count).for_each(|n| planned.push(format!("{kind}.{name}.part_{n}"), action));
    }
    planned
}

async fn deploy(work: &Work, before: Option<&Note>, path: &std::path::Path) -> Result<Done, Undone> {
    let changes = changes(work, before);
    pretend(work, changes.total(), "made").await?;
    let parts = before.map_or_else(|| parts(work).max(changes.create), |note| note.parts);
    let note = Note { release: work.release.clone(), inputs: inputs_digest(work), parts };
    let json = serde_json::to_vec(&note).expect("a note is texts and a number");
    write_atomic(path, &json).map_err(|e| disk(&e))?;
    let summary = format!("rehearsed: {changes}");
    let planned = Some(planned(work, changes));
    Ok(Done { outputs: Some(outputs(work)), changes, summary, planned, ..Done::default() })
}

async fn destroy(work: &Work, before: Option<&Note>) -> Result<Done, Undone> {
    let changes = changes(work, before);
    pretend(work, changes.total(), "removed").await?;
    let (summary, swept) = (format!("rehearsed: {changes}"), "rehearsed: nothing was real".to_owned());
    Ok(Done { changes, summary, planned: Some(planned(work, changes)), swept, ..Done::default() })
}

async fn run(work: &Work) -> Result<Done, Undone> {
    pretend(work, 1, "ran").await?;
    Ok(Done { summary: format!("rehearsed: ran `{}`", work.operation), ..Done::default() })
}

/// A pretended failure of a probe has the code of a real one, unless the scenario gives another.
async fn health(work: &Work) -> Result<Done, Undone> {
    let said = work.rehearsal.as_ref().and_then(|r| r.fails.as_ref()).and_then(|f| f.code.as_ref());
    match pretend(work, 1, "probed").await {
        Ok(()) => Ok(Done { summary: "rehearsed: it does its work".to_owned(), ..Done::default() }),
        Err(Undone::Failed(failure)) if said.is_none() => {
            Err(Undone::Failed(Failure { code: UNHEALTHY.to_owned(), ..failure }))
        }
        Err(other) => Err(other),
    }
}

async fn drift(work: &Work) -> Result<Done, Undone> {
    pretend(work, 1, "compared").await?;
    let differs = work.rehearsal.as_ref().and_then(|rehearsal| rehearsal.drift.clone());
    Ok(match differs {
        Some(differs) => {
            let changes = pretended(work).unwrap_or(Changes { update: 1, ..Changes::default() });
            let address = format!("{}.{}", work.component.kind.as_str(), work.component.name);
            let differences = Differences::said(address, &differs);
            let summary = format!("rehearsed: {differs}");
            Done { drifted: true, changes, summary, differences, ..Done::default() }
        }
        None => Done { summary: "as rehearsed".to_owned(), ..Done::default() },
    })
}

/// What the scenario says that was changed.
fn pretended(work: &Work) -> Option<Changes> {
    let said = work.rehearsal.as_ref()?.changes?;
    Some(Changes {
        create: said.create,
        update: said.update,
        delete: said.delete,
        replace: said.replace,
        ..Changes::default()
    })
}

/// Takes its time, and fails at the end of it where the scenario says so.
async fn pretend(work: &Work, parts: u32, word: &str) -> Result<(), Undone> {
    let said = work.rehearsal.as_ref().and_then(|rehearsal| rehearsal.takes_ms);
    let whole = said.and_then(|ms| u64::try_from(ms).ok()).map_or(PACE * parts, Duration::from_millis);
    let fails = work.rehearsal.as_ref().and_then(|rehearsal| rehearsal.fails.as_ref());
    let parts = parts.max(1);
    let words = parts.min(WORDS_MAX);
    for done in 1..=words {
        tokio::select! {
            () = tokio::time::sleep(whole / words) => {}
            reason = work.supervisor.stop.asked() => return Err(Undone::Stopped(reason)),
        }
        let part = u32::try_from(u64::from(done) * u64::from(parts) / u64::from(words)).unwrap_or(parts);
        if let Some(fails) = fails.filter(|_| done == words) {
            return Err(Undone::Failed(failure(fails)));
        }
        work.log.line(&format!("{word} part {part} of {parts}"));
        work.progress.say(format!("{word} {part} of {parts} parts"), part, parts);
    }
    Ok(())
}

/// A pretended failure: its words are recognised by the same table as real ones.
fn failure(fails: &PretendedFailure) -> Failure {
    let said = if fails.message.is_empty() { "as the scenario says" } else { &fails.message };
    let mut failure = failed_as(fails.class, "the rehearsal", 1, said);
    if let Some(code) = &fails.code {
        failure.code.clone_from(code);
    }
    if let Some(hint) = &fails.hint {
        failure.hint.clone_from(hint);
    }
    failure
}

fn outputs(work: &Work) -> Outputs {
    let declared = &work.component.outputs;
    let values: BTreeMap<String, Value> =
        declared.iter().map(|(name, output)| (name.clone(), value(work, name, output))).collect();
    let sensitive = declared.iter().filter(|(_, o)| o.sensitive).map(|(n, _)| n.clone()).collect();
    Outputs { values, sensitive }
}

fn value(work: &Work, name: &str, output: &Output) -> Value {
    let text = |n: u32| {
        let tag = seed(work, &format!("{name}.{n}"));
        Value::String(format!("{}-{name}-{}", work.component.name, hex::encode(&tag[..4])))
    };
    match output.value_type {
        ValueType::Boolean => Value::Boolean(true),
        ValueType::Integer => Value::Integer(i64::try_from(number(work, name) % 1000).unwrap_or(0)),
        ValueType::String => text(0),
        ValueType::StringList => Value::List(vec![text(0), text(1)]),
    }
}

/// The same for the same install, component and name: outputs do not change from one
/// rehearsal to the next.
fn seed(work: &Work, name: &str) -> [u8; 32] {
    *Digest::of(format!("{}\n{}\n{name}", work.install, work.component.name).as_bytes()).as_bytes()
}

fn number(work: &Work, name: &str) -> u64 {
    let seed = seed(work, name);
    u64::from_le_bytes([seed[0], seed[1], seed[2], seed[3], seed[4], seed[5], 0, 0])
}
