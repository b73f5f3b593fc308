//! What a deploy leaves out, and what it must not.

use remit_loops::approval::Policy;
use remit_loops::job::{FailureClass, Mode, Outcome, Success};
use remit_loops::release::Release;
use remit_loops::values::Values;
use remit_loops::view::Detail;
use remit_loops::{Signal, app, install, org};

use crate::world::{World, drifted, failure, release, success, with_recipes};

const INSTALL: &str = "ins_demo.shop.acme";

/// Release 1.0.0 is deployed; every component gave an output `id`.
fn deployed() -> World {
    let mut world = World::default();
    world.signal("org_demo", Signal::Org(org::Signal::Create {})).unwrap();
    world.signal("app_demo.shop", Signal::App(app::Signal::Create {})).unwrap();
    world.publish(with_recipes(release("1.0.0", 1))).unwrap();
    let create = install::Signal::Create {
        inputs: Values::new(),
        mode: Mode::Real,
        labels: Values::new(),
        rehearsal: None,
        approval: Policy::default(),
    };
    world.install(create).unwrap();
    world.enrol();
    assert_eq!(run(&mut world, "1"), ["network", "database", "queue", "seed"]);
    world
}

fn gives(id: &str) -> Outcome {
    let outputs = Values::from([("id".to_owned(), format!("\"{id}\""))]);
    Outcome::Succeeded(Success { outputs, ..Success::default() })
}

/// Lets all that is offered succeed with this output; what was run.
fn run(world: &mut World, id: &str) -> Vec<String> {
    let mut ran = vec![];
    while !world.offers().is_empty() {
        ran.push(world.complete_next(gives(id)));
    }
    assert_eq!(world.rejected, []);
    ran
}

fn deploy(world: &mut World) {
    world.install(install::Signal::Deploy { version: None }).unwrap();
}

/// Release 1.0.1: the artefact of this component is another.
fn changed(name: &str) -> Release {
    let mut release = release("1.0.1", 2);
    let component = release.components.iter_mut().find(|c| c.name == name).unwrap();
    component.digest = "sha256:other".into();
    with_recipes(release)
}

#[test]
fn nothing_is_run_where_nothing_has_changed() {
    let mut world = deployed();
    deploy(&mut world);
    assert_eq!(run(&mut world, "1"), [""; 0]);
    assert_eq!(world.status(INSTALL), "active");
    let Detail::Install { last, .. } = world.view(INSTALL).detail else { panic!() };
    let Outcome::Succeeded(Success { summary, .. }) = last.unwrap().outcome else { panic!() };
    assert_eq!(summary, "0 components, 4 unchanged");
}

#[test]
fn a_step_says_why_it_was_left_out() {
    let mut world = deployed();
    world.publish(changed("seed")).unwrap();
    let steps = world.view(INSTALL).operation.unwrap().steps;
    let note = &steps.iter().find(|s| s.component == "network").unwrap().note;
    let (words, digest) = note.trim_end_matches(')').rsplit_once(' ').unwrap();
    assert_eq!(words, "unchanged since release 1.0.0 (input digest");
    assert!(digest.len() == 12 && digest.bytes().all(|b| b.is_ascii_hexdigit()), "{digest}");
    assert_eq!(run(&mut world, "1"), ["seed"]);
}

#[test]
fn what_needs_a_changed_component_is_run_only_if_its_outputs_changed() {
    let mut world = deployed();
    world.publish(changed("network")).unwrap();
    assert_eq!(run(&mut world, "1"), ["network"], "it gave the same outputs as before");

    let mut world = deployed();
    world.publish(changed("network")).unwrap();
    assert_eq!(run(&mut world, "2"), ["network", "database", "queue", "seed"]);
}

#[test]
fn an_output_that_stays_in_the_account_changes_with_each_deploy() {
    let mut world = deployed();
    world.publish(changed("queue")).unwrap();
    assert_eq!(world.complete_next(success()), "queue");
    assert_eq!(run(&mut world, "1"), ["seed"], "nobody here knows what the queue gave");
    deploy(&mut world);
    assert_eq!(run(&mut world, "1"), [""; 0]);
}

#[test]
fn an_input_runs_what_takes_it() {
    let mut world = deployed();
    let inputs = Values::from([("size".to_owned(), "3".to_owned())]);
    world.install(install::Signal::SetInputs { inputs }).unwrap();
    deploy(&mut world);
    assert_eq!(run(&mut world, "1"), ["network"]);
}

#[test]
fn the_customers_values_may_be_others_after_a_start_of_the_runner() {
    let mut world = deployed();
    world.boot();
    deploy(&mut world);
    assert_eq!(run(&mut world, "1"), ["database"], "it alone takes a value of the customer's");
    deploy(&mut world);
    assert_eq!(run(&mut world, "1"), [""; 0]);
}

#[test]
fn a_runner_that_enrolled_anew_has_nothing_and_gets_everything() {
    let mut world = deployed();
    world.enrol();
    deploy(&mut world);
    assert_eq!(run(&mut world, "1"), ["network", "database", "queue", "seed"]);
}

#[test]
fn what_drifted_or_failed_is_run_again() {
    let mut world = deployed();
    world.install(install::Signal::CheckDrift {}).unwrap();
    world.complete("network", drifted());
    world.work_off();
    deploy(&mut world);
    assert_eq!(run(&mut world, "1"), ["network"]);

    world.publish(changed("queue")).unwrap();
    world.complete("queue", failure(FailureClass::Permission));
    let back = install::Signal::Deploy { version: Some("1.0.0".into()) };
    world.install(back).unwrap();
    assert_eq!(run(&mut world, "1"), ["queue"], "half of release 1.0.1 may be there");
}

#[test]
fn what_was_stopped_in_the_middle_is_run_again() {
    let mut world = deployed();
    world.publish(changed("queue")).unwrap();
    world.start("queue");
    world.install(install::Signal::Cancel { operation: None, reason: "wrong".into() }).unwrap();
    world.complete("queue", Outcome::Cancelled { message: "killed".into() });
    world.install(install::Signal::Deploy { version: Some("1.0.0".into()) }).unwrap();
    assert_eq!(run(&mut world, "1"), ["queue"]);
}

#[test]
fn healing_leaves_nothing_out() {
    let mut world = deployed();
    world.install(install::Signal::CheckDrift {}).unwrap();
    world.complete("network", drifted());
    world.work_off();
    world.install(install::Signal::Heal {}).unwrap();
    assert_eq!(run(&mut world, "1"), ["network"]);
}

#[test]
fn reprovisioning_leaves_nothing_out() {
    let mut world = deployed();
    world.install(install::Signal::Reprovision {}).unwrap();
    assert_eq!(world.status(INSTALL), "reprovisioning");
    assert_eq!(run(&mut world, "1"), ["network", "database", "queue", "seed"]);
    deploy(&mut world);
    assert_eq!(run(&mut world, "1"), [""; 0], "what was made again counts as made");
}

#[test]
fn what_was_left_out_goes_by_the_new_release_all_the_same() {
    let mut world = deployed();
    world.publish(changed("seed")).unwrap();
    run(&mut world, "1");
    world.install(install::Signal::Delete {}).unwrap();
    let removed_by: Vec<String> = std::iter::from_fn(|| {
        let version = world.offers().first()?.spec.release.version.clone();
        world.complete_next(success());
        Some(version)
    })
    .collect();
    assert_eq!(removed_by, ["1.0.1"; 4]);
    assert_eq!(world.status(INSTALL), "deleted");
}

#[test]
fn without_a_recipe_nothing_is_left_out() {
    let mut world = deployed();
    world.publish(release("1.0.1", 2)).unwrap();
    assert_eq!(run(&mut world, "1").len(), 4);
    world.publish(with_recipes(release("1.0.2", 3))).unwrap();
    assert_eq!(run(&mut world, "1").len(), 4, "what 1.0.1 was made of is not known");
}
