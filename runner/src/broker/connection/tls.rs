//! TLS 1.3 by ring, with the given certificate authority only, and the runner's certificate.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rustls::CertificateError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::{Coded, span};
use crate::proxy::Way;

/// Why no TLS can be spoken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The certificate authority's file holds none.
    #[error("the --ca-file holds no usable PEM certificate")]
    Authority,
    /// The runner's certificate and key do not fit each other.
    #[error("the runner's certificate or key is not usable")]
    Keys(#[source] rustls::Error),
    /// The broker's host is no name that a certificate can have.
    #[error("`{0}` is not a name that a certificate can be for")]
    Host(String),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Authority => "runner.ca_invalid",
            Error::Keys(_) => "runner.identity_invalid",
            Error::Host(_) => "runner.config_invalid",
        }
    }
}

/// The runner's certificate chain and private key, DER.
#[derive(Clone)]
pub struct Keys {
    /// Certificates, the runner's own first.
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8.
    pub key: zeroize::Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

/// Connects and shakes hands; handed to tonic.
#[derive(Clone)]
pub(super) struct Connector {
    host: String,
    port: u16,
    name: ServerName<'static>,
    way: Way,
    tls: TlsConnector,
}

pub(super) fn connector(
    broker: &http::Uri,
    way: Way,
    ca_pem: &[u8],
    keys: Option<&Keys>,
) -> Result<Connector, Error> {
    let host = broker.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|_| Error::Host(host.clone()))?;
    let tls = TlsConnector::from(Arc::new(config(ca_pem, keys)?));
    Ok(Connector { host, port: broker.port_u16().unwrap_or(443), name, way, tls })
}

fn config(ca_pem: &[u8], keys: Option<&Keys>) -> Result<rustls::ClientConfig, Error> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        let certificate = certificate.map_err(|_| Error::Authority)?;
        roots.add(certificate).map_err(|_| Error::Authority)?;
    }
    if roots.is_empty() {
        return Err(Error::Authority);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring speaks TLS 1.3")
        .with_root_certificates(roots);
    let mut config = match keys {
        None => builder.with_no_client_auth(),
        Some(keys) => {
            let chain = keys.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(keys.key.to_vec()));
            builder.with_client_auth_cert(chain, key).map_err(Error::Keys)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

impl tower::Service<http::Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let tcp = this.way.connect(&this.host, this.port).await?;
            Ok(TokioIo::new(this.tls.connect(this.name, tcp).await.map_err(in_words)?))
        })
    }
}

/// What is wrong with the broker's certificate, where it is perhaps the clock that is wrong.
fn in_words(error: io::Error) -> io::Error {
    let of_tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(why)) = of_tls else { return error };
    let apart = |from: &UnixTime, to: &UnixTime| span(to.as_secs().saturating_sub(from.as_secs()) * 1_000);
    match why {
        CertificateError::NotValidYetContext { time, not_before } => io::Error::other(format!(
            "this machine's clock is at least {} behind the broker's, whose certificate is not valid yet: set the \
             clock",
            apart(time, not_before)
        )),
        CertificateError::ExpiredContext { time, not_after } => io::Error::other(format!(
            "the broker's certificate ended {} ago by this machine's clock: set the clock if it is ahead; if not, \
             tell the vendor",
            apart(not_after, time)
        )),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_from_another_time_is_told_as_a_clock_that_is_off() {
        let at = |s: u64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(s));
        let said = |why: CertificateError| {
            in_words(io::Error::other(rustls::Error::InvalidCertificate(why))).to_string()
        };
        let (time, not_before) = (at(1_000), at(8_000));
        let early = said(CertificateError::NotValidYetContext { time, not_before });
        assert!(early.contains("clock is at least 116 minutes behind the broker's"), "{early}");
        let late = said(CertificateError::ExpiredContext { time: at(1_000_000), not_after: at(1_000) });
        assert!(late.contains("ended 11 days ago by this machine's clock"), "{late}");
        assert!(said(CertificateError::UnknownIssuer).contains("UnknownIssuer"));
    }
}
