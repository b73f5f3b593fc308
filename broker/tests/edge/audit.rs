//! The audit log through the doors: who did what is in it, each org reads its own, and a runner whose receipts
//! go back is found.

use remit_broker::api::wire::{AuditBlocks, AuditEntry, AuditList};
use remit_broker::api::{DispatchKey, NewToken, TokenMade};
use remit_broker::audit::{Evidence, Kept, Proof, Proved, judge};
use remit_proto::v1;
use remit_seal::Digest;
use remit_seal::document::{Checkpoint, KeySpec};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use remit_seal::verify;
use reqwest::Method;
use serde_json::json;

use crate::world::{Ask, FakeRunner, World, fresh_key, success};

async fn entries(ask: &Ask<'_>) -> Vec<AuditEntry> {
    let list: AuditList = ask.get("/v1/audit?limit=1000").await;
    assert_eq!(list.next, None, "all of it fits");
    list.entries
}

/// Waits until somebody's entry is there: what people ask of objects is followed.
async fn until(world: &World, what: impl Fn(&AuditEntry) -> bool) -> AuditEntry {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        if let Some(found) = entries(&world.operator()).await.into_iter().find(&what) {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{:#?}", entries(&world.operator()).await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn proved(ask: &Ask<'_>) -> (Proved, Kept) {
    let answer: AuditBlocks = ask.get("/v1/audit/blocks").await;
    let spec = |key: &DispatchKey| serde_json::from_value::<KeySpec>(serde_json::to_value(key).unwrap());
    let keys = answer.keys.iter().map(|key| spec(key).unwrap()).collect();
    let kept = Kept { signed: answer.checkpoint, keys };
    let place = kept.word(None).unwrap().place;
    let mut proof = Proof::new(None, Some(place.clone()));
    for block in answer.blocks.iter().take(usize::try_from(place.block).unwrap()) {
        proof.block(block).unwrap();
    }
    (proof.finish().unwrap(), kept)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_privileged_decision_is_written_down_by_name() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let lease = runner.lease(20_000).await.unwrap();
    let new = NewToken { name: "laptop".to_owned() };
    let made: TokenMade = world.with(&token).post("/v1/orgs/demo/tokens", &new).await;
    let gone = world.with(&token).request(Method::DELETE, "/v1/orgs/demo/tokens/laptop");
    assert_eq!(gone.send().await.unwrap().status(), 204);
    let _: serde_json::Value = world.operator().post("/v1/dispatch-keys", &json!({})).await;
    let pause = json!({"pause": {"reason": "fair"}});
    let _: serde_json::Value =
        world.with(&token).post("/v1/objects/ins_demo.shop.acme/signals", &pause).await;

    let asked = until(&world, |e| e.entry.facts.get("signal").is_some_and(|s| s == "pause")).await.entry;
    assert_eq!((asked.by.as_str(), asked.about.as_str()), ("ci", "ins_demo.shop.acme"));
    let has = |by: &'static str, about: &'static str, fact: (&'static str, &'static str)| {
        move |e: &AuditEntry| {
            let is_fact = e.entry.facts.get(fact.0).is_some_and(|value| value.contains(fact.1));
            e.entry.by == by && e.entry.about == about && is_fact
        }
    };
    until(&world, has("operator", "/v1/orgs", ("org", "org_demo"))).await;
    until(&world, has("demo/ci", "/v1/orgs/demo/tokens", ("token", "laptop"))).await;
    until(&world, has("demo/ci", "/v1/orgs/demo/tokens/laptop", ("method", "DELETE"))).await;
    until(&world, has("operator", "/v1/dispatch-keys", ("method", "POST"))).await;
    until(&world, |e| e.entry.code == "identity.enrolled" && e.entry.facts["generation"] == "1").await;
    let signed = until(&world, |e| e.entry.code == "envelope.signed").await.entry;
    let payload = Envelope::parse(&lease.envelope, PayloadType::Job).unwrap().payload_digest();
    assert_eq!(signed.facts["envelope"], payload.hex(), "the digest that the runner's receipts have too");

    let text = serde_json::to_string(&entries(&world.operator()).await).unwrap();
    for secret in [&made.token, &token, &world.operator] {
        assert!(!text.contains(secret.as_str()), "a token is in the audit log");
    }
    let (whole, kept) = proved(&world.operator()).await;
    assert_eq!(whole.hidden, 0);
    let world = world.restart().await;
    let answer: AuditBlocks = world.operator().get("/v1/audit/blocks").await;
    let mut proof = Proof::new(None, Some(kept.word(None).unwrap().place));
    answer.blocks.iter().for_each(|block| proof.block(block).unwrap());
    assert!(proof.finish().unwrap().read >= whole.read);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_reads_its_own_and_proves_the_whole() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let rival = world.org("rival").await;
    let own = entries(&world.with(&rival)).await;
    assert!(own.is_empty() || own.iter().all(|e| e.entry.org.as_deref() == Some("rival")), "{own:?}");
    until(&world, |e| e.entry.about == "ins_demo.shop.acme").await;
    let all = entries(&world.operator()).await;
    let demo = entries(&world.with(&token)).await;
    assert!(demo.len() < all.len() && demo.iter().all(|e| e.entry.org.as_deref() == Some("demo")));
    let (whole, _) = proved(&world.operator()).await;
    let (part, _) = proved(&world.with(&rival)).await;
    assert!(part.hidden > 0 && part.place.entries >= whole.place.entries, "{part:?}");
    let denied = world.with(&rival).request(Method::GET, "/v1/audit?org=demo");
    assert_eq!(crate::world::refused(denied).await, (404, "api.not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_on_and_on_makes_neither_signatures_nor_entries() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let first = runner.lease(20_000).await.unwrap().envelope;
    for _ in 0..50 {
        assert_eq!(runner.lease(0).await.unwrap().envelope, first);
    }
    let signed = entries(&world.operator()).await.into_iter().filter(|e| e.entry.code == "envelope.signed");
    assert_eq!(signed.count(), 1);
}

/// A runner's word on its journal.
fn told(records: u64, head: &str, by: &SigningKey) -> v1::CompleteJobRequest {
    let (install, head) = ("ins_demo.shop.acme".to_owned(), Digest::of(head.as_bytes()));
    let at_ms = crate::world::now_ms();
    let checkpoint = Checkpoint { install, segment: 1, records, head, at_ms };
    v1::CompleteJobRequest {
        outcome: Some(success()),
        journal_head: head.as_bytes().to_vec(),
        journal_records: records,
        checkpoint: Envelope::sign(PayloadType::Checkpoint, &checkpoint, &[by]).unwrap().to_bytes(),
        journal_key: serde_json::to_vec(&by.public()).unwrap(),
        ..Default::default()
    }
}

/// Does the next job and says this of its journal; what the broker signed of that.
async fn end(runner: &mut FakeRunner, mut word: v1::CompleteJobRequest) -> Vec<u8> {
    let attempt = runner.lease(20_000).await.unwrap().attempt.unwrap();
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    word.attempt = Some(attempt);
    let answer = runner.client.complete_job(word).await.unwrap().into_inner();
    assert!(answer.accepted);
    answer.seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_forks_its_receipts_is_proved_to_have() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let journal = SigningKey::ed25519_from_seed(&[9; 32]);
    let seen = end(&mut runner, told(14, "a", &journal)).await;
    let key: DispatchKey = world.operator().get("/v1/dispatch-key").await;
    let key: KeySpec = serde_json::from_value(serde_json::to_value(key).unwrap()).unwrap();
    let said = verify::seen_by(&key, &seen).unwrap().get().clone();
    assert_eq!((said.records, said.head), (14, Digest::of(b"a")));
    let (whole, _) = proved(&world.operator()).await;
    assert!(whole.forks.is_empty() && whole.place.block >= said.audit.block);

    world.until("ins_demo.shop.acme", |of| of.view.status.word == "active").await;
    let check = json!({"check_drift": {}});
    let _: serde_json::Value =
        world.with(&token).post("/v1/objects/ins_demo.shop.acme/signals", &check).await;
    end(&mut runner, told(11, "b", &journal)).await;
    let (whole, _) = proved(&world.operator()).await;
    let [(first, second)] = &whole.forks[..] else { panic!("{whole:?}") };
    let evidence = Evidence::Receipts { first: Box::new(first.clone()), second: Box::new(second.clone()) };
    let (by, proves) = judge(&evidence).unwrap();
    assert_eq!(by, journal.id());
    assert!(proves.contains("went back from 14 to 11"), "{proves}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_says_something_else_is_refused() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let attempt = runner.lease(20_000).await.unwrap().attempt.unwrap();
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    let (own, other) = (SigningKey::ed25519_from_seed(&[9; 32]), SigningKey::ed25519_from_seed(&[8; 32]));
    let mut words = vec![told(14, "a", &own); 3];
    words[0].journal_records = 15;
    words[1].journal_key = serde_json::to_vec(&other.public()).unwrap();
    words[2].journal_key = fresh_key().into_bytes();
    for mut word in words {
        word.attempt = Some(attempt.clone());
        let refused = runner.client.complete_job(word).await.unwrap_err();
        assert!(refused.message().starts_with("rpc.checkpoint_wrong"), "{refused:?}");
    }
}
