//! The broker's HTTP API as a program sees it, blocking. It knows no shapes: tests look at the JSON.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Certificate, Client, Method};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The longest that one answer may take; streams are read elsewhere.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// An answer, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON of it, null where it was none.
    pub body: Value,
    /// The bytes of it.
    pub bytes: Vec<u8>,
}

impl Answer {
    /// The stable code of an error.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

/// The API with one token.
pub struct Api {
    base: String,
    token: String,
    client: Client,
}

impl Api {
    pub(crate) fn new(base: &str, ca_pem: &[u8], token: &str) -> Result<Api> {
        let provider = rustls::crypto::ring::default_provider();
        // A second test of this process finds it installed.
        drop(provider.install_default());
        let client = Client::builder()
            .use_rustls_tls()
            .add_root_certificate(Certificate::from_pem(ca_pem).context("the broker's ca.pem")?)
            .timeout(ANSWER_MAX)
            .build()?;
        Ok(Api { base: base.to_owned(), token: token.to_owned(), client })
    }

    /// # Errors
    /// No answer came.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.send(&Method::GET, path, None, None)
    }

    /// With an idempotency key of its own.
    ///
    /// # Errors
    /// No answer came.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.post_once(path, body, &format!("world-{}-{number}", std::process::id()))
    }

    /// With this idempotency key.
    ///
    /// # Errors
    /// No answer came.
    pub fn post_once(&self, path: &str, body: &Value, key: &str) -> Result<Answer> {
        self.send(&Method::POST, path, Some(body), Some(key))
    }

    /// The view of an object.
    ///
    /// # Errors
    /// No answer, or none with an object.
    pub fn view(&self, id: &str) -> Result<Value> {
        let answer = self.get(&format!("/v1/objects/{id}"))?;
        ensure!(answer.status == 200, "{id}: {} {}", answer.status, answer.body);
        Ok(answer.body["view"].clone())
    }

    /// Any request.
    ///
    /// # Errors
    /// No answer came.
    pub fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Answer> {
        let mut request =
            self.client.request(method.clone(), format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body.filter(|body| !body.is_null()) {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        runtime().block_on(async {
            let response = request.send().await?;
            let status = response.status().as_u16();
            let bytes = response.bytes().await?.to_vec();
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok(Answer { status, body, bytes })
        })
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).enable_all().build().expect("a runtime of one thread needs next to nothing")
    })
}
