//! What people do with single steps, and what is refused.

use remit_loops::approval::Policy;
use remit_loops::job::{FailureClass, Mode, Outcome};
use remit_loops::values::Values;
use remit_loops::{RejectedCode, Signal, Urgency, app, install, org};

use crate::world::{World, failure, release, success};

const INSTALL: &str = "ins_demo.shop.acme";

/// The network is done; database and queue are offered, seed waits.
fn in_the_middle() -> World {
    let mut world = World::default();
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
    world.enrol();
    world.complete("network", success());
    world
}

fn cancel(component: &str) -> install::Signal {
    install::Signal::CancelStep { component: component.into(), reason: "wrong size".into() }
}

fn skip(component: &str) -> install::Signal {
    install::Signal::Skip { component: component.into(), reason: "made by hand".into() }
}

fn retry(component: &str) -> install::Signal {
    install::Signal::Retry { component: Some(component.into()) }
}

fn state(world: &World, component: &str) -> (String, String) {
    let steps = world.view(INSTALL).operation.unwrap().steps;
    let step = steps.into_iter().find(|s| s.component == component).unwrap();
    (step.state, step.note)
}

/// `database` was stopped while it ran.
fn stopped() -> World {
    let mut world = in_the_middle();
    world.start("database");
    world.install(cancel("database")).unwrap();
    let (word, note) = state(&world, "database");
    assert_eq!((word.as_str(), note.as_str()), ("stopping", "ann said: wrong size"));
    assert!(world.must_stop("database"));
    world.complete("database", Outcome::Cancelled { message: "killed".into() });
    world
}

#[test]
fn stopping_a_step_lets_the_others_go_on_and_holds_what_needs_it() {
    let mut world = stopped();
    assert_eq!(world.work_off(), ["queue"], "seed needs the database");
    assert_eq!(world.status(INSTALL), "held");
    let why = &world.why(INSTALL)[0];
    assert_eq!(why.code, "held.failed");
    assert!(why.reason.contains("it was stopped: ann said: wrong size"), "{}", why.reason);
    let evidence = why.evidence.as_ref().unwrap();
    assert_eq!(evidence.words, "it was stopped: ann said: wrong size");
    assert_eq!(evidence.attempt.as_ref().unwrap().job, "job_demo.shop.acme.database.e1.o1.deploy");
    world.install(retry("database")).unwrap();
    assert_eq!(world.work_off(), ["database", "seed"]);
    assert_eq!(world.status(INSTALL), "active");
}

#[test]
fn a_stopped_step_can_be_skipped_and_leaves_the_install_degraded() {
    let mut world = stopped();
    world.install(skip("database")).unwrap();
    assert_eq!(world.work_off(), ["queue", "seed"]);
    assert_eq!(world.status(INSTALL), "degraded", "half of the database may be there");
    let why = &world.why(INSTALL)[0];
    assert_eq!((why.code.as_str(), why.urgency()), ("attention.failed", Urgency::Attention));
    assert!(why.reason.contains("database was stopped in the middle"), "{}", why.reason);
    world.install(install::Signal::Heal {}).unwrap();
    assert_eq!(world.work_off(), ["database"]);
    assert_eq!(world.status(INSTALL), "active");
}

#[test]
fn a_step_that_is_offered_stops_at_once_and_one_that_backs_off_too() {
    let mut world = in_the_middle();
    world.install(cancel("database")).unwrap();
    assert_eq!(state(&world, "database").0, "failed");

    let mut world = in_the_middle();
    world.complete("database", failure(FailureClass::Transient));
    world.install(cancel("database")).unwrap();
    assert_eq!(state(&world, "database").0, "failed");
    world.tick();
    assert!(world.offers().iter().all(|o| o.spec.component != "database"), "it does not try again");
}

#[test]
fn what_ends_well_all_the_same_has_succeeded() {
    let mut world = in_the_middle();
    world.start("database");
    world.install(cancel("database")).unwrap();
    world.complete("database", success());
    assert_eq!(state(&world, "database").0, "succeeded");
    assert_eq!(world.work_off(), ["queue", "seed"]);
}

#[test]
fn a_step_that_has_not_begun_can_be_skipped() {
    let mut world = in_the_middle();
    world.install(skip("seed")).unwrap();
    assert_eq!(state(&world, "seed").1, "ann said: made by hand");
    assert_eq!(world.work_off(), ["database", "queue"]);
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let mut world = in_the_middle();
    world.start("queue");
    let mut held = world.clone();
    held.complete("database", failure(FailureClass::Bug));
    let mut resting = world.clone();
    resting.work_off_started("queue");
    let mut stopping = world.clone();
    stopping.install(cancel("queue")).unwrap();
    for (world, signal, want) in [
        (&world, cancel("network"), "the deploy of network has succeeded: there is nothing left to stop"),
        (&world, cancel("seed"), "the deploy of seed has not begun: only a running step can be stopped"),
        (&held, cancel("database"), "the deploy of database has failed: only a running"),
        (&stopping, cancel("queue"), "the deploy of queue is running: it was told to stop already"),
        (&world, cancel("cache"), "has no step for cache; it has steps for: network, database, queue, seed"),
        (&world, skip("queue"), "the deploy of queue is running: stop it first with `cancel_step`"),
        (&world, skip("network"), "the deploy of network has succeeded: there is nothing left to skip"),
        (&world, retry("queue"), "the deploy of queue is running: only a failed step can be tried again"),
        (&world, install::Signal::Retry { component: None }, "no step has failed"),
        (&resting, retry("queue"), "no operation changes it now"),
        (&resting, cancel("queue"), "no operation changes it now"),
    ] {
        let rejected = world.clone().install(signal).unwrap_err();
        assert_eq!(rejected.code, RejectedCode::Conflict, "{want}");
        assert!(rejected.message.contains(want), "{} instead of {want}", rejected.message);
    }
}

#[test]
fn who_acts_on_a_step_says_why() {
    let mut world = in_the_middle();
    let component = || "database".to_owned();
    for signal in [
        install::Signal::CancelStep { component: component(), reason: " ".into() },
        install::Signal::Skip { component: component(), reason: String::new() },
        install::Signal::Cancel { operation: None, reason: "\t".into() },
        install::Signal::Forget { reason: String::new() },
        install::Signal::Pause { reason: String::new() },
    ] {
        assert_eq!(world.install(signal).unwrap_err().code, RejectedCode::Invalid);
    }
}
