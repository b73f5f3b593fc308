//! Whether an envelope may be acted on: cheap checks first, each closed on failure, and what passed on record
//! before anything else sees it (docs/proof.md, invariants 3 and 12).

pub(crate) mod gate;

use remit_seal::Refusal;
use remit_seal::document::Audience;
use remit_seal::verify::Bound;

use crate::attempt::pin;
use crate::attempt::runner::Runner;
use crate::error::{Coded, chain};
use crate::executor::gate::{Verdict, at_the_door};
use crate::executor::{Action, Stage};
use crate::outcome::Attempt;
use crate::policy::approval::judge::Asked;
use crate::policy::consent::consented;
use crate::storage::journal::{Accepted, Counted, Entry, Permitted, Task};
use crate::storage::outputs::Realm;

pub use gate::Gate;

/// A job that passed every check and is on record.
#[derive(Debug)]
pub struct Admitted {
    /// The attempt.
    pub attempt: Attempt,
    /// The job with the release that allows it.
    pub bound: Bound,
    /// What to do.
    pub action: Action,
    /// How much of it.
    pub stage: Stage,
    /// Really, or in rehearsal.
    pub realm: Realm,
    /// What the customer's words are about.
    pub asked: Asked,
    /// Since when its fence is counted.
    pub since_ms: i64,
}

/// Why an envelope is not acted on.
#[derive(Debug)]
pub enum Rejection {
    /// Something that it needs is not to be had now.
    Away(String),
    /// The customer's policy lets it wait.
    Held {
        /// The stable code of what it waits for.
        code: &'static str,
        /// In words.
        message: String,
    },
    /// It failed a check.
    Refused {
        /// The check's stable code.
        code: &'static str,
        /// Why.
        message: String,
    },
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Rejection::Refused { code: refusal.code(), message: refusal.to_string() }
    }
}

fn refused(code: &'static str, message: impl Into<String>) -> Rejection {
    Rejection::Refused { code, message: message.into() }
}

/// Checks an envelope that claims to be this attempt, and puts it on record.
pub async fn admit(
    runner: &Runner,
    attempt: &Attempt,
    envelope: &[u8],
    permits: &[Vec<u8>],
) -> Result<Admitted, Rejection> {
    let (bound, action, permit) = verify(runner, attempt, envelope, permits).await?;
    let gate = gate(runner, attempt);
    let (stage, rehearse) = (gate.stage(&bound)?, gate.rehearses(&bound));
    if runner.executors.pick(bound.component.kind, rehearse).is_none() {
        let kind = bound.component.kind.as_str();
        let words =
            format!("this runner cannot run {kind} components yet; in sandbox mode they are rehearsed");
        return Err(refused("executor.kind_unsupported", words));
    }
    let asked = Asked::of(&bound, rehearse);
    match at_the_door(runner, &gate.words, &bound, &asked) {
        Verdict::Go => {}
        Verdict::Wait { code, message } => return Err(Rejection::Held { code, message }),
        Verdict::No { code, message } => return Err(refused(code, message)),
    }
    if runner.mode().halted {
        let message = "the customer halted the runner".to_owned();
        return Err(Rejection::Held { code: "runner.halted", message });
    }
    let realm = if rehearse { Realm::Rehearsal } else { Realm::Real };
    record(runner, &gate, (attempt, &bound, permit), &asked).await?;
    runner.waits.gone(&[asked.about().content]);
    let since_ms = gate.since_ms();
    Ok(Admitted { attempt: attempt.clone(), bound, action, stage, realm, asked, since_ms })
}

/// Whether an envelope, refused or not, was signed for this runner and this very attempt.
///
/// Only the refusal of such a one is final and remembered. What an envelope with a bad signature or
/// another audience says of itself is anybody's word: to remember it would let whoever passes envelopes
/// on, and has no dispatch key, end attempts that are not theirs. Who has that key can end them anyway,
/// by not offering them; and can fill no memory, because it is bounded, nor push what was carried to its
/// end out of it, because refusals have a memory of their own.
pub fn is_signed_for(runner: &Runner, attempt: &Attempt, envelope: &[u8]) -> bool {
    gate(runner, attempt).is_signed_for(attempt, envelope)
}

/// Signatures, audience, time, sequence; then the release and the binding to it.
async fn verify(
    runner: &Runner,
    attempt: &Attempt,
    envelope: &[u8],
    permits: &[Vec<u8>],
) -> Result<(Bound, Action, Option<Permitted>), Rejection> {
    let pinned = pin::keep_on_record(runner).await;
    pinned.map_err(|error| refused(error.code(), format!("{}; nothing was begun", chain(&error))))?;
    let gate = gate(runner, attempt);
    let job = gate.job(attempt, envelope)?;
    let release = runner.cache.release(&runner.link, &gate.view, job.get()).await;
    let release = release.map_err(|error| {
        if error.is_away() { Rejection::Away(chain(&error)) } else { refused(error.code(), chain(&error)) }
    })?;
    let (bound, action) = gate.bind(job, &release, permits)?;
    // What makes the component what it is already goes back nowhere.
    let is_own = gate.made.get(&bound.component.name) == Some(&release.digest().hex());
    let permit = gate.permit(release.get(), permits).filter(|_| !is_own);
    Ok((bound, action, permit.map(|permit| Permitted::of(&permit))))
}

/// The gate as this runner stands now, for this attempt.
fn gate(runner: &Runner, attempt: &Attempt) -> Gate {
    let (ledger, ran, made) = {
        let state = runner.journal.state();
        (state.ledger.clone(), state.ran.clone(), state.made.clone())
    };
    let audience = Audience { channel: runner.pin.channel(), ..runner.identity().audience(&runner.config) };
    let (view, words) = (runner.trust.view(), runner.words(attempt));
    Gate { view, audience, ledger, rehearses: runner.config.sandbox, ran, made, words }
}

async fn record(
    runner: &Runner,
    gate: &Gate,
    (attempt, bound, permit): (&Attempt, &Bound, Option<Permitted>),
    asked: &Asked,
) -> Result<(), Rejection> {
    let accepted = Accepted {
        attempt: attempt.clone(),
        counted: Counted {
            seq: bound.job.seq,
            keys: bound.job_keys.iter().cloned().collect(),
            since_ms: gate.since_ms(),
        },
        envelope: bound.job_digest.hex(),
        release: bound.job.release.hex(),
        release_counter: bound.release.counter,
        channel: bound.release.channel.clone(),
        rollback_floor: bound.release.rollback_floor,
        task: Task {
            component: bound.component.name.clone(),
            kind: bound.component.kind.as_str().to_owned(),
            operation: bound.job.operation.clone(),
            class: bound.job.class,
            rehearsal: asked.content.rehearsal,
        },
        consent: consented(&gate.words, asked),
        policy: Some(runner.policy.reference().version),
        break_glass: bound.job.break_glass.clone(),
        permit,
    };
    let appended = runner.journal.append(Entry::Accepted(accepted)).await;
    appended.map_err(|error| refused(error.code(), format!("{}; nothing was begun", chain(&error))))
}
