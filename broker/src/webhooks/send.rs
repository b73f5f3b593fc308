//! Sends one message once: signed, bounded in time and size, over TLS, through no proxy and no redirect.

use std::time::Duration;

use remit_loops::Timestamp;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::address::{self, Refused};
use super::message::Message;
use super::secret::{Error, sign};
use super::{Endpoint, Options};

/// An endpoint that has not answered by then has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Why a message was not delivered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unsent {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("it answered {0}")]
    Status(u16),
    #[error("{0}")]
    Broken(String),
}

impl Unsent {
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Unsent::Status(status) => Some(*status),
            Unsent::Refused(_) | Unsent::Broken(_) => None,
        }
    }
}

/// What sends messages.
pub(crate) struct Sender {
    client: reqwest::Client,
    allow_private: bool,
}

impl Sender {
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let failed = |e: &dyn std::fmt::Display| Error::Client(e.to_string());
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(&e))?
            .with_root_certificates(roots(options)?)
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .use_preconfigured_tls(tls)
            .dns_resolver(address::resolver(options.allow_private))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .user_agent(concat!("remit-broker/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| failed(&e))?;
        Ok(Self { client, allow_private: options.allow_private })
    }

    /// Whether an address may be called at all.
    pub(crate) fn check(&self, url: &str) -> Result<(), Refused> {
        address::check(url, self.allow_private).map(drop)
    }

    /// Sends it, once. Only a 2xx is an answer; its body is nobody's business.
    pub(super) async fn send(
        &self,
        endpoint: &Endpoint,
        secret: &str,
        message: &Message,
        now: Timestamp,
    ) -> Result<u16, Unsent> {
        let url = address::check(&endpoint.url, self.allow_private)?;
        let seconds = now.0.div_euclid(1_000);
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", sign(secret, &message.id, seconds, &message.body))
            .body(message.body.clone());
        let answer = request.send().await.map_err(|e| Unsent::Broken(reason(&e)))?;
        match answer.status() {
            status if status.is_success() => Ok(status.as_u16()),
            status => Err(Unsent::Status(status.as_u16())),
        }
    }
}

/// What went wrong, without the address: it may hold a secret of the endpoint's.
fn reason(error: &reqwest::Error) -> String {
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    let mut last = if error.is_timeout() { "it did not answer in time".to_owned() } else { String::new() };
    while let Some(inner) = source {
        last = inner.to_string();
        source = inner.source();
    }
    if last.is_empty() { "the request failed".to_owned() } else { last }
}

/// The system's authorities, and those that the config names.
fn roots(options: &Options) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "an authority of the system cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    let Some(file) = &options.ca_file else { return Ok(roots) };
    let unreadable = |e: &dyn std::fmt::Display| Error::Client(format!("{}: {e}", file.display()));
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| unreadable(&e))? {
        roots.add(certificate.map_err(|e| unreadable(&e))?).map_err(|e| unreadable(&e))?;
    }
    Ok(roots)
}
