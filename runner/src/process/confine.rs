//! The confinement of a job's tools: what of the machine they reach, and how much of it they use.
//!
//! `unsafe` is forbidden here, so nothing is done between fork and exec: the runner starts itself as
//! `remit-runner confine`, which confines itself and then becomes the tool (`enter`).

mod calls;
pub mod cgroup;
mod enter;
mod files;
mod limits;
mod reach;
mod rights;
mod settings;
mod start;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::Coded;
use crate::process::Mark;
use crate::process::{Environment, Places};
use crate::storage::data_dir::DataDir;

pub use cgroup::Cgroup;
pub use enter::enter;
pub use limits::Limits;
pub use settings::{Settings, Strictness};
pub use start::{NotBegun, Starting};

/// The port of every cloud's metadata service, and of the credentials services beside them.
const METADATA_PORT: u16 = 80;
/// How long the trial at the start may take: only a machine that hangs takes so long.
const TRIAL_MAX: Duration = Duration::from_secs(60);

/// Why jobs cannot be confined as they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel cannot.
    #[error("this machine's kernel cannot keep jobs from the runner's files: it has no Landlock")]
    Missing,
    /// A setting would give away what is the runner's alone.
    #[error("--allow-{how} {path} would let jobs {how} the runner's data directory")]
    Exposes {
        /// `read` or `write`.
        how: &'static str,
        /// The path of the setting.
        path: PathBuf,
    },
    /// The data directory lies where jobs may read.
    #[error("jobs could read the data directory {0}, because of where it lies")]
    Readable(PathBuf),
    /// The trial did not work.
    #[error("jobs cannot be confined here: {0}")]
    Failed(String),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Missing => "runner.confinement_missing",
            Error::Exposes { .. } => "runner.confinement_exposes",
            Error::Readable(_) => "runner.confinement_readable",
            Error::Failed(_) => "runner.confinement_failed",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Missing => "use Linux 5.13 or newer with Landlock on (lsm=landlock,…), or say --confinement best if jobs may read what the runner's user reads".to_owned(),
            Error::Exposes { .. } => "name the directories that jobs need, none that holds the data directory".to_owned(),
            Error::Readable(_) => "take a data directory outside /usr, the directories of the PATH and those of --allow-read, e.g. /var/lib/remit".to_owned(),
            Error::Failed(_) => "look at what the words name; --confinement best starts without what cannot be had".to_owned(),
        }
    }
}

/// All that one tool is confined to, told to `remit-runner confine`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Nothing is begun unless files are really out of reach.
    pub required: bool,
    /// What it may read and execute.
    pub read: Vec<PathBuf>,
    /// What it may change, read and execute.
    pub write: Vec<PathBuf>,
    /// A file that it must not be able to read.
    pub private: PathBuf,
    /// Ports that it may not connect to by TCP, wherever they are.
    pub denied_ports: Vec<u16>,
    /// How much it may use.
    pub limits: Limits,
    /// The cgroups that it goes into.
    pub cgroups: Vec<PathBuf>,
}

/// What is in force of it: told by the confined process itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The version of Landlock that keeps files out of reach; 0 for none.
    pub landlock: i32,
    /// System calls that would go around it are refused.
    pub calls: bool,
    /// It was tried: what must not be read cannot be read.
    pub private: bool,
}

impl InForce {
    fn ports(self) -> bool {
        self.landlock >= 4 && self.calls
    }
}

/// How this runner confines jobs.
#[derive(Clone, Debug)]
pub struct Confinement {
    settings: Settings,
    home: cgroup::Home,
    private: PathBuf,
    status_port: u16,
    in_force: InForce,
}

/// How one attempt's tools are confined.
#[derive(Clone, Debug)]
pub struct Confined {
    /// The bounds of each.
    pub bounds: Bounds,
    /// Where all of its processes are, however they try to leave.
    pub cgroup: Cgroup,
}

impl Confinement {
    /// Looks at what this machine offers, and tries it.
    pub async fn establish(settings: Settings, dir: &DataDir, status_port: u16) -> Result<Self, Error> {
        settings.check(dir.root())?;
        let home = cgroup::Home::find(dir.id());
        let private = dir.path("id");
        let mut it = Self { settings, home, private, status_port, in_force: InForce::default() };
        it.in_force = match it.trial(dir).await {
            Err(Error::Failed(words)) if it.home.kind() != cgroup::Home::default().kind() => {
                tracing::warn!(words, "cgroups are not used");
                it.home = cgroup::Home::default();
                it.trial(dir).await?
            }
            tried => tried?,
        };
        if it.settings.strictness == Strictness::Required {
            it.demand(dir)?;
        }
        tracing::info!(confinement = %it.view(), "jobs are confined");
        if it.in_force.landlock == 0 {
            tracing::warn!("jobs can read all that this user can read: the kernel has no Landlock");
        }
        Ok(it)
    }

    fn demand(&self, dir: &DataDir) -> Result<(), Error> {
        match (self.in_force.landlock, self.in_force.private) {
            (0, _) => Err(Error::Missing),
            (_, false) => Err(Error::Readable(dir.root().to_owned())),
            (_, true) => Ok(()),
        }
    }

    /// Confines a program that does nothing, and hears what is in force.
    async fn trial(&self, dir: &DataDir) -> Result<InForce, Error> {
        let mark = Mark { attempt: "trial".to_owned(), runner: dir.id().to_owned() };
        let mut confined = self.of(None, &Environment::allowed(&[]), &mark);
        confined.bounds.required = false;
        confined.bounds.cgroups = confined.cgroup.make(&confined.bounds.limits);
        let failed = |words: String| Error::Failed(words);
        let trial = start::trial(&confined, dir.root());
        let tried = tokio::time::timeout(TRIAL_MAX, trial).await;
        confined.cgroup.end().await;
        tried.map_err(|_| failed("the trial does not end".to_owned()))?.map_err(failed)
    }

    /// The confinement of one attempt.
    pub fn of(&self, places: Option<&Places>, environment: &Environment, mark: &Mark) -> Confined {
        let cgroup = self.cgroup(mark);
        let mut denied_ports = vec![self.status_port];
        if !self.settings.metadata {
            denied_ports.push(METADATA_PORT);
        }
        let data_dir = self.private.parent().unwrap_or(&self.private);
        let mut read = reach::system(environment, data_dir);
        read.extend(self.settings.read.iter().cloned());
        let mut write = self.settings.write.clone();
        if let Some(Places { source, temp, state, plan }) = places {
            write.extend([source, temp, state, plan].map(Clone::clone));
        }
        let bounds = Bounds {
            required: self.settings.strictness == Strictness::Required,
            read,
            write,
            private: self.private.clone(),
            denied_ports,
            limits: Limits { count_processes: !self.home.counts_processes(), ..self.settings.limits },
            // Each tool makes it anew: it is removed when nothing is in it any more.
            cgroups: Vec::new(),
        };
        Confined { bounds, cgroup }
    }

    /// Where the processes of an attempt are, or were.
    pub fn cgroup(&self, mark: &Mark) -> Cgroup {
        self.home.cgroup(&mark.attempt)
    }

    /// Ends what an earlier process of this runner left in its cgroups.
    pub async fn end_leftovers(&self) {
        self.home.end_leftovers().await;
    }

    /// What is in force, for people.
    pub fn view(&self) -> Value {
        let InForce { landlock, calls, private } = self.in_force;
        let Limits { processes, memory, file, .. } = self.settings.limits;
        let counted = self.home.counts_processes();
        json!({
            "wanted": self.settings.strictness.as_str(),
            "files": if landlock > 0 { format!("landlock {landlock}") } else { "none".to_owned() },
            "data_dir_out_of_reach": private,
            "signals_kept_in": landlock >= 6,
            "calls": calls,
            "processes": {
                "kept_by": self.home.kind(),
                "max": processes,
                "counted_by": if counted { "cgroup" } else { "user" },
            },
            "memory_max": memory.filter(|_| self.home.counts_memory()),
            "file_max": file,
            "metadata": match (self.settings.metadata, self.in_force.ports()) {
                (true, _) => "allowed",
                (false, true) => "denied: no TCP to port 80",
                (false, false) => "not kept from it: the kernel cannot; AWS tools are asked not to use it",
            },
            "status_api": if self.in_force.ports() { "denied" } else { "reachable" },
        })
    }

    /// Whether jobs may ask the machine's metadata service.
    pub fn allows_metadata(&self) -> bool {
        self.settings.metadata
    }
}
