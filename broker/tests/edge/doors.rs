//! Both doors speak TLS 1.3 and nothing older.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::world::World;

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
