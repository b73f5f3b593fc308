//! Break glass and the terms of approval: what is passed, for how long, and what is never passed.

use std::collections::BTreeMap;

use remit_loops::approval::{Ask, Policy};
use remit_loops::freeze::AddFreeze;
use remit_loops::job::{Outcome, Success};
use remit_loops::plan::Changes;
use remit_loops::plan::{Needed, Plan, Stage, Terms};
use remit_loops::release::Release;
use remit_loops::{Actor, Body, RejectedCode, Signal, Timestamp, install};

use crate::world::{World, id, release};

const INSTALL: &str = "ins_demo.shop.acme";
const HOUR: i64 = 3_600_000;

fn break_glass(for_ms: i64) -> install::Signal {
    install::Signal::BreakGlass { for_ms, reason: "the shop is down".into() }
}

fn planned(n: u32, customer_approval_needed: bool) -> Outcome {
    let (digest, changes) = (format!("sha256:{n}"), Changes { create: 1, ..Changes::default() });
    let plan = Plan { digest, changes, list: vec![], more: 0, customer_approval_needed };
    Outcome::Succeeded(Success { changes, plan: Some(plan), ..Success::default() })
}

/// A world with one component, whose deploy needs this approval by these terms.
fn wanting(needed: Needed, terms: Option<Terms>, policy: Policy) -> World {
    let mut release = Release {
        approvals: BTreeMap::from([("deploy".to_owned(), needed)]),
        terms: terms.into_iter().map(|terms| ("deploy".to_owned(), terms)).collect(),
        ..release("1.0.0", 1)
    };
    release.components.truncate(1);
    World::with_install_of(release, policy)
}

fn terms(quorum: u32, approvers: &[&str]) -> Terms {
    let approvers = approvers.iter().map(|name| (*name).to_owned()).collect();
    Terms { quorum, approvers, valid_ms: HOUR }
}

/// A world in which a plan that two must approve waits, and the glass is broken for the customer's half.
pub(crate) fn broken() -> World {
    let mut world = wanting(Needed::Both, Some(terms(2, &["ann", "bob"])), Policy::default());
    world.complete("network", planned(1, false));
    world.install(break_glass(HOUR)).unwrap();
    world
}

impl World {
    fn says_yes(&mut self, name: &str) -> Result<(), RejectedCode> {
        let plan = self.view(INSTALL).operation.unwrap().steps[0].asking.clone().unwrap().plan.digest;
        let yes = install::Signal::Approve { plan, component: None, operation: None };
        let body = Body::Signal(Signal::Install(yes));
        self.send(INSTALL, Actor::Person(name.into()), body).map_err(|r| r.code)
    }

    fn reasons(&self) -> Vec<String> {
        self.why(INSTALL).into_iter().map(|w| w.code).collect()
    }
}

#[test]
fn a_release_sets_how_many_approve_who_and_for_how_long() {
    let mut world = wanting(Needed::Vendor, Some(terms(2, &["ann", "bob", "cid"])), Policy::default());
    world.complete("network", planned(1, false));
    assert_eq!(world.says_yes("eve"), Err(RejectedCode::NotApprover));
    world.says_yes("ann").unwrap();
    assert!(world.offers().is_empty(), "one of two");
    world.says_yes("bob").unwrap();
    let Stage::Apply(plan) = world.offers().remove(0).spec.stage else { panic!() };
    assert_eq!(plan.approvals.len(), 2);
    assert!(plan.approvals.iter().all(|a| a.until.0 - a.at.0 == HOUR), "not the install's day: {plan:?}");
}

#[test]
fn an_install_asks_for_more_than_the_release_and_never_for_less() {
    let three = Policy { quorum: 3, valid_ms: 60_000, ..Policy::default() };
    let mut world = wanting(Needed::Vendor, Some(terms(2, &[])), three);
    world.complete("network", planned(1, false));
    for name in ["ann", "bob"] {
        world.says_yes(name).unwrap();
        assert!(world.offers().is_empty());
    }
    world.says_yes("cid").unwrap();
    let Stage::Apply(plan) = world.offers().remove(0).spec.stage else { panic!() };
    assert!(plan.approvals.iter().all(|a| a.until.0 - a.at.0 == 60_000));
    let one = Policy { quorum: 1, approvers: vec!["ann".into()], ..Policy::default() };
    let mut world = wanting(Needed::Vendor, Some(terms(2, &["ann", "bob"])), one);
    world.complete("network", planned(1, false));
    world.says_yes("ann").unwrap();
    assert!(world.offers().is_empty(), "the install's one is less than the release's two");
    assert_eq!(world.says_yes("bob"), Err(RejectedCode::NotApprover), "the install names only ann");
    let why = world.why(INSTALL).remove(0);
    assert!(why.reason.contains("both name only 1"), "{why:?}");
}

#[test]
fn a_broken_glass_passes_a_freeze_until_its_time_is_over() {
    let mut world = wanting(Needed::None, None, Policy::default());
    world.work_off();
    let (name, reason) = ("audit".to_owned(), "an audit".to_owned());
    let until = Timestamp(world.now + 100 * HOUR);
    world.install(install::Signal::Freeze(AddFreeze { name, from: None, until, reason })).unwrap();
    world.install(install::Signal::Deploy { version: None }).unwrap();
    assert!(world.offers().is_empty() && world.reasons() == ["waiting.freeze"], "{:?}", world.reasons());
    world.install(break_glass(HOUR)).unwrap();
    let glass = world.offers().remove(0).spec.glass.expect("the job says so");
    assert_eq!((glass.by.as_str(), glass.reason.as_str()), ("ann", "the shop is down"));
    assert_eq!(world.reasons()[0], "attention.glass");
    assert!(world.now < glass.until.0);
    world.tick();
    assert!(world.now >= glass.until.0, "it ends by itself");
    assert!(world.offers().is_empty() && world.reasons() == ["waiting.freeze"], "{:?}", world.reasons());
}

#[test]
fn a_broken_glass_passes_the_vendors_people_and_never_the_customer() {
    let always = || Policy { ask: Ask::Always, ..Policy::default() };
    let mut world = wanting(Needed::Vendor, Some(terms(2, &[])), always());
    world.complete("network", planned(1, false));
    world.install(break_glass(HOUR)).unwrap();
    assert!(matches!(world.offers()[0].spec.stage, Stage::Apply(_)), "what waited goes on");
    let mut world = wanting(Needed::Vendor, None, always());
    world.install(break_glass(HOUR)).unwrap();
    world.complete("network", planned(1, false));
    assert_eq!(world.offers().len(), 1, "the plan that was under way is carried out");
    let world = broken();
    assert!(world.offers().is_empty(), "the customer has not approved it");
    let why = world.why(INSTALL);
    assert!(why.iter().any(|w| w.code == "waiting.approval" && w.reason.contains("the customer")), "{why:?}");
    let mut world = wanting(Needed::None, None, always());
    world.complete("network", planned(1, true));
    world.install(break_glass(HOUR)).unwrap();
    assert!(world.offers().is_empty(), "the customer's remit wants it");
}

#[test]
fn what_went_out_by_a_broken_glass_and_has_not_begun_is_taken_back_at_its_end() {
    let always = || Policy { ask: Ask::Always, ..Policy::default() };
    let mut world = wanting(Needed::Vendor, Some(terms(2, &[])), always());
    world.complete("network", planned(1, false));
    world.install(break_glass(HOUR)).unwrap();
    let spec = world.offers().remove(0).spec;
    assert_eq!(spec.begin_by, spec.glass.map(|glass| glass.until), "it begins while that lasts");
    world.install(install::Signal::MendGlass {}).unwrap();
    assert_eq!(world.offers()[0].spec.stage, Stage::Plan, "it is planned, and asked for, as ever");
    world.complete("network", planned(2, false));
    assert!(world.offers().is_empty() && world.reasons() == ["waiting.approval"], "{:?}", world.reasons());
    // By itself, too, and what has begun goes on.
    world.install(break_glass(HOUR)).unwrap();
    world.tick();
    assert_eq!(world.offers()[0].spec.stage, Stage::Plan);
    world.complete("network", planned(3, false));
    world.install(break_glass(HOUR)).unwrap();
    world.start("network");
    world.install(install::Signal::MendGlass {}).unwrap();
    assert!(!world.must_stop("network"));
    assert_eq!(world.rejected, []);
}

#[test]
fn what_is_given_back_at_the_end_of_its_time_goes_on_by_a_glass_that_was_broken_meanwhile() {
    let mut world = wanting(Needed::None, None, Policy::default());
    world.work_off();
    let (name, reason) = ("audit".to_owned(), "an audit".to_owned());
    let (from, until) = (Timestamp(world.now + HOUR), Timestamp(world.now + 100 * HOUR));
    world.install(install::Signal::Freeze(AddFreeze { name, from: Some(from), until, reason })).unwrap();
    world.install(install::Signal::Reprovision {}).unwrap();
    assert_eq!(world.offers()[0].spec.begin_by, Some(from));
    world.install(break_glass(8 * HOUR)).unwrap();
    world.now = from.0;
    let network = id(INSTALL).child("network").unwrap().to_string();
    world.send(&network, Actor::Clock, Body::Tick).unwrap();
    let spec = world.offers().remove(0).spec;
    assert!(spec.glass.is_some() && spec.begin_by > Some(from), "it is not given up: {spec:?}");
}

#[test]
fn a_glass_whose_time_is_over_passes_nothing_before_its_tick_either() {
    let always = Policy { ask: Ask::Always, ..Policy::default() };
    let mut world = wanting(Needed::None, None, always);
    world.start("network");
    world.install(break_glass(HOUR)).unwrap();
    world.now += 2 * HOUR;
    world.complete("network", planned(1, false));
    assert!(world.offers().is_empty() && world.reasons() == ["waiting.approval"], "{:?}", world.reasons());
}

#[test]
fn what_waits_for_the_customer_alone_waits_for_the_vendor_again_when_the_glass_is_whole() {
    let mut world = broken();
    let asking = |world: &World| world.view(INSTALL).operation.unwrap().steps[0].asking.clone().unwrap();
    assert_eq!((asking(&world).vendor, asking(&world).customer), (0, true));
    world.install(install::Signal::MendGlass {}).unwrap();
    assert_eq!((asking(&world).vendor, asking(&world).customer), (2, true));
}

#[test]
fn a_glass_is_mended_by_hand_and_broken_within_bounds() {
    let mut world = wanting(Needed::Vendor, None, Policy::default());
    let refused = |world: &mut World, signal| world.install(signal).unwrap_err().code;
    assert_eq!(refused(&mut world, install::Signal::MendGlass {}), RejectedCode::Conflict);
    for for_ms in [0, 59_999, 8 * HOUR + 1] {
        assert_eq!(refused(&mut world, break_glass(for_ms)), RejectedCode::BreakGlassInvalid);
    }
    for reason in ["two\nlines".to_owned(), "a".repeat(257)] {
        let signal = install::Signal::BreakGlass { for_ms: HOUR, reason };
        assert_eq!(refused(&mut world, signal), RejectedCode::BreakGlassInvalid);
    }
    let silent = install::Signal::BreakGlass { for_ms: HOUR, reason: " ".into() };
    assert_eq!(refused(&mut world, silent), RejectedCode::Invalid);
    world.install(break_glass(8 * HOUR)).unwrap();
    assert!(world.reasons().contains(&"attention.glass".to_owned()));
    world.install(install::Signal::MendGlass {}).unwrap();
    assert!(!world.reasons().contains(&"attention.glass".to_owned()));
}
