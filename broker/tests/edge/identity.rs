//! Identities that are taken away: by a person, and from two runners that speak with one.

use std::time::{Duration, Instant};

use remit_broker::api::SignalAccepted;
use remit_proto::v1;
use serde_json::json;
use tonic::{Code, Status};

use crate::world::{FakeRunner, World, info};

/// The longest that somebody whose identity was taken away is heard (see docs/trust.md).
const REVOKED_WITHIN: Duration = Duration::from_secs(5);
const INSTALL: &str = "ins_demo.shop.acme";
const RUNNER: &str = "run_demo.shop.acme";

fn poll(boot: &str, wait_ms: u32) -> v1::LeaseJobRequest {
    v1::LeaseJobRequest { install: INSTALL.to_owned(), wait_ms, info: info(boot), ..Default::default() }
}

fn is_fenced(status: &Status) -> bool {
    let code = status.metadata().get("remit-code").and_then(|code| code.to_str().ok());
    (status.code(), code) == (Code::PermissionDenied, Some("rpc.generation_fenced"))
}

async fn speak(runner: &mut FakeRunner, boot: &str) -> Result<(), Status> {
    runner.client.lease_job(poll(boot, 0)).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_work_with_a_revoked_identity_is_sent_away_at_once() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    // The one attempt is taken, so that the next poll waits.
    let attempt = runner.lease(20_000).await.unwrap().attempt.unwrap();
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    let mut waits = runner.client.clone();
    let waiting = tokio::spawn(async move { waits.lease_job(poll("boot-1", 50_000)).await });
    world.until(RUNNER, |of| of.view.status.word == "online").await;

    let began = Instant::now();
    let revoke = json!({"revoke": {"reason": "the laptop was stolen"}});
    let path = format!("/v1/objects/{RUNNER}/signals");
    let _: SignalAccepted = world.with(&token).post(&path, &revoke).await;
    assert!(is_fenced(&waiting.await.unwrap().unwrap_err()));
    assert!(is_fenced(&speak(&mut runner, "boot-1").await.unwrap_err()));
    assert!(began.elapsed() < REVOKED_WITHIN, "{:?}", began.elapsed());
    let view = world.until(RUNNER, |of| of.view.status.word == "revoked").await.view;
    assert!(view.status.description.contains("the laptop was stolen"), "{}", view.status.description);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_identity_is_taken_away_from_both() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    for boot in ["boot-1", "boot-2", "boot-1", "boot-2"] {
        speak(&mut runner, boot).await.unwrap();
    }
    let last = speak(&mut runner, "boot-1").await;
    assert!(last.is_err_and(|status| is_fenced(&status)), "the answer that it would get is refused already");
    for boot in ["boot-1", "boot-2", "boot-3"] {
        assert!(is_fenced(&speak(&mut runner, boot).await.unwrap_err()), "{boot}");
    }
    let view = world.until(RUNNER, |of| of.view.status.word == "revoked").await.view;
    assert!(view.status.description.contains("two runners"), "{}", view.status.description);
    let mut anew = world.enrol(&token).await;
    assert_eq!(anew.generation, 2);
    speak(&mut anew, "boot-3").await.unwrap();
}
