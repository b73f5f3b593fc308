//! Programs of the vendor's own, run in a private copy of their source.
//!
//! Inputs: `REMIT_INPUT_<NAME>`, `$REMIT_INPUTS_FILE` (JSON); outputs: JSON in `$REMIT_OUTPUTS_FILE`; kept:
//! `$REMIT_STATE_DIR`. Exit 0 is done; 2 drifted (drift check); 75 transient, 77 a missing permission, 69 a
//! conflict (sysexits.h). After a destroy `sweep`, where there is one, prints a line for each thing left.

mod probe;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use remit_seal::document::{SWEEP, Value};

use super::tool::{Tail, check_outputs, disk, left_over, not_run, unusual};
use super::{Action, Done, Executor, Held, Hold, Stage, Undone, Work, classify};
use crate::outcome::{ChangeAction, Class, Differences, Failure, Planned};
use crate::process::confine::Permissions;
use crate::process::{Exit, Tool};
use crate::storage::data_dir::{read_left, write_atomic};
use crate::storage::logs::Stream;
use crate::storage::outputs::Outputs;
use crate::value::written;

const OUTPUTS_FILE: &str = "outputs.json";
const OUTPUTS_LEN_MAX: u64 = 128 * 1024;
const EXIT_DRIFTED: i32 = 2;
const EXIT_CONFLICT: i32 = 69;
const EXIT_TRANSIENT: i32 = 75;
const EXIT_PERMISSION: i32 = 77;

/// The executor of scripts.
#[derive(Clone, Copy, Debug)]
pub struct Script;

impl Executor for Script {
    fn hold<'a>(&'a self, _of: Hold<'a>) -> BoxFuture<'a, Result<Arc<dyn Held>, Undone>> {
        Box::pin(async { Ok(Arc::new(Script) as Arc<dyn Held>) })
    }
}

impl Held for Script {
    fn run<'a>(&'a self, work: &'a Work) -> BoxFuture<'a, Result<Done, Undone>> {
        Box::pin(async move {
            match work.action {
                Action::Health => return probe::probe(work).await,
                Action::Drift | Action::Adopt | Action::Run => return run(work).await,
                Action::Deploy | Action::Destroy => {}
            }
            let planned = plan(work);
            match work.stage {
                Stage::Plan => {
                    let wants_customer = work.gate.needs_customer(None);
                    Ok(Done { wants_customer, ..Done::planned(planned) })
                }
                Stage::Whole | Stage::Apply(_) => {
                    Ok(Done { changes: planned.changes, planned: Some(planned), ..run(work).await? })
                }
            }
        })
    }
}

/// A script has no plan but itself: what it is given, and that it is run.
fn plan(work: &Work) -> Planned {
    let action = match work.action {
        Action::Destroy => ChangeAction::Delete,
        _ if work.is_there => ChangeAction::Update,
        Action::Deploy | Action::Drift | Action::Adopt | Action::Run | Action::Health => ChangeAction::Create,
    };
    let mut planned = Planned::default();
    planned.changes.count(action);
    planned.push(format!("script.{}", work.component.name), action);
    planned
}

async fn run(work: &Work) -> Result<Done, Undone> {
    let done = match command(work, &work.operation) {
        None => nothing_to_do(work)?,
        Some((program, args)) => {
            let outputs_file = work.places.temp.join(OUTPUTS_FILE);
            let mut tail = Tail::default();
            let exit = call(work, &work.operation, program, args, |_, bytes| tail.push(bytes)).await?;
            conclude(work, program, &exit, &tail.text(), &outputs_file)?
        }
    };
    match command(work, SWEEP).filter(|_| work.action == Action::Destroy) {
        None => Ok(done),
        Some((program, args)) => Ok(Done { swept: sweep(work, program, args).await?, ..done }),
    }
}

fn command<'a>(work: &'a Work, name: &str) -> Option<(&'a String, &'a [String])> {
    work.component.commands.get(name).and_then(|command| command.split_first())
}

/// Looks for what a destroy has left.
async fn sweep(work: &Work, program: &str, args: &[String]) -> Result<String, Undone> {
    let (mut out, mut tail) = (Tail::default(), Tail::default());
    let exit = call(work, SWEEP, program, args, |stream, bytes| {
        tail.push(bytes);
        if stream == Stream::Out {
            out.push(bytes);
        }
    });
    let exit = exit.await?;
    if let Some(undone) = unusual(program, &exit, &tail.text()) {
        return Err(undone);
    }
    let left: Vec<String> =
        out.text().lines().map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect();
    match exit {
        Exit::Code(0) if left.is_empty() => Ok(format!("{program} looked and found nothing")),
        Exit::Code(0) => Err(left_over(&left).into()),
        Exit::Code(code) => Err(failure(program, code, &tail.text()).into()),
        Exit::Stopped(_) | Exit::Killed(_) => Ok(String::new()),
    }
}

/// Runs one of the component's commands.
async fn call(
    work: &Work,
    action: &str,
    program: &str,
    args: &[String],
    mut heard: impl FnMut(Stream, &[u8]) + Send,
) -> Result<Exit, Undone> {
    let tool = Tool {
        program: PathBuf::from(program),
        args: args.iter().map(Into::into).collect(),
        env: environment(work, action)?,
        dir: work.places.source.clone(),
        permissions: Permissions::default(),
    };
    work.log.line(&format!("$ {program} {}", args.join(" ")));
    work.progress.say(format!("running {program}"), 0, 0);
    let ended = work.supervisor.run(&tool, |stream, bytes| {
        work.log.bytes(stream, bytes);
        heard(stream, bytes);
    });
    let exit = ended.await.map_err(|e| {
        not_run(&e, &format!("install `{program}` on the runner's machine, or put it into the component's source folder and make it executable"))
    })?;
    work.log.flush();
    Ok(exit)
}

fn nothing_to_do(work: &Work) -> Result<Done, Undone> {
    let summary = match work.action {
        Action::Deploy | Action::Run | Action::Health => {
            let words = format!("the component has no command `{}`", work.operation);
            let hint = "the vendor gives the component this command, or action, in remit.toml";
            return Err(Failure::new(Class::Bug, "executor.command_missing", words, hint).into());
        }
        Action::Destroy => "no destroy command: nothing to destroy",
        Action::Drift | Action::Adopt => "no drift command: nothing to check",
    };
    Ok(Done { summary: summary.to_owned(), ..Done::default() })
}

fn environment(work: &Work, action: &str) -> Result<Vec<(std::ffi::OsString, std::ffi::OsString)>, Undone> {
    let inputs_file = work.places.temp.join("inputs.json");
    let json = serde_json::to_vec(&work.inputs).expect("inputs are values without floats");
    let json = zeroize::Zeroizing::new(json);
    write_atomic(&inputs_file, &json).map_err(|e| disk(&e))?;
    let mut env = work.environment.clone();
    for (name, value) in &work.inputs {
        env.set(format!("REMIT_INPUT_{}", name.to_uppercase().replace('-', "_")), written(value));
    }
    env.set("REMIT_INPUTS_FILE", inputs_file);
    env.set("REMIT_OUTPUTS_FILE", work.places.temp.join(OUTPUTS_FILE));
    env.set("REMIT_STATE_DIR", &work.places.state);
    env.set("REMIT_ACTION", action);
    env.set("REMIT_INSTALL", &work.install);
    env.set("REMIT_COMPONENT", &work.component.name);
    Ok(env.variables())
}

fn conclude(
    work: &Work,
    program: &str,
    exit: &Exit,
    words: &str,
    outputs_file: &Path,
) -> Result<Done, Undone> {
    if let Some(undone) = unusual(program, exit, words) {
        return Err(undone);
    }
    let Exit::Code(code) = exit else { return Ok(Done::default()) };
    match (*code, work.action) {
        (0, Action::Deploy) => {
            let outputs = read_outputs(work, outputs_file)?;
            let summary = format!("{program} ended well");
            Ok(Done { outputs: Some(outputs), summary, ..Done::default() })
        }
        (0, Action::Destroy | Action::Run) => {
            Ok(Done { summary: format!("{program} ended well"), ..Done::default() })
        }
        (0, Action::Drift) => Ok(Done { summary: "as deployed".to_owned(), ..Done::default() }),
        (EXIT_DRIFTED, Action::Drift) => {
            let last = words.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("drifted");
            let address = format!("script.{}", work.component.name);
            let differences = Differences::said(address, words);
            Ok(Done { drifted: true, summary: last.trim().to_owned(), differences, ..Done::default() })
        }
        (code, _) => Err(failure(program, code, words).into()),
    }
}

fn failure(program: &str, code: i32, words: &str) -> Failure {
    let said = match code {
        EXIT_TRANSIENT => Some(Class::Transient),
        EXIT_PERMISSION => Some(Class::Permission),
        EXIT_CONFLICT => Some(Class::Conflict),
        _ => None,
    };
    match said {
        Some(class) => classify::failed_as(class, program, code, words),
        None => classify::failed(program, code, words),
    }
}

fn read_outputs(work: &Work, file: &Path) -> Result<Outputs, Undone> {
    let wrong = |words: String| {
        let hint = "the script writes one JSON object of texts, whole numbers, truth values and lists of texts to $REMIT_OUTPUTS_FILE, at most 128 KiB";
        Undone::Failed(Failure::new(Class::Bug, "executor.outputs_invalid", words, hint))
    };
    let bytes = read_left(file, OUTPUTS_LEN_MAX).map_err(|e| wrong(e.to_string()))?;
    let bytes = bytes.unwrap_or_else(|| b"{}".to_vec());
    // The parser's own words might quote a sensitive output.
    let values: BTreeMap<String, Value> = serde_json::from_slice(&bytes).map_err(|e| {
        wrong(format!("the outputs are not valid at line {}, column {}", e.line(), e.column()))
    })?;
    check_outputs(&work.component, &values)?;
    let declared = |name: &String| work.component.outputs.get(name);
    let sensitive =
        values.keys().filter(|name| declared(name).is_none_or(|o| o.sensitive)).cloned().collect();
    Ok(Outputs { values, sensitive })
}
