//! The whole runner: what its parts share, how it starts, how it ends.

mod error;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use remit_proto::convert::RunnerInfo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::approval::Approvals;
use crate::artifact::Cache;
use crate::config::Config;
use crate::confine::Confinement;
use crate::data_dir::{self, DataDir};
use crate::executor::{Environment, Executors, Progress};
use crate::fault::now_ms;
use crate::identity::Identity;
use crate::journal::{Entry, Journal};
use crate::link::{self, Link};
use crate::lock::Locks;
use crate::lock::owner::Owner;
use crate::lock::place::Place;
use crate::outcome::Attempt;
use crate::outputs::Store;
use crate::policy::{Past, Policy, Reference};
use crate::secret::Secrets;
use crate::state::{self, States};
use crate::status::Metrics;
use crate::stop::{Reason, Stop};
use crate::trust::Trust;
use crate::{attempt, halt, lease, recovery, status};

pub use error::Error;

/// How long a draining runner waits for the broker to take its last reports; they are sent
/// again at the next start.
const REPORTS_WAIT: Duration = Duration::from_secs(10);
/// How long a forced one waits for killed processes to be gone and endings to be recorded.
const FORCE_WAIT: Duration = Duration::from_secs(10);
/// How long the broker may be silent before the runner says that it is not ready.
const SILENCE_MAX_MS: i64 = 90_000;
const RENEWAL_CHECK: Duration = Duration::from_secs(60);
const PAUSED_FILE: &str = "paused";

/// Whether new work is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// The customer paused it.
    pub paused: bool,
    /// It is about to end.
    pub draining: bool,
    /// The customer halted it.
    pub halted: bool,
}

/// What the parts share.
pub struct Runner {
    /// The settings.
    pub config: Config,
    /// The data directory.
    pub dir: DataDir,
    /// What it says of itself.
    pub info: RunnerInfo,
    /// Its receipts.
    pub journal: Journal,
    /// The way to the broker.
    pub link: Link,
    /// What the vendor's keys are.
    pub trust: Trust,
    /// The components' locks.
    pub locks: Locks,
    /// Terraform's states.
    pub states: States,
    /// Releases and artefacts.
    pub cache: Cache,
    /// What components gave.
    pub outputs: Store,
    /// Where the customer's secrets are fetched.
    pub secrets: Secrets,
    /// What changes the world.
    pub executors: Executors,
    /// What the customer lets the vendor do.
    pub policy: Policy,
    /// What the customer approved.
    pub approvals: Approvals,
    /// What the policy was asked.
    pub past: Past,
    /// How jobs are confined.
    pub confinement: Confinement,
    /// What tools see.
    pub environment: Environment,
    /// Counters.
    pub metrics: Metrics,
    /// When it started.
    pub started_ms: i64,
    /// Reports on their way.
    pub reports: TaskTracker,
    /// Held while one of them is told: they reach the broker in the order of the journal.
    pub telling: tokio::sync::Mutex<()>,
    identity: RwLock<Identity>,
    mode: watch::Sender<Mode>,
    active: Mutex<BTreeMap<Attempt, Active>>,
    /// The attempt that was held last, and what it waits for.
    held: Mutex<Option<(Attempt, String)>>,
    broker: Mutex<Broker>,
}

/// An attempt in hand, for those who look.
#[derive(Clone, Debug)]
pub struct Active {
    /// Its component.
    pub component: String,
    /// Its operation.
    pub operation: String,
    /// Who of the vendor let it pass the vendor's own rules.
    pub break_glass: Option<remit_seal::document::BreakGlass>,
    /// What is being done with it.
    pub phase: &'static str,
    /// Since when it is in hand.
    pub since_ms: i64,
    /// How to end it.
    pub stop: Stop,
    /// What it says.
    pub progress: Progress,
}

/// How the broker is doing, as far as one can tell from here.
#[derive(Clone, Debug, Default)]
pub struct Broker {
    /// When it last answered.
    pub heard_ms: Option<i64>,
    /// What was wrong with the last call, if anything.
    pub trouble: Option<String>,
}

impl Runner {
    /// The identity of now.
    pub fn identity(&self) -> Identity {
        self.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether new work is taken.
    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// Follows the mode.
    pub fn follow_mode(&self) -> watch::Receiver<Mode> {
        self.mode.subscribe()
    }

    /// Takes no new work until `resume`, also after a restart.
    pub fn pause(&self) -> std::io::Result<()> {
        data_dir::write_atomic(&self.dir.path(PAUSED_FILE), b"")?;
        self.mode.send_modify(|mode| mode.paused = true);
        tracing::info!("paused: nothing new begins");
        Ok(())
    }

    /// Takes new work again.
    pub fn resume(&self) -> std::io::Result<()> {
        data_dir::remove_file(&self.dir.path(PAUSED_FILE))?;
        self.mode.send_modify(|mode| mode.paused = false);
        tracing::info!("resumed");
        Ok(())
    }

    /// Takes note of what the halt switch says.
    pub(crate) fn set_halted(&self, halted: bool) {
        let changed =
            self.mode.send_if_modified(|mode| std::mem::replace(&mut mode.halted, halted) != halted);
        match (changed, halted) {
            (true, true) => tracing::warn!("halted by the customer: nothing new begins"),
            (true, false) => tracing::info!("no longer halted"),
            (false, _) => {}
        }
    }

    fn active_map(&self) -> MutexGuard<'_, BTreeMap<Attempt, Active>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attempts in hand.
    pub fn active(&self) -> BTreeMap<Attempt, Active> {
        self.active_map().clone()
    }

    pub(crate) fn enter(&self, attempt: Attempt, active: Active) {
        self.active_map().insert(attempt, active);
    }

    pub(crate) fn phase(&self, attempt: &Attempt, phase: &'static str) {
        if let Some(active) = self.active_map().get_mut(attempt) {
            active.phase = phase;
        }
    }

    pub(crate) fn leave(&self, attempt: &Attempt) {
        self.active_map().remove(attempt);
    }

    /// Whether this wait was not said before: offers are repeated, records of them are not.
    pub(crate) fn is_news(&self, attempt: &Attempt, words: &str) -> bool {
        let wait = Some((attempt.clone(), words.to_owned()));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, wait.clone()) != wait
    }

    /// The attempt that was held last, and what for.
    pub fn held(&self) -> Option<(Attempt, String)> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of how a call to the broker went.
    pub(crate) fn heard(&self, error: Option<&link::Error>) {
        let mut broker = self.broker.lock().unwrap_or_else(PoisonError::into_inner);
        if error.is_none_or(|e| !e.is_away()) {
            broker.heard_ms = Some(now_ms());
        }
        if error.is_some() {
            self.metrics.broker_errors.inc();
        }
        broker.trouble = error.map(ToString::to_string);
    }

    /// Whether the last call to the broker was answered.
    pub fn hears_broker(&self) -> bool {
        let broker = self.broker();
        broker.heard_ms.is_some() && broker.trouble.is_none()
    }

    /// How the broker is doing.
    pub fn broker(&self) -> Broker {
        self.broker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why it could take no work now; nothing when it could.
    pub fn not_ready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        let mode = self.mode();
        if mode.draining {
            reasons.push("it is ending".to_owned());
        }
        if mode.halted {
            reasons.push("runner.halted: the customer halted it".to_owned());
        }
        if mode.paused {
            reasons.push("it is paused".to_owned());
        }
        if let Some(trouble) = &self.journal.state().trouble {
            reasons.push(format!("journal.write_failed: {trouble}"));
        }
        let broker = self.broker();
        if let Some(trouble) = broker.trouble {
            reasons.push(trouble);
        } else if broker.heard_ms.is_none_or(|at| now_ms() - at > SILENCE_MAX_MS) {
            reasons.push("the broker was not heard yet".to_owned());
        }
        if self.identity().not_after_ms() <= now_ms() {
            reasons.push("runner.identity_expired: its certificate has ended".to_owned());
        }
        reasons
    }
}

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
    data_dir::write_atomic(&path, format!("{status_addr}\n").as_bytes())
        .map_err(|source| data_dir::Error::Io { path, source })?;
    tokio::spawn(status::serve(listener, runner.clone()));
    tokio::spawn(renew(runner.clone()));
    halt::obey(&runner);
    tokio::spawn(halt::watch(runner.clone()));
    tokio::spawn(attempt::answers::watch(runner.clone()));
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
    let executors = Executors::new(config.terraform.clone());
    let info = RunnerInfo {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: boot(),
        capacity: u32::try_from(config.capacity).unwrap_or(1),
        executors: executors.kinds(),
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
    let cells = config.state.cells(&dir, &config.install.id(), state::FOLDER);
    let states = States::serve(cells, &dir).await.map_err(Error::States)?;
    let place = Place::open(&config.lock, &dir, &config.install.id(), config.cluster());
    if place.kind() != states.kind() && states.kind() == "file" {
        tracing::warn!("the locks outlive this machine and terraform's states do not: say --state, too");
    }
    let mode = Mode { paused: dir.path(PAUSED_FILE).exists(), draining: false, halted: false };
    Ok(Runner {
        locks: Locks::at(place, Owner::this(dir.id()), identity.generation()),
        states,
        cache: Cache::new(&dir),
        outputs: Store::new(&dir),
        secrets: config.secrets(),
        approvals: Approvals::new(&dir, config.customer_keys.clone(), config.install.id()),
        past: Past::new(&dir),
        policy,
        environment: Environment::for_jobs(&config.pass_env, confinement.allows_metadata()),
        confinement,
        metrics: Metrics::default(),
        started_ms: now_ms(),
        reports: TaskTracker::new(),
        telling: tokio::sync::Mutex::default(),
        identity: RwLock::new(identity),
        mode: watch::Sender::new(mode),
        active: Mutex::default(),
        held: Mutex::default(),
        broker: Mutex::default(),
        config,
        dir,
        info,
        journal,
        link,
        trust,
        executors,
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
                *runner.identity.write().unwrap_or_else(PoisonError::into_inner) = renewed;
            }
            Err(error) => {
                let words = crate::fault::chain(&error);
                tracing::warn!(error = words, "the certificate cannot be renewed yet");
                tokio::time::sleep(RENEWAL_CHECK).await;
            }
        }
    }
}

impl Running {
    /// Takes no new work; `ended` then returns once the attempts in hand have ended.
    pub fn drain(&self) {
        self.runner.mode.send_modify(|mode| mode.draining = true);
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
