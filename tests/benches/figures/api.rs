//! Signals through the API over TLS, each stored for good before its answer, beside a bare echo
//! over the same TLS with as many requests under way.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use remit_tests::figure::{Figure, Options};
use serde_json::json;

use crate::broker::{Client, Server, ready, runtime};
use crate::vendor::{IN_FLIGHT, Vendor, install};

const NAME: &str = "api.signals_64_in_flight";
const INSTALLS: usize = 1_000;

/// The figures of this area.
pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    if !options.wants(NAME) {
        return Ok(vec![]);
    }
    let time = options.scale(Duration::from_secs(8), Duration::from_secs(1));
    runtime()?.block_on(async {
        let echo = bare_rate(time).await?;
        let server = Server::start("broker")?;
        let vendor = Arc::new(Vendor::start(&server, false).await?);
        vendor.installs(INSTALLS).await?;
        let rate = rate(time, |task| {
            let vendor = vendor.clone();
            Box::new(move |n| {
                let vendor = vendor.clone();
                // Each task has installs of its own and goes through them, pausing and resuming each in turn.
                let own = INSTALLS / IN_FLIGHT;
                let is_pause = (n / own).is_multiple_of(2);
                let signal = if is_pause { json!({"pause": {"reason": "x"}}) } else { json!({"resume": {}}) };
                let path = format!("/v1/objects/{}/signals", install(task * own + n % own));
                Box::pin(async move { vendor.post(task, &path, &signal).await.map(drop) })
            })
        });
        Ok(vec![Figure::new(NAME, rate.await?, "1/s").against(echo)])
    })
}

async fn bare_rate(time: Duration) -> Result<f64> {
    let server = Server::start("echo")?;
    let ca = server.file("ca.pem")?;
    let mut clients = vec![];
    for _ in 0..8 {
        clients.push(Client::connect(server.api, &ca).await?);
    }
    rate(time, |task| {
        let client = clients[task % clients.len()].clone();
        Box::new(move |n| {
            let mut client = client.clone();
            let body = json!({"pause": {"reason": "x"}}).to_string();
            let path = "/v1/objects/ins_demo.shop.i0/signals";
            Box::pin(async move { client.post(path, "token", &n.to_string(), body).await.map(drop) })
        })
    })
    .await
}

/// One thing to be done again and again, by its number.
type Work = Box<dyn Fn(usize) -> BoxFuture<'static, Result<()>> + Send>;

/// How often a second `IN_FLIGHT` tasks together do what `make` makes of each.
async fn rate(time: Duration, make: impl Fn(usize) -> Work) -> Result<f64> {
    let until = Instant::now() + time;
    let began = Instant::now();
    let mut tasks = vec![];
    for task in 0..IN_FLIGHT {
        let work = make(task);
        tasks.push(tokio::spawn(async move {
            let mut n = 0;
            while Instant::now() < until {
                work(n).await?;
                n += 1;
            }
            anyhow::Ok(n)
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(done as f64 / began.elapsed().as_secs_f64())
}

/// The echo's part of this program: the same TLS and HTTP/2, and nothing behind them.
pub(crate) fn serve_echo(directory: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
        std::fs::write(directory.join("ca.pem"), certificate.pem())?;
        let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(echo(acceptor.clone(), stream));
            }
        });
        ready(address, address)
    })
}

async fn echo(acceptor: tokio_rustls::TlsAcceptor, stream: tokio::net::TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let stream = acceptor.accept(stream).await?;
    let service = hyper::service::service_fn(async |request: http::Request<hyper::body::Incoming>| {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(http::Response::new(Full::<Bytes>::from(body)))
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    connection.serve_connection(TokioIo::new(stream), service).await.context("a connection")
}
