//! Puts the broker together and runs it: config and listeners in, two doors open, one handle out.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use remit_loops::runner::Report;
use remit_loops::{Actor, Body, Kind};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::artifacts::Artifacts;
use crate::audit::{self, Audit};
use crate::config::{Config, StoreChoice};
use crate::dispatch::{self, DispatchKeys};
use crate::door::{self, Clients, Door, limits};
use crate::edge::Edge;
use crate::engine::{Engine, Options, Submission, SubmitError};
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::permits::Permits;
use crate::pki::{self, Authority};
use crate::presence::Presence;
use crate::progress::Progress;
use crate::reminders::{self, Reminders};
use crate::store::postgres::Address;
use crate::store::{PostgresStore, SqliteStore, StoreError};
use crate::sts::{self, Sts};
use crate::tokens::{self, Tokens};
use crate::trust::Trust;
use crate::webhooks::{self, SecretError, Webhooks};
use crate::{api, backup, rpc};

/// How long the answers under way may take when the broker goes down.
const DRAIN_WITHIN: Duration = Duration::from_secs(20);
/// How many runners are read at once.
const PAGE: usize = 500;
/// The sockets to listen on; whoever starts a broker hands them in.
#[derive(Debug)]
pub struct Listeners {
    /// For the API.
    pub api: TcpListener,
    /// For runners.
    pub rpc: TcpListener,
}

impl Listeners {
    /// Listens where the config says.
    pub async fn bind(config: &Config) -> Result<Self, Error> {
        let bind = async |address: SocketAddr| {
            TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
        };
        Ok(Self { api: bind(config.api_listen).await?, rpc: bind(config.rpc_listen).await? })
    }
}

/// What can keep a broker from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory cannot be used.
    #[error("cannot use {path}: {source}", path = path.display())]
    DataDir {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; is another broker running?")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's address, or the file of its password.
    #[error("{0}")]
    StoreAddress(String),
    /// The place of artefacts and logs cannot be used.
    #[error("cannot keep artefacts and logs: {0}")]
    Objects(#[from] object_store::Error),
    /// Keys or certificates.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// The dispatch key.
    #[error(transparent)]
    Dispatch(#[from] dispatch::Error),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] door::Error),
    /// Asking AWS.
    #[error(transparent)]
    Sts(#[from] sts::Error),
    /// The operator's token.
    #[error(transparent)]
    Tokens(#[from] tokens::Error),
    /// Webhooks: their key, or the authorities that they trust.
    #[error(transparent)]
    Webhooks(#[from] SecretError),
}

impl Error {
    /// The stable code, with a section in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::DataDir { .. } | Error::Objects(_) => "broker.data_dir",
            Error::Listen { .. } => "broker.listen",
            Error::Store(error) => error.code(),
            Error::StoreAddress(_) => "broker.config_invalid",
            Error::Sts(_) => "broker.sts",
            Error::Dispatch(error) => error.code(),
            Error::Pki(_) | Error::Tls(_) | Error::Tokens(_) | Error::Webhooks(_) => "broker.keys",
        }
    }
}

impl Error {
    /// What to do next, where more can be said than the message does.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Dispatch(dispatch::Error::Kms(error)) => Some(error.hint()),
            _ => None,
        }
    }
}

/// A broker that runs. Dropping it leaves it running; `stop` ends it.
#[derive(Debug)]
pub struct Running {
    /// Where the API listens.
    pub api_addr: SocketAddr,
    /// Where runners call.
    pub rpc_addr: SocketAddr,
    /// The certificate authority that clients trust, PEM.
    pub ca_file: PathBuf,
    /// The operator's token.
    pub operator_token_file: PathBuf,
    stopping: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    auditing: (CancellationToken, JoinHandle<()>),
    watcher: JoinHandle<()>,
    engine: StopEngine,
}

struct StopEngine(Engine);

impl std::fmt::Debug for StopEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Running {
    /// Lets nobody in any more, answers what is under way, stores what waits, and ends.
    pub async fn stop(self) {
        self.stopping.cancel();
        let aborts: Vec<_> = self.tasks.iter().map(JoinHandle::abort_handle).collect();
        let drained = futures::future::join_all(self.tasks);
        if tokio::time::timeout(DRAIN_WITHIN, drained).await.is_err() {
            tracing::warn!("some answers were still under way after {DRAIN_WITHIN:?} and are cut off");
            aborts.iter().for_each(tokio::task::AbortHandle::abort);
        }
        // Nobody decides anything any more: what was decided is written down, and then the store closes.
        let (closing, writer) = self.auditing;
        closing.cancel();
        if let Err(error) = writer.await {
            tracing::error!(%error, "the audit log's writer ended unexpectedly");
        }
        self.watcher.abort();
        self.engine.0.stop().await;
    }
}

/// Starts a broker on these listeners.
pub async fn serve(config: &Config, listeners: Listeners) -> Result<Running, Error> {
    // What is printed for people to export must hold wherever they go from there.
    let data = &std::path::absolute(&config.data_dir)
        .map_err(|source| Error::DataDir { path: config.data_dir.clone(), source })?;
    make_directory(data)?;
    let addr = |listener: &TcpListener| {
        listener.local_addr().map_err(|source| Error::DataDir { path: data.clone(), source })
    };
    let (api_addr, rpc_addr) = (addr(&listeners.api)?, addr(&listeners.rpc)?);
    // The store first: a second broker on an embedded one ends here, before it touches a key.
    let engine = start_engine(config.store.clone()).await?;
    // Brokers that share a data directory make its keys one after the other.
    let keys_lock = lock_keys(data).await?;
    let stopping = CancellationToken::new();
    let edge = Arc::new(edge(config, engine.clone(), rpc_addr, stopping.clone()).await?);
    let operator_token_file = data.join("operator.token");
    edge.tokens.ensure_operator(&operator_token_file).await?;
    drop(keys_lock);
    if !engine.is_shared() {
        edge.presence.remember(&engine).await?;
    }
    let closing = CancellationToken::new();
    let writing = audit::run(edge.audit.clone(), edge.dispatch.clone(), closing.clone());
    let auditing = (closing, tokio::spawn(writing));
    ask_after_restore(&edge).await?;
    let doors = doors(config, &edge, listeners)?;
    let mut tasks: Vec<_> = doors.map(|door| tokio::spawn(door.serve(stopping.clone()))).into();
    tasks.push(tokio::spawn(webhooks::run(edge.webhooks.clone(), stopping.clone())));
    let looked = reminders::Looked {
        engine: engine.clone(),
        trust: edge.trust.clone(),
        dispatch: edge.dispatch.clone(),
        reminders: edge.reminders.clone(),
    };
    tasks.push(tokio::spawn(reminders::run(looked, stopping.clone())));
    let watcher = tokio::spawn(edge.presence.clone().watch(engine.clone()));
    tracing::info!(%api_addr, %rpc_addr, data_dir = %data.display(), "the broker is up");
    let (ca_file, engine) = (data.join("ca.pem"), StopEngine(engine));
    Ok(Running {
        api_addr,
        rpc_addr,
        ca_file,
        operator_token_file,
        stopping,
        tasks,
        auditing,
        watcher,
        engine,
    })
}

/// Opens the store and starts the engine on it, where one may block.
async fn start_engine(choice: StoreChoice) -> Result<Engine, Error> {
    let started = tokio::task::spawn_blocking(move || {
        let store = match choice {
            StoreChoice::Sqlite(file) => SqliteStore::open(&file)?,
            StoreChoice::Postgres { url, password_file } => {
                let password = password_file.map(|file| read_password(&file)).transpose()?;
                let address = Address::parse(&url, password.as_deref().map(String::as_str));
                PostgresStore::open(address.map_err(Error::StoreAddress)?)?
            }
        };
        Ok(Engine::start(store, Options::default())?)
    });
    started.await.map_err(|error| StoreError::Failed(error.to_string()))?
}

/// After a restore each runner is asked how far it had got, before anything new is offered to it.
async fn ask_after_restore(edge: &Edge) -> Result<(), StoreError> {
    let engine = &edge.engine;
    let (space, key) = backup::RESTORED;
    let Some(taken) = engine.get_record(space, key).await? else { return Ok(()) };
    let mut after = None;
    loop {
        let page = engine.list(Kind::Runner, None, after.as_ref(), PAGE).await?;
        for runner in &page {
            let (to, body) = (runner.id.clone(), Body::Report(Report::Restored {}));
            let asked = engine.submit(Submission { to, by: Actor::Clock, key: None, body }).await;
            // One whose install is gone refuses, and has nothing to say.
            match asked {
                Ok(_) | Err(SubmitError::Rejected(_)) => {}
                Err(error) => return Err(StoreError::Failed(error.to_string())),
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
            Some(_) | None => break,
        }
    }
    let taken = String::from_utf8_lossy(&taken).into_owned();
    let restored = audit::New { by: "broker".to_owned(), code: "log.restored", ..audit::New::default() };
    edge.audit.put(restored.fact("backup", &taken)).await?;
    tracing::warn!(backup = taken, "restored from a backup: runners are asked how far they had got");
    engine.delete_record(space, key).await.map(drop)
}

fn read_password(file: &Path) -> Result<Zeroizing<String>, Error> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|e| Error::StoreAddress(format!("cannot read {}: {e}", file.display())))?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

async fn lock_keys(data: &Path) -> Result<File, Error> {
    let path = data.join("keys.lock");
    let failed = {
        let path = path.clone();
        move |source| Error::DataDir { path, source }
    };
    let locked = tokio::task::spawn_blocking(move || {
        let file = File::options().create(true).truncate(false).write(true).open(&path)?;
        file.lock()?;
        Ok(file)
    });
    locked.await.map_err(io::Error::other).flatten().map_err(failed)
}

async fn edge(
    config: &Config,
    engine: Engine,
    rpc_addr: SocketAddr,
    stopping: CancellationToken,
) -> Result<Edge, Error> {
    let data = &config.data_dir;
    let objects = objects(data)?;
    let presence = Presence::new(config.runner_silent_after);
    let reminders = Arc::<Reminders>::default();
    let dispatch = Arc::new(DispatchKeys::open(data, config.dispatch_kms.clone()).await?);
    Ok(Edge {
        tokens: Tokens::new(engine.clone()),
        artifacts: Artifacts::new(objects.clone()),
        logs: Logs::new(objects, engine.is_shared()),
        progress: Progress::default(),
        authority: Authority::open(data, engine.now())?,
        audit: Arc::new(Audit::new(engine.clone(), config.audit)),
        sts: Sts::new(config.sts_endpoint.as_deref())?,
        trust: Arc::new(Trust::new(engine.clone())),
        permits: Permits::new(engine.clone()),
        metrics: Metrics::new(engine.clone(), presence.clone(), dispatch.clone(), reminders.clone()),
        dispatch,
        reminders,
        webhooks: Arc::new(Webhooks::open(engine.clone(), data, &config.webhooks)?),
        rpc_url: rpc_url(config, rpc_addr),
        making_org: tokio::sync::Mutex::new(()),
        streams: Edge::streams(),
        stopping,
        presence,
        engine,
    })
}

fn doors(config: &Config, edge: &Arc<Edge>, listeners: Listeners) -> Result<[Door; 2], Error> {
    let (api_limits, rpc_limits) = limits::fit();
    let hosts = door::hosts(&config.public_hosts);
    let tls = |clients: &Clients, protocols: &[&[u8]]| -> Result<_, door::Error> {
        let certificate = edge.authority.issue_server(&hosts, edge.engine.now())?;
        Ok(door::tls(&edge.authority, certificate, clients, protocols)?)
    };
    let api = Door {
        listener: listeners.api,
        tls: tls(&Clients::Anybody, &[b"h2", b"http/1.1"])?,
        router: api::router(edge.clone()),
        limits: api_limits,
        connections: edge.metrics.api_connections.clone(),
    };
    let rpc = Door {
        listener: listeners.rpc,
        tls: tls(&Clients::MayShowCertificate, &[b"h2"])?,
        router: rpc::router(edge.clone()),
        limits: rpc_limits,
        connections: edge.metrics.rpc_connections.clone(),
    };
    Ok([api, rpc])
}

fn make_directory(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::DataDir { path: path.to_owned(), source })
}

fn objects(data: &Path) -> Result<Arc<dyn ObjectStore>, Error> {
    let path = data.join("objects");
    make_directory(&path)?;
    Ok(Arc::new(LocalFileSystem::new_with_prefix(path)?))
}

/// What runners are told to call.
fn rpc_url(config: &Config, rpc_addr: SocketAddr) -> String {
    let ip = rpc_addr.ip();
    let host = match config.public_hosts.first() {
        Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => format!("[{host}]"),
        Some(host) => host.clone(),
        None if ip.is_unspecified() => "localhost".to_owned(),
        None if ip.is_ipv6() => format!("[{ip}]"),
        None => ip.to_string(),
    };
    format!("https://{host}:{}", rpc_addr.port())
}
