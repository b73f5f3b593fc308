//! The client of AWS KMS: whatever credentials the machine gives, TLS as everywhere here, every wait bounded.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::{Region, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::Reference;
use super::kms::{Error, Fault};

/// How long a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);
/// How long one try may take.
const TRY_MAX: Duration = Duration::from_secs(4);
/// How long a call may take with its retries and what fetches credentials. A runner's poll has 20 s to spare.
const CALL_MAX: Duration = Duration::from_secs(10);
/// Authorities beside the system's, as other tools of AWS take them.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// A client for this key's region, and which that is.
pub(super) async fn client(of: &Reference) -> Result<(Client, String), Error> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_MAX)
        .operation_attempt_timeout(TRY_MAX)
        .operation_timeout(CALL_MAX)
        .build();
    let loader =
        aws_config::defaults(BehaviorVersion::latest()).http_client(http(of)?).timeout_config(timeouts);
    let loader = match of.region() {
        Some(region) => loader.region(Region::new(region.to_owned())),
        None => loader,
    };
    let config = loader.load().await;
    let Some(region) = config.region().map(ToString::to_string) else {
        let words = "no region is known: write `?region=NAME` after the key, use its ARN, or set AWS_REGION";
        return Err(Error::new(Fault::Settings, of, words));
    };
    Ok((Client::new(&config), region))
}

/// Over the proxy that the environment names, if it names one.
fn http(of: &Reference) -> Result<SharedHttpClient, Error> {
    let mut trusted = TrustStore::default();
    if let Some(pem) = bundle(of)? {
        trusted.add_pem_certificate(pem);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|e| Error::new(Fault::Settings, of, &e.to_string()))?;
    Ok(Builder::new().build_with_connector_fn(move |settings, _| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        let connector = connector.tls_provider(Provider::Rustls(CryptoMode::Ring));
        connector.tls_context(context.clone()).build()
    }))
}

/// The certificates of the bundle; the client takes them unseen, so they are looked at here.
fn bundle(of: &Reference) -> Result<Option<Vec<u8>>, Error> {
    let Some(path) = std::env::var_os(CA_BUNDLE).filter(|path| !path.is_empty()) else { return Ok(None) };
    let wrong = |why: &str| {
        let words = format!("{CA_BUNDLE} is {}: {why}", path.to_string_lossy());
        Error::new(Fault::Settings, of, &words)
    };
    let pem = std::fs::read(&path).map_err(|e| wrong(&e.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(all) if !all.is_empty() => Ok(Some(pem)),
        Ok(_) => Err(wrong("there is no certificate in it")),
        Err(error) => Err(wrong(&error.to_string())),
    }
}
