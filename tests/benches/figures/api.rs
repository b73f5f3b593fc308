//! Signals through the API over TLS, each stored for good before its answer, beside a bare echo
//! over the same TLS and HTTP/2 with as many connections and requests under way.

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

const RATE: &str = "api.signals_64_in_flight";
const CPU: &str = "api.signals_64_in_flight_server_cpu";
const INSTALLS: usize = 1_000;
/// How often the echo and the broker take turns: what else the machine does then hits both.
const ROUNDS: u32 = 4;
const CONNECTIONS: usize = 8;

/// The figures of this area.
pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    if !options.wants(RATE) && !options.wants(CPU) {
        return Ok(vec![]);
    }
    let time = options.scale(Duration::from_secs(8), Duration::from_secs(1)) / ROUNDS;
    runtime()?.block_on(async {
        let (echo_server, server) = (Server::start("echo")?, Server::start("broker")?);
        let clients = echo_clients(&echo_server).await?;
        let vendor = Arc::new(Vendor::start(&server).await?);
        vendor.installs(INSTALLS, "real").await?;
        let (mut echo, mut signals) = (Load::new(), Load::new());
        for _ in 0..ROUNDS {
            echo.round(&echo_server, time, |task| echo_work(clients[task % clients.len()].clone())).await?;
            signals.round(&server, time, |task| signal_work(vendor.clone(), task)).await?;
        }
        Ok(vec![
            Figure::new(RATE, signals.rate(), "1/s").against(echo.rate()),
            Figure::new(CPU, signals.cpu_us(), "us").against(echo.cpu_us()),
        ])
    })
}

async fn echo_clients(server: &Server) -> Result<Vec<Client>> {
    let ca = server.file("ca.pem")?;
    let connect = (0..CONNECTIONS).map(|_| Client::connect(server.api, &ca));
    futures::future::try_join_all(connect).await
}

fn echo_work(client: Client) -> Work {
    Box::new(move |n| {
        let mut client = client.clone();
        let body = json!({"pause": {"reason": "x"}}).to_string();
        let path = "/v1/objects/ins_demo.shop.i0/signals";
        Box::pin(async move { client.post(path, "token", &n.to_string(), body).await.map(drop) })
    })
}

/// Each task has installs of its own and goes through them, pausing and resuming each in turn.
fn signal_work(vendor: Arc<Vendor>, task: usize) -> Work {
    Box::new(move |n| {
        let vendor = vendor.clone();
        let own = INSTALLS / IN_FLIGHT;
        let is_pause = (n / own).is_multiple_of(2);
        let signal = if is_pause { json!({"pause": {"reason": "x"}}) } else { json!({"resume": {}}) };
        let path = format!("/v1/objects/{}/signals", install(task * own + n % own));
        Box::pin(async move { vendor.post(task, &path, &signal).await.map(drop) })
    })
}

/// One thing to be done again and again, by its number.
type Work = Box<dyn Fn(usize) -> BoxFuture<'static, Result<()>> + Send>;

/// What the rounds of one server gave.
struct Load {
    /// How many requests each task has done: it goes on from there in the next round.
    done: Vec<usize>,
    seconds: f64,
    cpu_ms: f64,
}

impl Load {
    fn new() -> Self {
        Self { done: vec![0; IN_FLIGHT], seconds: 0.0, cpu_ms: 0.0 }
    }

    /// `IN_FLIGHT` tasks together do what `make` makes of each, again and again for a time.
    async fn round(&mut self, server: &Server, time: Duration, make: impl Fn(usize) -> Work) -> Result<()> {
        let (began, cpu_ms) = (Instant::now(), server.cpu_ms()?);
        let mut tasks = vec![];
        for (task, done) in self.done.iter().copied().enumerate() {
            let work = make(task);
            tasks.push(tokio::spawn(async move {
                let mut n = done;
                while began.elapsed() < time {
                    work(n).await?;
                    n += 1;
                }
                anyhow::Ok(n)
            }));
        }
        for (done, task) in self.done.iter_mut().zip(tasks) {
            *done = task.await??;
        }
        self.seconds += began.elapsed().as_secs_f64();
        self.cpu_ms += server.cpu_ms()? - cpu_ms;
        Ok(())
    }

    fn total(&self) -> f64 {
        self.done.iter().sum::<usize>() as f64
    }

    /// Requests a second.
    fn rate(&self) -> f64 {
        self.total() / self.seconds
    }

    /// How long the server computed for a request, microseconds.
    fn cpu_us(&self) -> f64 {
        self.cpu_ms * 1e3 / self.total()
    }
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
