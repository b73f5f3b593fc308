//! Both listeners speak TLS 1.3 and nothing older, and whoever says nothing keeps nobody out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{World, client};

async fn shakes_hands(
    world: &World,
    addr: SocketAddr,
    only: &'static SupportedProtocolVersion,
) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[only])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(addr).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let shaken = TlsConnector::from(Arc::new(config)).connect(name, tcp).await;
    shaken.map(drop).map_err(|e| e.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_older_than_tls_1_3_is_spoken_at_either_door() {
    let world = World::start().await;
    for addr in [world.running.api_addr, world.running.rpc_addr] {
        shakes_hands(&world, addr, &version::TLS13).await.unwrap();
        let refused = shakes_hands(&world, addr, &version::TLS12).await.unwrap_err();
        assert!(refused.contains("ProtocolVersion"), "{refused}");
    }
}

/// How long a connection that says nothing may stay, with what a loaded machine adds to the ten seconds.
const SILENT_WITHIN: Duration = Duration::from_secs(25);
/// More than the API has places, all from one address.
const CROWD: usize = 4_200;
/// The first frame that a client sends, and what must come before it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

async fn tls(world: &World, addr: SocketAddr) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(world.ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&version::TLS13]);
    let mut config = config.unwrap().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let tcp = TcpStream::connect(addr).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}

/// Reads until the other side has closed.
async fn is_closed(mut stream: impl AsyncRead + Unpin) {
    let mut rest = vec![0; 1024];
    let closed = async { while stream.read(&mut rest).await.is_ok_and(|n| n > 0) {} };
    tokio::time::timeout(SILENT_WITHIN, closed).await.expect("a connection that says nothing stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_is_cut_off_at_either_door() {
    let world = World::start().await;
    let mut closed: Vec<BoxFuture<'_, ()>> = vec![];
    for addr in [world.running.api_addr, world.running.rpc_addr] {
        closed.push(Box::pin(is_closed(TcpStream::connect(addr).await.unwrap())));
        let half_a_frame = &EMPTY_SETTINGS[..5];
        let said = [b"".to_vec(), PREFACE[..9].to_vec(), [PREFACE, EMPTY_SETTINGS].concat()];
        for words in said.into_iter().chain([[PREFACE, half_a_frame].concat()]) {
            let mut stream = tls(&world, addr).await;
            stream.write_all(&words).await.unwrap();
            stream.flush().await.unwrap();
            closed.push(Box::pin(is_closed(stream)));
        }
    }
    futures::future::join_all(closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let world = World::start().await;
    let token = world.org("demo").await;
    let mut crowd = vec![];
    for _ in 0..CROWD {
        crowd.push(tls(&world, world.running.api_addr).await);
    }
    let asked = client(&world.ca_pem).get(world.url("/livez")).send();
    let answer = tokio::time::timeout(Duration::from_secs(5), asked).await.expect("a newcomer waits");
    assert!(answer.unwrap().status().is_success());
    // Whoever was known before is served, too.
    let _: serde_json::Value = world.with(&token).get("/v1/objects/org_demo").await;
    drop(crowd);
}
