//! Plans and approvals: what a job may say of them, and what its operation needs of them.
//!
//! A job carries out the plan that it names; approvals are of that plan and of nothing else. To plan an
//! operation is less than the operation, and needs nobody's approval.

use super::job::SKEW_MAX_MS;
use crate::Refusal;
use crate::document::{Class, Job, Operation};
use crate::refusal::clip;

/// The most approvals that a job carries.
pub const APPROVALS_MAX: usize = 16;
/// The longest name of an approver, in bytes.
const APPROVER_LEN_MAX: usize = 128;

/// Whether what a job says of plans and approvals makes sense in itself.
pub(super) fn check_form(job: &Job) -> Result<(), Refusal> {
    let unsound = |detail| Err(Refusal::JobInvalid { detail });
    if job.plan.is_none() && !job.approvals.is_empty() {
        return unsound("it carries approvals and names no plan that they are of");
    }
    if job.plan.is_some() && !matches!(job.class, Class::Change | Class::Destroy) {
        return unsound("it names an approved plan and changes nothing");
    }
    if job.approvals.len() > APPROVALS_MAX {
        return unsound("it carries more than 16 approvals");
    }
    for (index, approved) in job.approvals.iter().enumerate() {
        let by = &approved.by;
        if by.is_empty() || by.len() > APPROVER_LEN_MAX || by.chars().any(char::is_control) {
            return unsound(
                "an approver's name is empty, longer than 128 bytes, or holds control characters",
            );
        }
        if approved.until_ms <= approved.at_ms {
            return unsound("an approval ends before it begins");
        }
        let same = |other: &&crate::document::Approved| (other.side, &other.by) == (approved.side, by);
        if job.approvals[..index].iter().any(|other| same(&other)) {
            return unsound("one approver is counted twice");
        }
    }
    Ok(())
}

/// Whether a job's class is its operation's, or less: a change may be planned, and no more than that.
pub(super) fn class_fits(job: &Job, operation: &Operation) -> bool {
    let plans = job.class == Class::Plan && matches!(operation.class, Class::Change | Class::Destroy);
    plans || job.class == operation.class
}

/// Whether a job carries the approvals that its operation needs, and none of those that it carries has ended.
pub(super) fn check(job: &Job, operation: &Operation, now_ms: i64) -> Result<(), Refusal> {
    if job.class != operation.class {
        return Ok(());
    }
    for approved in &job.approvals {
        let late_ms = now_ms.saturating_sub(approved.until_ms);
        if late_ms > SKEW_MAX_MS {
            return Err(Refusal::ApprovalExpired { by: clip(&approved.by), late_ms });
        }
    }
    let given = |side| job.approvals.iter().any(|approved| approved.side == side);
    if operation.approval.sides().iter().all(|side| given(*side)) {
        return Ok(());
    }
    Err(Refusal::ApprovalMissing { operation: clip(&job.operation) })
}
