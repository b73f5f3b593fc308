//! Dry runs: the same answer as in earnest, and nothing that changes.

use remit_broker::api::{ObjectView, Timeline};
use remit_loops::dry_run::DryRun;
use reqwest::Method;
use serde_json::json;

use crate::world::{World, read, refused};

const INSTALL: &str = "/v1/objects/ins_demo.shop.acme";

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_would_happen_and_changes_nothing() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let before: ObjectView = world.with(&token).get(INSTALL).await;
    let path = format!("{INSTALL}/signals/dry-run");
    let signals = [
        (json!({"pause": {"reason": "a holiday"}}), "install.paused"),
        (json!({"break_glass": {"for_ms": 60_000, "reason": "an emergency"}}), "glass.broken"),
        (json!({"delete": {}}), "install.deleting"),
    ];
    for (signal, code) in signals {
        let request = world.with(&token).request(Method::POST, &path).json(&signal);
        let trial: DryRun = read(request).await;
        let codes: Vec<&str> = trial.timeline.iter().map(|entry| entry.code.as_str()).collect();
        assert!(codes.contains(&code), "{signal}: {codes:?}");
        assert_eq!(trial.before, before.view.status);
    }
    let after: ObjectView = world.with(&token).get(INSTALL).await;
    assert_eq!((after.revision, after.view), (before.revision, before.view));
    let timeline: Timeline = world.with(&token).get(&format!("{INSTALL}/timeline")).await;
    assert!(timeline.entries.iter().all(|line| line.code != "install.paused"), "{timeline:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_refused_is_refused() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let path = format!("{INSTALL}/signals/dry-run");
    for (signal, status, code) in [
        (json!({"retry": {}}), 409, "loop.conflict"),
        (json!({"break_glass": {"for_ms": 1, "reason": "x"}}), 422, "loop.break_glass_invalid"),
        (json!({"fly": {}}), 422, "api.signal_invalid"),
        (json!({"deploy": {"version": "9.9.9"}}), 422, "api.release_unknown"),
    ] {
        let request = world.with(&token).request(Method::POST, &path).json(&signal);
        assert_eq!(refused(request).await, (status, code.to_owned()), "{signal}");
    }
}
