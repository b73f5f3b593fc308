//! Health probes: a deploy is done when one passes, components at rest are probed by a schedule, and rules and
//! rollouts hear of what does not do its work.

use remit_loops::app::{Plan, Wave};
use remit_loops::health::{Health, Probe, UNHEALTHY};
use remit_loops::job::{Action, Failure, FailureClass, Outcome};
use remit_loops::release::{Healing, Release};
use remit_loops::remediation::{Budget, Match, Remedy, Rule};
use remit_loops::view::Detail;
use remit_loops::{Signal, app, install};

use crate::world::{World, failure, release, success, with_recipes};

const INSTALL: &str = "ins_demo.shop.acme";
const MINUTE: i64 = 60_000;

/// A release in which `network` has a probe, at rest every five minutes.
fn probed(version: &str, counter: u64, rules: Vec<Rule>) -> Release {
    let mut release = Release { healing: Healing { drift: None, rules }, ..release(version, counter) };
    let probe = Probe { within_ms: 40_000, timeout_ms: 5_000, every_ms: Some(5 * MINUTE), failures: 2 };
    release.components[0].health = Some(probe);
    with_recipes(release)
}

fn unhealthy() -> Outcome {
    let (code, message) = (UNHEALTHY.to_owned(), "no answer".to_owned());
    Outcome::Failed(Failure { class: FailureClass::Bug, code, message, hint: String::new() })
}

/// A world in which an install of this release is made, and its first step offered.
fn made(rules: Vec<Rule>) -> World {
    World::with_install_of(probed("1.0.0", 1, rules), Default::default())
}

/// The same, at rest.
fn active(rules: Vec<Rule>) -> World {
    let mut world = made(rules);
    world.work_off();
    assert_eq!(world.status(INSTALL), "active");
    world
}

/// A world in which a deploy waits for its probe.
pub(crate) fn probing() -> World {
    let mut world = made(vec![]);
    world.complete("network", success());
    world
}

/// A world in which a component at rest is unwell, and a rule is about to act on it.
pub(crate) fn unwell() -> World {
    let mut world = active(vec![on_health(vec![Remedy::Retry { after_ms: MINUTE }], 2)]);
    world.probe(unhealthy());
    world.probe(unhealthy());
    world
}

fn on_health(actions: Vec<Remedy>, times: u32) -> Rule {
    Rule {
        name: "unwell".into(),
        on: Match { operations: vec![Action::Health], ..Match::default() },
        actions,
        budget: Budget { times, per_ms: 600 * MINUTE },
        cool_down_ms: 0,
    }
}

impl World {
    fn actions(&self) -> Vec<(String, Action)> {
        self.offers().into_iter().map(|o| (o.spec.component, o.spec.action)).collect()
    }

    fn is_at(&self, component: &str, action: Action) -> bool {
        self.actions() == [(component.to_owned(), action)]
    }

    fn health(&self, component: &str) -> Health {
        let Detail::Install { components, .. } = self.view(INSTALL).detail else { panic!() };
        components.into_iter().find(|c| c.name == component).unwrap().health.unwrap().health
    }

    fn word_of(&self, component: &str) -> String {
        let Detail::Install { components, .. } = self.view(INSTALL).detail else { panic!() };
        components.into_iter().find(|c| c.name == component).unwrap().state
    }

    fn state_of(&self, component: &str) -> String {
        let steps = self.view(INSTALL).operation.unwrap().steps;
        steps.into_iter().find(|s| s.component == component).unwrap().state
    }

    /// Waits for the next probe, and answers it.
    fn probe(&mut self, outcome: Outcome) {
        self.tick();
        assert!(self.is_at("network", Action::Health), "{:?}", self.actions());
        self.complete("network", outcome);
    }

    fn whys(&self) -> Vec<String> {
        self.why(INSTALL).into_iter().map(|w| w.code).collect()
    }
}

#[test]
fn a_deploy_is_done_when_its_probe_passes() {
    let mut world = probing();
    assert!(world.is_at("network", Action::Health), "what needs it waits: {:?}", world.actions());
    let offer = world.offers().remove(0);
    assert_eq!((offer.spec.longest_run_ms, world.state_of("network").as_str()), (40_000, "probing"));
    assert!(offer.spec.id.job.ends_with(".health") && offer.spec.id.attempt == 2, "{:?}", offer.spec.id);
    world.complete("network", success());
    assert_eq!(world.actions().len(), 2, "the components that need it");
    world.work_off();
    assert_eq!(world.status(INSTALL), "active");
    assert!(world.health("network").checked.is_some());
}

#[test]
fn a_deploy_whose_probe_never_passes_has_failed_and_is_tried_from_its_beginning() {
    let mut world = probing();
    world.complete("network", unhealthy());
    assert_eq!((world.status(INSTALL).as_str(), world.state_of("network").as_str()), ("held", "failed"));
    let why = world.why(INSTALL).remove(0);
    assert!(why.code == "held.failed" && why.reason.contains(UNHEALTHY), "{why:?}");
    world.install(install::Signal::Retry { component: None }).unwrap();
    assert!(world.is_at("network", Action::Deploy), "{:?}", world.actions());
    world.work_off();
    assert_eq!(world.status(INSTALL), "active");
    assert!(world.health("network").unwell.is_none());
}

#[test]
fn a_gate_is_a_change_that_nothing_comes_between() {
    let mut world = probing();
    world.install(install::Signal::CheckDrift {}).unwrap();
    assert!(world.is_at("network", Action::Health), "a look does not end it: {:?}", world.actions());
    world.work_off();
    assert_eq!(world.status(INSTALL), "active");
    let mut world = probing();
    world.start("network");
    world.install(install::Signal::Cancel { operation: None, reason: "enough".into() }).unwrap();
    assert!(world.must_stop("network"));
    world.complete("network", Outcome::Cancelled { message: "killed".into() });
    assert_eq!(world.view(INSTALL).operation, None, "it is over");
}

#[test]
fn a_deploy_that_ended_before_its_probe_passed_is_not_left_out_as_unchanged() {
    let stop = |world: &mut World| {
        world.start("network");
        world.install(install::Signal::Cancel { operation: None, reason: "enough".into() }).unwrap();
        world.complete("network", Outcome::Cancelled { message: "killed".into() });
    };
    let mut world = probing();
    stop(&mut world);
    assert_eq!(world.word_of("network"), "incomplete");
    world.install(install::Signal::Deploy { version: None }).unwrap();
    assert!(world.is_at("network", Action::Deploy), "nobody has seen it work: {:?}", world.actions());
    world.work_off();
    assert_eq!((world.status(INSTALL).as_str(), world.word_of("network").as_str()), ("active", "deployed"));
    // Neither when the probe could not be made.
    let mut world = probing();
    world.complete("network", failure(FailureClass::Bug));
    world.install(install::Signal::Deploy { version: None }).unwrap();
    assert!(world.is_at("network", Action::Deploy), "{:?}", world.actions());
    // Nor when it was made while somebody had it stopped: then nothing has probed it.
    let mut world = made(vec![]);
    world.start("network");
    world.install(install::Signal::Cancel { operation: None, reason: "enough".into() }).unwrap();
    world.complete("network", success());
    assert_eq!(world.word_of("network"), "incomplete");
    world.install(install::Signal::Deploy { version: None }).unwrap();
    assert!(world.is_at("network", Action::Deploy), "{:?}", world.actions());
    // A person may heal it, as anything that was stopped in the middle.
    let mut world = probing();
    stop(&mut world);
    world.install(install::Signal::Heal {}).unwrap();
    assert!(world.is_at("network", Action::Deploy), "{:?}", world.actions());
}

#[test]
fn what_probes_said_is_forgotten_with_a_release_that_has_none() {
    let mut world = active(vec![]);
    world.probe(unhealthy());
    world.probe(unhealthy());
    assert_eq!(world.status(INSTALL), "degraded");
    world.publish(with_recipes(release("2.0.0", 2))).unwrap();
    assert!(world.is_at("network", Action::Deploy), "{:?}", world.actions());
    world.work_off();
    assert_eq!(world.status(INSTALL), "active", "nobody would ever say that it is well again");
}

#[test]
fn a_rule_for_health_acts_on_a_gate_and_one_for_deploys_does_not() {
    let of_deploys = Rule {
        name: "deploys".into(),
        on: Match { operations: vec![Action::Deploy], ..Match::default() },
        ..on_health(vec![Remedy::Hold {}], 3)
    };
    let restart = Remedy::Run { command: "restart".into() };
    let mut world = made(vec![of_deploys, on_health(vec![restart, Remedy::ReApply {}], 1)]);
    world.complete("network", success());
    world.complete("network", unhealthy());
    assert!(world.is_at("network", Action::Run), "{:?}", world.actions());
    world.complete("network", success());
    assert!(world.is_at("network", Action::Deploy), "{:?}", world.actions());
    world.complete("network", success());
    world.complete("network", unhealthy());
    assert_eq!(world.status(INSTALL), "held", "its budget is spent");
}

#[test]
fn so_many_probes_in_a_row_make_a_component_unwell_and_one_makes_it_well() {
    let mut world = active(vec![]);
    world.probe(unhealthy());
    assert_eq!((world.status(INSTALL).as_str(), world.health("network").failures), ("active", 1));
    let before = world.now;
    world.probe(unhealthy());
    assert!((3 * MINUTE..=5 * MINUTE + 10).contains(&(world.now - before)), "{}", world.now - before);
    assert_eq!(world.status(INSTALL), "degraded");
    assert_eq!(world.whys(), ["attention.unwell"]);
    world.probe(success());
    assert_eq!((world.status(INSTALL).as_str(), world.whys().len()), ("active", 0));
}

#[test]
fn probes_by_the_schedule_leave_no_line_but_what_they_find() {
    let mut world = active(vec![]);
    let last = |world: &World| match world.view(INSTALL).detail {
        Detail::Install { last, .. } => last.unwrap().number,
        _ => panic!(),
    };
    let before = last(&world);
    world.probe(success());
    world.probe(failure(FailureClass::Bug));
    assert_eq!(last(&world), before, "what people did last stays to be seen");
    assert!(world.health("network").unknown.is_some(), "nobody knows");
    assert_eq!(world.status(INSTALL), "active");
}

#[test]
fn a_rule_acts_on_a_component_at_rest_within_its_budget() {
    let restart = Remedy::Run { command: "restart".into() };
    let mut world = active(vec![on_health(vec![restart, Remedy::ReApply {}], 2)]);
    world.probe(unhealthy());
    world.probe(unhealthy());
    // The gate's probe fails too: the rule acts once more, on the same operation.
    for round in 0..2 {
        assert!(world.is_at("network", Action::Run), "round {round}: {:?}", world.actions());
        world.complete("network", success());
        assert!(world.is_at("network", Action::Deploy), "round {round}: {:?}", world.actions());
        world.complete("network", success());
        world.complete("network", unhealthy());
    }
    assert!(world.actions().is_empty(), "its budget is spent: {:?}", world.actions());
    assert!(world.view(INSTALL).operation.is_none(), "a recovery that no rule goes on with is given up");
    assert_eq!(world.status(INSTALL), "degraded");
    let why = world.why(INSTALL).remove(0);
    assert!(why.reason.contains("rule unwell has used its 2 times"), "{why:?}");
    for _ in 0..4 {
        world.probe(unhealthy());
        assert!(world.actions().is_empty(), "nothing begins without budget: {:?}", world.actions());
    }
    world.probe(success());
    assert_eq!(world.status(INSTALL), "active");
}

#[test]
fn people_can_look_at_once_and_heal_what_is_unwell() {
    let mut world = active(vec![]);
    world.probe(unhealthy());
    world.probe(unhealthy());
    world.install(install::Signal::CheckHealth {}).unwrap();
    world.complete("network", unhealthy());
    assert_eq!(world.whys(), ["attention.unwell"]);
    world.install(install::Signal::Heal {}).unwrap();
    assert!(world.is_at("network", Action::Deploy), "{:?}", world.actions());
    world.work_off();
    assert_eq!(world.status(INSTALL), "active");
    let mut other = crate::lives::running_world();
    let nothing = other.install(install::Signal::CheckHealth {}).unwrap_err();
    assert_eq!(nothing.code, remit_loops::RejectedCode::Conflict);
}

/// A rollout to the one install, without a budget.
fn to_all(version: &str) -> Plan {
    let wave = Wave { name: "all".into(), installs: vec!["acme".into()], bake_ms: 600 * MINUTE };
    let (version, waves) = (version.to_owned(), vec![wave]);
    Plan { version, waves, failures_max: 0, at_once: 1, leaves_waiting: false, rollback: false }
}

/// The state of the rollout.
fn state(world: &World) -> String {
    let Detail::App { rollout, .. } = world.view("app_demo.shop").detail else { panic!() };
    rollout.unwrap().state
}

/// Two probes by the schedule do not pass, while a wave is watched.
fn becomes_unwell(world: &mut World) {
    for _ in 0..2 {
        assert_eq!(state(world), "baking");
        // The install's own time, not that of the wave.
        world.now = world.objects[&crate::world::id(INSTALL)].deadline().unwrap().0;
        world.send(INSTALL, remit_loops::Actor::Clock, remit_loops::Body::Tick).unwrap();
        world.complete("network", unhealthy());
    }
}

#[test]
fn a_rollout_counts_who_was_on_its_release_before_it() {
    let mut world = active(vec![]);
    let app = |signal| Signal::App(signal);
    let publish = app::Signal::Publish { release: probed("2.0.0", 2, vec![]), hold: true };
    world.signal("app_demo.shop", app(publish)).unwrap();
    world.install(install::Signal::Deploy { version: Some("2.0.0".into()) }).unwrap();
    world.work_off();
    world.probe(unhealthy());
    world.probe(unhealthy());
    world.signal("app_demo.shop", app(app::Signal::StartRollout { plan: to_all("2.0.0") })).unwrap();
    assert_eq!(state(&world), "halted", "it is on the release, and does not do its work");
    world.probe(success());
    let resume = app::Signal::ResumeRollout { failures_max: None };
    world.signal("app_demo.shop", app(resume)).unwrap();
    assert_eq!(state(&world), "baking", "it is well again");
}

#[test]
fn a_rollout_counts_what_becomes_unwell_while_it_bakes() {
    let mut world = active(vec![]);
    let app = |signal| Signal::App(signal);
    world
        .signal(
            "app_demo.shop",
            app(app::Signal::Publish { release: probed("2.0.0", 2, vec![]), hold: true }),
        )
        .unwrap();
    world.signal("app_demo.shop", app(app::Signal::StartRollout { plan: to_all("2.0.0") })).unwrap();
    world.work_off();
    assert_eq!(state(&world), "baking");
    becomes_unwell(&mut world);
    assert_eq!(state(&world), "halted", "one more than its budget is unwell");
}

#[test]
fn a_rollout_counts_who_becomes_unwell_after_one_that_failed() {
    let mut world = active(vec![]);
    let app = |signal| Signal::App(signal);
    let mut second = probed("2.0.0", 2, vec![]);
    // Nothing of it is left out as unchanged.
    second.components.iter_mut().for_each(|component| component.recipe = None);
    let publish = app::Signal::Publish { release: second, hold: true };
    world.signal("app_demo.shop", app(publish)).unwrap();
    world.signal("app_demo.shop", app(app::Signal::StartRollout { plan: to_all("2.0.0") })).unwrap();
    world.complete("network", failure(FailureClass::Permission));
    assert_eq!(state(&world), "halted");
    let reason = "x".to_owned();
    world.signal("app_demo.shop", app(app::Signal::AbortRollout { reason: reason.clone() })).unwrap();
    world.install(install::Signal::Cancel { operation: None, reason }).unwrap();
    world.install(install::Signal::Deploy { version: Some("1.0.0".into()) }).unwrap();
    world.work_off();
    let plan = Plan { rollback: true, ..to_all("1.0.0") };
    world.signal("app_demo.shop", app(app::Signal::StartRollout { plan })).unwrap();
    assert_eq!(state(&world), "baking", "it is there already");
    becomes_unwell(&mut world);
    assert_eq!(state(&world), "halted", "what the first wanted of it is over");
}
