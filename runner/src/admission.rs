//! Whether an envelope may be acted on: TRUST.md §4's order, each check closed on failure,
//! and what passed on record before anything else sees it.

use remit_seal::Refusal;
use remit_seal::document::{Class, Job, Release};
use remit_seal::verify::{self, Bound, Context};

use crate::data_dir::is_safe_name;
use crate::executor::Action;
use crate::fault::{Coded, chain};
use crate::journal::{Accepted, Entry};
use crate::outcome::Attempt;
use crate::outputs::Realm;
use crate::runner::Runner;

/// A job that passed every check and is on record.
#[derive(Debug)]
pub struct Admitted {
    /// The attempt.
    pub attempt: Attempt,
    /// The job with the release that allows it.
    pub bound: Bound,
    /// What to do.
    pub action: Action,
    /// Really, or in rehearsal.
    pub realm: Realm,
}

/// Why an envelope is not acted on.
#[derive(Debug)]
pub enum Rejection {
    /// Something that it needs is not to be had now.
    Away(String),
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
pub async fn admit(runner: &Runner, attempt: &Attempt, envelope: &[u8]) -> Result<Admitted, Rejection> {
    let bound = verify(runner, attempt, envelope).await?;
    let action = permitted(&bound)?;
    let rehearse = bound.job.sandbox || bound.component.sandbox || runner.config.sandbox;
    if runner.executors.pick(bound.component.kind, rehearse).is_none() {
        let kind = bound.component.kind.as_str();
        let words =
            format!("this runner cannot run {kind} components yet; in sandbox mode they are rehearsed");
        return Err(refused("executor.kind_unsupported", words));
    }
    let realm = if rehearse { Realm::Rehearsal } else { Realm::Real };
    record(runner, attempt, &bound, rehearse).await?;
    Ok(Admitted { attempt: attempt.clone(), bound, action, realm })
}

/// Whether an envelope, refused or not, was signed for this runner and this very attempt.
///
/// Only the refusal of such a one is final and remembered. What an envelope with a bad signature or
/// another audience says of itself is anybody's word: to remember it would let whoever passes envelopes
/// on, and has no dispatch key, end attempts that are not theirs. Who has that key can end them anyway,
/// by not offering them; and can fill no memory, because it is bounded, nor push what was carried to its
/// end out of it, because refusals have a memory of their own.
pub fn is_signed_for(runner: &Runner, attempt: &Attempt, envelope: &[u8]) -> bool {
    let view = runner.trust.view();
    let audience = runner.identity().audience(&runner.config);
    let (seq_high, counter_floor, is_fresh) = (0, 0, view.is_fresh());
    let context = Context { audience: &audience, now_ms: view.now_ms, seq_high, counter_floor, is_fresh };
    verify::addressed(&view.root, envelope, &context).is_ok_and(|signed| is_of(&signed, attempt))
}

fn is_of(signed: &Job, attempt: &Attempt) -> bool {
    (&signed.job, signed.attempt, signed.fence) == (&attempt.job, attempt.attempt, attempt.fence)
}

/// Signatures, audience, time, sequence; then the release and the binding to it.
async fn verify(runner: &Runner, attempt: &Attempt, envelope: &[u8]) -> Result<Bound, Rejection> {
    let identity = runner.identity();
    let view = runner.trust.view();
    let (root, now_ms) = (&view.root, view.now_ms);
    let audience = identity.audience(&runner.config);
    let seq_high = runner.journal.state().seq_high;
    let (counter_floor, is_fresh) = (0, view.is_fresh());
    let context = Context { audience: &audience, now_ms, seq_high, counter_floor, is_fresh };
    let job = verify::job(root, envelope, &context)?;
    let signed = job.get();
    if !is_of(signed, attempt) {
        let words = "the envelope is signed for another attempt than the one it was offered as";
        return Err(refused("runner.lease_mismatch", words));
    }
    let release = runner.cache.release(&runner.link, &view, signed).await;
    let release = release.map_err(|error| {
        if error.is_away() { Rejection::Away(chain(&error)) } else { refused(error.code(), chain(&error)) }
    })?;
    let floors = runner.journal.state().floors.clone();
    let Release { app, channel, .. } = release.get();
    let counter_floor = floors.get(channel).copied().unwrap_or(0).max(view.standing.floor(app, channel));
    Ok(verify::bind(root, job, &release, &Context { counter_floor, ..context })?)
}

/// What the operation does here, if its class says no less than that.
fn permitted(bound: &Bound) -> Result<Action, Rejection> {
    if ![&bound.job.job, &bound.component.name].into_iter().all(|name| is_safe_name(name)) {
        return Err(refused("runner.name_unsafe", "the job's or component's name cannot be a file's"));
    }
    let operation = &bound.job.operation;
    let action = Action::of(operation).ok_or_else(|| {
        refused(
            "executor.operation_unsupported",
            format!("this runner does not know the operation `{operation}`"),
        )
    })?;
    let fits = match action {
        Action::Deploy => bound.operation.class == Class::Change,
        Action::Destroy => bound.operation.class == Class::Destroy,
        Action::Drift => bound.operation.class <= Class::Plan,
    };
    if fits {
        return Ok(action);
    }
    let words =
        format!("the release gives the operation `{operation}` a class that does not say what it does");
    Err(refused("runner.class_wrong", words))
}

async fn record(runner: &Runner, attempt: &Attempt, bound: &Bound, rehearsal: bool) -> Result<(), Rejection> {
    let accepted = Accepted {
        attempt: attempt.clone(),
        seq: bound.job.seq,
        envelope: bound.job_digest.hex(),
        release: bound.job.release.hex(),
        release_counter: bound.release.counter,
        channel: bound.release.channel.clone(),
        rollback_floor: bound.release.rollback_floor,
        component: bound.component.name.clone(),
        operation: bound.job.operation.clone(),
        rehearsal,
    };
    let appended = runner.journal.append(Entry::Accepted(accepted)).await;
    appended.map_err(|error| refused(error.code(), format!("{}; nothing was begun", chain(&error))))
}
