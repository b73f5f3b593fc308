//! The vendor's part for the figures: an org with its keys, an app, installs, and their tokens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http_body_util::Full;
use remit_broker::api::{RunnerToken, wire};
use remit_seal::Digest;
use remit_seal::document::{
    Approval, Class, Component, ComponentKind, KeySpec, Operation, Output, Release, Root, ValueType,
};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use remit_seal::verify::{self, Verified};
use serde_json::json;

use crate::broker::{Client, Server};

/// How many requests are under way at once.
pub(crate) const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 8;
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// Clients to share among requests, and what they show.
pub(crate) struct Vendor {
    pub(crate) clients: Vec<Client>,
    pub(crate) token: String,
    pub(crate) root: Verified<Root>,
    release_key: SigningKey,
    keys: AtomicU64,
}

pub(crate) fn now_ms() -> Result<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_millis())?)
}

/// The id of install number `n`.
pub(crate) fn install(n: usize) -> String {
    format!("ins_demo.shop.i{n}")
}

impl Vendor {
    /// An org `demo` at this broker, with an app `shop`.
    pub(crate) async fn start(server: &Server) -> Result<Self> {
        let token = server.file("operator.token")?;
        let connect = (0..CONNECTIONS).map(|_| server.connect());
        let clients: Vec<Client> = futures::future::try_join_all(connect).await?;
        let dispatch: KeySpec = serde_json::from_slice(
            &request(&clients[0], &token, "GET", "/v1/dispatch-key", Bytes::new()).await?,
        )?;
        let (root_key, release_key) =
            (SigningKey::ed25519_from_seed(&[1; 32]), SigningKey::ed25519_from_seed(&[2; 32]));
        let keys = [root_key.public(), release_key.public(), dispatch];
        let root = Root::one_of_one("demo", keys.each_ref(), now_ms()? - 1000, now_ms()? + YEAR_MS)?;
        let signed = Envelope::sign(PayloadType::Root, &root, &[&root_key])?;
        let bytes = signed.to_bytes();
        let root = verify::root(&bytes, Some(&signed.payload_digest()), now_ms()?)?;
        let vendor = Self { clients, token, root, release_key, keys: AtomicU64::new(0) };
        vendor.post(0, "/v1/orgs", &json!({"name": "demo", "root": String::from_utf8(bytes)?})).await?;
        vendor.post(0, "/v1/objects/app_demo.shop/signals", &json!({"create": {}})).await?;
        Ok(vendor)
    }

    /// Publishes release `counter`, of one component that no other release has like this; or holds it back.
    pub(crate) async fn publish(&self, counter: u64, hold: bool) -> Result<Verified<Release>> {
        let artifact = format!("artefact {counter}, which nobody unpacks").into_bytes();
        let digest = Digest::of(&artifact);
        let release = release(counter, digest, artifact.len() as u64, now_ms()?);
        let path = format!("/v1/orgs/demo/artifacts/{digest}");
        self.send("PUT", &path, artifact.into()).await?;
        let signed = Envelope::sign(PayloadType::Release, &release, &[&self.release_key])?.to_bytes();
        let path = format!("/v1/orgs/demo/releases?hold={hold}");
        self.send("POST", &path, signed.clone().into()).await?;
        Ok(verify::release(&self.root, &signed, now_ms()?)?)
    }

    async fn send(&self, method: &str, path: &str, body: Bytes) -> Result<Bytes> {
        request(&self.clients[0], &self.token, method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Bytes> {
        self.send("GET", path, Bytes::new()).await
    }

    /// A figure of `/metrics`.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64> {
        let text = String::from_utf8(self.get("/metrics").await?.to_vec())?;
        let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("{name} in the metrics"))?.parse()?)
    }

    /// A POST over the connection of number `n`.
    pub(crate) async fn post(&self, n: usize, path: &str, body: &serde_json::Value) -> Result<Bytes> {
        let mut client = self.clients[n % self.clients.len()].clone();
        let key = self.keys.fetch_add(1, Ordering::Relaxed).to_string();
        client.post(path, &self.token, &key, body.to_string()).await
    }

    /// Installs 0 to `count`, `real` ones or `sandbox`es.
    pub(crate) async fn installs(&self, count: usize, mode: &str) -> Result<()> {
        let create = json!({"create": {"mode": mode}});
        let make = |n: usize| {
            let create = &create;
            async move { self.post(n, &format!("/v1/objects/{}/signals", install(n)), create).await.map(drop) }
        };
        futures::stream::iter((0..count).map(make)).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// A one-time token for the runner of install `n`.
    pub(crate) async fn runner_token(&self, n: usize) -> Result<RunnerToken> {
        let path = format!("/v1/objects/{}/runner-token", install(n));
        Ok(serde_json::from_slice(&self.post(n, &path, &json!({})).await?)?)
    }
}

/// A request whose repetition is the same request.
async fn request(client: &Client, token: &str, method: &str, path: &str, body: Bytes) -> Result<Bytes> {
    let key = Digest::of(format!("{method} {path} {}", Digest::of(&body)).as_bytes()).to_string();
    let request = http::Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .header("authorization", format!("Bearer {token}"))
        .header(wire::IDEMPOTENCY_KEY, key);
    client.clone().send(request.body(Full::from(body))?).await
}

fn release(counter: u64, digest: Digest, size: u64, now_ms: i64) -> Release {
    let url = Output { value_type: ValueType::String, sensitive: false };
    let component = Component {
        name: "web".to_owned(),
        kind: ComponentKind::Script,
        sandbox: false,
        digest,
        size,
        needs: vec![],
        inputs: BTreeMap::new(),
        outputs: [("url".to_owned(), url)].into(),
        commands: [("deploy".to_owned(), vec!["true".to_owned()])].into(),
        longest_run_ms: 60_000,
        health: None,
        escapes: Default::default(),
    };
    let operation = |class| Operation { class, approval: Approval::None, terms: None };
    Release {
        vendor: "demo".to_owned(),
        app: "shop".to_owned(),
        channel: "stable".to_owned(),
        version: format!("{counter}.0.0"),
        counter,
        created_ms: now_ms - 1000,
        expires_ms: now_ms + YEAR_MS,
        rollback_floor: 1,
        notes: String::new(),
        healing: Default::default(),
        tools: BTreeMap::new(),
        components: vec![component],
        inputs: BTreeMap::new(),
        operations: [
            ("deploy".to_owned(), operation(Class::Change)),
            ("destroy".to_owned(), operation(Class::Destroy)),
            ("drift".to_owned(), operation(Class::Read)),
        ]
        .into(),
    }
}
