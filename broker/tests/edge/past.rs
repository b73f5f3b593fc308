//! Objects as they were.

use remit_broker::api::{ObjectView, SignalAccepted, Timeline};
use reqwest::Method;
use serde_json::json;

use crate::world::{World, now_ms, refused};

const ACME: &str = "/v1/objects/ins_demo.shop.acme";

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_shown_as_it_was() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let made: ObjectView = world.with(&token).get(ACME).await;
    let timeline: Timeline = world.with(&token).get(&format!("{ACME}/timeline")).await;
    let (first, newest) = (timeline.entries.last().unwrap().at, timeline.entries[0].at);
    // The pause gets a millisecond of its own.
    while now_ms() <= newest.0 + 1 {
        std::hint::spin_loop();
    }
    let pause = json!({"pause": {"reason": "a holiday"}});
    let paused: SignalAccepted = world.with(&token).post(&format!("{ACME}/signals"), &pause).await;
    let at = |ms: i64| format!("{ACME}?at={ms}");
    let before: ObjectView = world.with(&token).get(&at(newest.0)).await;
    assert_eq!((before.revision, &before.view), (made.revision, &made.view));
    let after: ObjectView = world.with(&token).get(&at(now_ms())).await;
    assert_eq!((after.revision, &after.view), (paused.revision, &paused.view));
    assert!(after.view.why.iter().any(|w| w.reason.contains("a holiday")), "{:?}", after.view.why);
    let utc = world.with(&token).get::<ObjectView>(&format!("{ACME}?at=2100-01-01T00:00:00Z")).await;
    assert_eq!(utc.view, paused.view, "a time to come is now");
    let too_early = refused(world.with(&token).request(Method::GET, &at(first.0 - 1))).await;
    assert_eq!(too_early, (404, "api.not_there_then".to_owned()));
    let no_time = refused(world.with(&token).request(Method::GET, &format!("{ACME}?at=noon"))).await;
    assert_eq!(no_time, (400, "api.parameter_invalid".to_owned()));
    let world = world.restart().await;
    let again: ObjectView = world.with(&token).get(&at(newest.0)).await;
    assert_eq!(again.view, before.view);
}
