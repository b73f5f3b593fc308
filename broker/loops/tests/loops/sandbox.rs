//! Sandboxes: what a scenario tells the runner, how a sandbox becomes real, and who is born as one.

use remit_loops::install::{self, Rehearsal};
use remit_loops::job::{FailureClass, Mode};
use remit_loops::runner::Presence;
use remit_loops::scenario::{DriftRule, Fails, Scenario, StepRule};
use remit_loops::values::Values;
use remit_loops::view::Detail;
use remit_loops::{RejectedCode, Signal, Timestamp, app, org, runner};

use crate::world::{World, drifted, failure, id, release, success};

const INSTALL: &str = "ins_demo.shop.acme";

fn ready() -> World {
    let mut world = World::default();
    world.signal("org_demo", Signal::Org(org::Signal::Create {})).unwrap();
    world.signal("app_demo.shop", Signal::App(app::Signal::Create {})).unwrap();
    world.publish(release("1.0.0", 1)).unwrap();
    world
}

fn create(mode: Mode, rehearsal: Option<Rehearsal>) -> install::Signal {
    install::Signal::Create {
        inputs: Values::new(),
        mode,
        labels: Values::new(),
        rehearsal,
        approval: Default::default(),
    }
}

fn scenario() -> Scenario {
    let fails = Fails { class: FailureClass::Transient, message: "no".into(), code: None, hint: None };
    let once = StepRule {
        component: Some("network".into()),
        attempts: vec![1],
        percent: 100,
        fails: Some(fails),
        ..StepRule::default()
    };
    let drift = DriftRule { component: "queue".into(), after_ms: 60_000, summary: "one more topic".into() };
    Scenario { seed: 3, steps: vec![once], drifts: vec![drift], ..Scenario::default() }
}

fn sandbox() -> World {
    let mut world = ready();
    let rehearsal = Rehearsal { scenario: Some(scenario()), ..Rehearsal::default() };
    world.install(create(Mode::Sandbox, Some(rehearsal))).unwrap();
    world.enrol();
    world
}

fn mode(world: &World) -> Mode {
    let Detail::Install { mode, .. } = world.view(INSTALL).detail else { panic!() };
    mode
}

fn code(result: Result<(), remit_loops::Rejected>) -> RejectedCode {
    result.unwrap_err().code
}

#[test]
fn attempts_carry_what_the_scenario_says_of_them_and_no_more() {
    let mut world = sandbox();
    let first = world.start("network").spec;
    assert_eq!(first.act.unwrap().fails.unwrap().message, "no");
    world.complete("network", failure(FailureClass::Transient));
    world.tick();
    let second = world.start("network").spec;
    assert_eq!((second.id.attempt, second.act.unwrap().fails), (2, None));
    world.work_off_started("network");
    assert_eq!(world.status(INSTALL), "active");
    // Drift is found when its time has come.
    let look = |world: &mut World| {
        world.install(install::Signal::CheckDrift {}).unwrap();
        let offer = world.offers().into_iter().find(|o| o.spec.component == "queue").unwrap();
        world.work_off();
        offer.spec.act.unwrap().drift
    };
    assert_eq!(look(&mut world), None);
    world.now += 60_000;
    assert_eq!(look(&mut world).as_deref(), Some("one more topic"));
    // Without a scenario nothing is said.
    world.install(install::Signal::SetScenario { scenario: None }).unwrap();
    world.install(install::Signal::Reprovision {}).unwrap();
    assert!(world.offers().iter().all(|o| o.spec.act.is_none()));
}

#[test]
fn a_real_install_has_no_scenario() {
    let mut world = ready();
    let rehearsal = || Some(Rehearsal { scenario: Some(scenario()), ..Rehearsal::default() });
    assert_eq!(code(world.install(create(Mode::Real, rehearsal()))), RejectedCode::Invalid);
    world.install(create(Mode::Real, None)).unwrap();
    let set = install::Signal::SetScenario { scenario: Some(scenario()) };
    assert_eq!(code(world.install(set)), RejectedCode::Conflict);
    world.enrol();
    assert!(world.offers().iter().all(|o| o.spec.act.is_none() && o.spec.mode == Mode::Real));
}

#[test]
fn a_promoted_sandbox_makes_everything_in_earnest_and_keeps_its_history() {
    let mut world = sandbox();
    assert_eq!(code(world.install(install::Signal::Promote {})), RejectedCode::Conflict, "something runs");
    world.complete("network", success());
    world.work_off();
    world.install(install::Signal::CheckDrift {}).unwrap();
    world.complete("network", drifted());
    world.work_off();
    world.publish(release("2.0.0", 2)).unwrap();
    world.work_off();
    let before = world.view(INSTALL);
    world.install(install::Signal::Promote {}).unwrap();
    assert_eq!((mode(&world), world.view(INSTALL).epoch), (Mode::Real, before.epoch));
    let Detail::Install { components, scenario, .. } = world.view(INSTALL).detail else { panic!() };
    assert_eq!(scenario, None);
    let untouched = |c: &remit_loops::view::ComponentView| !c.facts.may_exist && c.facts.drift.is_none();
    assert!(
        components.iter().filter(|c| c.name != "network").all(untouched),
        "what was rehearsed is not there: {components:?}"
    );
    let offer = world.offers().remove(0).spec;
    assert_eq!((offer.mode, offer.act, offer.release.version.as_str()), (Mode::Real, None, "2.0.0"));
    // A failure of the first real deploy does not bring back what was only rehearsed.
    world.complete("network", failure(FailureClass::Permission));
    let Detail::Component { facts, .. } = world.view("cmp_demo.shop.acme.network").detail else { panic!() };
    assert!(facts.deployed.is_none() && facts.unfinished);
    world.install(install::Signal::Retry { component: None }).unwrap();
    assert_eq!(world.work_off().len(), 4, "all of it is made");
    assert_eq!(world.status(INSTALL), "active");
    assert_eq!(code(world.install(install::Signal::Promote {})), RejectedCode::Conflict, "it is real");
}

#[test]
fn nothing_is_promoted_without_a_runner() {
    let mut world = sandbox();
    world.complete("network", success());
    world.work_off();
    let revoke = runner::Signal::Revoke { reason: "moved".into() };
    world.signal("run_demo.shop.acme", Signal::Runner(revoke)).unwrap();
    let Detail::Install { runner, .. } = world.view(INSTALL).detail else { panic!() };
    assert!(matches!(runner, Presence::Revoked { .. }));
    assert_eq!(code(world.install(install::Signal::Promote {})), RejectedCode::RunnerMissing);
    assert_eq!(mode(&world), Mode::Sandbox);
}

#[test]
fn what_is_new_in_a_sandbox_is_one_too() {
    for of_org in [true, false] {
        let mut world = ready();
        let on = true;
        match of_org {
            true => world.signal("org_demo", Signal::Org(org::Signal::SetSandbox { on })).unwrap(),
            false => world.signal("app_demo.shop", Signal::App(app::Signal::SetSandbox { on })).unwrap(),
        }
        let Detail::App { sandbox, .. } = world.view("app_demo.shop").detail else { panic!() };
        assert!(sandbox);
        world.install(create(Mode::Real, None)).unwrap();
        assert_eq!(mode(&world), Mode::Sandbox);
        world.enrol();
        assert_eq!(world.offers()[0].spec.mode, Mode::Sandbox);
        world.work_off();
        // Those that are there stay what they are.
        let off = Signal::App(app::Signal::SetSandbox { on: false });
        world.signal("app_demo.shop", off).unwrap();
        assert_eq!(mode(&world), Mode::Sandbox);
        world.install(install::Signal::Promote {}).unwrap();
        assert_eq!(world.offers()[0].spec.mode, Mode::Real);
    }
}

#[test]
fn a_copy_knows_its_original_and_begins_on_its_release() {
    let mut world = ready();
    world.publish(release("2.0.0", 2)).unwrap();
    let copy_of = Some(id("ins_demo.shop.original"));
    let rehearsal = Rehearsal { copy_of: copy_of.clone(), version: Some("1.0.0".into()), scenario: None };
    world.install(create(Mode::Sandbox, Some(rehearsal))).unwrap();
    world.enrol();
    world.work_off();
    let Detail::Install { copy_of: shown, release, .. } = world.view(INSTALL).detail else { panic!() };
    assert_eq!((shown, release.unwrap().version.as_str()), (copy_of, "1.0.0"));
    assert!(world.now > Timestamp(0).0);
}
