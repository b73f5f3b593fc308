//! Remediation rules: which acts, what it does, and that budget and cool-down hold whatever happens.

use proptest::prelude::*;
use remit_loops::freeze::AddFreeze;
use remit_loops::job::{Action, Failure, FailureClass, Outcome};
use remit_loops::plan::Stage;
use remit_loops::release::{Healing, Release};
use remit_loops::remediation::{Budget, Match, Remedy, Rule, Use};
use remit_loops::view::Detail;
use remit_loops::{Actor, Body, Timestamp, install};

use crate::world::{World, failure, release, success};

const INSTALL: &str = "ins_demo.shop.acme";
const MINUTE: i64 = 60_000;

fn rule(name: &str, actions: &[Remedy]) -> Rule {
    Rule {
        name: name.to_owned(),
        on: Match::default(),
        actions: actions.to_vec(),
        budget: Budget { times: 3, per_ms: 60 * MINUTE },
        cool_down_ms: 0,
    }
}

fn retry(after_ms: i64) -> Remedy {
    Remedy::Retry { after_ms }
}

fn run(command: &str) -> Remedy {
    Remedy::Run { command: command.to_owned() }
}

/// An install whose release has these rules, with its first step offered.
pub(crate) fn with_rules(rules: Vec<Rule>) -> World {
    let healing = Healing { drift: None, rules };
    World::with_install_of(Release { healing, ..release("1.0.0", 1) }, Default::default())
}

/// A world in which a rule waits before it tries again.
pub(crate) fn mending() -> World {
    let mut world = with_rules(vec![rule("again", &[retry(5 * MINUTE)])]);
    world.complete("network", failure(FailureClass::Permission));
    world
}

fn coded(code: &str) -> Outcome {
    let (code, message) = (code.to_owned(), "it did not work".to_owned());
    Outcome::Failed(Failure { class: FailureClass::Quota, code, message, hint: String::new() })
}

impl World {
    /// What is offered: component, action, command.
    fn offered(&self) -> Vec<(String, Action, Option<String>)> {
        let all = self.offers().into_iter();
        all.map(|o| (o.spec.component, o.spec.action, o.spec.command)).collect()
    }

    fn uses(&self, rule: &str) -> Vec<Use> {
        let Detail::Install { rules, .. } = self.view(INSTALL).detail else { panic!() };
        rules.into_iter().find(|view| view.rule.name == rule).map(|view| view.uses).unwrap_or_default()
    }

    fn reason(&self) -> String {
        self.why(INSTALL).remove(0).reason
    }
}

#[test]
fn a_retry_waits_longer_each_time_until_its_budget_is_spent() {
    let mut world = mending();
    for wait in [5, 10, 20] {
        assert_ne!(world.status(INSTALL), "held");
        let why = world.why(INSTALL).remove(0);
        assert_eq!(why.code, "waiting.rule");
        assert!(why.reason.contains("rule again has taken it on"), "{why:?}");
        let before = world.now;
        assert_eq!(world.offers().len(), 0);
        world.tick();
        assert_eq!(world.now - before, wait * MINUTE + i64::from(world.now > before));
        world.complete("network", failure(FailureClass::Permission));
    }
    assert_eq!(world.status(INSTALL), "held");
    assert!(world.reason().contains("rule again has used its 3 times"), "{}", world.reason());
    world.install(install::Signal::Retry { component: None }).unwrap();
    assert_eq!(world.work_off().len(), 4, "a person can go on");
}

#[test]
fn the_first_rule_that_fits_acts_and_the_next_when_it_is_spent() {
    let narrow = Rule {
        on: Match { codes: vec!["tool.aws_*".into()], ..Match::default() },
        budget: Budget { times: 1, per_ms: 60 * MINUTE },
        ..rule("narrow", &[Remedy::ReApply {}])
    };
    let mut world = with_rules(vec![narrow, rule("wide", &[Remedy::RePlan {}])]);
    world.complete("network", coded("tool.aws_throttled"));
    assert_eq!(world.offers()[0].spec.stage, Stage::Whole);
    world.complete("network", coded("tool.aws_throttled"));
    assert_eq!(world.offers()[0].spec.stage, Stage::Plan, "the first is spent");
    assert_eq!((world.uses("narrow").len(), world.uses("wide").len()), (1, 1));
    let mut world = with_rules(vec![Rule {
        on: Match { components: vec!["queue".into()], ..Match::default() },
        ..rule("other", &[retry(MINUTE)])
    }]);
    world.complete("network", failure(FailureClass::Bug));
    assert_eq!(world.status(INSTALL), "held", "no rule is for it");
}

#[test]
fn a_command_runs_before_the_step_is_tried_again() {
    let mut world = with_rules(vec![rule("flush", &[run("flush"), retry(MINUTE)])]);
    world.complete("network", failure(FailureClass::Conflict));
    assert_eq!(world.offered(), [("network".to_owned(), Action::Run, Some("flush".to_owned()))]);
    let first = world.offers()[0].spec.id.clone();
    world.complete("network", success());
    assert_eq!(world.offers().len(), 0, "it waits");
    world.tick();
    let next = world.offers()[0].spec.id.clone();
    assert_eq!(world.offered(), [("network".to_owned(), Action::Deploy, None)]);
    assert!(next.attempt > first.attempt, "no two attempts have one number: {first:?} {next:?}");
    assert_eq!(world.work_off().len(), 4);
    assert_eq!(world.status(INSTALL), "active");
}

#[test]
fn a_command_keeps_to_freezes_as_a_deploy_does() {
    let mut world = with_rules(vec![rule("flush", &[run("flush"), retry(MINUTE)])]);
    world.start("network");
    let (name, reason) = ("audit".to_owned(), "an audit".to_owned());
    let until = Timestamp(world.now + 60 * MINUTE);
    world.install(install::Signal::Freeze(AddFreeze { name, from: None, until, reason })).unwrap();
    world.complete("network", failure(FailureClass::Conflict));
    assert_eq!(world.offered(), []);
    let why = world.why(INSTALL);
    assert!(why.iter().any(|w| w.code == "waiting.freeze"), "{why:?}");
    assert!(why.iter().any(|w| w.reason.contains("its command waits")), "{why:?}");
    world.tick();
    assert!(world.now >= until.0, "nothing is looked at before the freeze is over");
    assert_eq!(world.offered(), [("network".to_owned(), Action::Run, Some("flush".to_owned()))]);
    world.complete("network", success());
    world.tick();
    assert_eq!(world.work_off().len(), 4);
    assert_eq!(world.status(INSTALL), "active");
}

#[test]
fn a_command_that_fails_leaves_the_step_to_a_person() {
    let mut world = with_rules(vec![rule("flush", &[run("flush"), retry(MINUTE)])]);
    world.complete("network", coded("tool.first"));
    world.complete("network", coded("tool.second"));
    assert_eq!(world.status(INSTALL), "held");
    assert!(world.reason().contains("tool.first"), "the step's own failure counts: {}", world.reason());
    assert_eq!(world.uses("flush").len(), 1, "and no rule acts on a command");
}

#[test]
fn what_is_stopped_while_a_command_runs_is_not_done() {
    let mut world = with_rules(vec![rule("flush", &[run("flush"), retry(MINUTE)])]);
    world.complete("network", coded("tool.first"));
    world.start("network");
    world.install(install::Signal::Cancel { operation: None, reason: "x".into() }).unwrap();
    world.complete("network", success());
    assert_eq!(world.offers().len(), 0);
    let Detail::Install { components, last, .. } = world.view(INSTALL).detail else { panic!() };
    assert!(components.iter().all(|c| c.facts.deployed.is_none()), "{components:?}");
    assert!(matches!(last.unwrap().outcome, Outcome::Cancelled { .. }));
}

#[test]
fn a_newer_deploy_does_not_wait_for_a_rule() {
    let mut world = mending();
    world.install(install::Signal::Deploy { version: None }).unwrap();
    assert_eq!(world.offered(), [("network".to_owned(), Action::Deploy, None)]);
    assert_eq!(world.work_off().len(), 4);
}

#[test]
fn a_rule_may_tell_people_and_hold() {
    let notify = Remedy::Notify { text: "the quota is used up".into() };
    let mut world =
        with_rules(vec![rule("tell", &[notify, Remedy::Hold {}]), rule("never", &[retry(MINUTE)])]);
    world.complete("network", failure(FailureClass::Quota));
    assert_eq!(world.status(INSTALL), "held");
    assert_eq!(world.uses("never").len(), 0);
}

#[test]
fn a_retry_waits_after_people_were_told_too() {
    let notify = Remedy::Notify { text: "it is tried again".into() };
    let mut world = with_rules(vec![rule("tell", &[notify, retry(5 * MINUTE)])]);
    for wait in [5, 10] {
        world.complete("network", failure(FailureClass::Quota));
        let before = world.now;
        assert_eq!(world.offers().len(), 0, "it waits");
        world.tick();
        assert!(world.now - before >= wait * MINUTE && world.offers().len() == 1, "{}", world.now - before);
    }
}

#[test]
fn a_cool_down_puts_the_next_use_off() {
    let cooled = Rule { cool_down_ms: 30 * MINUTE, ..rule("again", &[Remedy::ReApply {}]) };
    let mut world = with_rules(vec![cooled]);
    world.complete("network", failure(FailureClass::Bug));
    let first = world.now;
    world.complete("network", failure(FailureClass::Bug));
    assert_eq!(world.offers().len(), 0);
    world.tick();
    assert!(world.now >= first + 30 * MINUTE && world.offers().len() == 1, "{} {first}", world.now);
}

#[test]
fn a_cool_down_counts_from_when_a_rule_really_acted() {
    let cooled = Rule {
        cool_down_ms: 30 * MINUTE,
        budget: Budget { times: 9, per_ms: 900 * MINUTE },
        ..rule("again", &[Remedy::ReApply {}])
    };
    let mut world = with_rules(vec![cooled]);
    world.complete("network", success());
    world.complete("database", failure(FailureClass::Bug));
    world.start("database");
    world.complete("queue", failure(FailureClass::Bug));
    assert_eq!(world.offers().len(), 0, "queue waits until it has cooled down");
    // Nobody looks for hours; when somebody does, it is done, and then the other fails again.
    world.now += 180 * MINUTE;
    world.tick();
    let acted = world.now;
    assert_eq!(world.offered(), [("queue".to_owned(), Action::Deploy, None)]);
    world.start("queue");
    world.complete("database", failure(FailureClass::Bug));
    assert_eq!(world.offers().len(), 0, "by the plan it would have cooled down long ago");
    world.tick();
    assert!(world.now >= acted + 29 * MINUTE, "{} {acted}", world.now);
    assert_eq!(world.offered(), [("database".to_owned(), Action::Deploy, None)]);
}

/// What may happen to an install with rules.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Fail(usize),
    Succeed,
    Wait(i64),
    Tick,
    Retry,
    Deploy,
    Reprovision,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (0..CLASSES.len()).prop_map(Happening::Fail),
        2 => Just(Happening::Succeed),
        2 => (1..40 * MINUTE).prop_map(Happening::Wait),
        6 => Just(Happening::Tick),
        2 => Just(Happening::Retry),
        1 => Just(Happening::Deploy),
        1 => Just(Happening::Reprovision),
    ]
}

const CLASSES: [FailureClass; 3] = [FailureClass::Quota, FailureClass::Bug, FailureClass::Refused];

fn any_rule() -> impl Strategy<Value = Rule> {
    let ending =
        prop_oneof![(1_000..5 * MINUTE).prop_map(retry), Just(Remedy::ReApply {}), Just(Remedy::RePlan {})];
    let on = proptest::sample::subsequence(CLASSES.to_vec(), 0..=2);
    (1_u32..4, 1_i64..60, 0_i64..20, ending, on, any::<bool>()).prop_map(
        |(times, per, cool, ending, classes, runs)| Rule {
            name: String::new(),
            on: Match { classes, ..Match::default() },
            actions: if runs { vec![run("flush"), ending] } else { vec![ending] },
            budget: Budget { times, per_ms: per * MINUTE },
            cool_down_ms: cool * MINUTE,
        },
    )
}

impl World {
    fn happens(&mut self, happening: Happening) {
        let next = self.offers().into_iter().next().map(|offer| offer.spec.component);
        match happening {
            Happening::Fail(class) => {
                if let Some(next) = next {
                    self.complete(&next, failure(CLASSES[class]));
                }
            }
            Happening::Succeed => {
                if let Some(next) = next {
                    self.complete(&next, success());
                }
            }
            Happening::Wait(ms) => self.now += ms,
            Happening::Tick => self.tick(),
            // What does not fit is refused, and that is fine here.
            Happening::Retry => drop(self.install(install::Signal::Retry { component: None })),
            Happening::Deploy => drop(self.install(install::Signal::Deploy { version: None })),
            Happening::Reprovision => drop(self.install(install::Signal::Reprovision {})),
        }
        self.send(INSTALL, Actor::Clock, Body::Tick).unwrap();
    }
}

/// In no time of a budget's length does a rule act more often than it says, and never twice within its
/// cool-down.
fn keeps_to_its_bounds(rule: &Rule, acted: &[i64]) {
    for (n, last) in acted.iter().enumerate() {
        let late = acted[..=n].iter().filter(|at| **at > last - rule.budget.per_ms).count();
        assert!(late <= rule.budget.times as usize, "{rule:?} acted {late} times: {acted:?}");
        if let Some(before) = n.checked_sub(1).map(|before| acted[before]) {
            assert!(last - before >= rule.cool_down_ms, "{rule:?} did not cool down: {acted:?}");
        }
    }
}

/// Nor is it used more often on one step of one operation.
fn keeps_to_its_steps(rule: &Rule, uses: &[Use]) {
    for last in uses {
        let same = |u: &&Use| (u.operation, &u.component) == (last.operation, &last.component);
        let of_step = uses.iter().filter(same).count();
        assert!(of_step <= rule.budget.times as usize, "{rule:?} was used {of_step} times on a step");
    }
}

impl World {
    /// When the first thing was done that a rule does.
    fn acted(&self, rule: &Rule) -> Vec<i64> {
        let name = &rule.name;
        let words = match rule.actions[0] {
            Remedy::Run { .. } => format!(": rule {name} runs "),
            _ => format!(": tried again by rule {name} ("),
        };
        self.lines.iter().filter(|(_, entry)| entry.text.contains(&words)).map(|(at, _)| *at).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn no_rule_goes_over_its_budget_or_cool_down(
        rules in proptest::collection::vec(any_rule(), 1..4),
        happenings in proptest::collection::vec(happening(), 1..80),
    ) {
        let named = |(n, rule): (usize, Rule)| Rule { name: format!("rule-{n}"), ..rule };
        let rules: Vec<Rule> = rules.into_iter().enumerate().map(named).collect();
        let mut world = with_rules(rules.clone());
        for happening in happenings {
            world.happens(happening);
            rules.iter().for_each(|rule| keeps_to_its_steps(rule, &world.uses(&rule.name)));
        }
        rules.iter().for_each(|rule| keeps_to_its_bounds(rule, &world.acted(rule)));
        prop_assert_eq!(&world.rejected, &vec![]);
    }
}
