//! The runner's own outcome to the wire's; everything else is `remit_proto::convert`'s.

use remit_proto::convert;

use crate::outcome::{Attempt, Changes, Failure, Outcome, Plan, PlannedChange, Success};

pub(super) fn attempt_ref(attempt: &Attempt) -> convert::AttemptRef {
    convert::AttemptRef { job: attempt.job.clone(), attempt: attempt.attempt, fence: attempt.fence }
}

impl From<convert::AttemptRef> for Attempt {
    fn from(of: convert::AttemptRef) -> Self {
        Self { job: of.job, attempt: of.attempt, fence: of.fence }
    }
}

/// A stop in words.
pub(super) fn stop(stop: &convert::Stop) -> String {
    let why = match stop.reason {
        convert::StopReason::Cancelled => "cancelled",
        convert::StopReason::Superseded => "superseded by newer work",
        convert::StopReason::Fenced => "another attempt has taken its place",
    };
    let words: String = stop.message.chars().filter(|c| !c.is_control()).take(256).collect();
    if words.is_empty() { why.to_owned() } else { format!("{why}: {words}") }
}

pub(super) fn outcome(outcome: &Outcome) -> convert::Outcome {
    match outcome {
        Outcome::Succeeded(success) => convert::Outcome::Succeeded(succeeded(success)),
        Outcome::Failed(failure) => convert::Outcome::Failed(failed(failure)),
        Outcome::Cancelled { message } => convert::Outcome::Cancelled { message: message.clone() },
        Outcome::Refused { code, message } => {
            convert::Outcome::Refused { code: code.clone(), message: message.clone() }
        }
    }
}

fn succeeded(success: &Success) -> convert::Success {
    convert::Success {
        outputs: success.outputs.clone(),
        changes: counts(success.changes),
        drifted: success.drifted,
        swept: success.swept.clone(),
        summary: success.summary.clone(),
        plan: success.plan.as_ref().map(plan),
        differences: (&success.differences).into(),
    }
}

fn counts(changes: Changes) -> convert::ChangeCounts {
    let Changes { create, update, delete, replace, import, forget, moved, other, outputs } = changes;
    convert::ChangeCounts { create, update, delete, replace, import, forget, moved, other, outputs }
}

fn plan(plan: &Plan) -> convert::Plan {
    let change = |change: &PlannedChange| convert::PlannedChange {
        address: change.address.clone(),
        action: change.action.into(),
    };
    convert::Plan {
        digest: plan.digest,
        changes: counts(plan.planned.changes),
        list: plan.planned.list.iter().map(change).collect(),
        more: plan.planned.more,
        customer_approval_needed: plan.customer_approval_needed,
    }
}

fn failed(failure: &Failure) -> convert::Failure {
    convert::Failure {
        class: failure.class,
        code: failure.code.clone(),
        message: failure.message.clone(),
        hint: failure.hint.clone(),
    }
}
