//! Puts the parts of a runner together, starts them, and ends them.

mod error;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use remit_proto::convert::RunnerInfo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::account::lock::Locks;
use crate::account::lock::backend::Place;
use crate::account::lock::owner::Owner;
use crate::attempt::artifact::Cache;
use crate::attempt::metrics::Metrics;
use crate::attempt::pin::{self, Pin};
use crate::attempt::plan_answers;
use crate::attempt::runner::{Current, Mode, PAUSED_FILE, Runner};
use crate::broker::connection::Link;
use crate::broker::identity::Identity;
use crate::broker::trust::Trust;
use crate::config::Config;
use crate::error::now_ms;
use crate::executor::Executors;
use crate::policy::approval::Approvals;
use crate::policy::approval::waiting::Waits;
use crate::policy::{Past, Policy};
use crate::process::Environment;
use crate::process::confine::Confinement;
use crate::stop::Reason;
use crate::storage::data_dir::{self, DataDir};
use crate::storage::journal::{Entry, Journal, Reference};
use crate::storage::outputs::Store;
use crate::{halt, lease, recovery, status};

pub use error::Error;

/// How long a draining runner waits for the broker to take its last reports; they are sent
/// again at the next start.
const REPORTS_WAIT: Duration = Duration::from_secs(10);
/// How long a forced one waits for killed processes to be gone and endings to be recorded.
const FORCE_WAIT: Duration = Duration::from_secs(10);
const RENEWAL_CHECK: Duration = Duration::from_secs(60);

/// A runner that runs.
pub struct Running {
    /// Where its status API is.
    pub status_addr: SocketAddr,
    /// What its parts share.
    pub runner: Arc<Runner>,
    work: JoinHandle<()>,
}

/// Starts a runner: takes its directory, enrols where needed, ends what an earlier process
/// left behind, and begins to ask for work.
pub async fn start(config: Config) -> Result<Running, Error> {
    let dir = DataDir::open(&config.data_dir)?;
    let addr = config.status_listen;
    let listener = TcpListener::bind(addr).await.map_err(|source| Error::Status { addr, source })?;
    let status_addr = listener.local_addr().map_err(|source| Error::Status { addr, source })?;
    let runner = Arc::new(Box::pin(assemble(config, dir, status_addr.port())).await?);
    let path = runner.dir.path("status.addr");
    let tokens = status::Tokens::of(&runner.dir)?;
    data_dir::write_atomic(&path, format!("{status_addr}\n").as_bytes())
        .map_err(|source| data_dir::Error::Io { path, source })?;
    tokio::spawn(status::serve(listener, runner.clone(), tokens));
    tokio::spawn(renew(runner.clone()));
    halt::obey(&runner).await;
    tokio::spawn(halt::watch(runner.clone()));
    tokio::spawn(plan_answers::watch(runner.clone()));
    let work = tokio::spawn({
        let runner = runner.clone();
        async move {
            recovery::recover(&runner).await;
            lease::run(runner).await;
        }
    });
    Ok(Running { status_addr, runner, work })
}

async fn assemble(config: Config, dir: DataDir, status_port: u16) -> Result<Runner, Error> {
    // First of all: without a policy that can be kept to, nothing is begun, not even an enrolment.
    let policy = Policy::load(config.policy.as_deref())?;
    let confinement = Confinement::establish(config.jobs.clone(), &dir, status_port).await?;
    let executors = Executors::start(&config, &dir).await.map_err(Error::States)?;
    let pin = Pin::establish(&dir, config.channel.as_deref())
        .map_err(|source| data_dir::Error::Io { path: dir.path(pin::FILE), source })?;
    let info = RunnerInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: boot(),
        capacity: u32::try_from(config.capacity).unwrap_or(1),
        executors: executors.kinds(),
        channel: pin.channel(),
    };
    let journal = Journal::open(&dir.path("journal"), &config.install.id())?;
    keep_to(&policy, &journal).await?;
    let identity = Identity::establish(&config, &dir, &info).await?;
    let link = Link::new(
        config.broker.clone(),
        config.way(),
        &config.ca_pem,
        Some(identity.keys()),
        config.capacity,
    )?;
    let trust = Trust::open(&dir, &identity)?;
    let place = Place::open(&config.lock, &dir, &config.install.id(), config.cluster());
    if place.kind() != "file" && executors.records().any(|records| records.kind == "file") {
        tracing::warn!("the locks outlive this machine and terraform's states do not: say --state, too");
    }
    let mode = Mode { paused: dir.path(PAUSED_FILE).exists(), draining: false, halted: false };
    Ok(Runner {
        locks: Locks::at(place, Owner::this(dir.id()), identity.generation()),
        cache: Cache::new(&dir),
        outputs: Store::new(&dir),
        secrets: config.secrets(),
        waits: Waits::new(dir.root()),
        approvals: Approvals::new(&dir, config.customer_keys.clone(), config.install.id()),
        past: Past::new(&dir),
        policy,
        environment: Environment::for_jobs(&config.pass_env, confinement.allows_metadata()),
        confinement,
        metrics: Metrics::default(),
        started_ms: now_ms(),
        reports: TaskTracker::new(),
        telling: tokio::sync::Mutex::default(),
        current: Current::new(identity, mode),
        config,
        dir,
        info,
        journal,
        link,
        trust,
        executors,
        pin,
    })
}

/// Which policy is kept to from now on is on record before anything is decided by it.
async fn keep_to(policy: &Policy, journal: &Journal) -> Result<(), Error> {
    let kept = journal.state().policy.clone();
    policy.check_follows(kept.as_ref())?;
    let Reference { version, sha256 } = policy.reference();
    tracing::info!(version, sha256, "keeping to the policy");
    if kept.as_ref() != Some(policy.reference()) {
        journal.append(Entry::Policy(policy.reference().clone())).await?;
    }
    Ok(())
}

/// Random for each start of the process.
fn boot() -> String {
    let mut bytes = [0u8; 16];
    if getrandom::fill(&mut bytes).is_err() {
        return format!("{}-{}", std::process::id(), now_ms());
    }
    hex::encode(bytes)
}

/// Gets a new certificate, with a new key, at half the life of the one in use.
async fn renew(runner: Arc<Runner>) {
    loop {
        let identity = runner.identity();
        // In steps, so that a machine that slept or a clock that was set is noticed.
        tokio::time::sleep(identity.until_renewal().min(RENEWAL_CHECK)).await;
        if !identity.until_renewal().is_zero() {
            continue;
        }
        match identity.renewed(&runner.link, &runner.dir).await {
            Ok(renewed) => {
                if let Err(error) = runner.link.rekey(renewed.keys()) {
                    tracing::error!(%error, "the renewed certificate cannot be used");
                }
                tracing::info!(not_after_ms = renewed.not_after_ms(), "certificate renewed");
                runner.set_identity(renewed);
            }
            Err(error) => {
                let words = crate::error::chain(&error);
                tracing::warn!(error = words, "the certificate cannot be renewed yet");
                tokio::time::sleep(RENEWAL_CHECK).await;
            }
        }
    }
}

impl Running {
    /// Takes no new work; `ended` then returns once the attempts in hand have ended.
    pub fn drain(&self) {
        self.runner.drain();
    }

    /// Waits until a drained runner has nothing in hand and has told the broker what it could.
    pub async fn ended(&mut self) {
        if let Err(error) = (&mut self.work).await {
            tracing::error!(%error, "the runner's work ended unexpectedly");
        }
        self.flush_reports(REPORTS_WAIT).await;
    }

    /// Ends the processes of all attempts in hand at once, and records that.
    pub async fn force(&mut self) {
        self.drain();
        for active in self.runner.active().values() {
            active.stop.ask(Reason::Forced);
        }
        if tokio::time::timeout(FORCE_WAIT, &mut self.work).await.is_err() {
            tracing::error!("some attempts could not be ended in time; they are at the next start");
        }
        self.flush_reports(Duration::from_secs(2)).await;
    }

    async fn flush_reports(&self, wait: Duration) {
        self.runner.reports.close();
        if tokio::time::timeout(wait, self.runner.reports.wait()).await.is_err() {
            tracing::warn!("some reports wait for the broker; they are sent at the next start");
        }
    }
}
