//! Where a database is and how it is reached: a URL without a password in it.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How long one attempt to connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// After so long without a word the other side is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Where Debian and most others keep the certificates that everybody trusts.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The database of several brokers.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    /// How its server is known; `None`: no TLS.
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// Where, without the password.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let host = self.config.get_hosts().first();
        let host = host.map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let database = self.config.get_dbname().unwrap_or("?");
        write!(f, "the database {database} at {}", host.as_deref().unwrap_or("?"))
    }
}

impl Address {
    /// Reads `postgres://USER@HOST[:PORT]/DATABASE[?sslmode=disable][&sslrootcert=FILE]`.
    ///
    /// TLS is required and the server's name checked, but on the loopback and where it is turned off.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Self, String> {
        let (url, root_cert) = take_parameter(url, "sslrootcert");
        // The parser's own words would repeat what may be a password.
        let wrong = |_| "the store's URL must be like postgres://USER@HOST/DATABASE".to_owned();
        let mut config = Config::from_str(&url).map_err(wrong)?;
        if config.get_password().is_some() {
            return Err("the store's URL holds a password, which others could read there; \
                        put it in a file and give --store-password-file"
                .to_owned());
        }
        password.map(|password| config.password(password));
        let says_ssl = url.contains("sslmode=");
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ if !says_ssl && root_cert.is_none() && is_local(&config) => None,
            _ => Some(Arc::new(client(Path::new(root_cert.as_deref().unwrap_or(SYSTEM_ROOTS)))?)),
        };
        config.ssl_mode(if tls.is_some() { SslMode::Require } else { SslMode::Disable });
        config.connect_timeout(CONNECT_WITHIN).keepalives(true).keepalives_idle(KEEPALIVE);
        config.application_name("remit-broker");
        Ok(Self { config, tls })
    }
}

fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }
    })
}

/// A URL without one of its parameters, and that parameter.
fn take_parameter(url: &str, name: &str) -> (String, Option<String>) {
    let Some((base, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let is_it = |pair: &&str| pair.split_once('=').is_some_and(|(key, _)| key == name);
    let (taken, kept): (Vec<&str>, Vec<&str>) = query.split('&').partition(is_it);
    let value = taken.first().and_then(|pair| pair.split_once('=')).map(|(_, value)| value.to_owned());
    let url = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    (url, value)
}

fn client(roots: &Path) -> Result<rustls::ClientConfig, String> {
    let unreadable = |error: &dyn std::fmt::Display| {
        format!("cannot read certificates from {}: {error}; give ?sslrootcert=FILE", roots.display())
    };
    let certificates = CertificateDer::pem_file_iter(PathBuf::from(roots)).map_err(|e| unreadable(&e))?;
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate.map_err(|e| unreadable(&e))?).map_err(|e| unreadable(&e))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| unreadable(&e))?;
    Ok(builder.with_root_certificates(store).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_left_out_only_on_the_loopback_or_on_request() {
        let has_tls = |url: &str| Address::parse(url, None).unwrap().tls.is_some();
        assert!(!has_tls("postgres://remit@127.0.0.1/remit"));
        assert!(!has_tls("postgres://remit@db.example.com/remit?sslmode=disable"));
        let dir = tempfile::tempdir().unwrap();
        let roots = dir.path().join("roots.pem");
        let ca = rcgen::generate_simple_self_signed(vec!["db.example.com".to_owned()]).unwrap();
        std::fs::write(&roots, ca.cert.pem()).unwrap();
        let roots = roots.display();
        for url in ["postgres://remit@db.example.com/remit", "postgres://remit@localhost/remit"] {
            assert!(has_tls(&format!("{url}?sslrootcert={roots}")), "{url}");
            assert!(has_tls(&format!("{url}?sslrootcert={roots}&sslmode=prefer")), "{url}");
        }
        let error = Address::parse("postgres://a@b/c?sslrootcert=/no/such/file", None).unwrap_err();
        assert!(error.contains("/no/such/file") && error.contains("sslrootcert"), "{error}");
    }

    #[test]
    fn a_password_stays_out_of_the_url_and_of_messages() {
        let error = Address::parse("postgres://remit:hunter2@localhost/remit", None).unwrap_err();
        assert!(error.contains("--store-password-file") && !error.contains("hunter2"), "{error}");
        let error = Address::parse("postgres://remit:hunter2@localhost:port/remit", None).unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
        let address = Address::parse("postgres://remit@localhost/db", Some("hunter2")).unwrap();
        assert_eq!(address.config.get_password(), Some(&b"hunter2"[..]));
        assert_eq!(format!("{address:?}"), "the database db at localhost");
    }
}
