//! The whole state × event table of each kind, as files that a reviewer reads.
//!
//! Run with `UPDATE_GOLDEN=1` to write them anew; then read the difference.

mod signals;
mod table;

use remit_loops::app::{self, ToApp};
use remit_loops::approval::Policy;
use remit_loops::component::{self, Task, ToComponent};
use remit_loops::freeze::{AddFreeze, RemoveFreeze};
use remit_loops::install::{self, ToInstall};
use remit_loops::job::{Action, AttemptId, FailureClass, Mode, Outcome};
use remit_loops::parent::{ToChild, ToParent};
use remit_loops::release::ReleaseRef;
use remit_loops::runner::{Boot, Info, Presence, Report, ToRunner};
use remit_loops::standing::Standing;
use remit_loops::values::Values;
use remit_loops::{Actor, Body, Event, Notice, Object, ObjectId, Signal, Timestamp, org};

use crate::world::{World, drifted, failure, id, release, success, with_recipes};
use crate::{attestation, plans};

pub(crate) use signals::{app_signals, install_signals, nights, runner_signals};
use signals::{frozen, rollout};
use table::check;

pub(crate) const INSTALL: &str = "ins_demo.shop.acme";
const NETWORK: &str = "cmp_demo.shop.acme.network";
const RUNNER: &str = "run_demo.shop.acme";

/// A named event and who sends it.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) by: Actor,
    pub(crate) body: Body,
}

pub(crate) fn signal(name: &str, signal: Signal) -> Sample {
    Sample { name: format!("signal {name}"), by: Actor::Person("ann".into()), body: Body::Signal(signal) }
}

pub(crate) fn notice(name: &str, from: &str, notice: Notice) -> Sample {
    Sample { name: format!("notice {name}"), by: Actor::Object(id(from)), body: Body::Notice(notice) }
}

fn report(name: &str, report: Report) -> Sample {
    Sample { name: format!("report {name}"), by: Actor::Runner, body: Body::Report(report) }
}

fn tick() -> Sample {
    Sample { name: "tick".into(), by: Actor::Clock, body: Body::Tick }
}

pub(crate) fn object(world: &World, of: &str) -> Object {
    world.objects.get(&id(of)).cloned().unwrap_or_else(|| Object::new(&id(of)))
}

/// A world in which an app has a release, and what comes after.
pub(crate) fn worlds() -> Vec<(&'static str, World)> {
    let mut worlds = vec![];
    let mut world = World::default();
    worlds.push(("nothing", world.clone()));
    world.signal("org_demo", Signal::Org(org::Signal::Create {})).unwrap();
    world.signal("app_demo.shop", Signal::App(app::Signal::Create {})).unwrap();
    world.publish(release("1.0.0", 1)).unwrap();
    let create = install::Signal::Create {
        inputs: Values::new(),
        mode: Mode::Real,
        labels: Values::new(),
        rehearsal: None,
        approval: Policy::default(),
    };
    world.install(create).unwrap();
    worlds.push(("created", world.clone()));
    world.enrol();
    worlds.push(("enrolled", world.clone()));
    world.start("network");
    worlds.push(("started", world.clone()));
    let mut stopping = world.clone();
    stopping.install(install::Signal::Cancel { operation: None, reason: "no".into() }).unwrap();
    worlds.push(("stopping", stopping));
    let mut backing_off = world.clone();
    backing_off.complete("network", failure(FailureClass::Transient));
    worlds.push(("backing off", backing_off));
    let mut held = world.clone();
    held.complete("network", failure(FailureClass::Permission));
    worlds.push(("held", held));
    let mut unconfirmed = world.clone();
    unconfirmed.enrol();
    worlds.push(("unconfirmed", unconfirmed));
    world.work_off_started("network");
    worlds.push(("active", world.clone()));
    let policies = [("waits for a person", install::Policy::Manual {}), ("waits for its window", nights())];
    for (name, policy) in policies {
        let mut waiting = world.clone();
        // Past the first hours of 1970, in which the window is open still.
        waiting.now = waiting.now.max(8_000_000);
        waiting.install(install::Signal::SetPolicy { policy }).unwrap();
        waiting.publish(release("2.0.0", 2)).unwrap();
        worlds.push((name, waiting));
    }
    let mut frozen = world.clone();
    frozen.now = frozen.now.max(8_000_000);
    let until = Timestamp(10_000_000);
    let (name, reason) = ("year-end".into(), "x".into());
    let freeze = app::Signal::Freeze(AddFreeze { name, from: None, until, reason });
    frozen.signal("app_demo.shop", Signal::App(freeze)).unwrap();
    frozen.install(install::Signal::Heal {}).unwrap();
    worlds.push(("frozen", frozen));
    let mut paused = world.clone();
    paused.install(install::Signal::Pause { reason: "audit".into() }).unwrap();
    worlds.push(("paused", paused));
    let mut checking = world.clone();
    checking.install(install::Signal::CheckDrift {}).unwrap();
    worlds.push(("checking drift", checking.clone()));
    checking.complete("network", drifted());
    checking.work_off();
    worlds.push(("drifted", checking));
    world.install(install::Signal::Delete {}).unwrap();
    worlds.push(("deleting", world.clone()));
    world.work_off();
    worlds.push(("deleted", world));
    worlds.push(("its glass is broken", crate::break_glass::broken()));
    worlds.push(("the runner is too old", crate::executors::too_old()));
    worlds.push(("a rule waits", crate::remediation::mending()));
    worlds.extend(plan_worlds());
    worlds
}

/// A plan that waits for two people, and has them.
fn plan_worlds() -> [(&'static str, World); 2] {
    let asking = plans::asking(Policy { quorum: 2, ..plans::always() });
    let mut approved = asking.clone();
    approved.approve("ann", &plans::digest("network", 1)).unwrap();
    approved.approve("bob", &plans::digest("network", 1)).unwrap();
    [("a plan waits", asking), ("a plan is approved", approved)]
}

/// A release that is held back, rolled out, and fails.
pub(crate) fn rollouts() -> Vec<(&'static str, World)> {
    let mut world = worlds().into_iter().find(|(name, _)| *name == "active").unwrap().1;
    let hold = app::Signal::Publish { release: release("2.0.0", 2), hold: true };
    world.signal("app_demo.shop", Signal::App(hold)).unwrap();
    let held = world.clone();
    world.signal("app_demo.shop", rollout("2.0.0", false)).unwrap();
    let rolling = world.clone();
    world.complete("network", failure(FailureClass::Bug));
    vec![("a release is held back", held), ("rolling out", rolling), ("halted", world)]
}

/// An active install that was asked to deploy and waits for its app's answer.
pub(crate) fn asking() -> Object {
    let mut world = worlds().swap_remove(1).1;
    world.publish(with_recipes(release("1.0.1", 2))).unwrap();
    world.enrol();
    world.work_off();
    let mut install = object(&world, INSTALL);
    let deploy = Signal::Install(install::Signal::Deploy { version: None });
    let by = Actor::Person("ann".into());
    install.apply(&Event { at: Timestamp(8_000_000), by, body: Body::Signal(deploy) }).unwrap();
    install
}

fn states(of: &str) -> Vec<(&'static str, Object)> {
    worlds().iter().map(|(name, world)| (*name, object(world, of))).collect()
}

fn quotas(weight: Option<u32>) -> Signal {
    Signal::Org(org::Signal::SetQuotas { apps: Some(7), installs_per_app: None, weight })
}

#[test]
fn org() {
    let mut world = World::default();
    let mut states = vec![("absent", Object::new(&id("org_demo")))];
    let mut go = |name, signal: Option<org::Signal>| {
        if let Some(signal) = signal {
            world.signal("org_demo", Signal::Org(signal)).unwrap();
        }
        states.push((name, object(&world, "org_demo")));
        world.clone()
    };
    go("active", Some(org::Signal::Create {}));
    let mut with_app = go("paused", Some(org::Signal::Pause { reason: "bill".into() }));
    with_app.signal("app_demo.shop", Signal::App(app::Signal::Create {})).unwrap();
    with_app.signal("org_demo", Signal::Org(org::Signal::Delete {})).unwrap();
    states.push(("deleting", object(&with_app, "org_demo")));
    with_app.signal("app_demo.shop", Signal::App(app::Signal::Delete {})).unwrap();
    states.push(("deleted", object(&with_app, "org_demo")));
    let events = [
        signal("create", Signal::Org(org::Signal::Create {})),
        signal("pause", Signal::Org(org::Signal::Pause { reason: "x".into() })),
        signal("resume", Signal::Org(org::Signal::Resume {})),
        signal("set_sandbox", Signal::Org(org::Signal::SetSandbox { on: true })),
        signal("set_quotas", quotas(None)),
        signal("set_quotas, too heavy", quotas(Some(101))),
        signal(
            "freeze",
            Signal::Org(org::Signal::Freeze(AddFreeze {
                name: "year-end".into(),
                from: None,
                until: Timestamp(10_000_000),
                reason: "x".into(),
            })),
        ),
        signal(
            "unfreeze",
            Signal::Org(org::Signal::Unfreeze(RemoveFreeze { name: "year-end".into(), reason: "x".into() })),
        ),
        signal("delete", Signal::Org(org::Signal::Delete {})),
        notice("child created", "app_demo.other", Notice::Parent(ToParent::ChildCreated)),
        notice("child gone", "app_demo.shop", Notice::Parent(ToParent::ChildGone)),
        notice("parent is", "app_demo.shop", Notice::Child(ToChild::ParentIs(Standing::Active))),
        tick(),
    ];
    check("org.txt", &states, &events);
}

#[test]
fn app() {
    let mut events = app_signals();
    events.extend([
        notice("child created", "ins_demo.shop.other", Notice::Parent(ToParent::ChildCreated)),
        notice("child gone", INSTALL, Notice::Parent(ToParent::ChildGone)),
        notice("parent is paused", "org_demo", Notice::Child(ToChild::ParentIs(Standing::Paused))),
        notice(
            "release wanted",
            INSTALL,
            Notice::App(ToApp::ReleaseWanted { operation: 1, version: None, channel: None }),
        ),
        notice(
            "release wanted of beta",
            INSTALL,
            Notice::App(ToApp::ReleaseWanted { operation: 1, version: None, channel: Some("beta".into()) }),
        ),
        notice("freezes are", "org_demo", frozen("org_demo")),
        signal(
            "freeze",
            Signal::App(app::Signal::Freeze(AddFreeze {
                name: "year-end".into(),
                from: None,
                until: Timestamp(10_000_000),
                reason: "x".into(),
            })),
        ),
        signal(
            "unfreeze",
            Signal::App(app::Signal::Unfreeze(RemoveFreeze { name: "year-end".into(), reason: "x".into() })),
        ),
        notice(
            "release wanted 7.7",
            INSTALL,
            Notice::App(ToApp::ReleaseWanted { operation: 1, version: Some("7.7".into()), channel: None }),
        ),
        tick(),
    ]);
    let mut states: Vec<(&str, Object)> = states("app_demo.shop").into_iter().take(2).collect();
    states.extend(rollouts().iter().map(|(name, world)| (*name, object(world, "app_demo.shop"))));
    let mut world = worlds().swap_remove(1).1;
    world.signal("app_demo.shop", Signal::App(app::Signal::Pause { reason: "x".into() })).unwrap();
    states.push(("paused", object(&world, "app_demo.shop")));
    world.signal("app_demo.shop", Signal::App(app::Signal::Delete {})).unwrap();
    states.push(("deleting", object(&world, "app_demo.shop")));
    world.install(install::Signal::Delete {}).unwrap();
    states.push(("deleted", object(&world, "app_demo.shop")));
    check("app.txt", &states, &events);
}

#[test]
fn install() {
    let mut events = install_signals();
    let ended = |outcome| {
        Notice::Install(ToInstall::TaskEnded { operation: 1, outcome, facts: component::Facts::default() })
    };
    events.extend([
        notice("parent is deleting", "app_demo.shop", Notice::Child(ToChild::ParentIs(Standing::Deleting))),
        notice("app is a sandbox", "app_demo.shop", Notice::Child(ToChild::Sandbox(true))),
        notice(
            "release published",
            "app_demo.shop",
            Notice::Install(ToInstall::ReleasePublished(release("3.0.0", 3))),
        ),
        notice("freezes are", "app_demo.shop", frozen("app_demo.shop")),
        notice(
            "update offered",
            "app_demo.shop",
            Notice::Install(ToInstall::UpdateOffered {
                release: release("3.0.0", 3),
                rollout: 1,
                rollback: false,
            }),
        ),
        notice(
            "update withdrawn",
            "app_demo.shop",
            Notice::Install(ToInstall::UpdateWithdrawn { rollout: 1 }),
        ),
        notice(
            "release is, stale",
            "app_demo.shop",
            Notice::Install(ToInstall::ReleaseIs { operation: 77, release: release("3.0.0", 3) }),
        ),
        notice("task started", NETWORK, Notice::Install(ToInstall::TaskStarted { operation: 1, attempt: 1 })),
        notice("task succeeded", NETWORK, ended(success())),
        notice("task failed", NETWORK, ended(failure(FailureClass::Bug))),
        notice("task cancelled", NETWORK, ended(Outcome::Cancelled { message: "x".into() })),
        notice("plan answered", RUNNER, plans::answered("network", 1)),
        notice(
            "runner is offline",
            RUNNER,
            Notice::Install(ToInstall::RunnerIs(Presence::Offline { since: Timestamp(5) })),
        ),
        notice(
            "runner booted",
            RUNNER,
            Notice::Install(ToInstall::RunnerBooted(Boot { generation: 1, id: "boot 2".into() })),
        ),
        notice(
            "release is, the same",
            "app_demo.shop",
            Notice::Install(ToInstall::ReleaseIs {
                operation: 3,
                release: with_recipes(release("1.0.0", 1)),
            }),
        ),
        notice("child created", NETWORK, Notice::Parent(ToParent::ChildCreated)),
        tick(),
    ]);
    let mut states = states(INSTALL);
    states.push(("asking which release", asking()));
    check("install.txt", &states, &events);
}

fn task(operation: u64, action: Action) -> Notice {
    let release = ReleaseRef { digest: "sha256:1".into(), counter: 1, version: "1.0.0".into() };
    let (digest, inputs) = ("sha256:network".to_owned(), Values::new());
    Notice::Component(ToComponent::Do(Task {
        operation,
        epoch: 1,
        action,
        kind: "script".into(),
        mode: Mode::Real,
        play: None,
        release,
        digest,
        inputs,
        longest_run_ms: 1,
        input_digest: None,
        begin_by: None,
        stage: Default::default(),
        word: None,
        command: None,
        gate: false,
        glass: None,
    }))
}

fn deploy_attempt(attempt: u32) -> AttemptId {
    AttemptId { job: "job_demo.shop.acme.network.e1.o1.deploy".into(), attempt }
}

#[test]
fn component() {
    let ended = |attempt, outcome| {
        Notice::Component(ToComponent::JobEnded { attempt: deploy_attempt(attempt), outcome, ran_by: None })
    };
    let events = [
        notice("do deploy", INSTALL, task(9, Action::Deploy)),
        notice("do drift", INSTALL, task(9, Action::Drift)),
        notice("stop", INSTALL, Notice::Component(ToComponent::Stop { operation: 1, reason: "x".into() })),
        notice(
            "stop, stale",
            INSTALL,
            Notice::Component(ToComponent::Stop { operation: 55, reason: "x".into() }),
        ),
        notice("job started", RUNNER, Notice::Component(ToComponent::JobStarted(deploy_attempt(1)))),
        notice("job started, stale", RUNNER, Notice::Component(ToComponent::JobStarted(deploy_attempt(7)))),
        notice("job succeeded", RUNNER, ended(1, success())),
        notice("job failed, transient", RUNNER, ended(1, failure(FailureClass::Transient))),
        notice("job failed, permission", RUNNER, ended(1, failure(FailureClass::Permission))),
        notice("job ended, stale", RUNNER, ended(7, success())),
        signal("retry_now", Signal::Component(component::Signal::RetryNow {})),
        tick(),
    ];
    check("component.txt", &states(NETWORK), &events);
}

#[test]
fn runner() {
    let (attempt, fence) = (deploy_attempt(1), 1);
    let started = |generation, fence| Report::Started { generation, attempt: attempt.clone(), fence };
    let ended = |generation| Report::Ended {
        generation,
        attempt: attempt.clone(),
        fence,
        outcome: success(),
        receipts: None,
    };
    let mut events = runner_signals();
    events.extend([
        notice("wanted", INSTALL, Notice::Runner(ToRunner::RunnerWanted { epoch: 2 })),
        notice("unwanted", INSTALL, Notice::Runner(ToRunner::RunnerUnwanted)),
        notice(
            "revoke attempt",
            NETWORK,
            Notice::Runner(ToRunner::Revoke { attempt: attempt.clone(), reason: "x".into() }),
        ),
        report("enrol, no token", Report::Enrol { token_sha256: "zz".into(), spki_sha256: "bb".into() }),
        report("enrol, proven", attestation::enrolment()),
        report("seen", Report::Seen { generation: 1, info: Info::default() }),
        report("seen, stale", Report::Seen { generation: 9, info: Info::default() }),
        report("lost", Report::Lost { generation: 1 }),
        report("restored", Report::Restored {}),
        report("marks", Report::Marks { generation: 1, seq: 9, fence: 9, held: vec![] }),
        report("marks, stale", Report::Marks { generation: 9, seq: 9, fence: 9, held: vec![] }),
        report("started", started(1, 1)),
        report("started, wrong fence", started(1, 50)),
        report("started, stale", started(9, 1)),
        report("ended", ended(1)),
        report("ended, stale", ended(9)),
        tick(),
    ]);
    check("runner.txt", &states(RUNNER), &events);
}

#[test]
fn every_kind_refuses_what_is_for_another() {
    for kind in ["org_demo", "app_demo.shop", INSTALL, NETWORK, RUNNER] {
        let id: ObjectId = id(kind);
        let foreign = if kind == "org_demo" {
            Signal::App(app::Signal::Create {})
        } else {
            Signal::Org(org::Signal::Create {})
        };
        let event = Event { at: Timestamp(1), by: Actor::Clock, body: Body::Signal(foreign) };
        assert!(Object::new(&id).apply(&event).is_err(), "{kind}");
    }
}
