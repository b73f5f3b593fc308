//! Whole lives of installs, driven through the loops alone: every notice is delivered in
//! order, the runner is played by the test.

use crate::world::{World, drifted, failure, release, success};
use remit_loops::approval::Policy;
use remit_loops::job::{AttemptId, FailureClass, Mode, Outcome};
use remit_loops::release::ReleaseComponent;
use remit_loops::runner::Report;
use remit_loops::values::Values;
use remit_loops::view::Detail;
use remit_loops::{RejectedCode, Signal, Timestamp, app, install, org, runner};

fn create() -> install::Signal {
    install::Signal::Create {
        inputs: Values::new(),
        mode: Mode::Real,
        labels: Values::new(),
        rehearsal: None,
        approval: Policy::default(),
    }
}

fn ready_world() -> World {
    let mut world = World::default();
    world.signal("org_demo", Signal::Org(org::Signal::Create {})).unwrap();
    world.signal("app_demo.shop", Signal::App(app::Signal::Create {})).unwrap();
    world.publish(release("1.0.0", 1)).unwrap();
    world
}

pub(crate) fn running_world() -> World {
    let mut world = ready_world();
    world.install(create()).unwrap();
    world.enrol();
    world
}

#[test]
fn an_install_is_provisioned_in_dependency_order() {
    let mut world = running_world();
    world.complete_next(success());
    assert_eq!(world.status("ins_demo.shop.acme"), "provisioning");
    assert_eq!(world.work_off(), ["database", "queue", "seed"]);
    assert_eq!(world.status("ins_demo.shop.acme"), "active");
    world.publish(release("1.0.1", 2)).unwrap();
    assert_eq!(world.status("ins_demo.shop.acme"), "updating");
    world.work_off();
    assert!(world.why("ins_demo.shop.acme").is_empty());
}

#[test]
fn independent_components_are_offered_side_by_side() {
    let mut world = running_world();
    world.complete_next(success());
    let offered: Vec<String> = world.offers().into_iter().map(|o| o.spec.component).collect();
    assert_eq!(offered, ["database", "queue"]);
}

#[test]
fn a_component_that_may_only_be_rehearsed_is_so_in_a_real_install_too() {
    let mut world = ready_world();
    let mut second = release("2.0.0", 2);
    second.components[1].sandbox = true;
    world.publish(second).unwrap();
    world.install(create()).unwrap();
    world.enrol();
    world.complete_next(success());
    let offered: Vec<_> = world.offers().into_iter().map(|o| (o.spec.component, o.spec.mode)).collect();
    assert_eq!(offered, [("database".to_owned(), Mode::Sandbox), ("queue".to_owned(), Mode::Real)]);
}

#[test]
fn work_waits_for_a_runner_and_says_so() {
    let mut world = ready_world();
    world.install(create()).unwrap();
    assert_eq!(world.why("ins_demo.shop.acme")[0].code, "waiting.runner");
    world.enrol();
    assert_eq!(world.why("ins_demo.shop.acme")[0].code, "waiting.step");
}

#[test]
fn an_install_made_before_its_app_waits_and_goes_on_by_notice() {
    let mut world = World::default();
    world.install(create()).unwrap();
    assert_eq!(world.why("ins_demo.shop.acme")[0].code, "waiting.parent");
    world.signal("app_demo.shop", Signal::App(app::Signal::Create {})).unwrap();
    world.publish(release("1.0.0", 1)).unwrap();
    assert_eq!(world.status("ins_demo.shop.acme"), "waiting");
    world.signal("org_demo", Signal::Org(org::Signal::Create {})).unwrap();
    assert_eq!(world.status("ins_demo.shop.acme"), "provisioning");
}

#[test]
fn a_transient_failure_is_tried_again_after_a_while() {
    let mut world = running_world();
    world.complete_next(failure(FailureClass::Transient));
    assert!(world.offers().is_empty());
    assert_eq!(world.why("cmp_demo.shop.acme.network")[0].code, "waiting.retry");
    world.tick();
    assert_eq!(world.offers()[0].spec.id.attempt, 2);
    world.work_off();
    assert_eq!(world.status("ins_demo.shop.acme"), "active");
}

#[test]
fn a_lasting_failure_holds_what_needs_it_until_a_person_acts() {
    let mut world = running_world();
    world.complete_next(success());
    world.complete("database", failure(FailureClass::Permission));
    world.complete("queue", success());
    assert_eq!(world.status("ins_demo.shop.acme"), "held");
    assert_eq!(world.why("ins_demo.shop.acme")[0].code, "held.failed");
    world.install(install::Signal::Retry { component: None }).unwrap();
    assert_eq!(world.work_off(), ["database", "seed"]);
    assert_eq!(world.status("ins_demo.shop.acme"), "active");
}

#[test]
fn a_failed_step_can_be_skipped() {
    let mut world = running_world();
    world.complete_next(failure(FailureClass::Bug));
    let skip = install::Signal::Skip { component: "network".into(), reason: "made by hand".into() };
    world.install(skip).unwrap();
    assert_eq!(world.work_off(), ["database", "queue", "seed"]);
}

#[test]
fn a_newer_release_takes_the_place_of_a_held_one() {
    let mut world = running_world();
    world.complete_next(failure(FailureClass::Bug));
    world.publish(release("1.0.1", 2)).unwrap();
    world.work_off();
    assert_eq!(world.status("ins_demo.shop.acme"), "active");
    let Detail::Install { release, .. } = world.view("ins_demo.shop.acme").detail else { panic!() };
    assert_eq!(release.unwrap().version, "1.0.1");
}

#[test]
fn queued_deploys_give_way_to_newer_ones() {
    let mut world = running_world();
    world.publish(release("1.0.1", 2)).unwrap();
    world.publish(release("1.0.2", 3)).unwrap();
    assert_eq!(world.view("ins_demo.shop.acme").queue.len(), 1);
    world.work_off();
    let Detail::Install { release, .. } = world.view("ins_demo.shop.acme").detail else { panic!() };
    assert_eq!(release.unwrap().version, "1.0.2");
}

#[test]
fn drift_is_found_beside_everything_and_healed() {
    let mut world = running_world();
    world.work_off();
    world.install(install::Signal::CheckDrift {}).unwrap();
    world.complete("network", crate::world::drifted());
    world.work_off();
    assert_eq!(world.status("ins_demo.shop.acme"), "drifted");
    world.install(install::Signal::Heal {}).unwrap();
    assert_eq!(world.work_off(), ["network"]);
    assert_eq!(world.status("ins_demo.shop.acme"), "active");
}

#[test]
fn healing_makes_what_was_never_made_and_in_dependency_order() {
    let mut world = running_world();
    world.work_off();
    let mut second = release("1.0.1", 2);
    let cache = ReleaseComponent { name: "cache".into(), ..second.components[0].clone() };
    second.components.push(cache);
    second.components[3].needs.push("cache".into());
    world.publish(second).unwrap();
    world.install(install::Signal::Cancel { operation: None, reason: "not now".into() }).unwrap();
    world.install(install::Signal::CheckDrift {}).unwrap();
    while let Some(offer) = world.offers().into_iter().next() {
        let component = offer.spec.component;
        world.complete(&component, if component == "seed" { drifted() } else { success() });
    }
    assert_eq!(world.status("ins_demo.shop.acme"), "drifted");
    world.install(install::Signal::Heal {}).unwrap();
    assert_eq!(world.work_off(), ["cache", "seed"], "by the release it is on, seed needs the cache");
    assert_eq!(world.status("ins_demo.shop.acme"), "active");
}

#[test]
fn healing_does_not_bring_back_what_the_release_dropped() {
    let mut world = running_world();
    world.work_off();
    let mut second = release("1.0.1", 2);
    second.components.retain(|c| c.name != "seed");
    world.publish(second).unwrap();
    for name in ["network", "database", "queue"] {
        world.complete(name, success());
    }
    world.complete("seed", failure(FailureClass::Permission));
    world.install(install::Signal::Heal {}).unwrap();
    assert!(world.offers().is_empty(), "its removal failed; nobody wants it back");
    world.install(install::Signal::Deploy { version: None }).unwrap();
    assert_eq!(world.work_off(), ["network", "database", "queue", "seed"], "its removal is tried again");
    let Detail::Install { components, .. } = world.view("ins_demo.shop.acme").detail else { panic!() };
    assert!(components.iter().all(|c| c.name != "seed" || !c.facts.may_exist), "{components:?}");
}

#[test]
fn work_is_not_held_up_by_a_look() {
    let mut world = running_world();
    world.work_off();
    world.install(install::Signal::CheckDrift {}).unwrap();
    world.start("network");
    world.publish(release("1.1.0", 2)).unwrap();
    let offered: Vec<_> =
        world.offers().into_iter().map(|o| (o.spec.component, o.spec.action.as_str())).collect();
    assert!(offered.contains(&("network".to_owned(), "deploy")), "{offered:?}");
}

#[test]
fn deletion_destroys_in_reverse_and_only_then_forgets() {
    let mut world = running_world();
    world.work_off();
    world.install(install::Signal::Delete {}).unwrap();
    assert_eq!(world.status("ins_demo.shop.acme"), "deleting");
    assert_eq!(world.work_off(), ["seed", "database", "queue", "network"]);
    assert_eq!(world.status("ins_demo.shop.acme"), "deleted");
    let Detail::App { installs, .. } = world.view("app_demo.shop").detail else { panic!() };
    assert!(installs.is_empty());
}

#[test]
fn a_failed_destroy_keeps_the_record() {
    let mut world = running_world();
    world.work_off();
    world.install(install::Signal::Delete {}).unwrap();
    world.complete("seed", failure(FailureClass::Permission));
    assert_eq!(world.status("ins_demo.shop.acme"), "held");
    let skip = install::Signal::Skip { component: "seed".into(), reason: "left on purpose".into() };
    world.install(skip).unwrap();
    world.work_off();
    assert_eq!(world.status("ins_demo.shop.acme"), "delete_incomplete");
}

#[test]
fn forgetting_leaves_a_tombstone_with_what_may_have_leaked() {
    let mut world = running_world();
    world.complete_next(success());
    world.install(install::Signal::Forget { reason: "the account is closed".into() }).unwrap();
    assert_eq!(world.status("ins_demo.shop.acme"), "forgotten");
    let description = world.view("ins_demo.shop.acme").status.description;
    assert!(description.contains("network"), "{description}");
}

#[test]
fn a_parent_goes_only_after_its_children() {
    let mut world = running_world();
    world.work_off();
    world.signal("app_demo.shop", Signal::App(app::Signal::Delete {})).unwrap();
    world.signal("org_demo", Signal::Org(org::Signal::Delete {})).unwrap();
    assert_eq!(world.status("org_demo"), "deleting");
    world.install(install::Signal::Delete {}).unwrap();
    world.work_off();
    assert_eq!(
        (world.status("app_demo.shop"), world.status("org_demo")),
        ("deleted".into(), "deleted".into())
    );
}

#[test]
fn cancelling_stops_what_runs_and_waits_for_its_word() {
    let mut world = running_world();
    world.start("network");
    world.install(install::Signal::Cancel { operation: None, reason: "wrong release".into() }).unwrap();
    assert_eq!(world.view("run_demo.shop.acme").status.word, "online");
    assert!(world.must_stop("network"));
    assert_ne!(world.status("ins_demo.shop.acme"), "degraded");
    world.complete("network", Outcome::Cancelled { message: "killed".into() });
    assert_eq!(world.status("ins_demo.shop.acme"), "degraded");
}

#[test]
fn words_of_an_older_generation_change_nothing() {
    let mut world = running_world();
    world.start("network");
    world.enrol();
    let rejected = world.complete_as(1, "network", success()).unwrap_err();
    assert_eq!(rejected.code, RejectedCode::Stale);
    assert_eq!(world.why("run_demo.shop.acme")[0].code, "waiting.unconfirmed");
    assert!(world.offers().is_empty(), "what may still run is given to nobody");
    world.signal("run_demo.shop.acme", crate::abandon::lost(Some(crate::abandon::terminated()))).unwrap();
    world.tick();
    assert_eq!(world.offers()[0].spec.component, "network");
}

#[test]
fn a_token_is_good_once() {
    let mut world = running_world();
    world.enrol_as("token 0", "key 0").unwrap();
    assert_eq!(world.why("run_demo.shop.acme"), [], "the same key asked again, for the answer it never got");
    assert_eq!(world.enrol_as("token 0", "another key").unwrap_err().code, RejectedCode::Invalid);
    assert_eq!(world.enrol_as("token 7", "key 0").unwrap_err().code, RejectedCode::Invalid);
}

#[test]
fn a_name_can_be_used_again_and_numbers_go_on() {
    let mut world = running_world();
    world.work_off();
    let before = world.highest_seq;
    world.install(install::Signal::Delete {}).unwrap();
    world.work_off();
    world.install(create()).unwrap();
    world.enrol();
    assert_eq!(world.work_off(), ["network", "database", "queue", "seed"]);
    assert!(world.highest_seq > before);
    assert_eq!(world.view("ins_demo.shop.acme").epoch, 2);
}

#[test]
fn only_the_inputs_that_the_release_declares_are_sent() {
    let mut world = running_world();
    let inputs = Values::from([("size".into(), "3".into()), ("dropped".into(), "1".into())]);
    world.install(install::Signal::SetInputs { inputs }).unwrap();
    world.complete_next(success());
    assert_eq!(world.offers()[0].spec.inputs, Values::from([("size".into(), "3".into())]));
}

#[test]
fn a_restored_broker_repeats_nothing_and_uses_no_number_twice() {
    let mut backup = running_world();
    backup.complete_next(success());
    backup.start("database");
    let mut world = backup.clone();
    world.work_off();
    let (seq, fence) = (world.highest_seq, world.highest_seq);
    // The broker is set back to where database ran, and somebody wants something at once.
    let mut world = backup;
    world.report(Report::Restored {}).unwrap();
    world.install(install::Signal::Cancel { operation: None, reason: "an outage".into() }).unwrap();
    world.install(install::Signal::Deploy { version: None }).unwrap();
    assert_eq!(world.why("run_demo.shop.acme")[0].code, "waiting.runner_marks");
    let offered = |world: &World| -> Vec<(String, u64)> {
        world.offers().into_iter().map(|o| (o.spec.component, o.seq)).collect()
    };
    let before = offered(&world);
    world.report(Report::Marks { generation: 1, seq, fence, held: vec![] }).unwrap();
    // What had run is offered as it was, so that the runner says how it ended; the rest is numbered anew.
    let after = offered(&world);
    assert!(after.iter().any(|(component, number)| component == "database" && *number <= seq), "{after:?}");
    assert!(before.iter().all(|(_, number)| *number <= seq), "{before:?}");
    world.work_off();
    assert_eq!(world.status("ins_demo.shop.acme"), "active");
    assert!(world.highest_seq > seq);
    world.report(Report::Marks { generation: 1, seq, fence, held: vec![] }).unwrap();
    assert_eq!(world.why("run_demo.shop.acme"), [], "marks that are behind say nothing new");
}

#[test]
fn nothing_begins_beside_what_a_restored_broker_does_not_know() {
    let mut world = running_world();
    let numbers = (world.highest_seq + 5, world.highest_seq + 5);
    let stranger =
        (AttemptId { job: "job_demo.shop.acme.network.e1.o9.destroy".into(), attempt: 1 }, numbers.1);
    let marks = |held: Vec<(AttemptId, u64)>| {
        let (seq, fence) = numbers;
        Report::Marks { generation: 1, seq, fence, held }
    };
    world.report(Report::Restored {}).unwrap();
    world.report(marks(vec![stranger])).unwrap();
    assert_eq!(world.offers(), []);
    assert_eq!(world.why("run_demo.shop.acme")[0].code, "waiting.runner_marks");
    world.report(marks(vec![])).unwrap();
    assert!(!world.offers().is_empty());
    world.work_off();
    assert_eq!(world.status("ins_demo.shop.acme"), "active");
}

#[test]
fn a_token_that_has_expired_lets_nobody_in() {
    let mut world = ready_world();
    world.install(create()).unwrap();
    let expires = Timestamp(world.now + 60_000);
    let expect = runner::Signal::Expect { token_sha256: "token".into(), expires };
    world.signal("run_demo.shop.acme", Signal::Runner(expect)).unwrap();
    world.now += 60_000;
    let refused = world.enrol_as("token", "key").unwrap_err();
    assert!(refused.code == RejectedCode::Invalid && refused.message.contains("expired"), "{refused:?}");
    assert_eq!(world.status("run_demo.shop.acme"), "expected");
    let expect =
        runner::Signal::Expect { token_sha256: "another".into(), expires: Timestamp(world.now + 60_000) };
    world.signal("run_demo.shop.acme", Signal::Runner(expect)).unwrap();
    world.enrol_as("another", "key").unwrap();
}
