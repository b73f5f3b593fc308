//! What the parts of a runner share, and what of it changes while it runs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use remit_proto::convert::RunnerInfo;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::account::lock::Locks;
use crate::account::secret::Secrets;
use crate::attempt::artifact::Cache;
use crate::attempt::metrics::Metrics;
use crate::attempt::pin::Pin;
use crate::broker::connection::{self, Link};
use crate::broker::identity::Identity;
use crate::broker::trust::Trust;
use crate::config::Config;
use crate::error::now_ms;
use crate::executor::Executors;
use crate::outcome::Attempt;
use crate::policy::approval::Approvals;
use crate::policy::approval::waiting::Waits;
use crate::policy::{Past, Policy};
use crate::process::Environment;
use crate::process::confine::Confinement;
use crate::progress::Progress;
use crate::stop::Stop;
use crate::storage::data_dir::{self, DataDir};
use crate::storage::journal::Journal;
use crate::storage::outputs::Store;

/// How long the broker may be silent before the runner says that it is not ready.
const SILENCE_MAX_MS: i64 = 90_000;
/// Is there while the customer pauses the runner.
pub(crate) const PAUSED_FILE: &str = "paused";

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
    /// The channel that the customer pinned.
    pub pin: Pin,
    /// The components' locks.
    pub locks: Locks,
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
    /// What waits for the customer.
    pub waits: Waits,
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
    /// What changes while it runs.
    pub current: Current,
}

/// What changes while a runner runs: who it is, whether it takes work, what it has in hand.
pub struct Current {
    identity: RwLock<Identity>,
    mode: watch::Sender<Mode>,
    active: Mutex<BTreeMap<Attempt, Active>>,
    /// The attempt that was held last, and what it waits for.
    held: Mutex<Option<(Attempt, String)>>,
    broker: Mutex<Broker>,
}

impl Current {
    /// Nothing in hand, nothing heard.
    pub fn new(identity: Identity, mode: Mode) -> Self {
        Self {
            identity: RwLock::new(identity),
            mode: watch::Sender::new(mode),
            active: Mutex::default(),
            held: Mutex::default(),
            broker: Mutex::default(),
        }
    }
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
        self.current.identity.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on this identity is in use.
    pub fn set_identity(&self, identity: Identity) {
        *self.current.identity.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// Whether new work is taken.
    pub fn mode(&self) -> Mode {
        *self.current.mode.borrow()
    }

    /// Follows the mode.
    pub fn follow_mode(&self) -> watch::Receiver<Mode> {
        self.current.mode.subscribe()
    }

    /// Takes no new work until `resume`, also after a restart.
    pub fn pause(&self) -> std::io::Result<()> {
        data_dir::write_atomic(&self.dir.path(PAUSED_FILE), b"")?;
        self.current.mode.send_modify(|mode| mode.paused = true);
        tracing::info!("paused: nothing new begins");
        Ok(())
    }

    /// Takes new work again.
    pub fn resume(&self) -> std::io::Result<()> {
        data_dir::remove_file(&self.dir.path(PAUSED_FILE))?;
        self.current.mode.send_modify(|mode| mode.paused = false);
        tracing::info!("resumed");
        Ok(())
    }

    /// Takes no new work: it is about to end.
    pub fn drain(&self) {
        self.current.mode.send_modify(|mode| mode.draining = true);
    }

    /// Takes note of what the halt switch says.
    pub(crate) fn set_halted(&self, halted: bool) {
        let changed =
            self.current.mode.send_if_modified(|mode| std::mem::replace(&mut mode.halted, halted) != halted);
        match (changed, halted) {
            (true, true) => tracing::warn!("halted by the customer: nothing new begins"),
            (true, false) => tracing::info!("no longer halted"),
            (false, _) => {}
        }
    }

    fn active_map(&self) -> MutexGuard<'_, BTreeMap<Attempt, Active>> {
        self.current.active.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut held = self.current.held.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *held, wait.clone()) != wait
    }

    /// The attempt that was held last, and what for.
    pub fn held(&self) -> Option<(Attempt, String)> {
        self.current.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes note of how a call to the broker went.
    pub(crate) fn heard(&self, error: Option<&connection::Error>) {
        let mut broker = self.current.broker.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.current.broker.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it says of itself now: the customer may have pinned another channel since it started.
    pub fn info(&self) -> RunnerInfo {
        RunnerInfo { channel: self.pin.channel(), ..self.info.clone() }
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
