//! Where a runner must prove to be: who is let in, by what, and who is not.

use remit_loops::runner::{Attestation, Claim, Place, Refusal, Report, Signal};
use remit_loops::{Object, RejectedCode, Signal as AnySignal, Timestamp};

use crate::lives::running_world;
use crate::world::{World, id};

const RUNNER: &str = "run_demo.shop.acme";

pub(crate) fn place() -> Place {
    Place { account: "123456789012".into(), region: "eu-central-1".into(), role: Some("remit-runner".into()) }
}

fn proof(world: &World, nonce: &str) -> Attestation {
    let Place { account, region, role } = place();
    Attestation { account, region, role, nonce: nonce.into(), until: Timestamp(world.now + 60_000) }
}

/// One that shows a proof and no token.
pub(crate) fn enrolment() -> Report {
    let Place { account, region, role } = place();
    let proof = Attestation { account, region, role, nonce: "nn".into(), until: Timestamp(9_999_999) };
    Report::EnrolProven { token_sha256: None, spki_sha256: "bb".into(), proof }
}

/// An install that is declared to be somewhere, with a runner from before.
pub(crate) fn declared(place: Place) -> World {
    let mut world = running_world();
    declare(&mut world, Some(place));
    world
}

fn declare(world: &mut World, place: Option<Place>) {
    let declare = Signal::Declare { place, reason: "moved".into() };
    world.signal(RUNNER, AnySignal::Runner(declare)).unwrap();
}

fn generation(world: &World) -> u64 {
    let Object::Runner(runner) = &world.objects[&id(RUNNER)] else { panic!("a runner") };
    runner.generation()
}

/// What is said to this claim: nothing when it is let in, as it then is.
fn claim(world: &mut World, token: Option<&str>, key: &str, proof: &Attestation) -> Option<Refusal> {
    let Object::Runner(runner) = &world.objects[&id(RUNNER)] else { panic!("a runner") };
    let asked = Claim { token_sha256: token, spki_sha256: key, proof: Some(proof) };
    let refusal = runner.refusal(Timestamp(world.now), &asked);
    let (token_sha256, spki_sha256) = (token.map(str::to_owned), key.to_owned());
    let done = world.report(Report::EnrolProven { token_sha256, spki_sha256, proof: proof.clone() });
    assert_eq!(done.is_ok(), refusal.is_none(), "{done:?} {refusal:?}");
    refusal
}

fn give_token(world: &mut World, token: &str) {
    let expect = Signal::Expect { token_sha256: token.into(), expires: Timestamp(world.now + 1_000_000) };
    world.signal(RUNNER, AnySignal::Runner(expect)).unwrap();
}

#[test]
fn a_role_that_is_proven_is_let_in_without_a_token() {
    let mut world = declared(place());
    assert_eq!((world.status(RUNNER).as_str(), generation(&world)), ("expected", 0), "the former one is out");
    let good = proof(&world, "n1");
    assert_eq!(claim(&mut world, None, "key", &good), None);
    let first = generation(&world);
    assert!(first > 0);
    assert_eq!(claim(&mut world, None, "key", &good), Some(Refusal::NonceUsed), "shown twice");
    assert_eq!(claim(&mut world, None, "other", &good), Some(Refusal::NonceUsed), "for another key, too");
    let again = proof(&world, "n2");
    assert_eq!(claim(&mut world, None, "key", &again), None);
    assert_eq!(generation(&world), first, "the answer was lost: the same generation");
    let another = proof(&world, "n3");
    assert_eq!(claim(&mut world, None, "other", &another), None);
    assert_eq!(generation(&world), first + 1, "another key is another runner");
}

#[test]
fn what_is_not_as_declared_is_refused() {
    let mut world = declared(place());
    let good = proof(&world, "n1");
    let late = Timestamp(world.now);
    for (bad, refusal) in [
        (Attestation { account: "210987654321".into(), ..good.clone() }, Refusal::Account),
        (Attestation { region: "eu-west-1".into(), ..good.clone() }, Refusal::Region),
        (Attestation { role: Some("admin".into()), ..good.clone() }, Refusal::Role),
        (Attestation { role: None, ..good.clone() }, Refusal::Role),
        (Attestation { until: late, ..good.clone() }, Refusal::NonceUsed),
    ] {
        assert_eq!(claim(&mut world, None, "key", &bad), Some(refusal), "{bad:?}");
        assert_eq!(generation(&world), 0);
    }
    declare(&mut world, None);
    assert_eq!(claim(&mut world, None, "key", &good), Some(Refusal::Account), "nothing is declared");
}

#[test]
fn an_account_alone_needs_the_token_beside_its_proof() {
    let mut world = declared(Place { role: None, ..place() });
    let good = proof(&world, "n1");
    assert_eq!(claim(&mut world, None, "key", &good), Some(Refusal::TokenNeeded));
    assert_eq!(claim(&mut world, Some("guess"), "key", &good), Some(Refusal::NoToken));
    give_token(&mut world, "token");
    assert_eq!(claim(&mut world, Some("guess"), "key", &good), Some(Refusal::WrongToken));
    let bare = world.enrol_as("token", "key").unwrap_err();
    assert!(bare.message.contains("proof of that is missing"), "{bare}");
    assert_eq!(claim(&mut world, Some("token"), "key", &good), None, "whatever role it has");
    let again = proof(&world, "n2");
    assert_eq!(claim(&mut world, Some("token"), "key", &again), None, "the answer was lost");
    let other = proof(&world, "n3");
    assert_eq!(claim(&mut world, Some("token"), "other", &other), Some(Refusal::NoToken), "good once");
}

#[test]
fn who_had_its_identity_taken_away_needs_a_token_though_it_still_has_the_role() {
    let mut world = declared(place());
    let good = proof(&world, "n1");
    assert_eq!(claim(&mut world, None, "key", &good), None);
    let revoke = Signal::Revoke { reason: "the role was stolen".into() };
    world.signal(RUNNER, AnySignal::Runner(revoke)).unwrap();
    let second = proof(&world, "n2");
    assert_eq!(claim(&mut world, None, "key", &second), Some(Refusal::TokenNeeded));
    give_token(&mut world, "token");
    assert_eq!(claim(&mut world, None, "key", &second), Some(Refusal::TokenNeeded));
    assert_eq!(claim(&mut world, Some("token"), "key", &second), None);
    let third = proof(&world, "n3");
    assert_eq!(claim(&mut world, None, "key", &third), None, "from then on as before");
}

#[test]
fn a_place_is_checked_and_the_same_one_again_costs_nobody_anything() {
    let mut world = declared(place());
    let good = proof(&world, "n1");
    claim(&mut world, None, "key", &good);
    let before = generation(&world);
    declare(&mut world, Some(place()));
    assert_eq!(generation(&world), before);
    let wrong = Place { account: "1".into(), ..place() };
    let declare = Signal::Declare { place: Some(wrong), reason: "typo".into() };
    let refused = world.signal(RUNNER, AnySignal::Runner(declare)).unwrap_err();
    assert_eq!(refused.code, RejectedCode::Invalid);
    let silent = Signal::Declare { place: None, reason: " ".into() };
    assert_eq!(world.signal(RUNNER, AnySignal::Runner(silent)).unwrap_err().code, RejectedCode::Invalid);
}

#[test]
fn nonces_are_forgotten_when_their_time_is_over_and_not_before() {
    let mut world = declared(place());
    for n in 0..40 {
        let fresh = proof(&world, &format!("n{n}"));
        let expected = if n < 16 { None } else { Some(Refusal::NonceUsed) };
        assert_eq!(claim(&mut world, None, &format!("key {n}"), &fresh), expected, "{n}");
    }
    world.now += 61_000;
    let fresh = proof(&world, "n0");
    assert_eq!(claim(&mut world, None, "key", &fresh), None, "a minute later nobody needs to know it");
}
