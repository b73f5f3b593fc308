//! Three brokers on one PostgreSQL database: a runner polls any, and losing one or two costs nothing.

use std::fs;

use remit_tests::world::{World, wait_for};

use crate::{customer, vendor_in};

const BROKERS: usize = 3;

#[test]
fn a_job_goes_on_while_brokers_are_killed_and_stopped() {
    let mut world = vendor_in(World::start_shared("misfortune", BROKERS).unwrap());
    fs::write(world.path("site/billing.granted"), "").unwrap();
    let install = customer(&mut world, "acme", &["load_seconds=6"]);
    wait_for("the warehouse's loading", || {
        Ok(world.site("warehouse.log").filter(|log| log.contains("begin")))
    })
    .unwrap();
    // Whoever had offered the job, one of these two may have been it.
    world.brokers().kill(0).unwrap();
    world.brokers().pause(1).unwrap();
    let view = world.until_status(&install, "active").unwrap();
    world.brokers().start(0).unwrap();
    world.brokers().resume(1).unwrap();
    let log = world.site("warehouse.log").unwrap();
    assert_eq!(log.matches("begin").count(), 1, "the job was done once:\n{log}");
    // Each broker says the same of the install.
    let token = world.operator_token().unwrap();
    for number in 0..BROKERS {
        let api = world.brokers().api_of(number, &token).unwrap();
        let seen = wait_for("an answer", || api.view(&install).map(Some)).unwrap();
        assert_eq!(seen["status"], view["status"], "broker {number}");
    }
    world.remit(&["install", "delete", "acme", "--yes", "--watch"]).unwrap();
    world.until_status(&install, "deleted").unwrap();
    world.drain_runner(&install).unwrap();
}
