//! Rollouts: waves, bake times, budgets, halts, rollbacks, and what installs make of them.

use remit_loops::app::{Plan, RolloutView, Signal, Wave};
use remit_loops::install::{self, Policy};
use remit_loops::job::FailureClass;
use remit_loops::release::Release;
use remit_loops::runner::{Info, Report};
use remit_loops::view::Detail;
use remit_loops::{Actor, Body, Rejected, RejectedCode, Timestamp, app, org, runner};

use crate::world::{World, failure, id, release, success};

const APP: &str = "app_demo.shop";
const HOUR_MS: i64 = 3_600_000;

fn ins(name: &str) -> String {
    format!("ins_demo.shop.{name}")
}

fn changed(version: &str, counter: u64) -> Release {
    let mut release = release(version, counter);
    release.components.truncate(1);
    release.components[0].digest = format!("network@{version}");
    release
}

/// An app with one release and installs on it.
fn world(installs: &[&str]) -> World {
    let mut world = World::default();
    world.signal("org_demo", remit_loops::Signal::Org(org::Signal::Create {})).unwrap();
    tell(&mut world, Signal::Create {}).unwrap();
    tell(&mut world, Signal::Publish { release: changed("1.0.0", 1), hold: false }).unwrap();
    for name in installs {
        let (inputs, labels) = Default::default();
        let create = install::Signal::Create {
            inputs,
            mode: Default::default(),
            labels,
            rehearsal: None,
            approval: Default::default(),
        };
        world.signal(&ins(name), remit_loops::Signal::Install(create)).unwrap();
        let to = format!("run_demo.shop.{name}");
        let expect = runner::Signal::Expect { token_sha256: "t".into(), expires: Timestamp(i64::MAX) };
        world.signal(&to, remit_loops::Signal::Runner(expect)).unwrap();
        report(&mut world, name, Report::Enrol { token_sha256: "t".into(), spki_sha256: "k".into() });
        report(
            &mut world,
            name,
            Report::Seen { generation: 1, info: Info { boot: "b".into(), ..Info::default() } },
        );
        work(&mut world, name, true);
    }
    world
}

fn tell(world: &mut World, signal: Signal) -> Result<(), Rejected> {
    world.signal(APP, remit_loops::Signal::App(signal))
}

fn say(world: &mut World, name: &str, signal: install::Signal) {
    world.signal(&ins(name), remit_loops::Signal::Install(signal)).unwrap();
}

fn report(world: &mut World, name: &str, report: Report) {
    world.send(&format!("run_demo.shop.{name}"), Actor::Runner, Body::Report(report)).unwrap();
}

fn offers(world: &World, name: &str) -> bool {
    world.objects[&id(&format!("run_demo.shop.{name}"))].as_runner().unwrap().next_offer().is_some()
}

/// The install's runner does what it is offered, well or not.
fn work(world: &mut World, name: &str, well: bool) {
    let runner = id(&format!("run_demo.shop.{name}"));
    while let Some(offer) = world.objects[&runner].as_runner().unwrap().next_offer() {
        let (attempt, fence) = (offer.spec.id, offer.fence);
        report(world, name, Report::Started { generation: 1, attempt: attempt.clone(), fence });
        let outcome = if well { success() } else { failure(FailureClass::Permission) };
        report(world, name, Report::Ended { generation: 1, attempt, fence, outcome, receipts: None });
    }
    assert_eq!(world.rejected, []);
}

fn wave(name: &str, installs: &[&str], bake_ms: i64) -> Wave {
    Wave { name: name.into(), installs: installs.iter().map(|i| (*i).to_owned()).collect(), bake_ms }
}

fn plan(version: &str, waves: Vec<Wave>, failures_max: u32) -> Plan {
    let version = version.into();
    Plan { version, waves, failures_max, at_once: 100, leaves_waiting: false, rollback: false }
}

fn start(world: &mut World, plan: Plan) -> Result<(), Rejected> {
    tell(world, Signal::StartRollout { plan })
}

fn rollout(world: &World) -> RolloutView {
    let Detail::App { rollout, .. } = world.view(APP).detail else { panic!("no app") };
    *rollout.unwrap()
}

fn version(world: &World, name: &str) -> String {
    let Detail::Install { release, .. } = world.view(&ins(name)).detail else { panic!("no install") };
    release.unwrap().version
}

fn tick(world: &mut World, at: i64) {
    world.now = at - 1;
    world.send(APP, Actor::Clock, Body::Tick).unwrap();
}

fn held(world: &mut World, version: &str, counter: u64) {
    tell(world, Signal::Publish { release: changed(version, counter), hold: true }).unwrap();
}

#[test]
fn waves_come_one_after_another_each_watched_for_a_while() {
    let mut world = world(&["a", "b", "c"]);
    held(&mut world, "2.0.0", 2);
    assert!(!offers(&world, "a"), "what is held back is out for nobody");
    say(&mut world, "a", install::Signal::Deploy { version: None });
    work(&mut world, "a", true);
    assert_eq!(version(&world, "a"), "1.0.0", "nor is it the newest");
    let waves = vec![wave("canary", &["b"], HOUR_MS), wave("rest", &["a", "c"], 0)];
    start(&mut world, plan("2.0.0", waves, 0)).unwrap();
    assert!(offers(&world, "b") && !offers(&world, "a"));
    work(&mut world, "b", true);
    let view = rollout(&world);
    assert_eq!((view.state.as_str(), view.waves[0].done), ("baking", 1));
    let until = view.next.unwrap();
    assert_eq!(until, Timestamp(view.since.0 + HOUR_MS));
    tick(&mut world, until.0 - 1);
    assert!(!offers(&world, "a"), "it is watched for an hour");
    tick(&mut world, until.0);
    work(&mut world, "a", true);
    assert_eq!(rollout(&world).state, "going", "c is not there yet");
    work(&mut world, "c", true);
    assert_eq!(rollout(&world).state, "done");
    assert_eq!(version(&world, "c"), "2.0.0");
    assert!(world.why(APP).is_empty());
    let Detail::App { held, .. } = world.view(APP).detail else { panic!() };
    assert!(held.is_empty(), "what was rolled out is out");
}

#[test]
fn more_failures_than_the_budget_halt_it_and_take_back_what_waits() {
    let mut world = world(&["a", "b", "c", "d"]);
    held(&mut world, "2.0.0", 2);
    say(&mut world, "d", install::Signal::SetPolicy { policy: Policy::Manual {} });
    start(&mut world, plan("2.0.0", vec![wave("all", &["a", "b", "c", "d"], 0)], 1)).unwrap();
    work(&mut world, "a", false);
    assert_eq!(rollout(&world).state, "going", "one may fail");
    work(&mut world, "b", false);
    let view = rollout(&world);
    assert_eq!((view.state.as_str(), view.failed), ("halted", 2));
    assert_eq!(world.why(APP)[0].code, "held.rollout");
    assert_eq!(view.waves[0].named[0].state, "failed");
    let Detail::Install { updates, .. } = world.view(&ins("d")).detail else { panic!() };
    assert!(updates.inbox.is_empty(), "what waits for a person is taken back");
    // What had begun goes on and is heard of.
    work(&mut world, "c", true);
    assert_eq!(rollout(&world).waves[0].done, 1);
    let refused = tell(&mut world, Signal::ResumeRollout { failures_max: None }).unwrap_err();
    assert_eq!(refused.code, RejectedCode::Conflict);
    // Mended by hand, it counts as done, and the budget holds again.
    say(&mut world, "b", install::Signal::Retry { component: None });
    work(&mut world, "b", true);
    assert_eq!((rollout(&world).failed, rollout(&world).waves[0].done), (1, 2));
    tell(&mut world, Signal::ResumeRollout { failures_max: None }).unwrap();
    assert_eq!(rollout(&world).waves[0].waiting, 1, "d was told again");
    say(&mut world, "d", install::Signal::OptIn { version: None });
    work(&mut world, "d", true);
    assert_eq!(rollout(&world).state, "done");
}

#[test]
fn each_install_keeps_to_its_own_policy_and_says_what_it_waits_for() {
    let mut world = world(&["a", "b", "c", "d"]);
    say(&mut world, "a", install::Signal::SetPolicy { policy: Policy::Manual {} });
    say(&mut world, "b", install::Signal::SetChannel { channel: Some("beta".into()) });
    held(&mut world, "2.0.0", 2);
    let waves = vec![wave("first", &["a", "b"], 0), wave("second", &["c", "d"], 0)];
    let mut asked = plan("2.0.0", waves, 0);
    asked.leaves_waiting = true;
    let mut patient = world.clone();
    start(&mut patient, Plan { leaves_waiting: false, ..asked.clone() }).unwrap();
    assert!(!offers(&patient, "c"), "the second wave waits for a");
    assert!(patient.why(APP)[0].reason.contains("1 installs wait, a because somebody has to opt in"));
    let named: Vec<(String, String)> =
        rollout(&patient).waves[0].named.iter().map(|m| (m.install.clone(), m.state.clone())).collect();
    assert_eq!(named, [("a".into(), "waiting".into()), ("b".into(), "refused".into())]);
    start(&mut world, asked).unwrap();
    work(&mut world, "c", true);
    // One that is deleted holds nothing up.
    say(&mut world, "d", install::Signal::Delete {});
    work(&mut world, "d", true);
    assert_eq!(rollout(&world).state, "done");
    say(&mut world, "a", install::Signal::OptIn { version: None });
    work(&mut world, "a", true);
    assert_eq!((version(&world, "a"), rollout(&world).waves[0].done), ("2.0.0".into(), 1));
}

#[test]
fn no_more_are_at_it_at_once_than_was_said() {
    let mut world = world(&["a", "b", "c"]);
    held(&mut world, "2.0.0", 2);
    let asked = Plan { at_once: 2, ..plan("2.0.0", vec![wave("all", &["a", "b", "c"], 0)], 0) };
    start(&mut world, asked).unwrap();
    assert!(offers(&world, "a") && offers(&world, "b") && !offers(&world, "c"));
    work(&mut world, "b", true);
    assert!(offers(&world, "c"));
}

#[test]
fn a_paused_rollout_tells_nobody_and_an_aborted_one_never_again() {
    let mut world = world(&["a", "b"]);
    held(&mut world, "2.0.0", 2);
    start(&mut world, plan("2.0.0", vec![wave("one", &["a"], 0), wave("two", &["b"], 0)], 0)).unwrap();
    tell(&mut world, Signal::PauseRollout { reason: "lunch".into() }).unwrap();
    work(&mut world, "a", true);
    assert!(!offers(&world, "b"));
    assert_eq!(rollout(&world).state, "paused");
    let mut aborted = world.clone();
    tell(&mut aborted, Signal::AbortRollout { reason: "no".into() }).unwrap();
    assert!(tell(&mut aborted, Signal::ResumeRollout { failures_max: None }).is_err());
    assert!(!offers(&aborted, "b"));
    tell(&mut world, Signal::ResumeRollout { failures_max: None }).unwrap();
    work(&mut world, "b", true);
    assert_eq!(rollout(&world).state, "done");
}

#[test]
fn a_rollback_goes_back_and_never_below_the_floor() {
    let mut world = world(&["a", "b"]);
    let mut second = changed("2.0.0", 2);
    second.rollback_floor = 2;
    tell(&mut world, Signal::Publish { release: second, hold: false }).unwrap();
    let mut third = changed("3.0.0", 3);
    third.rollback_floor = 2;
    tell(&mut world, Signal::Publish { release: third, hold: true }).unwrap();
    work(&mut world, "a", true);
    work(&mut world, "b", true);
    start(&mut world, plan("3.0.0", vec![wave("canary", &["a"], 0), wave("rest", &["b"], HOUR_MS)], 0))
        .unwrap();
    work(&mut world, "a", true);
    let back = |version: &str| Plan { rollback: true, ..plan(version, vec![wave("all", &["a", "b"], 0)], 0) };
    assert_eq!(start(&mut world, back("1.0.0")).unwrap_err().code, RejectedCode::BelowFloor);
    let forward = Plan { rollback: false, ..back("2.0.0") };
    assert_eq!(start(&mut world, forward).unwrap_err().code, RejectedCode::Conflict, "one is under way");
    start(&mut world, back("2.0.0")).unwrap();
    work(&mut world, "a", true);
    work(&mut world, "b", true);
    assert_eq!((version(&world, "a"), version(&world, "b")), ("2.0.0".into(), "2.0.0".into()));
    assert_eq!(rollout(&world).state, "done");
    // What was rolled back is not the newest any more.
    say(&mut world, "b", install::Signal::Deploy { version: None });
    work(&mut world, "b", true);
    assert_eq!(version(&world, "b"), "2.0.0");
    // Nor does a person get an install below its floor.
    say(&mut world, "a", install::Signal::Deploy { version: Some("1.0.0".into()) });
    work(&mut world, "a", true);
    assert_eq!(version(&world, "a"), "2.0.0");
    let Detail::Install { last, .. } = world.view(&ins("a")).detail else { panic!() };
    assert!(format!("{:?}", last.unwrap().outcome).contains("no rollback permit is there"));
}

#[test]
fn what_was_held_back_can_be_promoted_to_all() {
    let mut world = world(&["a", "b"]);
    held(&mut world, "2.0.0", 2);
    let promote = || Signal::Promote { version: "2.0.0".into() };
    tell(&mut world, promote()).unwrap();
    assert!(offers(&world, "a") && offers(&world, "b"));
    assert_eq!(tell(&mut world, promote()).unwrap_err().code, RejectedCode::Conflict);
}

#[test]
fn a_rollout_that_cannot_be_is_refused() {
    let mut world = world(&["a", "b"]);
    held(&mut world, "2.0.0", 2);
    let good = plan("2.0.0", vec![wave("all", &["a"], 0)], 0);
    for bad in [
        Plan { version: "9.9.9".into(), ..good.clone() },
        Plan { waves: vec![], ..good.clone() },
        Plan { waves: vec![wave("none", &[], 0)], ..good.clone() },
        Plan { waves: vec![wave("one", &["a"], 0), wave("two", &["a"], 0)], ..good.clone() },
        Plan { waves: vec![wave("one", &["zed"], 0)], ..good.clone() },
        Plan { waves: vec![wave("one", &["a"], i64::MAX)], ..good.clone() },
        Plan { at_once: 0, ..good.clone() },
    ] {
        assert_eq!(start(&mut world, bad.clone()).unwrap_err().code, RejectedCode::RolloutInvalid, "{bad:?}");
    }
    let older = plan("1.0.0", vec![wave("all", &["a"], 0)], 0);
    tell(&mut world, Signal::Promote { version: "2.0.0".into() }).unwrap();
    assert_eq!(start(&mut world, older).unwrap_err().code, RejectedCode::Conflict, "that is a rollback");
    assert!(tell(&mut world, app::Signal::AbortRollout { reason: "x".into() }).is_err(), "none is under way");
}
