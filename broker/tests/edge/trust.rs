//! Roots that follow one another, keys that are revoked, dispatch keys that change: as a vendor does it
//! over the API, and as runners are told.

use remit_broker::api::wire::{DispatchKeyList, ReleaseAccepted, RootList, RootPublished, Standing};
use remit_proto::v1;
use remit_seal::document::{KeySpec, Root};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use remit_seal::verify;
use reqwest::Method;
use serde_json::json;
use tonic::Code;

use crate::world::{FakeRunner, World, csr, info, now_ms, refused};

fn parse(root: &[u8]) -> Root {
    let envelope = Envelope::parse(root, PayloadType::Root).unwrap();
    remit_seal::strict::from_slice(&envelope.payload).unwrap()
}

async fn newest(world: &World, token: &str) -> Root {
    let list: RootList = world.with(token).get("/v1/orgs/demo/roots").await;
    parse(list.roots.last().unwrap().root.as_bytes())
}

fn signed(world: &World, root: &Root) -> Vec<u8> {
    Envelope::sign(PayloadType::Root, root, &[&world.root_key]).unwrap().to_bytes()
}

fn publish(world: &World, token: &str, root: Vec<u8>) -> reqwest::RequestBuilder {
    world.with(token).request(Method::POST, "/v1/orgs/demo/roots").body(root)
}

async fn dispatch_keys(world: &World) -> Vec<KeySpec> {
    let list: DispatchKeyList = world.operator().get("/v1/dispatch-keys").await;
    let spec = |key| serde_json::from_value(serde_json::to_value(key).unwrap()).unwrap();
    list.keys.into_iter().map(|info| spec(info.key)).collect()
}

async fn ask(
    runner: &mut FakeRunner,
    root_version: u64,
    status_ms: i64,
    wait_ms: u32,
) -> v1::LeaseJobResponse {
    let install = "ins_demo.shop.acme".to_owned();
    let info = info(&runner.boot);
    let request =
        v1::LeaseJobRequest { install, wait_ms, info, root_version, status_ms, ..Default::default() };
    runner.client.lease_job(request).await.unwrap().into_inner()
}

async fn trust(runner: &mut FakeRunner, root_version: u64) -> v1::FetchTrustResponse {
    runner.client.fetch_trust(v1::FetchTrustRequest { root_version }).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_root_reaches_a_waiting_runner_and_an_old_pin_still_enrols() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    assert!(ask(&mut runner, 0, 0, 0).await.lease.is_some(), "one that takes no roots is told nothing");
    let first = newest(&world, &token).await;
    // A status is due; until it is taken there is no work.
    let told = ask(&mut runner, 1, 0, 0).await;
    assert!(told.trust_news && told.lease.is_none());
    let bytes = trust(&mut runner, 1).await.status;
    let roots: RootList = world.with(&token).get("/v1/orgs/demo/roots").await;
    let verified = verify::root(roots.roots[0].root.as_bytes(), None, now_ms()).unwrap();
    let status = verify::status(&verified, &bytes, now_ms()).unwrap().get().clone();
    assert!(ask(&mut runner, 1, status.time_ms, 0).await.lease.is_some());
    let mut second = first.clone();
    (second.version, second.expires_ms) = (2, first.expires_ms + 1);
    let attempt = ask(&mut runner, 1, status.time_ms, 0).await.lease.unwrap().attempt.unwrap();
    runner.renew(&attempt, v1::LeasePhase::Start, 0).await;
    let rotate = async {
        let answer = publish(&world, &token, signed(&world, &second)).send().await.unwrap();
        answer.json::<RootPublished>().await.unwrap()
    };
    let (told, published) = tokio::join!(ask(&mut runner, 1, status.time_ms, 40_000), rotate);
    assert!(told.trust_news && !published.duplicate && published.version == 2);
    let answer = trust(&mut runner, 1).await;
    assert!(answer.status.is_empty() && answer.roots.len() == 1);
    let next = verify::next_root(&verified, &answer.roots[0]).unwrap();
    assert_eq!(*next.get(), second);
    let status = trust(&mut runner, 2).await.status;
    assert_eq!(verify::status(&next, &status, now_ms()).unwrap().get().root_version, 2);
    // Whoever was given the link before still gets the root that stands in it.
    for (root, pin) in [(&first, verified.digest()), (&second, next.digest())] {
        let made = world.runner_token(&token).await;
        assert_eq!(made.root_sha256, next.digest().hex());
        let (_, request) = csr();
        let answer = world
            .enrol_pinned(made.token.as_deref().unwrap(), request, pin.as_bytes().to_vec())
            .await
            .unwrap();
        assert_eq!(parse(&answer.root), *root);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_next_root_of_the_same_vendor_is_published() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let first = newest(&world, &token).await;
    type Row = (&'static str, fn(&mut Root), (u16, &'static str));
    let rows: &[Row] = &[
        ("a version left out", |r| r.version = 3, (409, "seal.root_version")),
        (
            "the same version, another text",
            |r| (r.version, r.expires_ms) = (1, r.expires_ms + 1),
            (409, "seal.root_version"),
        ),
        ("another vendor", |r| r.vendor = "rival".to_owned(), (422, "api.root_wrong_org")),
        ("without this broker", |r| r.dispatch.keys = r.release.keys.clone(), (422, "seal.root_invalid")),
        ("expired", |r| r.expires_ms = r.created_ms + 1, (422, "seal.root_expired")),
    ];
    for (name, spoil, (status, code)) in rows {
        let mut root = first.clone();
        root.version = 2;
        spoil(&mut root);
        let found = refused(publish(&world, &token, signed(&world, &root))).await;
        assert_eq!(found, (*status, (*code).to_owned()), "{name}");
    }
    let mut stranger = Root { version: 2, ..first.clone() };
    let key = SigningKey::ed25519_from_seed(&[99; 32]);
    stranger.keys.insert(key.id(), key.public());
    stranger.root.keys = vec![key.id()];
    let bytes = Envelope::sign(PayloadType::Root, &stranger, &[&key]).unwrap().to_bytes();
    assert_eq!(refused(publish(&world, &token, bytes)).await, (422, "seal.threshold".to_owned()));
    let second = signed(&world, &Root { version: 2, ..first });
    for duplicate in [false, true] {
        let answer = publish(&world, &token, second.clone()).send().await.unwrap();
        assert_eq!(answer.json::<RootPublished>().await.unwrap().duplicate, duplicate);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispatch_key_is_changed_under_a_running_runner() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let before = dispatch_keys(&world).await;
    let old = before[0].id().unwrap();
    let path = format!("/v1/dispatch-keys/{old}");
    let retire = |world: &World| world.operator().request(Method::DELETE, &path);
    assert_eq!(refused(retire(&world)).await, (409, "api.dispatch_key_needed".to_owned()));
    let _: DispatchKeyList = world.operator().post("/v1/dispatch-keys", &json!({})).await;
    let both = dispatch_keys(&world).await;
    assert_eq!((both.len(), &both[0]), (2, &before[0]));
    let envelope = ask(&mut runner, 0, 0, 0).await.lease.unwrap().envelope;
    assert_eq!(Envelope::parse(&envelope, PayloadType::Job).unwrap().signatures.len(), 2);
    assert_eq!(
        refused(retire(&world)).await,
        (409, "api.dispatch_key_needed".to_owned()),
        "demo does not know the next"
    );
    let first = newest(&world, &token).await;
    let mut second = Root { version: 2, ..first };
    second.keys.remove(&old);
    second.dispatch.keys = vec![both[1].id().unwrap()];
    second.keys.insert(both[1].id().unwrap(), both[1].clone());
    assert!(publish(&world, &token, signed(&world, &second)).send().await.unwrap().status().is_success());
    assert_eq!(retire(&world).send().await.unwrap().status(), 204);
    let envelope = ask(&mut runner, 0, 0, 0).await.lease.unwrap().envelope;
    let signatures = Envelope::parse(&envelope, PayloadType::Job).unwrap().signatures;
    assert_eq!(signatures.iter().map(|s| s.keyid.clone()).collect::<Vec<_>>(), second.dispatch.keys);
    let world = world.restart().await;
    assert_eq!(dispatch_keys(&world).await, both[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_publishes_nothing_and_does_not_come_back() {
    let world = World::start().await;
    let token = world.install(&["network"]).await;
    let mut runner = world.enrol(&token).await;
    let status_ms = now_ms();
    let id = world.release_key.id();
    let bad = [
        (json!({}), "api.restriction_invalid"),
        (json!({"revoke": {&id: ""}}), "api.restriction_invalid"),
        (json!({"floors": {"shop": 3}}), "api.restriction_invalid"),
        (json!({"revoke": {world.root_key.id(): "a root key"}}), "api.key_unknown"),
        (json!({"revoke": {"0".repeat(64): "nobody's"}}), "api.key_unknown"),
    ];
    for (body, code) in bad {
        let request = world.with(&token).request(Method::POST, "/v1/orgs/demo/trust").json(&body);
        assert_eq!(refused(request).await, (422, code.to_owned()), "{body}");
    }
    let wish = json!({"revoke": {&id: "the laptop is gone"}, "floors": {"shop/stable": 3}});
    let revoke = async { world.with(&token).post::<Standing>("/v1/orgs/demo/trust", &wish).await };
    let (told, standing) = tokio::join!(ask(&mut runner, 1, status_ms, 40_000), revoke);
    // Work may have been there first; then the next poll tells.
    assert!(told.trust_news || ask(&mut runner, 1, status_ms, 0).await.trust_news);
    assert_eq!(standing.revoked[&id], "the laptop is gone");
    let status = trust(&mut runner, 1).await.status;
    let root = verify::root(&signed(&world, &newest(&world, &token).await), None, now_ms()).unwrap();
    let status = verify::status(&root, &status, now_ms()).unwrap();
    assert_eq!((&status.get().revoked, status.get().floors["shop/stable"]), (&vec![id.clone()], 3));
    let release = world.sign(&world.release("demo", 9, &["network"]));
    let request = world.with(&token).request(Method::POST, "/v1/orgs/demo/releases").body(release);
    assert_eq!(refused(request).await, (422, "seal.key_revoked".to_owned()));
    let same = Root { version: 2, ..newest(&world, &token).await };
    assert_eq!(
        refused(publish(&world, &token, signed(&world, &same))).await,
        (422, "api.root_names_revoked".to_owned())
    );
    let key = SigningKey::ed25519_from_seed(&[77; 32]);
    let mut without = same.clone();
    without.keys.insert(key.id(), key.public());
    without.release.keys = vec![key.id()];
    assert!(publish(&world, &token, signed(&world, &without)).send().await.unwrap().status().is_success());
    let release = world.release("demo", 9, &["network"]);
    let release = Envelope::sign(PayloadType::Release, &release, &[&key]).unwrap().to_bytes();
    let request = world.with(&token).request(Method::POST, "/v1/orgs/demo/releases").body(release);
    let accepted: ReleaseAccepted = request.send().await.unwrap().json().await.unwrap();
    assert!(!accepted.duplicate);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_a_runners_certificate_is_told_about_keys() {
    let world = World::start().await;
    world.install(&["network"]).await;
    let mut nobody = v1::runner_service_client::RunnerServiceClient::new(world.channel(None).await);
    let refused = nobody.fetch_trust(v1::FetchTrustRequest { root_version: 1 }).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}
