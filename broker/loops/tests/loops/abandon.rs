//! What a former runner had begun is given up only with a proof, and the proof stays on the record.

use remit_loops::job::Outcome;
use remit_loops::runner::{Proof, Signal as RunnerSignal};
use remit_loops::{Actor, Body, Effect, Event, RejectedCode, Signal, Timestamp};

use crate::lives::running_world;
use crate::world::{World, id};

const RUNNER: &str = "run_demo.shop.acme";

pub(crate) fn lost(proof: Option<Proof>) -> Signal {
    Signal::Runner(RunnerSignal::DeclareLost { reason: "it never came back".into(), component: None, proof })
}

pub(crate) fn terminated() -> Proof {
    Proof::HostTerminated { host: "i-0abc".into(), evidence: "describe-instances: terminated".into() }
}

fn receipt(digest: &str) -> Proof {
    Proof::JournalEnded { receipt: digest.to_owned(), evidence: "network ended, succeeded".into() }
}

/// A world in which nobody knows whether `network` still runs on a former runner.
fn unconfirmed() -> World {
    let mut world = running_world();
    world.start("network");
    world.enrol();
    assert_eq!(world.why(RUNNER)[0].code, "waiting.unconfirmed");
    world
}

#[test]
fn silence_and_bare_words_are_no_proof() {
    let mut world = unconfirmed();
    let nothing = Proof::HostTerminated { host: "i-0abc".into(), evidence: "  ".into() };
    let endless = Proof::HostTerminated { host: "i-0abc".into(), evidence: "a".repeat(2_049) };
    for proof in [None, Some(nothing), Some(endless), Some(receipt("abc")), Some(receipt(&"x".repeat(64)))] {
        let refused = world.signal(RUNNER, lost(proof.clone())).unwrap_err();
        assert_eq!(refused.code, RejectedCode::ProofMissing, "{proof:?}");
    }
    assert!(world.offers().is_empty(), "nothing was given up");
}

#[test]
fn a_proof_gives_it_up_and_is_on_the_record() {
    for proof in [terminated(), receipt(&"a1".repeat(32))] {
        let mut world = unconfirmed();
        let event = Event {
            at: Timestamp(world.now),
            by: Actor::Person("ann".into()),
            body: Body::Signal(lost(Some(proof.clone()))),
        };
        let effects = world.objects[&id(RUNNER)].clone().apply(&event).unwrap();
        let lines: Vec<&String> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Record(entry) if entry.code == "attempt.declared_lost" => Some(&entry.text),
                _ => None,
            })
            .collect();
        let words = match &proof {
            Proof::HostTerminated { evidence, .. } | Proof::JournalEnded { evidence, .. } => evidence,
        };
        assert!(lines.len() == 1 && lines[0].contains(words) && lines[0].contains("ann"), "{lines:?}");
        world.signal(RUNNER, lost(Some(proof))).unwrap();
        world.tick();
        assert_eq!(world.offers()[0].spec.component, "network", "the next attempt may begin");
    }
}

#[test]
fn a_journal_that_nobody_else_has_proves_nothing() {
    let mut world = running_world();
    world.start("network");
    let revoke = RunnerSignal::Revoke { reason: "its host is gone".into() };
    world.signal(RUNNER, Signal::Runner(revoke)).unwrap();
    let refused = world.signal(RUNNER, lost(Some(receipt(&"a1".repeat(32))))).unwrap_err();
    assert_eq!(refused.code, RejectedCode::ProofMissing, "no newer runner has enrolled");
    world.signal(RUNNER, lost(Some(terminated()))).unwrap();
}

#[test]
fn what_is_not_unconfirmed_is_not_given_up() {
    let mut world = running_world();
    let refused = world.signal(RUNNER, lost(Some(terminated()))).unwrap_err();
    assert_eq!(refused.code, RejectedCode::Conflict, "nothing is in doubt");
    world.start("network");
    let refused = world.signal(RUNNER, lost(Some(terminated()))).unwrap_err();
    assert!(refused.message.contains("revoke"), "{refused:?}");
    world.complete("network", Outcome::Cancelled { message: "killed".into() });
}
