//! A real Kubernetes API server for tests: kube-apiserver over etcd on loopback, with TLS, RBAC and service
//! accounts. No nodes and no controllers: what is written stays as it was written. Gone with its last user.

mod client;
mod objects;
mod process;
mod programs;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use remit_postgres::free_port;
use rustix::process::Signal;
use serde_json::Value;

use client::{Client, config};
use process::Process;

/// How long each program may take to serve, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(180);
/// How many ports are tried, should others take them first.
const TRIES: usize = 5;
/// What both programs say when another has their port.
const PORT_TAKEN: &str = "address already in use";
/// The token of one who may do everything: tests make their objects as this one.
const ADMIN: &str = "admin-of-the-tests";

/// A server that runs. Dropped, it is stopped and its data is gone.
#[derive(Debug)]
pub struct Server {
    client: Client,
    ca_pem: String,
    namespaces: AtomicU32,
    // In this order: the data goes after who uses it.
    api: Process,
    _etcd: Process,
    _dir: tempfile::TempDir,
}

impl Server {
    /// The server of this process; started by its first user and stopped after its last.
    pub fn shared() -> io::Result<Arc<Self>> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Ok(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Ok(server)
    }

    /// Starts a server that knows nothing but its own roles.
    pub fn start() -> io::Result<Self> {
        let temp = tempfile::Builder::new().prefix("remit-k8s").tempdir()?;
        let dir = temp.path();
        let ca_pem = prepare(dir)?;
        let plain = |port| format!("http://127.0.0.1:{port}");
        let (etcd, store) = start(dir, &ca_pem, ("etcd", "/health"), plain, |url| etcd(dir, url))?;
        let tls = |port| format!("https://127.0.0.1:{port}");
        let (api, client) = start(dir, &ca_pem, ("kube-apiserver", "/readyz"), tls, |url| {
            Ok(api_server(dir, url, store.url()))
        })?;
        Ok(Self { client, ca_pem, namespaces: AtomicU32::new(0), api, _etcd: etcd, _dir: temp })
    }

    /// Where it is: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        self.client.url()
    }

    /// Who signed its certificate, PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A kubeconfig for whoever holds this token.
    pub fn kubeconfig(&self, token: &str) -> String {
        config(self.url(), &self.ca_pem, token).to_string()
    }

    /// The kubeconfig of the one who may do everything.
    pub fn admin(&self) -> String {
        self.kubeconfig(ADMIN)
    }

    /// What the API answers the one who may do everything: the status and the object.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        self.client.call(method, path, body)
    }

    /// What the API answers whoever holds this token.
    pub fn call_as(&self, token: &str, method: &str, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        Client::new(self.url(), &self.ca_pem, token)?.call(method, path, body)
    }

    /// Lets the server stand still: it takes connections and answers nothing.
    pub fn freeze(&self) -> io::Result<()> {
        self.api.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> io::Result<()> {
        self.api.signal(Signal::CONT)
    }
}

/// Starts a program at a port that is free, and waits until it says at this path that it serves.
fn start(
    dir: &Path,
    ca_pem: &str,
    (name, ready): (&str, &str),
    url: impl Fn(u16) -> String,
    flags: impl Fn(&str) -> io::Result<Vec<String>>,
) -> io::Result<(Process, Client)> {
    let program = programs::find(name)?;
    for _ in 0..TRIES {
        let url = url(free_port()?);
        let process = Process::start(&program, &flags(&url)?, &dir.join(format!("{name}.log")))?;
        let client = Client::new(&url, ca_pem, ADMIN)?;
        if serves(&process, &client, ready)? {
            return Ok((process, client));
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "others take every port before the server does"))
}

/// Waits until it serves; false if another took its port.
fn serves(process: &Process, client: &Client, ready: &str) -> io::Result<bool> {
    let until = Instant::now() + PATIENCE;
    loop {
        if matches!(client.call("GET", ready, &Value::Null), Ok((200, _))) {
            return Ok(true);
        }
        if process.has_ended() && process.log().contains(PORT_TAKEN) {
            return Ok(false);
        }
        if process.has_ended() || Instant::now() > until {
            return Err(io::Error::other(format!("it does not serve; its log: {}", process.log())));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Makes what the server is told by files: its certificate, the key of service accounts' tokens, and who may do
/// everything. Answers the certificate's authority, PEM.
fn prepare(dir: &Path) -> io::Result<String> {
    let of = io::Error::other::<rcgen::Error>;
    let write = |name: &str, text: String| fs::write(dir.join(name), text);
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(of)?).map_err(of)?;
    let names = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).map_err(of)?;
    let key = KeyPair::generate().map_err(of)?;
    write("server.pem", names.signed_by(&key, &authority).map_err(of)?.pem())?;
    write("server.key", key.serialize_pem())?;
    let accounts = KeyPair::generate().map_err(of)?;
    write("accounts.pem", accounts.public_key_pem())?;
    write("accounts.key", accounts.serialize_pem())?;
    write("tokens.csv", format!("{ADMIN},admin,admin,system:masters\n"))?;
    Ok(authority.pem())
}

/// What is lost when the machine stops is lost with the test, so nothing waits for the disk.
fn etcd(dir: &Path, url: &str) -> io::Result<Vec<String>> {
    let peers = format!("http://127.0.0.1:{}", free_port()?);
    Ok([
        ("data-dir", dir.join("etcd").display().to_string()),
        ("listen-client-urls", url.to_owned()),
        ("advertise-client-urls", url.to_owned()),
        ("listen-peer-urls", peers.clone()),
        ("initial-advertise-peer-urls", peers.clone()),
        ("initial-cluster", format!("default={peers}")),
        ("unsafe-no-fsync", "true".to_owned()),
    ]
    .map(flag)
    .into())
}

fn api_server(dir: &Path, url: &str, etcd: &str) -> Vec<String> {
    let file = |name: &str| dir.join(name).display().to_string();
    let port = url.rsplit(':').next().expect("the URL was made with a port");
    [
        ("etcd-servers", etcd.to_owned()),
        ("bind-address", "127.0.0.1".to_owned()),
        ("advertise-address", "127.0.0.1".to_owned()),
        ("secure-port", port.to_owned()),
        ("insecure-port", "0".to_owned()),
        ("endpoint-reconciler-type", "none".to_owned()),
        ("service-cluster-ip-range", "10.0.0.0/24".to_owned()),
        ("authorization-mode", "RBAC".to_owned()),
        ("token-auth-file", file("tokens.csv")),
        ("tls-cert-file", file("server.pem")),
        ("tls-private-key-file", file("server.key")),
        ("service-account-issuer", objects::ISSUER.to_owned()),
        ("service-account-key-file", file("accounts.pem")),
        ("service-account-signing-key-file", file("accounts.key")),
        ("cert-dir", file("certs")),
    ]
    .map(flag)
    .into()
}

fn flag((name, value): (&str, String)) -> String {
    format!("--{name}={value}")
}
