//! The vendor's part for the figures: an org with its keys, an app, installs, and their tokens.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use http_body_util::Full;
use remit_broker::api::{RunnerToken, wire};
use remit_seal::Digest;
use remit_seal::document::{Approval, Class, Component, ComponentKind, KeySpec, Operation, Release, Root};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use serde_json::json;

use crate::broker::{Client, Server};

/// How many requests are under way at once.
pub(crate) const IN_FLIGHT: usize = 64;
const CONNECTIONS: usize = 8;
const YEAR_MS: i64 = 365 * 24 * 3_600_000;
const ARTIFACT: &[u8] = b"an artefact that nobody unpacks";

/// Clients to share among requests, and what they show.
pub(crate) struct Vendor {
    pub(crate) clients: Vec<Client>,
    pub(crate) token: String,
    keys: AtomicU64,
}

fn now_ms() -> Result<i64> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(i64::try_from(since.as_millis())?)
}

/// The id of install number `n`.
pub(crate) fn install(n: usize) -> String {
    format!("ins_demo.shop.i{n}")
}

impl Vendor {
    /// An org `demo` at this broker, with an app `shop`: empty, or with a release of one component.
    pub(crate) async fn start(server: &Server, with_release: bool) -> Result<Self> {
        let token = server.file("operator.token")?;
        let connect = (0..CONNECTIONS).map(|_| server.connect());
        let clients = futures::future::try_join_all(connect).await?;
        let vendor = Self { clients, token, keys: AtomicU64::new(0) };
        let (root_key, release_key) =
            (SigningKey::ed25519_from_seed(&[1; 32]), SigningKey::ed25519_from_seed(&[2; 32]));
        let key: KeySpec = serde_json::from_slice(&vendor.get("/v1/dispatch-key").await?)?;
        let keys = [root_key.public(), release_key.public(), key];
        let root = Root::one_of_one("demo", keys.each_ref(), now_ms()? - 1000, now_ms()? + YEAR_MS)?;
        let root = String::from_utf8(Envelope::sign(PayloadType::Root, &root, &[&root_key])?.to_bytes())?;
        vendor.post(0, "/v1/orgs", &json!({"name": "demo", "root": root})).await?;
        if with_release {
            vendor.publish(&release_key).await?;
        } else {
            vendor.post(0, "/v1/objects/app_demo.shop/signals", &json!({"create": {}})).await?;
        }
        Ok(vendor)
    }

    async fn publish(&self, key: &SigningKey) -> Result<()> {
        let digest = Digest::of(ARTIFACT);
        let path = format!("/v1/orgs/demo/artifacts/{digest}");
        self.send("PUT", &path, Bytes::from_static(ARTIFACT)).await?;
        let release = release(digest, now_ms()?);
        let signed = Envelope::sign(PayloadType::Release, &release, &[key])?.to_bytes();
        self.send("POST", "/v1/orgs/demo/releases", signed.into()).await?;
        Ok(())
    }

    async fn send(&self, method: &str, path: &str, body: Bytes) -> Result<Bytes> {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("https://localhost{path}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header(wire::IDEMPOTENCY_KEY, format!("{method} {path}"));
        self.clients[0].clone().send(request.body(Full::from(body))?).await
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

    /// Installs 0 to `count`.
    pub(crate) async fn installs(&self, count: usize) -> Result<()> {
        let create = json!({"create": {}});
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

fn release(digest: Digest, now_ms: i64) -> Release {
    let component = Component {
        name: "web".to_owned(),
        kind: ComponentKind::Script,
        sandbox: false,
        digest,
        size: ARTIFACT.len() as u64,
        needs: vec![],
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        commands: [("deploy".to_owned(), vec!["true".to_owned()])].into(),
        longest_run_ms: 60_000,
        escapes: Default::default(),
    };
    let operation = |class| Operation { class, approval: Approval::None };
    Release {
        vendor: "demo".to_owned(),
        app: "shop".to_owned(),
        channel: "stable".to_owned(),
        version: "1.0.0".to_owned(),
        counter: 1,
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
