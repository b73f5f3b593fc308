//! Why an event is not taken: stable codes, and the refusals that several kinds of objects share.

use serde::{Deserialize, Serialize};

use crate::id::ObjectId;

/// What stays on the record must say something.
pub(crate) fn check_reason(reason: &str) -> Result<(), Rejected> {
    if reason.trim().is_empty() {
        let message = "the reason is empty; say why, it stays on the record";
        return Err(Rejected::new(RejectedCode::Invalid, message));
    }
    Ok(())
}

pub(crate) fn not_found(id: &ObjectId) -> Rejected {
    Rejected::new(RejectedCode::NotFound, format!("{id} does not exist; make it first"))
}

pub(crate) fn exists(id: &ObjectId) -> Rejected {
    Rejected::new(RejectedCode::Exists, format!("{id} exists already"))
}

pub(crate) fn deleting(id: &ObjectId) -> Rejected {
    Rejected::new(RejectedCode::Deleting, format!("{id} is being deleted; it takes nothing more"))
}

/// Why an event was not taken. The object is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Rejected {
    /// A stable code, e.g. `loop.deleting`.
    pub code: RejectedCode,
    /// What is the matter and what to do, for people.
    pub message: String,
}

/// The stable codes of rejections; each has a page in `docs/errors/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectedCode {
    /// The object does not exist.
    NotFound,
    /// The object exists already.
    Exists,
    /// The object is being deleted or is gone.
    Deleting,
    /// The queue is full.
    QueueFull,
    /// The signal does not fit the state that the object is in.
    Conflict,
    /// The signal's content is not allowed.
    Invalid,
    /// The event is for another kind of object.
    WrongKind,
    /// A word of an older or unknown attempt, generation or operation.
    Stale,
    /// No runner is enrolled, and it needs one.
    RunnerMissing,
    /// A window that can never open, or is written wrongly.
    WindowInvalid,
    /// There is no such time zone.
    ZoneUnknown,
    /// A freeze that is over before it begins, or is written wrongly.
    FreezeInvalid,
    /// Two freezes of one object at the same time.
    FreezeOverlaps,
    /// A rollout that cannot be: of no release, of no installs, without end.
    RolloutInvalid,
    /// A release below the rollback floor of the one that is there.
    BelowFloor,
    /// The word is of another plan than the one that waits for it.
    PlanStale,
    /// The approval of this person does not count.
    NotApprover,
    /// A glass broken for too long, or for a reason that cannot be shown.
    BreakGlassInvalid,
    /// Nobody has shown that what is to be given up runs no more.
    ProofMissing,
}

impl RejectedCode {
    /// The code as it is shown and documented.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectedCode::NotFound => "loop.not_found",
            RejectedCode::Exists => "loop.exists",
            RejectedCode::Deleting => "loop.deleting",
            RejectedCode::QueueFull => "loop.queue_full",
            RejectedCode::Conflict => "loop.conflict",
            RejectedCode::Invalid => "loop.invalid",
            RejectedCode::WrongKind => "loop.wrong_kind",
            RejectedCode::Stale => "loop.stale",
            RejectedCode::RunnerMissing => "loop.runner_missing",
            RejectedCode::WindowInvalid => "loop.window_invalid",
            RejectedCode::ZoneUnknown => "loop.zone_unknown",
            RejectedCode::FreezeInvalid => "loop.freeze_invalid",
            RejectedCode::FreezeOverlaps => "loop.freeze_overlaps",
            RejectedCode::RolloutInvalid => "loop.rollout_invalid",
            RejectedCode::BelowFloor => "loop.below_floor",
            RejectedCode::PlanStale => "loop.plan_stale",
            RejectedCode::NotApprover => "loop.not_approver",
            RejectedCode::BreakGlassInvalid => "loop.break_glass_invalid",
            RejectedCode::ProofMissing => "loop.proof_missing",
        }
    }
}

impl Rejected {
    /// A rejection with its sentence.
    pub fn new(code: RejectedCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

pub(crate) fn conflict(message: &str) -> Rejected {
    Rejected::new(RejectedCode::Conflict, message)
}
