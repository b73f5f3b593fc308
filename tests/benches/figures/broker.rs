//! A server in a process of its own, so that its memory and time can be told from the clients':
//! this very program, started again with what to serve. Clients are bare HTTP/2 over TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use remit_broker::config::Config;
use remit_broker::{Listeners, serve};
use tokio::runtime::Runtime;

/// Names what a child serves; its presence makes this program a child.
const SERVE: &str = "REMIT_FIGURES_SERVE";
/// The port of the clock ticks of `/proc`: 100 a second on every Linux.
const TICK_MS: f64 = 10.0;

/// What a child does in its directory until its standard input ends.
type Serve = fn(&Path) -> Result<()>;

/// A child's part, if this process is one: that of this name, or a broker's.
pub(crate) fn child(others: &[(&str, Serve)]) -> Option<Result<()>> {
    let what = std::env::var(SERVE).ok()?;
    let (kind, directory) = what.split_once(':')?;
    let other = others.iter().find(|(name, _)| *name == kind).map(|(_, serve)| *serve);
    Some(other.unwrap_or(broker)(Path::new(directory)))
}

fn broker(directory: &Path) -> Result<()> {
    runtime()?.block_on(async {
        let config = Config::local(directory);
        let running = serve(&config, Listeners::bind(&config).await?).await?;
        ready(running.api_addr, running.rpc_addr)?;
        running.stop().await;
        Ok(())
    })
}

/// Tells the parent where to call, and waits until it wants no more.
pub(crate) fn ready(api: SocketAddr, rpc: SocketAddr) -> Result<()> {
    println!("{api} {rpc}");
    std::io::stdout().flush()?;
    // The runtime's workers go on serving while this thread waits.
    tokio::task::block_in_place(|| std::io::stdin().read_to_end(&mut vec![]))?;
    Ok(())
}

pub(crate) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// A server that runs.
pub(crate) struct Server {
    process: Child,
    pub(crate) directory: tempfile::TempDir,
    /// Where its API, or its only door, is.
    pub(crate) api: SocketAddr,
    /// Where its runners call.
    pub(crate) rpc: SocketAddr,
}

impl Server {
    /// Starts this program again as a `broker`, a `bare` gRPC server or an `echo`.
    pub(crate) fn start(kind: &str) -> Result<Self> {
        Self::start_in(kind, tempfile::Builder::new().prefix("remit-figures-").tempdir()?)
    }

    /// Starts it in a directory with what it needs.
    pub(crate) fn start_in(kind: &str, directory: tempfile::TempDir) -> Result<Self> {
        let what = format!("{kind}:{}", directory.path().display());
        let mut command = Command::new(std::env::current_exe()?);
        command.env(SERVE, what).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().context("its output")?).read_line(&mut line)?;
        let (api, rpc) = line.trim().split_once(' ').context("a server that does not start")?;
        Ok(Self { api: api.parse()?, rpc: rpc.parse()?, process, directory })
    }

    /// What it holds in memory, KiB.
    pub(crate) fn resident_kib(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    }

    /// How long it has computed, milliseconds.
    pub(crate) fn cpu_ms(&self) -> Result<f64> {
        cpu_ms_of(&self.process.id().to_string())
    }

    /// How much of one core it takes from now on for so long, percent.
    pub(crate) async fn cpu_percent(&self, window: Duration) -> Result<f64> {
        let (before, began) = (self.cpu_ms()?, Instant::now());
        tokio::time::sleep(window).await;
        Ok((self.cpu_ms()? - before) / (began.elapsed().as_secs_f64() * 10.0))
    }

    /// A text file in its directory.
    pub(crate) fn file(&self, name: &str) -> Result<String> {
        Ok(std::fs::read_to_string(self.directory.path().join(name))?.trim().to_owned())
    }

    /// A connection to its API.
    pub(crate) async fn connect(&self) -> Result<Client> {
        Client::connect(self.api, &self.file("ca.pem")?).await
    }
}

/// How long a process has computed, by its number or `self`, milliseconds.
pub(crate) fn cpu_ms_of(process: &str) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit_once(") ").context("stat")?.1;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? * TICK_MS)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its input ends with the handle; whatever it does then, it does not outlive this run.
        drop(self.process.stdin.take());
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// One HTTP/2 connection.
#[derive(Clone)]
pub(crate) struct Client {
    sender: http2::SendRequest<Full<Bytes>>,
    authority: String,
}

impl Client {
    /// Connects and speaks TLS 1.3 with whoever has a certificate of this authority.
    pub(crate) async fn connect(address: SocketAddr, ca_pem: &str) -> Result<Self> {
        use rustls::pki_types::pem::PemObject;
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = tokio::net::TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let stream = connector.connect("localhost".try_into()?, stream).await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender, authority: address.to_string() })
    }

    /// A POST with a fresh idempotency key; the body of a good answer.
    pub(crate) async fn post(&mut self, path: &str, token: &str, key: &str, body: String) -> Result<Bytes> {
        let request = http::Request::post(format!("https://{}{path}", self.authority))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("idempotency-key", key)
            .body(Full::from(body))?;
        self.send(request).await
    }

    pub(crate) async fn send(&mut self, request: http::Request<Full<Bytes>>) -> Result<Bytes> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}
