//! The API's main journey, as the CLI walks it.

use futures::StreamExt;
use remit_broker::api::{
    NewOrg, ObjectList, ObjectView, OrgCreated, ReleaseAccepted, Scope, SignalAccepted, Timeline, TokenList,
    WhoAmI, Why,
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{World, read, refused};

#[tokio::test(flavor = "multi_thread")]
async fn an_org_publishes_and_makes_an_install() {
    let world = World::start().await;
    let me: WhoAmI = world.operator().get("/v1/whoami").await;
    assert_eq!(me.scope, Scope::Operator);
    let token = world.install(&["network"]).await;
    let me: WhoAmI = world.with(&token).get("/v1/whoami").await;
    assert_eq!((me.name.as_str(), me.scope), ("ci", Scope::Org("demo".to_owned())));
    let list: ObjectList = world.with(&token).get("/v1/objects?kind=install").await;
    assert_eq!(list.objects.len(), 1);
    assert_eq!(list.objects[0].view.id.to_string(), "ins_demo.shop.acme");
    let view: ObjectView = world.with(&token).get("/v1/objects/ins_demo.shop.acme").await;
    assert_eq!(view.view, list.objects[0].view);
    let why: Why = world.with(&token).get("/v1/objects/ins_demo.shop.acme/why").await;
    assert!(why.waiting.iter().any(|r| r.waiting.reason.contains("runner")), "{why:?}");
    let timeline: Timeline = world.with(&token).get("/v1/objects/ins_demo.shop.acme/timeline").await;
    assert!(!timeline.entries.is_empty());
    assert!(timeline.entries.is_sorted_by(|a, b| a.seq >= b.seq));
    let tokens: TokenList = world.with(&token).get("/v1/orgs/demo/tokens").await;
    assert_eq!(tokens.tokens.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["ci"]);
    let delete = world.with(&token).request(Method::DELETE, "/v1/orgs/demo/tokens/ci");
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let gone = refused(world.with(&token).request(Method::GET, "/v1/whoami")).await;
    assert_eq!(gone, (401, "api.unauthenticated".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_sent_twice_is_done_once_and_outlives_the_broker() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let pause = json!({"pause": {"reason": "a holiday"}});
    let send = |world: &World| {
        let request = world.http.post(world.url("/v1/objects/ins_demo.shop.acme/signals"));
        read::<SignalAccepted>(request.bearer_auth(&token).header("idempotency-key", "once").json(&pause))
    };
    let (first, second) = (send(&world).await, send(&world).await);
    assert!(!first.duplicate && second.duplicate);
    assert_eq!(first.seq, second.seq);
    let world = world.restart().await;
    let third = send(&world).await;
    assert!(third.duplicate);
    assert_eq!(third.seq, first.seq);
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_again_changes_nothing_and_going_back_is_refused() {
    let world = World::start().await;
    let token = world.org("demo").await;
    let published = world.publish(&token, "demo", 2, &["network"]).await;
    assert!(!published.duplicate);
    let release = world.release("demo", 3, &["network"]);
    let signed = world.sign(&release);
    let post = || world.with(&token).request(Method::POST, "/v1/orgs/demo/releases");
    let first: ReleaseAccepted = read(post().body(signed.clone())).await;
    let again: ReleaseAccepted = read(post().body(signed.clone())).await;
    assert!(!first.duplicate && again.duplicate);
    let path = format!("/v1/orgs/demo/releases/{}", first.release.digest);
    let stored = world.with(&token).request(Method::GET, &path).send().await.unwrap();
    assert_eq!(stored.bytes().await.unwrap(), signed);
    let old = world.sign(&world.release("demo", 1, &["network"]));
    assert_eq!(refused(post().body(old)).await, (409, "api.release_counter".to_owned()));
    let missing = world.sign(&world.release("demo", 4, &["nowhere"]));
    assert_eq!(refused(post().body(missing)).await, (422, "api.artifact_missing".to_owned()));
    let mut forged = world.sign(&world.release("demo", 4, &["network"]));
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let (status, code) = refused(post().body(forged)).await;
    assert!(status == 422 && code.starts_with("seal."), "{status} {code}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_keeps_the_root_that_it_was_made_with() {
    let world = World::start().await;
    let new = NewOrg { name: "demo".to_owned(), root: world.root("demo").await };
    let first: OrgCreated = world.operator().post("/v1/orgs", &new).await;
    let again: OrgCreated = world.operator().post("/v1/orgs", &new).await;
    assert!(!first.duplicate && again.duplicate);
    assert_eq!(first.root_sha256, again.root_sha256);
    let another = NewOrg { root: world.root("demo").await, ..new };
    let post = |new: &NewOrg| world.operator().request(Method::POST, "/v1/orgs").json(new);
    assert_eq!(refused(post(&another)).await, (409, "api.org_exists".to_owned()));
    let wrong = NewOrg { name: "other".to_owned(), root: another.root };
    assert_eq!(refused(post(&wrong)).await, (422, "api.root_wrong_org".to_owned()));
    let stranger = remit_seal::key::SigningKey::ed25519_from_seed(&[9; 32]).public();
    let deaf = NewOrg { name: "other".to_owned(), root: world.root_with("other", &stranger) };
    assert_eq!(refused(post(&deaf)).await, (422, "api.root_without_dispatch".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_see_changes_as_they_happen() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let events = world.with(&token).request(Method::GET, "/v1/objects/ins_demo.shop.acme/events");
    let mut stream = events.send().await.unwrap().bytes_stream();
    let mut text = String::new();
    let signal = json!({"pause": {"reason": "because"}});
    let mut sent = false;
    let read_on = async {
        while let Some(bytes) = stream.next().await {
            text.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap());
            if text.contains("event: view") && !sent {
                sent = true;
                let path = "/v1/objects/ins_demo.shop.acme/signals";
                let _: SignalAccepted = world.with(&token).post(path, &signal).await;
            }
            if text.contains("event: entry") && text.matches("event: view").count() > 1 {
                return;
            }
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), read_on).await.unwrap();
    assert!(text.contains("because"), "{text}");
    let stop = std::time::Instant::now();
    world.running.stop().await;
    assert!(stop.elapsed() < std::time::Duration::from_secs(10), "a follower does not hold the broker up");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_says_how_it_is() {
    let world = World::start().await;
    for path in ["/livez", "/readyz", "/openapi.json"] {
        let answer = world.nobody().request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let metrics = world.operator().request(Method::GET, "/metrics").send().await.unwrap();
    let text = metrics.text().await.unwrap();
    for name in ["remit_broker_engine_commits", "remit_broker_api_requests", "remit_broker_runners_online"] {
        assert!(text.contains(name), "{name} in {text}");
    }
}
