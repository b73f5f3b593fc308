//! Plans and approvals: what a job may say of them, and what its operation needs of them.
//!
//! A job carries out the plan that it names; approvals are of that plan and of nothing else. To plan an
//! operation is less than the operation, and needs nobody's approval.

use super::SKEW_MAX_MS;
use crate::Refusal;
use crate::document::{Approved, Class, Job, Operation, Side, Terms};
use crate::refusal::clip;

/// The most approvals that a job carries.
pub const APPROVALS_MAX: usize = 16;
/// The longest name of an approver, in bytes.
pub const APPROVER_LEN_MAX: usize = 128;
/// The shortest time that an approval may count by a release's terms: a minute.
pub const APPROVAL_VALID_MIN_MS: i64 = 60_000;
/// The longest: 30 days.
pub const APPROVAL_VALID_MAX_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// Whether an operation's terms can be kept, and are of an approval that it needs.
pub(super) fn check_terms(operation: &Operation) -> Result<(), Refusal> {
    let Some(Terms { quorum, approvers, valid_ms }) = &operation.terms else { return Ok(()) };
    let unsound = |detail| Err(Refusal::ReleaseInvalid { detail });
    if !operation.approval.sides().contains(&Side::Vendor) {
        return unsound("it sets terms of an approval of the vendor's that no operation needs");
    }
    if !(1..=APPROVALS_MAX).contains(&(*quorum as usize)) || approvers.len() > APPROVALS_MAX {
        return unsound("1 to 16 of the vendor's people approve, and 16 are named at most");
    }
    if !(APPROVAL_VALID_MIN_MS..=APPROVAL_VALID_MAX_MS).contains(valid_ms) {
        return unsound("an approval counts for a minute to 30 days");
    }
    if approvers.iter().any(|by| !is_approver(by)) {
        return unsound("an approver's name is empty, too long, or holds control characters");
    }
    if approvers.iter().enumerate().any(|(index, by)| approvers[..index].contains(by)) {
        return unsound("an approver is named twice");
    }
    if !approvers.is_empty() && approvers.len() < *quorum as usize {
        return unsound("fewer approvers are named than must approve");
    }
    Ok(())
}

fn is_approver(by: &str) -> bool {
    !by.is_empty() && by.len() <= APPROVER_LEN_MAX && !by.chars().any(char::is_control)
}

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
        if !is_approver(by) {
            return unsound(
                "an approver's name is empty, longer than 128 bytes, or holds control characters",
            );
        }
        if approved.until_ms <= approved.at_ms {
            return unsound("an approval ends before it begins");
        }
        let same = |other: &Approved| (other.side, &other.by) == (approved.side, by);
        if job.approvals[..index].iter().any(same) {
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
        let late_ms = now_ms.saturating_sub(until_ms(approved, operation.terms.as_ref()));
        if late_ms > SKEW_MAX_MS {
            return Err(Refusal::ApprovalExpired { by: clip(&approved.by), late_ms });
        }
    }
    if operation.approval.sides().iter().all(|side| is_given(job, operation, *side)) {
        return Ok(());
    }
    Err(Refusal::ApprovalMissing { operation: clip(&job.operation) })
}

/// Until when an approval counts: as it says itself, and no longer than the terms allow.
fn until_ms(approved: &Approved, terms: Option<&Terms>) -> i64 {
    match terms.filter(|_| approved.side == Side::Vendor) {
        Some(terms) => approved.until_ms.min(approved.at_ms.saturating_add(terms.valid_ms)),
        None => approved.until_ms,
    }
}

/// Whether so many of one side approved as must. A broken glass passes the vendor's side, and only that.
fn is_given(job: &Job, operation: &Operation, side: Side) -> bool {
    let terms = operation.terms.as_ref().filter(|_| side == Side::Vendor);
    let need = match (side, &job.break_glass) {
        (Side::Vendor, Some(_)) => 0,
        (Side::Vendor | Side::Customer, _) => terms.map_or(1, |terms| terms.quorum as usize),
    };
    let counts = |a: &&Approved| terms.is_none_or(|t| t.approvers.is_empty() || t.approvers.contains(&a.by));
    job.approvals.iter().filter(|a| a.side == side).filter(counts).count() >= need
}
