//! Plan, approve, apply: what waits, for whom, and that nothing is carried out that was not approved.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::{World, failure, release, success};
use proptest::prelude::*;
use remit_loops::approval::{Ask, Policy};
use remit_loops::freeze::{AddFreeze, RemoveFreeze};
use remit_loops::install::{self, ToInstall};
use remit_loops::job::{Action, Failure, FailureClass, Outcome, Success};
use remit_loops::plan::{Change, ChangeAction, Changes, Needed, Plan, Reply, Side, Stage};
use remit_loops::runner::Report;
use remit_loops::{Actor, Body, Notice, RejectedCode, Signal, Timestamp};

const INSTALL: &str = "ins_demo.shop.acme";

pub(crate) fn always() -> Policy {
    Policy { ask: Ask::Always, ..Policy::default() }
}

/// The digest of the n-th plan of a component.
pub(crate) fn digest(component: &str, n: u32) -> String {
    format!("sha256:{component}-{n}")
}

pub(crate) fn answered(component: &str, n: u32) -> Notice {
    let reply = Reply::Approved { by: "customer".into(), until: Timestamp(i64::MAX) };
    Notice::Install(ToInstall::PlanAnswered {
        component: component.into(),
        digest: digest(component, n),
        reply,
    })
}

fn planned(digest: String, action: ChangeAction, customer: bool) -> Outcome {
    let changes = match action {
        ChangeAction::Create => Changes { create: 1, ..Changes::default() },
        ChangeAction::Update => Changes { update: 1, ..Changes::default() },
        ChangeAction::Delete => Changes { delete: 1, ..Changes::default() },
        ChangeAction::Replace => Changes { replace: 1, ..Changes::default() },
        ChangeAction::Import => Changes { import: 1, ..Changes::default() },
        ChangeAction::Forget => Changes { forget: 1, ..Changes::default() },
        ChangeAction::Move => Changes { moved: 1, ..Changes::default() },
        ChangeAction::Other => Changes { other: 1, ..Changes::default() },
    };
    let list = vec![Change { address: "thing.one".into(), action }];
    let plan = Plan { digest, changes, list, more: 0, customer_approval_needed: customer };
    Outcome::Succeeded(Success { changes, plan: Some(plan), summary: "planned".into(), ..Success::default() })
}

fn refused(code: &str) -> Outcome {
    let (code, message) = (code.to_owned(), "it is not what was approved".to_owned());
    Outcome::Failed(Failure { class: FailureClass::Refused, code, message, hint: String::new() })
}

/// A world with an install of these rules and a runner; nothing was begun yet.
fn created(policy: Policy, needed: Needed) -> World {
    let approvals = BTreeMap::from([("deploy".to_owned(), needed), ("destroy".to_owned(), needed)]);
    let release = remit_loops::release::Release { approvals, ..release("1.0.0", 1) };
    World::with_install_of(release, policy)
}

/// A world in which the first plan of `network` waits.
pub(crate) fn asking(policy: Policy) -> World {
    let mut world = created(policy, Needed::None);
    world.complete("network", planned(digest("network", 1), ChangeAction::Create, false));
    world
}

impl World {
    fn by(&mut self, name: &str, signal: install::Signal) -> Result<(), RejectedCode> {
        let body = Body::Signal(Signal::Install(signal));
        self.send(INSTALL, Actor::Person(name.into()), body).map_err(|r| r.code)
    }

    pub(crate) fn approve(&mut self, name: &str, plan: &str) -> Result<(), RejectedCode> {
        self.by(name, install::Signal::Approve { plan: plan.into(), component: None, operation: None })
    }

    fn deny(&mut self, name: &str, plan: &str) -> Result<(), RejectedCode> {
        let (plan, reason) = (plan.to_owned(), "not now".to_owned());
        self.by(name, install::Signal::Deny { plan, component: None, operation: None, reason })
    }

    /// The stage of what is offered for a component.
    fn stage(&self, component: &str) -> Option<Stage> {
        self.offers().into_iter().find(|o| o.spec.component == component).map(|o| o.spec.stage)
    }

    fn state(&self, component: &str) -> String {
        let steps = self.view(INSTALL).operation.unwrap().steps;
        steps.into_iter().find(|s| s.component == component).unwrap().state
    }

    fn codes(&self) -> Vec<String> {
        self.why(INSTALL).into_iter().map(|w| w.code).collect()
    }
}

fn applies(stage: Option<Stage>, digest: &str) -> bool {
    matches!(stage, Some(Stage::Apply(plan)) if plan.digest == digest)
}

#[test]
fn an_approved_plan_that_was_not_begun_is_taken_back_by_a_freeze() {
    let mut world = asking(always());
    world.approve("ann", &digest("network", 1)).unwrap();
    assert_eq!(world.offers().len(), 1);
    let (name, reason) = ("audit".to_owned(), "an audit".to_owned());
    let until = Timestamp(world.now + 3_600_000);
    world.install(install::Signal::Freeze(AddFreeze { name, from: None, until, reason })).unwrap();
    assert_eq!(world.offers().len(), 0, "only its planning has begun");
    world
        .install(install::Signal::Unfreeze(RemoveFreeze { name: "audit".into(), reason: "done".into() }))
        .unwrap();
    assert!(applies(world.stage("network"), "sha256:network-1"), "{:?}", world.offers());
}

#[test]
fn a_plan_waits_and_what_was_approved_is_carried_out() {
    let mut world = asking(always());
    assert_eq!((world.status(INSTALL), world.state("network")), ("approval".into(), "approval".into()));
    assert_eq!(world.codes(), ["waiting.approval"]);
    let why = world.why(INSTALL).remove(0);
    assert!(why.remedy.contains("remit approve") && why.remedy.contains("sha256:network-1"), "{why:?}");
    assert!(!world.view("cmp_demo.shop.acme.network").status.word.contains("incomplete"));
    assert_eq!(world.offers().len(), 0, "nothing runs before somebody says yes");
    world.approve("ann", &digest("network", 1)).unwrap();
    assert!(applies(world.stage("network"), "sha256:network-1"), "{:?}", world.offers());
    world.complete("network", success());
    assert_eq!(world.stage("database"), Some(Stage::Plan), "the next ones are planned side by side");
    assert_eq!(world.stage("queue"), Some(Stage::Plan));
}

#[test]
fn a_stale_digest_approves_nothing() {
    let mut world = asking(always());
    assert_eq!(world.approve("ann", "sha256:other"), Err(RejectedCode::PlanStale));
    assert_eq!(world.deny("ann", "sha256:other"), Err(RejectedCode::PlanStale));
    world.approve("ann", &digest("network", 1)).unwrap();
    world.complete("network", refused("executor.plan_stale"));
    assert_eq!(world.stage("network"), Some(Stage::Plan), "it is planned again");
    assert_eq!(world.approve("ann", &digest("network", 1)), Err(RejectedCode::Conflict));
    world.complete("network", planned(digest("network", 2), ChangeAction::Update, false));
    assert_eq!(world.approve("ann", &digest("network", 1)), Err(RejectedCode::PlanStale));
    world.approve("ann", &digest("network", 2)).unwrap();
    assert!(applies(world.stage("network"), "sha256:network-2"));
}

#[test]
fn a_plan_that_is_never_worth_anything_is_held_in_the_end() {
    let rules = Policy { ask: Ask::ByRule, no_destroy: true, ..Policy::default() };
    let mut world = created(rules, Needed::None);
    for n in 1..=6 {
        world.complete("network", planned(digest("network", n), ChangeAction::Create, false));
        assert!(applies(world.stage("network"), &digest("network", n)));
        world.complete("network", refused("runner.plan_changed"));
    }
    assert_eq!(world.status(INSTALL), "held");
    world.install(install::Signal::Retry { component: None }).unwrap();
    assert_eq!(world.stage("network"), Some(Stage::Plan));
}

#[test]
fn each_person_counts_once_and_the_asker_only_if_the_rules_say_so() {
    let rules = Policy { quorum: 2, not_asker: true, ..always() };
    let mut world = asking(rules);
    let plan = digest("network", 1);
    assert_eq!(world.approve("ann", &plan), Err(RejectedCode::NotApprover), "ann made the install");
    world.approve("bob", &plan).unwrap();
    assert_eq!(world.approve("bob", &plan), Err(RejectedCode::Conflict));
    assert_eq!(world.offers().len(), 0);
    world.approve("eve", &plan).unwrap();
    assert!(applies(world.stage("network"), &plan));
    let mut world = asking(Policy { approvers: vec!["bob".into()], ..always() });
    assert_eq!(world.approve("eve", &plan), Err(RejectedCode::NotApprover));
    world.approve("bob", &plan).unwrap();
}

#[test]
fn an_approval_that_ended_counts_no_more() {
    let mut world = asking(Policy { quorum: 2, valid_ms: 60_000, ..always() });
    let plan = digest("network", 1);
    world.approve("bob", &plan).unwrap();
    world.now += 60_001;
    world.approve("eve", &plan).unwrap();
    assert_eq!(world.offers().len(), 0, "bob's had ended");
    world.approve("bob", &plan).unwrap();
    assert!(applies(world.stage("network"), &plan));
}

#[test]
fn a_plan_gets_too_old_and_is_made_again() {
    let mut world = asking(Policy { plan_age_ms: 120_000, ..always() });
    assert_eq!(world.state("network"), "approval");
    world.tick();
    assert_eq!(world.stage("network"), Some(Stage::Plan));
}

#[test]
fn who_denies_holds_the_step_and_says_why() {
    let mut world = asking(always());
    world.deny("bob", &digest("network", 1)).unwrap();
    assert_eq!(world.status(INSTALL), "held");
    let why = world.why(INSTALL).remove(0);
    assert!(why.reason.contains("bob denied its plan: not now"), "{why:?}");
    world.install(install::Signal::Retry { component: None }).unwrap();
    assert_eq!(world.stage("network"), Some(Stage::Plan));
}

#[test]
fn a_rule_lets_a_plan_through_that_keeps_it() {
    let by_rule = Policy { ask: Ask::ByRule, ..Policy::default() };
    let check = |rules: Policy, action, waits: bool| {
        let mut world = created(rules.clone(), Needed::None);
        world.complete("network", planned(digest("network", 1), action, false));
        assert_eq!(world.status(INSTALL) == "approval", waits, "{rules:?} {action:?}");
        assert_eq!(applies(world.stage("network"), "sha256:network-1"), !waits);
    };
    check(Policy { no_destroy: true, ..by_rule.clone() }, ChangeAction::Create, false);
    check(Policy { no_destroy: true, ..by_rule.clone() }, ChangeAction::Delete, true);
    check(Policy { no_destroy: true, ..by_rule.clone() }, ChangeAction::Replace, true);
    check(Policy { changes_max: Some(1), ..by_rule.clone() }, ChangeAction::Update, false);
    check(Policy { changes_max: Some(0), ..by_rule.clone() }, ChangeAction::Update, true);
    check(Policy { components: vec!["network".into()], ..by_rule.clone() }, ChangeAction::Update, false);
    check(Policy { components: vec!["seed".into()], ..by_rule }, ChangeAction::Update, true);
}

#[test]
fn what_the_release_wants_no_rule_takes_away() {
    let mut world = created(Policy::default(), Needed::Vendor);
    world.complete("network", planned(digest("network", 1), ChangeAction::Create, false));
    assert_eq!(world.status(INSTALL), "approval");
    world.approve("ann", &digest("network", 1)).unwrap();
    let Some(Stage::Apply(plan)) = world.stage("network") else { panic!("not approved") };
    assert_eq!(plan.approvals.len(), 1, "the runner wants to see it");
}

#[test]
fn the_customer_is_asked_where_the_runner_says_so() {
    let mut world = created(Policy::default(), Needed::None);
    assert_eq!(world.stage("network"), Some(Stage::Whole));
    world.complete("network", refused("runner.approval_needed"));
    assert_eq!(world.stage("network"), Some(Stage::Plan));
    world.complete("network", planned(digest("network", 1), ChangeAction::Delete, true));
    assert_eq!(world.status(INSTALL), "approval");
    assert_eq!(world.approve("ann", &digest("network", 1)), Ok(()), "it does no harm");
    assert_eq!(world.offers().len(), 0, "it is the customer's to say");
    let answer = |reply| Report::PlanAnswered {
        generation: 1,
        component: "network".into(),
        digest: digest("network", 1),
        reply,
    };
    let yes = Reply::Approved { by: "admin".into(), until: Timestamp(9_000_000) };
    let mut denied = world.clone();
    world.report(answer(yes)).unwrap();
    let Some(Stage::Apply(plan)) = world.stage("network") else { panic!("not approved") };
    assert!(plan.approvals.iter().any(|a| a.side == Side::Customer && a.by == "admin"));
    denied.report(answer(Reply::Denied { by: "admin".into(), reason: "no".into() })).unwrap();
    assert_eq!(denied.status(INSTALL), "held");
    denied.report(answer(Reply::Denied { by: "admin".into(), reason: "no".into() })).unwrap();
    assert_eq!(denied.rejected, [], "a late word is written down, not lost");
}

#[test]
fn all_that_waits_is_approved_at_once_by_its_own_digest() {
    let mut world = asking(always());
    world.approve("ann", &digest("network", 1)).unwrap();
    world.complete("network", success());
    for name in ["database", "queue"] {
        world.complete(name, planned(digest(name, 1), ChangeAction::Create, false));
    }
    let all = world.view(INSTALL).operation.unwrap().all_plans.unwrap();
    world.approve("ann", &all).unwrap();
    assert!(applies(world.stage("database"), "sha256:database-1"));
    assert!(applies(world.stage("queue"), "sha256:queue-1"));
}

#[test]
fn a_newer_deploy_takes_the_place_of_one_that_only_waits() {
    let mut world = asking(always());
    world.publish(release("1.0.1", 2)).unwrap();
    let view = world.view(INSTALL);
    assert_eq!(view.operation.unwrap().number, 2);
    assert_eq!(world.stage("network"), Some(Stage::Plan));
    world.install(install::Signal::Delete {}).unwrap();
    assert!(world.stage("network").is_none() || world.must_stop("network"));
}

/// Something that happens to an install whose plans are asked for.
#[derive(Clone, Debug)]
enum Event {
    Complete { which: usize, how: u8 },
    Approve { who: u8, which: usize, old: bool },
    Deny { which: usize },
    Customer { which: usize, yes: bool },
    Pass { ms: i64 },
    Signal(u8),
}

fn any_event() -> impl Strategy<Value = Event> {
    let which = 0..4_usize;
    prop_oneof![
        6 => (which.clone(), 0..10_u8).prop_map(|(which, how)| Event::Complete { which, how }),
        6 => (0..4_u8, which.clone(), prop::bool::weighted(0.2))
            .prop_map(|(who, which, old)| Event::Approve { who, which, old }),
        1 => which.clone().prop_map(|which| Event::Deny { which }),
        2 => (which, any::<bool>()).prop_map(|(which, yes)| Event::Customer { which, yes }),
        1 => (1..100_000_i64).prop_map(|ms| Event::Pass { ms }),
        2 => (0..6_u8).prop_map(Event::Signal),
    ]
}

/// What a test remembers: how many plans of each component were reported, and who approved which when.
#[derive(Default)]
struct Record {
    plans: BTreeMap<String, u32>,
    said: BTreeMap<String, Vec<(Side, String, i64)>>,
}

const NAMES: [&str; 4] = ["network", "database", "queue", "seed"];
const VALID_MS: i64 = 60_000;

fn happen(world: &mut World, record: &mut Record, event: &Event) {
    let current = |record: &Record, which: usize, back: u32| {
        let name = NAMES[which];
        digest(name, record.plans.get(name).copied().unwrap_or(0).saturating_sub(back))
    };
    match event {
        Event::Complete { which, how } => {
            let offers = world.offers();
            let Some(offer) = offers.get(*which % offers.len().max(1)) else { return };
            let name = offer.spec.component.clone();
            let outcome = match (&offer.spec.stage, how) {
                (Stage::Plan, 0..8) => {
                    let n = record.plans.entry(name.clone()).or_default();
                    *n += 1;
                    planned(digest(&name, *n), ChangeAction::Update, *how == 0)
                }
                (Stage::Apply(_), 0..3) => refused("executor.plan_stale"),
                (_, 8) => failure(FailureClass::Permission),
                (_, 9) => failure(FailureClass::Transient),
                _ => success(),
            };
            world.complete(&name, outcome);
        }
        Event::Approve { who, which, old } => {
            let (who, plan) = (format!("p{who}"), current(record, *which, u32::from(*old)));
            if world.approve(&who, &plan).is_ok() {
                record.said.entry(plan).or_default().push((Side::Vendor, who, world.now));
            }
        }
        Event::Deny { which } => drop(world.deny("p1", &current(record, *which, 0))),
        Event::Customer { which, yes } => {
            let plan = current(record, *which, 0);
            let reply = if *yes {
                record.said.entry(plan.clone()).or_default().push((Side::Customer, "c".into(), world.now));
                Reply::Approved { by: "c".into(), until: Timestamp(world.now + VALID_MS) }
            } else {
                Reply::Denied { by: "c".into(), reason: "no".into() }
            };
            let component = NAMES[*which].to_owned();
            world.report(Report::PlanAnswered { generation: 1, component, digest: plan, reply }).unwrap();
        }
        Event::Pass { ms } => {
            world.now += ms;
            world.tick();
        }
        Event::Signal(n) => {
            let reason = || "x".to_owned();
            drop(world.install(match n {
                0 | 1 => install::Signal::Retry { component: None },
                2 => install::Signal::Deploy { version: None },
                3 => install::Signal::Skip { component: "network".into(), reason: reason() },
                4 => install::Signal::Cancel { operation: None, reason: reason() },
                _ => install::Signal::Heal {},
            }));
        }
    }
}

/// Nothing is offered to be carried out but the newest plan, with a quorum of different people who had said
/// yes to that very plan in time.
fn check(world: &World, record: &Record, granted: &mut BTreeMap<String, i64>, quorum: usize) {
    for offer in world.offers() {
        let spec = offer.spec;
        match &spec.stage {
            Stage::Whole => assert_eq!(spec.action, Action::Drift, "{spec:?} was never planned"),
            Stage::Plan => {}
            Stage::Apply(plan) => {
                let n = record.plans.get(&spec.component).copied().unwrap_or(0);
                assert_eq!(plan.digest, digest(&spec.component, n), "an older plan is carried out");
                let since = *granted.entry(plan.digest.clone()).or_insert(world.now);
                let said = record.said.get(&plan.digest).cloned().unwrap_or_default();
                let in_time =
                    said.iter().filter(|(side, _, at)| *side == Side::Vendor && at + VALID_MS >= since);
                let people: BTreeSet<&String> = in_time.map(|(_, who, _)| who).collect();
                assert!(people.len() >= quorum, "{people:?} approved {} of {quorum}", plan.digest);
                assert!(plan.approvals.iter().filter(|a| a.side == Side::Vendor).count() >= quorum);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_carried_out_without_a_quorum_for_that_very_plan(
        events in prop::collection::vec(any_event(), 1..80),
        quorum in 1..4_u32,
    ) {
        let policy = Policy { quorum, valid_ms: VALID_MS, ..always() };
        let mut world = created(policy, Needed::None);
        let (mut record, mut granted) = (Record::default(), BTreeMap::new());
        for event in &events {
            happen(&mut world, &mut record, event);
            prop_assert!(world.rejected.is_empty(), "{:?}", world.rejected);
            check(&world, &record, &mut granted, quorum as usize);
        }
    }
}
