//! The short run of every CI: a few seeds hold, the same seed gives the same trace, planted bugs are caught.

use std::collections::BTreeSet;

use crate::bugs::Bug;
use crate::scenario::{HOUR_MS, Scenario};
use crate::shrink::{command, shrink};

fn scenario(seed: u64, bug: Option<Bug>) -> Scenario {
    let without = BTreeSet::new();
    Scenario { seed, installs: 3, length_ms: 6 * HOUR_MS, bug, trace: false, keep: None, without }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [3, 77] {
        let (one, other) = (scenario(seed, None).run(), scenario(seed, None).run());
        assert_eq!(one.digest, other.digest);
        assert!(one.lines > 500, "a run of {} lines shows little", one.lines);
    }
    assert_ne!(scenario(1, None).run().digest, scenario(2, None).run().digest);
}

#[test]
fn a_few_seeds_hold_every_invariant_and_the_model_follows() {
    let mut followed = 0;
    for seed in 1..=10 {
        let outcome = scenario(seed, None).run();
        assert_eq!(outcome.violation, None, "seed {seed}: {:#?}", outcome.last_lines);
        followed += outcome.followed;
    }
    assert!(followed > 1_000, "the model took {followed} steps only");
}

#[test]
fn every_planted_bug_is_caught() {
    for bug in Bug::ALL {
        let caught = (1..=90).any(|seed| scenario(seed, Some(bug)).run().violation.is_some());
        assert!(caught, "{} was not caught", bug.name());
    }
}

#[test]
fn a_violation_is_told_as_a_shorter_story() {
    let long = (1..=60).map(|seed| scenario(seed, Some(Bug::LeaveOrphans)));
    let long = long.into_iter().find(|scenario| scenario.run().violation.is_some()).expect("caught above");
    let before = long.run().struck.len();
    let shrunk = shrink(&long).expect("it was just seen to end badly");
    assert!(shrunk.outcome.struck.len() * 3 < before, "{} of {before}", shrunk.outcome.struck.len());
    // The story can be replayed from what is printed, and is the same again.
    let again = shrunk.scenario.run();
    assert_eq!(again.violation, shrunk.outcome.violation, "{}", command(&shrunk.scenario));
    assert_eq!(again.digest, shrunk.outcome.digest);
}
