//! Calls the broker: TLS 1.3 with its own certificate authority only, typed answers, errors with a code.
//!
//! Every call may be repeated: reads by nature, changes by their idempotency key. So a
//! broker that is away for a moment costs a moment.

mod audit;
mod events;
mod trust;
mod webhooks;

use std::time::Duration;

use bytes::Bytes;
use remit_broker::api::wire::updates::{PreviewPage, Updates};
use remit_broker::api::wire::{
    DispatchKey, ErrorBody, IDEMPOTENCY_KEY, LOG_FINAL, LOG_NEXT_OFFSET, LogIndex, NewOrg, NewToken,
    ObjectList, ObjectView, OrgCreated, ReleaseAccepted, RunnerToken, SignalAccepted, Timeline, TokenList,
    TokenMade, WhoAmI, Why, WhyPage,
};
use remit_loops::dry_run::DryRun;
use remit_loops::{Kind, ObjectId};
use remit_seal::Digest;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use rustls_pki_types::pem::PemObject as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::failure::{Exit, Failure, Result, chain};

pub use events::{Event, Events};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one call may take, but for streams and uploads.
const CALL_TIMEOUT: Duration = Duration::from_secs(40);
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(300);
/// How often a call is tried when the broker is away or busy.
const TRIES_MAX: u32 = 6;
/// How long to wait before the second try; doubled for each further one.
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// The most bytes of an answer that is read into memory.
const ANSWER_LEN_MAX: usize = 64 << 20;
/// How many installs of a preview are asked for at once.
const PREVIEW_LEN: usize = 1000;
/// How many objects are asked for at once.
const PAGE_LEN: usize = 500;

/// Where the broker is and who asks.
pub struct Options {
    /// Its address, e.g. `https://127.0.0.1:7450`.
    pub broker: String,
    /// The certificate authority that it must be certified by, PEM.
    pub ca_pem: Vec<u8>,
    /// The bearer token.
    pub token: zeroize::Zeroizing<String>,
}

/// A connection to a broker. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
}

/// A part of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPart {
    /// The text.
    pub text: String,
    /// Where to go on.
    pub next: u64,
    /// Nothing comes after.
    pub is_final: bool,
}

/// One call, kept so that it can be made again.
struct Call {
    method: Method,
    path: String,
    body: Option<(Bytes, &'static str)>,
    key: Option<String>,
    timeout: Duration,
    tries_max: u32,
}

impl Client {
    /// Connects lazily: nothing is sent yet.
    pub fn new(options: &Options) -> Result<Self> {
        let mut headers = HeaderMap::new();
        let bearer = zeroize::Zeroizing::new(format!("Bearer {}", options.token.trim()));
        let mut value = HeaderValue::from_str(&bearer).map_err(|_| {
            Failure::usage("the token holds characters that no token has", "check the token's file")
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        let http = reqwest::Client::builder()
            .use_preconfigured_tls(tls(&options.ca_pem)?)
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .default_headers(headers)
            .user_agent(concat!("remit/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Failure::new(Exit::Local, "cli.tls", chain(&e), "check the CA file"))?;
        Ok(Self { http, base: options.broker.trim_end_matches('/').to_owned() })
    }

    /// The broker's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Whether the broker is there and ready, by one try.
    pub async fn ready(&self) -> Result<()> {
        let call = Call { tries_max: 1, ..Call::get("/readyz") };
        self.send(&call).await.map(|_| ())
    }

    /// Whose token this is.
    pub async fn whoami(&self) -> Result<WhoAmI> {
        self.read(Call::get("/v1/whoami")).await
    }

    /// The public key of the broker's envelopes.
    pub async fn dispatch_key(&self) -> Result<DispatchKey> {
        self.read(Call::get("/v1/dispatch-key")).await
    }

    /// Makes an org with its trust root.
    pub async fn create_org(&self, org: &NewOrg) -> Result<OrgCreated> {
        self.read(Call::post("/v1/orgs", org)?).await
    }

    /// Makes a token of an org.
    pub async fn create_token(&self, org: &str, token: &NewToken) -> Result<TokenMade> {
        self.read(Call::post(format!("/v1/orgs/{org}/tokens"), token)?).await
    }

    /// The tokens of an org.
    pub async fn tokens(&self, org: &str) -> Result<TokenList> {
        self.read(Call::get(format!("/v1/orgs/{org}/tokens"))).await
    }

    /// Takes a token away.
    pub async fn delete_token(&self, org: &str, name: &str) -> Result<()> {
        let call = Call {
            method: Method::DELETE,
            key: Some(new_key()?),
            ..Call::get(format!("/v1/orgs/{org}/tokens/{name}"))
        };
        self.send(&call).await.map(|_| ())
    }

    /// Every object of a kind below another.
    pub async fn objects(&self, kind: Kind, under: &ObjectId) -> Result<Vec<ObjectView>> {
        let kind = serde_json::to_value(kind).map_err(|e| unreadable(&e))?;
        let kind = kind.as_str().unwrap_or_default().to_owned();
        let mut objects = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/v1/objects?kind={kind}&under={under}&limit={PAGE_LEN}{after}");
            let page: ObjectList = self.read(Call::get(path)).await?;
            objects.extend(page.objects);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(objects),
            }
        }
    }

    /// One object.
    pub async fn object(&self, id: &ObjectId) -> Result<ObjectView> {
        self.read(Call::get(format!("/v1/objects/{id}"))).await
    }

    /// One object as it was at a time, RFC 3339 or milliseconds.
    pub async fn object_at(&self, id: &ObjectId, at: &str) -> Result<ObjectView> {
        // Only `+` of an offset means something else in a query.
        self.read(Call::get(format!("/v1/objects/{id}?at={}", at.replace('+', "%2B")))).await
    }

    /// What is not done below an object: the next page.
    pub async fn why_all(&self, under: Option<&ObjectId>, after: Option<&ObjectId>) -> Result<WhyPage> {
        let under = under.map(|id| format!("&under={id}")).unwrap_or_default();
        let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
        self.read(Call::get(format!("/v1/why?limit={PAGE_LEN}{under}{after}"))).await
    }

    /// Why an object is not done.
    pub async fn why(&self, id: &ObjectId) -> Result<Why> {
        self.read(Call::get(format!("/v1/objects/{id}/why"))).await
    }

    /// What happened to an object, the newest first.
    pub async fn timeline(&self, id: &ObjectId, limit: usize, before: Option<u64>) -> Result<Timeline> {
        let before = before.map(|seq| format!("&before={seq}")).unwrap_or_default();
        self.read(Call::get(format!("/v1/objects/{id}/timeline?limit={limit}{before}"))).await
    }

    /// Sends a signal. The same key twice does it once.
    pub async fn signal(
        &self,
        id: &ObjectId,
        signal: &impl Serialize,
        key: Option<String>,
    ) -> Result<SignalAccepted> {
        let mut call = Call::post(format!("/v1/objects/{id}/signals"), signal)?;
        call.key = key.or(call.key);
        self.read(call).await
    }

    /// What a signal would do. Nothing changes.
    pub async fn dry_run(&self, id: &ObjectId, signal: &impl Serialize) -> Result<DryRun> {
        self.read(Call::post(format!("/v1/objects/{id}/signals/dry-run"), signal)?).await
    }

    /// When an install takes releases, and which ones wait.
    pub async fn updates(&self, install: &ObjectId) -> Result<Updates> {
        self.read(Call::get(format!("/v1/objects/{install}/updates"))).await
    }

    /// Who would change by a release of an app: the next page.
    pub async fn preview(
        &self,
        app: &ObjectId,
        version: Option<&str>,
        after: Option<&ObjectId>,
    ) -> Result<PreviewPage> {
        let version = version.map(|version| format!("&version={}", in_query(version))).unwrap_or_default();
        let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
        self.read(Call::get(format!("/v1/objects/{app}/preview?limit={PREVIEW_LEN}{version}{after}"))).await
    }

    /// Makes a one-time token for an install's runner.
    pub async fn runner_token(&self, install: &ObjectId) -> Result<RunnerToken> {
        self.read(Call::post(format!("/v1/objects/{install}/runner-token"), &serde_json::json!({}))?).await
    }

    /// Whether the broker has an artefact.
    pub async fn has_artifact(&self, org: &str, digest: &Digest) -> Result<bool> {
        let path = format!("/v1/orgs/{org}/artifacts/{digest}");
        match self.send(&Call { method: Method::HEAD, ..Call::get(path) }).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.exit == Exit::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Brings an artefact to the broker.
    pub async fn put_artifact(&self, org: &str, digest: &Digest, bytes: Bytes) -> Result<()> {
        let call = Call {
            method: Method::PUT,
            body: Some((bytes, "application/octet-stream")),
            timeout: UPLOAD_TIMEOUT,
            ..Call::get(format!("/v1/orgs/{org}/artifacts/{digest}"))
        };
        self.send(&call).await.map(|_| ())
    }

    /// Publishes a signed release.
    pub async fn publish(&self, org: &str, release: Bytes, hold: bool) -> Result<ReleaseAccepted> {
        let call = Call {
            method: Method::POST,
            body: Some((release, "application/json")),
            key: Some(new_key()?),
            ..Call::get(format!("/v1/orgs/{org}/releases?hold={hold}"))
        };
        self.read(call).await
    }

    /// The attempts of an install that have logs.
    pub async fn logs(&self, install: &ObjectId) -> Result<LogIndex> {
        self.read(Call::get(format!("/v1/objects/{install}/logs"))).await
    }

    /// A log from an offset; waits for more up to so many milliseconds when there is none.
    pub async fn log(
        &self,
        install: &ObjectId,
        job: &str,
        attempt: u32,
        from: (u64, u64),
    ) -> Result<LogPart> {
        let (offset, wait_ms) = from;
        let path = format!("/v1/objects/{install}/logs/{job}/{attempt}?offset={offset}&wait_ms={wait_ms}");
        let response = self.send(&Call::get(path)).await?;
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let next = header(LOG_NEXT_OFFSET).and_then(|n| n.parse().ok()).unwrap_or(offset);
        let is_final = header(LOG_FINAL).as_deref() == Some("true");
        let text = String::from_utf8_lossy(&body(response).await?).into_owned();
        Ok(LogPart { text, next, is_final })
    }

    /// The changes of an object as they happen.
    pub async fn events(&self, id: &ObjectId) -> Result<Events> {
        let call = Call { timeout: Duration::MAX, ..Call::get(format!("/v1/objects/{id}/events")) };
        Ok(Events::new(self.send(&call).await?))
    }

    async fn read<T: DeserializeOwned>(&self, call: Call) -> Result<T> {
        let bytes = body(self.send(&call).await?).await?;
        serde_json::from_slice(&bytes).map_err(|e| unreadable(&e))
    }

    /// Makes the call until it is answered, for as long as trying again makes sense.
    async fn send(&self, call: &Call) -> Result<Response> {
        let mut wait = RETRY_FIRST;
        let mut tries = 1;
        loop {
            let failure = match self.once(call).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            if failure.exit != Exit::Unavailable || tries >= call.tries_max {
                return Err(failure);
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
            tries += 1;
        }
    }

    async fn once(&self, call: &Call) -> Result<Response> {
        let mut request = self.http.request(call.method.clone(), format!("{}{}", self.base, call.path));
        if call.timeout != Duration::MAX {
            request = request.timeout(call.timeout);
        }
        if let Some((body, content_type)) = &call.body {
            request = request.header(CONTENT_TYPE, *content_type).body(body.clone());
        }
        if let Some(key) = &call.key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        if status.is_success() { Ok(response) } else { Err(refusal(status, response).await) }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let text = chain(error);
        if text.contains("certificate") {
            let message = format!("{} does not prove to be the broker: {text}", self.base);
            let hint =
                "give the broker's ca.pem with --ca-file or REMIT_CA_FILE; it lies in its data directory";
            return Failure::new(Exit::Refused, "cli.tls", message, hint);
        }
        let message = format!("no answer from {}: {text}", self.base);
        let hint = "see whether `remit-broker serve` runs there, and whether REMIT_BROKER is its address";
        Failure::new(Exit::Unavailable, "cli.unreachable", message, hint)
    }
}

impl Call {
    fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            body: None,
            key: None,
            timeout: CALL_TIMEOUT,
            tries_max: TRIES_MAX,
        }
    }

    fn post(path: impl Into<String>, body: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(body).map_err(|e| unreadable(&e))?;
        let body = Some((Bytes::from(bytes), "application/json"));
        Ok(Self { method: Method::POST, body, key: Some(new_key()?), ..Self::get(path) })
    }
}

/// A text as it stands in a query.
fn in_query(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// A key that nobody has used.
pub fn new_key() -> Result<String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|e| {
        Failure::new(Exit::Local, "cli.randomness", format!("the system gives no randomness: {e}"), "")
    })?;
    Ok(hex::encode(bytes))
}

/// This certificate authority and no other.
fn tls(ca_pem: &[u8]) -> Result<rustls::ClientConfig> {
    let bad = |why: String| {
        let hint = "give the broker's ca.pem with --ca-file or REMIT_CA_FILE; it lies in its data directory";
        Failure::new(Exit::Usage, "cli.ca", why, hint)
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_pki_types::CertificateDer::pem_slice_iter(ca_pem) {
        let certificate = certificate.map_err(|e| bad(format!("the CA file is no PEM: {e}")))?;
        roots.add(certificate).map_err(|e| bad(format!("the CA file holds no authority: {e}")))?;
    }
    if roots.is_empty() {
        return Err(bad("the CA file holds no certificate".into()));
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| bad(e.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

async fn body(mut response: Response) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| broken(&e))? {
        if bytes.len() + chunk.len() > ANSWER_LEN_MAX {
            return Err(unreadable(&"it is larger than any answer should be"));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// An answer that is an error, with the broker's own words where it has some.
async fn refusal(status: StatusCode, response: Response) -> Failure {
    let bytes = body(response).await.unwrap_or_default();
    let exit = match status {
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Exit::Unavailable,
        status if status.is_server_error() => Exit::Unavailable,
        _ => Exit::Refused,
    };
    match serde_json::from_slice::<ErrorBody>(&bytes) {
        Ok(ErrorBody { error }) => Failure::new(exit, &error.code, error.message, error.hint),
        Err(_) => {
            let message = format!("the broker answered {status} and no reason");
            Failure::new(exit, "cli.answer", message, "see the broker's log")
        }
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Failure {
    let message = format!("the broker's answer cannot be read: {error}");
    Failure::new(Exit::Unavailable, "cli.answer", message, "are remit and the broker of the same version?")
}

fn broken(error: &reqwest::Error) -> Failure {
    let message = format!("the broker's answer broke off: {}", chain(error));
    Failure::new(Exit::Unavailable, "cli.unreachable", message, "try again")
}
