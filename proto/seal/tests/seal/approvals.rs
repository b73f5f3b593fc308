//! The table's part on plans and approvals: who must have approved what, until when.

use remit_seal::Digest;
use remit_seal::document::{Approval, Approved, Class, Side};
use remit_seal::verify::{APPROVALS_MAX, SKEW_MAX_MS};

use crate::cases::Case;
use crate::world::{NOW, World};

pub(crate) const APPROVALS: &[Case] = &[
    ("plan_of_change", |w| w.job.class = Class::Plan, "ok"),
    ("plan_of_destroy", |w| (w.job.operation, w.job.class) = ("destroy".to_owned(), Class::Plan), "ok"),
    ("plan_of_what_needs_approval", |w| plan_of(w, "wipe"), "ok"),
    ("plan_of_a_look", |w| plan_of(w, "drift"), "seal.class_mismatch"),
    ("plan_of_no_operation", |w| plan_of(w, "dance"), "seal.operation_unknown"),
    ("plan_that_is_approved", |w| (w.job.class, w.job.plan) = (Class::Plan, digest()), "seal.job_invalid"),
    ("look_that_is_approved", |w| look(w), "seal.job_invalid"),
    ("approved_by_nobody", |w| w.job.plan = digest(), "ok"),
    ("approved_without_need", |w| approve(w, Approval::None, &[Side::Vendor]), "ok"),
    ("approved_by_vendor", |w| approve(w, Approval::Vendor, &[Side::Vendor]), "ok"),
    ("approved_by_customer", |w| approve(w, Approval::Customer, &[Side::Customer]), "ok"),
    ("approved_by_both", |w| approve(w, Approval::Both, &[Side::Vendor, Side::Customer]), "ok"),
    ("approved_by_other_side", |w| approve(w, Approval::Vendor, &[Side::Customer]), "seal.approval_missing"),
    ("approved_by_half", |w| approve(w, Approval::Both, &[Side::Vendor]), "seal.approval_missing"),
    ("approved_by_other_half", |w| approve(w, Approval::Both, &[Side::Customer]), "seal.approval_missing"),
    ("approved_in_one", |w| approve(w, Approval::Vendor, &[]), "seal.approval_missing"),
    ("approvals_of_no_plan", |w| unnamed(w), "seal.job_invalid"),
    ("approval_in_its_last_moment", |w| ends(w, NOW - SKEW_MAX_MS), "ok"),
    ("approval_ended", |w| ends(w, NOW - SKEW_MAX_MS - 1), "seal.approval_expired"),
    ("approval_ends_before_it_begins", |w| ends(w, NOW - 1_000_000), "seal.job_invalid"),
    ("approver_without_name", |w| named(w, ""), "seal.job_invalid"),
    ("approver_with_escape", |w| named(w, "ann\u{1b}[2J"), "seal.job_invalid"),
    ("approver_endless", |w| named(w, &"a".repeat(129)), "seal.job_invalid"),
    ("approver_long", |w| named(w, &"a".repeat(128)), "ok"),
    ("approver_twice", |w| twice(w), "seal.job_invalid"),
    ("approvers_of_one_name", |w| approve(w, Approval::None, &[Side::Vendor, Side::Customer]), "ok"),
    ("approvers_most", |w| many(w, APPROVALS_MAX), "ok"),
    ("approvers_too_many", |w| many(w, APPROVALS_MAX + 1), "seal.job_invalid"),
];

fn digest() -> Option<Digest> {
    Some(Digest::of(b"a plan"))
}

fn approved(side: Side) -> Approved {
    Approved { side, by: "ann".to_owned(), at_ms: NOW - 1_000_000, until_ms: NOW + 1_000 }
}

fn plan_of(w: &mut World, operation: &str) {
    (w.job.operation, w.job.class) = (operation.to_owned(), Class::Plan);
}

fn look(w: &mut World) {
    plan_of(w, "drift");
    (w.job.class, w.job.plan) = (Class::Read, digest());
}

fn approve(w: &mut World, needs: Approval, sides: &[Side]) {
    w.release.operations.get_mut("deploy").unwrap().approval = needs;
    w.job.plan = digest();
    w.job.approvals = sides.iter().map(|side| approved(*side)).collect();
}

fn unnamed(w: &mut World) {
    approve(w, Approval::Vendor, &[Side::Vendor]);
    w.job.plan = None;
}

fn ends(w: &mut World, until_ms: i64) {
    approve(w, Approval::Vendor, &[Side::Vendor]);
    w.job.approvals[0].until_ms = until_ms;
}

fn named(w: &mut World, by: &str) {
    approve(w, Approval::Vendor, &[Side::Vendor]);
    w.job.approvals[0].by = by.to_owned();
}

fn twice(w: &mut World) {
    approve(w, Approval::Vendor, &[Side::Vendor, Side::Vendor]);
}

fn many(w: &mut World, count: usize) {
    approve(w, Approval::Vendor, &[]);
    w.job.approvals =
        (0..count).map(|n| Approved { by: format!("ann-{n}"), ..approved(Side::Vendor) }).collect();
}
