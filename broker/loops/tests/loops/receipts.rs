//! What a runner says of its receipts with each ending, and what contradicts it.

use remit_loops::runner::{Receipts, Report};
use remit_loops::{Actor, Body, Effect, Event, Timestamp};

use crate::lives::running_world;
use crate::world::{World, id, success};

const RUNNER: &str = "run_demo.shop.acme";

/// Ends the next attempt with these receipts; the timeline's alarms that it caused.
fn end_with(world: &mut World, records: u64, head: &str) -> Vec<String> {
    let component = world.offers()[0].spec.component.clone();
    let offer = world.start(&component);
    let ended = Report::Ended {
        generation: world.generation,
        attempt: offer.spec.id,
        fence: offer.fence,
        outcome: success(),
        receipts: Some(Receipts { records, head: head.to_owned() }),
    };
    world.now += 1;
    let event = Event { at: Timestamp(world.now), by: Actor::Runner, body: Body::Report(ended.clone()) };
    // On a copy for its alarms, then in the world for the notices that follow.
    let effects = world.objects[&id(RUNNER)].clone().apply(&event).unwrap();
    world.report(ended).unwrap();
    let alarms = effects.into_iter().filter_map(|effect| match effect {
        Effect::Record(entry) if entry.code == "receipts.forked" => Some(entry.text),
        _ => None,
    });
    alarms.collect()
}

#[test]
fn receipts_that_go_back_or_change_are_an_alarm() {
    let mut world = running_world();
    assert!(end_with(&mut world, 9, "aa").is_empty());
    assert!(end_with(&mut world, 14, "bb").is_empty());
    let back = end_with(&mut world, 12, "cc");
    assert!(back[0].contains("went back from 14 to 12"), "{back:?}");
    assert!(end_with(&mut world, 12, "dd")[0].contains("another digest"));
}

#[test]
fn another_runner_keeps_receipts_of_its_own() {
    let mut world = running_world();
    assert!(end_with(&mut world, 90, "aa").is_empty());
    world.enrol();
    assert!(end_with(&mut world, 5, "bb").is_empty());
    let runner = world.objects[&id(RUNNER)].as_runner().unwrap();
    assert_eq!(runner.receipts().map(|said| said.records), Some(5));
}
