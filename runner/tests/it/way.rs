//! A way to a Kubernetes API server where a valve sees what passes: TLS ends before it and begins anew behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use remit_kubernetes::Server;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::valve::Valve;

pub(crate) struct Way {
    pub(crate) valve: Valve,
    url: String,
    ca_pem: String,
}

impl Way {
    pub(crate) fn before(server: &Server) -> Self {
        let (acceptor, ca_pem) = acceptor();
        let connector = connector(server.ca_pem());
        let addr: SocketAddr = server.url().trim_start_matches("https://").parse().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let [front, back] = [(); 2].map(|()| runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap());
        let url = format!("https://{}", front.local_addr().unwrap());
        let valve = Valve::before(&back.local_addr().unwrap().to_string());
        let to = valve.addr;
        // Gone with the test's process.
        std::thread::spawn(move || {
            runtime
                .block_on(async { tokio::join!(plain(front, acceptor, to), secret(back, connector, addr)) })
        });
        Self { valve, url, ca_pem }
    }

    /// A kubeconfig that leads this way.
    pub(crate) fn kubeconfig(&self, straight: &str) -> String {
        let mut config: Value = serde_json::from_str(straight).unwrap();
        let ca = STANDARD.encode(&self.ca_pem);
        config["clusters"][0]["cluster"] = json!({"server": self.url, "certificate-authority-data": ca});
        config.to_string()
    }
}

async fn plain(front: TcpListener, acceptor: TlsAcceptor, to: SocketAddr) {
    while let Ok((from, _)) = front.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let (mut from, mut to) = (acceptor.accept(from).await?, TcpStream::connect(to).await?);
            copy_bidirectional(&mut from, &mut to).await
        });
    }
}

async fn secret(back: TcpListener, connector: TlsConnector, to: SocketAddr) {
    while let Ok((mut from, _)) = back.accept().await {
        let connector = connector.clone();
        tokio::spawn(async move {
            let to = connector.connect(ServerName::from(to.ip()), TcpStream::connect(to).await?);
            copy_bidirectional(&mut from, &mut to.await?).await
        });
    }
}

/// With a certificate that nobody else signed, PEM.
fn acceptor() -> (TlsAcceptor, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
}

fn connector(ca_pem: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}
