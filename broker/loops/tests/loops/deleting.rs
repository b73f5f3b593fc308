//! Nothing is forgotten before it is destroyed, and what is left behind is on the record.

use remit_loops::approval::Policy;
use remit_loops::job::{Action, FailureClass, Mode, Outcome, Success};
use remit_loops::values::Values;
use remit_loops::view::{Detail, RemovedView};
use remit_loops::{RejectedCode, Signal, app, install, org};

use crate::world::{World, failure, release, success};

const INSTALL: &str = "ins_demo.shop.acme";

fn made() -> World {
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
    world
}

fn active() -> World {
    let mut world = made();
    world.enrol();
    world.work_off();
    world
}

fn delete(world: &mut World) {
    world.install(install::Signal::Delete {}).unwrap();
}

fn retry() -> install::Signal {
    install::Signal::Retry { component: None }
}

fn children(world: &World) -> usize {
    let Detail::App { installs, .. } = world.view("app_demo.shop").detail else { panic!() };
    installs.len()
}

#[test]
fn what_was_never_begun_is_gone_at_once() {
    let mut world = made();
    delete(&mut world);
    assert_eq!(world.status(INSTALL), "deleted", "no runner ever came, so there is nothing to destroy");
    assert_eq!(children(&world), 0);
}

#[test]
fn a_failed_teardown_is_held_and_can_be_tried_again() {
    let mut world = active();
    delete(&mut world);
    world.complete("seed", failure(FailureClass::Permission));
    assert_eq!((world.status(INSTALL).as_str(), children(&world)), ("held", 1));
    let why = &world.why(INSTALL)[0];
    assert!(why.reason.contains("seed failed to destroy") && why.remedy.contains("retry"), "{why:?}");
    assert_eq!(why.evidence.as_ref().unwrap().words, "it did not work");
    world.install(retry()).unwrap();
    assert_eq!(world.work_off(), ["seed", "database", "queue", "network"]);
    assert_eq!((world.status(INSTALL).as_str(), children(&world)), ("deleted", 0));
}

#[test]
fn a_teardown_that_is_cancelled_leaves_the_rest_and_can_be_asked_for_again() {
    let mut world = active();
    delete(&mut world);
    world.complete("seed", success());
    world.start("database");
    world.start("queue");
    world.install(install::Signal::Cancel { operation: None, reason: "not yet".into() }).unwrap();
    world.complete("database", Outcome::Cancelled { message: "killed".into() });
    world.complete("queue", success());
    assert_eq!((world.status(INSTALL).as_str(), children(&world)), ("degraded", 1));
    delete(&mut world);
    assert_eq!(world.work_off(), ["database", "network"], "what was destroyed is not destroyed again");
    assert_eq!(world.status(INSTALL), "deleted");
}

#[test]
fn a_deletion_waits_for_what_runs_to_stop() {
    let mut world = active();
    world.publish(release("1.0.1", 2)).unwrap();
    world.start("network");
    delete(&mut world);
    assert!(world.must_stop("network"));
    let destroys = |world: &World| world.offers().iter().filter(|o| o.spec.action == Action::Destroy).count();
    assert_eq!(destroys(&world), 0, "never two changes at once");
    world.complete("network", Outcome::Cancelled { message: "killed".into() });
    assert_eq!(destroys(&world), 1);
    world.work_off();
    assert_eq!(world.status(INSTALL), "deleted");
}

/// Active, and the deploy of a release by which `seed` needs the queue no more has come to `seed`.
fn seed_is_next() -> World {
    let mut world = active();
    let mut second = release("1.0.1", 2);
    second.components[3].needs = vec!["database".into()];
    world.publish(second).unwrap();
    for component in ["network", "database", "queue"] {
        world.complete(component, success());
    }
    world
}

fn offered(world: &World) -> Vec<(String, Action)> {
    world.offers().into_iter().map(|o| (o.spec.component, o.spec.action)).collect()
}

#[test]
fn a_deploy_that_never_began_changes_nothing_of_a_teardown() {
    let mut world = seed_is_next();
    assert_eq!(offered(&world), [("seed".to_owned(), Action::Deploy)]);
    delete(&mut world);
    assert_eq!(
        offered(&world),
        [("seed".to_owned(), Action::Destroy)],
        "what was made still needs the queue"
    );
    let release = &world.offers()[0].spec.release.version;
    assert_eq!(release, "1.0.0", "what made it removes it");
    world.work_off();
    assert_eq!(world.status(INSTALL), "deleted");
}

#[test]
fn until_a_deploy_has_succeeded_what_was_needed_before_may_be_needed_still() {
    let mut world = seed_is_next();
    world.start("seed");
    let mut torn = world.clone();
    delete(&mut torn);
    torn.complete("seed", Outcome::Cancelled { message: "killed".into() });
    assert_eq!(offered(&torn), [("seed".to_owned(), Action::Destroy)]);
    assert_eq!(torn.offers()[0].spec.release.version, "1.0.1", "what began it last removes it");
    world.complete("seed", success());
    delete(&mut world);
    let both = ["queue", "seed"].map(|name| (name.to_owned(), Action::Destroy));
    assert_eq!(offered(&world), both, "it was made anew, and needs the queue no more");
}

#[test]
fn a_deletion_needs_no_active_app_but_waits_while_the_install_is_paused() {
    let mut world = active();
    let pause = app::Signal::Pause { reason: "audit".into() };
    world.signal("app_demo.shop", Signal::App(pause)).unwrap();
    world.install(install::Signal::Pause { reason: "month end".into() }).unwrap();
    delete(&mut world);
    assert!(world.offers().is_empty());
    assert_eq!(world.why(INSTALL)[0].code, "waiting.paused");
    world.install(install::Signal::Resume {}).unwrap();
    world.work_off();
    assert_eq!(world.status(INSTALL), "deleted");
}

#[test]
fn what_is_left_on_purpose_is_named() {
    let mut world = active();
    delete(&mut world);
    world.complete("seed", success());
    world.complete("database", failure(FailureClass::Permission));
    world.complete("queue", success());
    let skip = install::Signal::Skip { component: "database".into(), reason: "kept for the audit".into() };
    world.install(skip).unwrap();
    world.work_off();
    let status = world.view(INSTALL).status;
    assert_eq!(
        (status.word.as_str(), status.description.as_str()),
        (
            "delete_incomplete",
            "gone, but left behind: database; removed by the word of their destroy alone: network, queue, seed"
        )
    );
}

#[test]
fn forgetting_a_held_teardown_says_by_whom_why_and_what_may_be_left() {
    let mut world = active();
    delete(&mut world);
    world.complete("seed", success());
    world.complete("database", failure(FailureClass::Permission));
    world.complete("queue", success());
    world.install(install::Signal::Forget { reason: "the account is closed".into() }).unwrap();
    let status = world.view(INSTALL).status;
    assert_eq!(status.word, "forgotten");
    assert_eq!(
        status.description,
        "forgotten by ann: the account is closed; may be left in the account: database, network"
    );
    assert_eq!(children(&world), 0);
    let late = world.install(retry()).unwrap_err();
    assert_eq!(late.code, RejectedCode::NotFound);
    assert!(world.offers().is_empty(), "its runner is handed nothing any more");
}

#[test]
fn a_release_whose_components_wait_for_each_other_is_refused() {
    let mut world = made();
    let mut circle = release("1.0.1", 2);
    circle.components[0].needs = vec!["seed".into()];
    let refused = world.publish(circle).unwrap_err();
    assert_eq!(refused.code, RejectedCode::Invalid);
    assert!(refused.message.contains("network → seed → database → network"), "{}", refused.message);
}

#[test]
fn each_lane_waits_for_its_own() {
    let mut world = active();
    world.publish(release("1.0.1", 2)).unwrap();
    world.install(install::Signal::CheckDrift {}).unwrap();
    world.install(install::Signal::CheckDrift {}).unwrap();
    world.install(install::Signal::Heal {}).unwrap();
    let queue = world.view(INSTALL).queue;
    let waits: Vec<(&str, &str)> = queue.iter().map(|q| (q.lane.as_str(), q.waits_for.as_str())).collect();
    assert_eq!(
        waits,
        [("work", "operation 2 (deploy) to end"), ("read", "operation 3 (drift check) to end")]
    );
    assert!(queue.iter().all(|q| q.by == "ann" && q.position == 1));
}

#[test]
fn a_deleted_install_keeps_a_receipt_for_each_component() {
    let mut world = active();
    delete(&mut world);
    let swept = || {
        let swept = "its state lists nothing".to_owned();
        Outcome::Succeeded(Success { swept, ..Success::default() })
    };
    world.complete("seed", success());
    world.complete("database", swept());
    world.complete("queue", swept());
    assert_eq!(world.status(INSTALL), "deleting", "not before the last one is gone");
    world.complete("network", swept());
    let view = world.view(INSTALL);
    assert_eq!(
        view.status.description,
        "nothing is left of it; 3 components removed and looked for afterwards; \
         removed by the word of their destroy alone: seed"
    );
    let Detail::Install { removed, .. } = view.detail else { panic!() };
    let receipt = |r: &RemovedView| (r.component.clone(), r.removed.attempt.job.clone());
    let want = |name: &str| (name.to_owned(), format!("job_demo.shop.acme.{name}.e1.o2.destroy"));
    let receipts: Vec<_> = removed.iter().map(receipt).collect();
    assert_eq!(receipts, ["database", "network", "queue", "seed"].map(want));
}
