//! A blocking client of the API, for tests with and without a runtime of their own.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

pub(crate) struct Client {
    inner: kube::Client,
    runtime: Runtime,
    url: String,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(url: &str, ca_pem: &str, token: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let config: Kubeconfig = serde_json::from_value(config(url, ca_pem, token))?;
        let connect = async {
            let options = KubeConfigOptions::default();
            let mut config =
                kube::Config::from_custom_kubeconfig(config, &options).await.map_err(io::Error::other)?;
            config.proxy_url = None;
            kube::Client::try_from(config).map_err(io::Error::other)
        };
        let inner = apart(|| runtime.block_on(connect))?;
        Ok(Self { inner, runtime, url: url.to_owned() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        let method: Method = method.parse().map_err(io::Error::other)?;
        let patch = method == Method::PATCH;
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let kind = if patch { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder().method(method).uri(path).header("content-type", kind);
        let request = request.body(Body::from(bytes)).map_err(io::Error::other)?;
        let ask = async {
            let answer = self.inner.send(request).await.map_err(io::Error::other)?;
            let status = answer.status().as_u16();
            let bytes = answer.into_body().collect_bytes().await.map_err(io::Error::other)?;
            let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
            Ok((status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text())))
        };
        apart(|| self.runtime.block_on(ask))
    }
}

/// Beside the runtime that the caller may be in: a thread of one may not wait for another.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().expect("what is asked does not panic"))
}

/// A kubeconfig; JSON is YAML.
pub(crate) fn config(url: &str, ca_pem: &str, token: &str) -> Value {
    let ca = STANDARD.encode(ca_pem);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": ca}}],
        "users": [{"name": "test", "user": {"token": token}}],
    })
}
