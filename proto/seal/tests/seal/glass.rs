//! The table's part on the vendor's approvals: their terms, and the glass that lets a job pass them.

use remit_seal::Digest;
use remit_seal::document::{Approval, Approved, BreakGlass, Class, Side, Terms};
use remit_seal::verify::{
    APPROVAL_VALID_MAX_MS, APPROVAL_VALID_MIN_MS, APPROVALS_MAX, APPROVER_LEN_MAX, BREAK_GLASS_BY_LEN_MAX,
    BREAK_GLASS_MAX_MS, BREAK_GLASS_REASON_LEN_MAX, SKEW_MAX_MS,
};

use crate::cases::Case;
use crate::world::{NOW, World};

const UNSOUND: &str = "seal.release_invalid";
const MISSING: &str = "seal.approval_missing";

pub(crate) const TERMS: &[Case] = &[
    ("terms_of_one", |w| terms(w, |_| ()), MISSING),
    ("terms_of_no_approval", |w| (terms(w, |_| ()), needs(w, Approval::None)).0, UNSOUND),
    ("terms_of_customers_approval", |w| (terms(w, |_| ()), needs(w, Approval::Customer)).0, UNSOUND),
    ("terms_kept", |w| (terms(w, |_| ()), approved(w, &["ann"])).0, "ok"),
    ("terms_of_both", |w| (terms(w, |_| ()), needs(w, Approval::Both), approved(w, &["ann"])).0, MISSING),
    ("quorum_kept", |w| (terms(w, |t| t.quorum = 2), approved(w, &["ann", "bob"])).0, "ok"),
    ("quorum_not_kept", |w| (terms(w, |t| t.quorum = 2), approved(w, &["ann"])).0, MISSING),
    ("quorum_of_nobody", |w| terms(w, |t| t.quorum = 0), UNSOUND),
    ("quorum_most", |w| (terms(w, |t| t.quorum = 16), approved_by(w, 16)).0, "ok"),
    ("quorum_too_many", |w| terms(w, |t| t.quorum = 17), UNSOUND),
    ("quorum_is_not_the_customers", |w| (both(w), w.job.approvals[1].side = Side::Customer).0, MISSING),
    ("approver_named", |w| (terms(w, |t| named(t, &["ann", "bob"])), approved(w, &["bob"])).0, "ok"),
    ("approver_not_named", |w| (terms(w, |t| named(t, &["ann", "bob"])), approved(w, &["eve"])).0, MISSING),
    ("approvers_named_twice", |w| terms(w, |t| named(t, &["ann", "ann"])), UNSOUND),
    ("approvers_named_fewer", |w| terms(w, |t| (t.quorum, t.approvers) = (2, names(&["ann"]))), UNSOUND),
    (
        "approvers_named_just",
        |w| {
            terms(w, |t| (t.quorum, t.approvers) = (2, names(&["ann", "bob"])));
            approved(w, &["ann", "bob"]);
        },
        "ok",
    ),
    (
        "approvers_named_most",
        |w| (terms(w, |t| t.approvers = numbered(APPROVALS_MAX)), approved(w, &["ann-3"])).0,
        "ok",
    ),
    ("approvers_named_too_many", |w| terms(w, |t| t.approvers = numbered(APPROVALS_MAX + 1)), UNSOUND),
    (
        "approver_named_long",
        |w| (terms(w, |t| t.approvers = vec!["a".repeat(APPROVER_LEN_MAX)]), approved(w, &["ann"])).0,
        MISSING,
    ),
    (
        "approver_named_endless",
        |w| terms(w, |t| t.approvers = vec!["a".repeat(APPROVER_LEN_MAX + 1)]),
        UNSOUND,
    ),
    ("approver_named_nothing", |w| terms(w, |t| named(t, &[""])), UNSOUND),
    ("approver_named_escape", |w| terms(w, |t| named(t, &["a\u{1b}"])), UNSOUND),
    ("valid_least", |w| terms(w, |t| t.valid_ms = APPROVAL_VALID_MIN_MS), MISSING),
    ("valid_less", |w| terms(w, |t| t.valid_ms = APPROVAL_VALID_MIN_MS - 1), UNSOUND),
    ("valid_most", |w| terms(w, |t| t.valid_ms = APPROVAL_VALID_MAX_MS), MISSING),
    ("valid_more", |w| terms(w, |t| t.valid_ms = APPROVAL_VALID_MAX_MS + 1), UNSOUND),
    (
        "valid_by_terms_to_the_last",
        |w| (terms(w, |_| ()), approved(w, &["ann"]), given(w, NOW - 60_000 - SKEW_MAX_MS)).0,
        "ok",
    ),
    (
        "valid_by_terms_no_more",
        |w| (terms(w, |_| ()), approved(w, &["ann"]), given(w, NOW - 60_001 - SKEW_MAX_MS)).0,
        "seal.approval_expired",
    ),
    (
        "valid_of_customer_as_said",
        |w| (terms(w, |_| ()), needs(w, Approval::Both), approved(w, &["ann", "cid"]), customers_old(w)).0,
        "ok",
    ),
];

pub(crate) const GLASS: &[Case] = &[
    ("glass", |w| glass(w, |_| ()), "ok"),
    ("glass_passes_vendor", |w| (terms(w, |t| t.quorum = 2), glass(w, |_| ())).0, "ok"),
    ("glass_passes_no_customer", |w| (needs(w, Approval::Customer), glass(w, |_| ())).0, MISSING),
    ("glass_passes_half_of_both", |w| (needs(w, Approval::Both), glass(w, |_| ())).0, MISSING),
    (
        "glass_and_customer",
        |w| (needs(w, Approval::Both), glass(w, |_| ()), approved(w, &["cid"]), customers(w)).0,
        "ok",
    ),
    ("glass_of_a_plan", |w| (glass(w, |_| ()), w.job.class = Class::Plan).0, "ok"),
    ("glass_longest", |w| glass(w, |g| g.until_ms = NOW + BREAK_GLASS_MAX_MS), "ok"),
    ("glass_too_long", |w| glass(w, |g| g.until_ms = NOW + BREAK_GLASS_MAX_MS + 1), "seal.job_invalid"),
    ("glass_shortest", |w| glass(w, |g| g.until_ms = NOW + 1), "ok"),
    ("glass_for_no_time", |w| glass(w, |g| g.until_ms = NOW), "seal.job_invalid"),
    ("glass_in_its_last_moment", |w| (glass(w, |_| ()), w.now_ms = NOW + 1_000 + SKEW_MAX_MS).0, "ok"),
    ("glass_over", |w| (glass(w, |_| ()), w.now_ms = NOW + 1_001 + SKEW_MAX_MS).0, "seal.break_glass_over"),
    ("glass_by_nobody", |w| glass(w, |g| g.by.clear()), "seal.job_invalid"),
    ("glass_by_long", |w| glass(w, |g| g.by = "a".repeat(BREAK_GLASS_BY_LEN_MAX)), "ok"),
    ("glass_by_endless", |w| glass(w, |g| g.by = "a".repeat(BREAK_GLASS_BY_LEN_MAX + 1)), "seal.job_invalid"),
    ("glass_by_escape", |w| glass(w, |g| g.by = "a\u{1b}[2J".into()), "seal.job_invalid"),
    ("glass_without_reason", |w| glass(w, |g| g.reason.clear()), "seal.job_invalid"),
    ("glass_for_long_reason", |w| glass(w, |g| g.reason = "a".repeat(BREAK_GLASS_REASON_LEN_MAX)), "ok"),
    (
        "glass_for_endless_reason",
        |w| glass(w, |g| g.reason = "a".repeat(BREAK_GLASS_REASON_LEN_MAX + 1)),
        "seal.job_invalid",
    ),
    ("glass_for_escape", |w| glass(w, |g| g.reason = "down\n".into()), "seal.job_invalid"),
];

/// The deploy needs the vendor's approval, by these terms.
fn terms(w: &mut World, change: impl FnOnce(&mut Terms)) {
    let mut terms = Terms { quorum: 1, approvers: vec![], valid_ms: 60_000 };
    change(&mut terms);
    let deploy = w.release.operations.get_mut("deploy").unwrap();
    (deploy.approval, deploy.terms) = (Approval::Vendor, Some(terms));
}

fn needs(w: &mut World, approval: Approval) {
    w.release.operations.get_mut("deploy").unwrap().approval = approval;
}

fn named(terms: &mut Terms, approvers: &[&str]) {
    terms.approvers = names(approvers);
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("ann-{n}")).collect()
}

fn approved(w: &mut World, by: &[&str]) {
    let of = |by: &&str| Approved {
        side: Side::Vendor,
        by: (*by).to_owned(),
        at_ms: NOW - 1_000,
        until_ms: NOW + 1_000,
    };
    w.job.plan = Some(Digest::of(b"a plan"));
    w.job.approvals = by.iter().map(of).collect();
}

fn approved_by(w: &mut World, count: usize) {
    approved(w, &numbered(count).iter().map(String::as_str).collect::<Vec<_>>());
}

fn both(w: &mut World) {
    terms(w, |t| t.quorum = 2);
    approved(w, &["ann", "bob"]);
}

fn given(w: &mut World, at_ms: i64) {
    w.job.approvals[0].at_ms = at_ms;
}

fn customers(w: &mut World) {
    w.job.approvals.iter_mut().for_each(|a| a.side = Side::Customer);
}

/// The second is the customer's, and older than the vendor's may be.
fn customers_old(w: &mut World) {
    (w.job.approvals[1].side, w.job.approvals[1].at_ms) = (Side::Customer, NOW - 10_000_000);
}

fn glass(w: &mut World, change: impl FnOnce(&mut BreakGlass)) {
    let mut glass =
        BreakGlass { by: "ann".to_owned(), reason: "the shop is down".to_owned(), until_ms: NOW + 1_000 };
    change(&mut glass);
    w.job.break_glass = Some(glass);
}
