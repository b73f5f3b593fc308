//! Plans: what a change would do, as a runner reports it, and what the customer says of it.

use remit_seal::Digest;
use remit_seal::verify::is_name;

use super::{WireError, at_most, bounded, cut, non_empty, required, within};
use crate::{limit, v1};

/// How many things were changed, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// Made.
    pub create: u32,
    /// Changed in place.
    pub update: u32,
    /// Removed.
    pub delete: u32,
    /// Removed and made anew.
    pub replace: u32,
    /// Taken over: it was there before.
    pub import: u32,
    /// Left where it is, and known no more.
    pub forget: u32,
    /// Known under another address.
    pub moved: u32,
    /// Something that the tool has a word for which is not known here.
    pub other: u32,
    /// Outputs whose value changes.
    pub outputs: u32,
}

impl From<v1::ChangeCounts> for ChangeCounts {
    fn from(wire: v1::ChangeCounts) -> Self {
        let v1::ChangeCounts { create, update, delete, replace, import, forget, moved, other, outputs } =
            wire;
        Self { create, update, delete, replace, import, forget, moved, other, outputs }
    }
}

impl From<ChangeCounts> for v1::ChangeCounts {
    fn from(counts: ChangeCounts) -> Self {
        let ChangeCounts { create, update, delete, replace, import, forget, moved, other, outputs } = counts;
        Self { create, update, delete, replace, import, forget, moved, other, outputs }
    }
}

/// What a plan would change, without any value of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Of the saved plan and all that goes into it.
    pub digest: Digest,
    /// All changes, counted.
    pub changes: ChangeCounts,
    /// The first `limit::PLAN_LIST_MAX` changes.
    pub list: Vec<PlannedChange>,
    /// How many more there are.
    pub more: u32,
    /// The customer's remit wants the customer's approval of it.
    pub customer_approval_needed: bool,
}

impl TryFrom<v1::Plan> for Plan {
    type Error = WireError;

    fn try_from(wire: v1::Plan) -> Result<Self, WireError> {
        at_most("plan.list", wire.list.len(), limit::PLAN_LIST_MAX)?;
        Ok(Self {
            digest: digest("plan.digest", &wire.digest)?,
            changes: required("plan.changes", wire.changes)?.into(),
            list: wire.list.into_iter().map(PlannedChange::try_from).collect::<Result<_, _>>()?,
            more: wire.more,
            customer_approval_needed: wire.customer_approval_needed,
        })
    }
}

impl From<Plan> for v1::Plan {
    fn from(plan: Plan) -> Self {
        let over = plan.list.len().saturating_sub(limit::PLAN_LIST_MAX);
        Self {
            digest: plan.digest.as_bytes().to_vec(),
            changes: Some(plan.changes.into()),
            list: plan.list.into_iter().take(limit::PLAN_LIST_MAX).map(Into::into).collect(),
            more: plan.more.saturating_add(u32::try_from(over).unwrap_or(u32::MAX)),
            customer_approval_needed: plan.customer_approval_needed,
        }
    }
}

fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, WireError> {
    let malformed = |_| WireError::Malformed { field, expected: "a sha256 of 32 bytes" };
    Ok(Digest::from_bytes(bytes.try_into().map_err(malformed)?))
}

/// One change of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedChange {
    /// What is changed.
    pub address: String,
    /// How.
    pub action: ChangeAction,
}

impl TryFrom<v1::PlannedChange> for PlannedChange {
    type Error = WireError;

    fn try_from(wire: v1::PlannedChange) -> Result<Self, WireError> {
        non_empty("plan.list.address", &wire.address)?;
        Ok(Self {
            address: bounded("plan.list.address", wire.address, limit::ADDRESS_LEN_MAX)?,
            action: ChangeAction::read(wire.action)?,
        })
    }
}

impl From<PlannedChange> for v1::PlannedChange {
    fn from(PlannedChange { address, action }: PlannedChange) -> Self {
        Self { address: cut(&address, limit::ADDRESS_LEN_MAX), action: action.wire() as i32 }
    }
}

/// How something is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeAction {
    /// Made.
    Create,
    /// Changed in place.
    Update,
    /// Removed.
    Delete,
    /// Removed and made anew.
    Replace,
    /// Taken over: it was there before.
    Import,
    /// Left where it is, and known no more.
    Forget,
    /// Known under another address.
    Move,
    /// The tool has a word for it that is not known here.
    Other,
}

impl ChangeAction {
    pub(super) fn read(value: i32) -> Result<Self, WireError> {
        use v1::ChangeAction as Wire;
        let field = "plan.list.action";
        Ok(match Wire::try_from(value).map_err(|_| WireError::UnknownValue { field, value })? {
            Wire::Unspecified => return Err(WireError::Unspecified { field }),
            Wire::Create => ChangeAction::Create,
            Wire::Update => ChangeAction::Update,
            Wire::Delete => ChangeAction::Delete,
            Wire::Replace => ChangeAction::Replace,
            Wire::Import => ChangeAction::Import,
            Wire::Forget => ChangeAction::Forget,
            Wire::Move => ChangeAction::Move,
            Wire::Other => ChangeAction::Other,
        })
    }

    pub(super) fn wire(self) -> v1::ChangeAction {
        match self {
            ChangeAction::Create => v1::ChangeAction::Create,
            ChangeAction::Update => v1::ChangeAction::Update,
            ChangeAction::Delete => v1::ChangeAction::Delete,
            ChangeAction::Replace => v1::ChangeAction::Replace,
            ChangeAction::Import => v1::ChangeAction::Import,
            ChangeAction::Forget => v1::ChangeAction::Forget,
            ChangeAction::Move => v1::ChangeAction::Move,
            ChangeAction::Other => v1::ChangeAction::Other,
        }
    }
}

/// What the customer says of a plan that was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanAnswer {
    /// Whose plan.
    pub component: String,
    /// The plan's digest, as it was reported.
    pub digest: Digest,
    /// What they say.
    pub reply: PlanReply,
}

/// Yes or no, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanReply {
    /// Carry it out.
    Approved {
        /// Who, for people.
        by: String,
        /// After this it counts no more, milliseconds since the Unix epoch.
        until_ms: i64,
    },
    /// Do not.
    Denied {
        /// Who, for people.
        by: String,
        /// Why.
        reason: String,
    },
}

impl TryFrom<v1::AnswerPlanRequest> for PlanAnswer {
    type Error = WireError;

    fn try_from(wire: v1::AnswerPlanRequest) -> Result<Self, WireError> {
        use v1::answer_plan_request::Answer;
        if !is_name(&wire.component) {
            return Err(WireError::Malformed { field: "component", expected: "the name of a component" });
        }
        let reply = match required("answer", wire.answer)? {
            Answer::Approved(v1::PlanApproved { by, until_ms }) => {
                let until = u64::try_from(until_ms).unwrap_or(0);
                within("answer.until_ms", until, 1, limit::MARK_MAX)?;
                PlanReply::Approved { by: approver(by)?, until_ms }
            }
            Answer::Denied(v1::PlanDenied { by, reason }) => {
                non_empty("answer.reason", &reason)?;
                let reason = bounded("answer.reason", reason, limit::LINE_LEN_MAX)?;
                PlanReply::Denied { by: approver(by)?, reason }
            }
        };
        Ok(Self { component: wire.component, digest: digest("digest", &wire.digest)?, reply })
    }
}

fn approver(by: String) -> Result<String, WireError> {
    non_empty("answer.by", &by)?;
    if by.chars().any(char::is_control) {
        return Err(WireError::Malformed {
            field: "answer.by",
            expected: "a name without control characters",
        });
    }
    bounded("answer.by", by, limit::APPROVER_LEN_MAX)
}

impl From<PlanAnswer> for v1::AnswerPlanRequest {
    fn from(PlanAnswer { component, digest, reply }: PlanAnswer) -> Self {
        use v1::answer_plan_request::Answer;
        let answer = match reply {
            PlanReply::Approved { by, until_ms } => {
                Answer::Approved(v1::PlanApproved { by: cut(&by, limit::APPROVER_LEN_MAX), until_ms })
            }
            PlanReply::Denied { by, reason } => Answer::Denied(v1::PlanDenied {
                by: cut(&by, limit::APPROVER_LEN_MAX),
                reason: cut(&reason, limit::LINE_LEN_MAX),
            }),
        };
        Self { component, digest: digest.as_bytes().to_vec(), answer: Some(answer) }
    }
}
