//! `kill -9` of broker and of runner in the middle of a job: the journey completes, and nothing ever runs
//! twice at once. The warehouse tells: it holds a lock that dies with its last process, and writes a line
//! for each begin, end and overlap.

use std::fs;

use remit_tests::world::{World, alive_with, wait_for};

use crate::{customer, vendor};

/// Long enough to be killed in the middle of, on a loaded machine too.
const LOAD: &str = "load_seconds=8";

fn in_the_middle_of_loading() -> (World, String) {
    let mut world = vendor("misfortune");
    fs::write(world.path("site/billing.granted"), "").unwrap();
    let install = customer(&mut world, "acme", &[LOAD]);
    wait_for("the warehouse's loading", || {
        Ok(world.site("warehouse.log").filter(|log| log.contains("begin")))
    })
    .unwrap();
    (world, install)
}

fn count(world: &World, word: &str) -> usize {
    world.site("warehouse.log").unwrap().matches(word).count()
}

fn ends_well(world: &mut World, install: &str) {
    world.until_status(install, "active").unwrap();
    assert_eq!(count(world, "overlap"), 0, "two ran at once");
    assert!(count(world, "end") >= 1);
    world.remit(&["install", "delete", "acme", "--yes", "--watch"]).unwrap();
    world.until_status(install, "deleted").unwrap();
    world.drain_runner(install).unwrap();
    let data = world.runner_dir(install);
    assert_eq!(alive_with(data.to_str().unwrap()), Vec::<u32>::new(), "something was left running");
}

/// The runner finishes the job in hand, keeps the report, and delivers it when the broker is back.
#[test]
fn a_broker_that_is_killed_and_away_for_a_while_costs_nothing() {
    let (mut world, install) = in_the_middle_of_loading();
    world.kill_broker().unwrap();
    wait_for("the end of the load without a broker", || {
        Ok(world.site("warehouse.log").filter(|log| log.contains("end")))
    })
    .unwrap();
    world.start_broker().unwrap();
    world.until_status(&install, "active").unwrap();
    assert_eq!(count(&world, "begin"), 1, "the finished job was reported, not repeated");
    ends_well(&mut world, &install);
}

/// The tool of a killed runner goes on for a moment; the next runner ends it before it begins anew.
#[test]
fn a_runner_that_is_killed_costs_at_most_a_repeat() {
    let (mut world, install) = in_the_middle_of_loading();
    world.kill_runner(&install).unwrap();
    world.restart_runner(&install).unwrap();
    ends_well(&mut world, &install);
}

/// A runner that is gone for longer than its silence may last: the install says so, what is asked meanwhile
/// waits, and both go on when it is back.
#[test]
fn work_waits_for_a_runner_that_has_gone_silent() {
    let (mut world, install) = in_the_middle_of_loading();
    let runner = install.replacen("ins_", "run_", 1);
    world.kill_broker().unwrap();
    world.brokers().set("REMIT_RUNNER_SILENT_AFTER", "15");
    world.start_broker().unwrap();
    world.kill_runner(&install).unwrap();
    world.until_status(&runner, "offline").unwrap();
    let why = world.remit(&["why", "acme"]).unwrap();
    assert!(why.contains("its runner is silent"), "{why}");
    let asked = world.remit(&["signal", "acme", "reprovision"]).unwrap();
    let queue = world.remit(&["queue", "acme"]).unwrap();
    assert!(queue.contains("reprovision"), "{asked}{queue}");
    assert_eq!(count(&world, "end"), 0, "nobody has finished the load");
    world.restart_runner(&install).unwrap();
    world.until_status(&runner, "online").unwrap();
    wait_for("the operation that waited", || {
        let timeline = world.remit(&["timeline", "acme"])?;
        Ok(timeline.contains("reprovision (operation 2) is done").then_some(()))
    })
    .unwrap();
    ends_well(&mut world, &install);
}

/// One step is stopped by hand: its tool ends, the install is held, and a retry finishes it.
#[test]
fn a_step_that_is_stopped_can_be_tried_again() {
    let (mut world, install) = in_the_middle_of_loading();
    world
        .remit(&["signal", "acme", "cancel_step", "--component", "warehouse", "--reason", "too big"])
        .unwrap();
    world.until_status(&install, "held").unwrap();
    assert_eq!(count(&world, "end"), 0, "it was stopped in the middle");
    let why = world.remit(&["why", "acme"]).unwrap();
    assert!(why.contains("warehouse") && why.contains("too big") && why.contains("attempt 1"), "{why}");
    let all = world.remit(&["why", "--all"]).unwrap();
    assert!(all.contains("1 failed and waiting for a person") && all.contains(&install), "{all}");
    world.remit(&["signal", "acme", "retry", "--component", "warehouse"]).unwrap();
    ends_well(&mut world, &install);
}

#[test]
fn both_killed_at_once() {
    let (mut world, install) = in_the_middle_of_loading();
    world.kill_runner(&install).unwrap();
    world.kill_broker().unwrap();
    world.restart_runner(&install).unwrap();
    world.start_broker().unwrap();
    ends_well(&mut world, &install);
}
