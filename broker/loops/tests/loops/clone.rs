//! A copied disk: two runners that speak with one identity.

use remit_loops::runner::{Info, Report};
use remit_loops::{Rejected, RejectedCode};

use crate::lives::running_world;
use crate::world::{World, success};

const RUNNER: &str = "run_demo.shop.acme";

fn speak(world: &mut World, boot: &str) -> Result<(), Rejected> {
    world.now += 1_000;
    let info = Info { boot: boot.into(), ..Info::default() };
    world.report(Report::Seen { generation: world.generation, info })
}

#[test]
fn two_runners_with_one_identity_lose_it_both_until_one_enrols_anew() {
    let mut world = running_world();
    let component = world.offers()[0].spec.component.clone();
    world.start(&component);
    for boot in ["one", "two", "one", "two"] {
        speak(&mut world, boot).unwrap();
        assert_eq!(world.status(RUNNER), "online", "a late call of a dead one may look like that");
    }
    speak(&mut world, "one").unwrap();
    for boot in ["one", "two"] {
        assert_eq!(speak(&mut world, boot).unwrap_err().code, RejectedCode::Stale);
    }
    assert_eq!(world.status(RUNNER), "revoked");
    assert!(world.offers().is_empty(), "nobody is handed anything");
    let why = world.why(RUNNER);
    assert_eq!(why[0].code, "waiting.runner_revoked");
    assert!(why[0].reason.contains("somebody copied its disk or its key"), "{}", why[0].reason);
    assert_eq!(why[1].code, "waiting.unconfirmed", "one of them may still run it");

    world.enrol();
    assert_eq!(world.status(RUNNER), "online");
    for boot in ["one", "two", "three"] {
        speak(&mut world, boot).unwrap();
    }
    assert_eq!(world.status(RUNNER), "online", "starts of another generation count for nothing");
}

#[test]
fn a_runner_that_is_started_often_keeps_its_identity() {
    let mut world = running_world();
    for _ in 0..40 {
        world.boot();
    }
    let component = world.offers()[0].spec.component.clone();
    world.complete(&component, success());
    assert_eq!(world.status(RUNNER), "online");
}
