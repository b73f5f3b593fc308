//! The confinement of a job's tools: what of the machine they reach, and how much of it they use.
//!
//! `unsafe` is forbidden here, so nothing is done between fork and exec: the runner starts itself as
//! `remit-runner confine`, which confines itself and then becomes the tool (`enter`).

mod calls;
pub mod cgroup;
mod enter;
mod files;
mod limits;
mod permissions;
mod reach;
mod rights;
mod settings;
mod start;
mod trial;
mod view;
mod walls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Coded;
use crate::process::Mark;
use crate::process::{Environment, Places};
use crate::storage::data_dir::DataDir;

pub use cgroup::Cgroup;
pub use enter::{close_the_rest, enter};
pub use limits::Limits;
pub use permissions::{Execute, Permissions};
pub use settings::{Settings, Strictness};
pub use start::{NotBegun, Starting};
pub use trial::{Found, Targets, Ways};

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
    /// The trial found ways out.
    #[error("jobs would not be kept in: the trial at the start found a way out by {0}")]
    Open(String),
    /// Root reaches what starts programs that are confined by nobody.
    #[error(
        "this runner is root, and its jobs would reach {0}, which starts programs as root for whoever asks"
    )]
    Root(String),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Missing => "runner.confinement_missing",
            Error::Exposes { .. } => "runner.confinement_exposes",
            Error::Readable(_) => "runner.confinement_readable",
            Error::Failed(_) => "runner.confinement_failed",
            Error::Open(_) => "runner.confinement_open",
            Error::Root(_) => "runner.confinement_root",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Missing => "use Linux 5.13 or newer with Landlock on (lsm=landlock,…), or say --confinement best if jobs may read what the runner's user reads".to_owned(),
            Error::Exposes { .. } => "name the directories that jobs need, none that holds the data directory".to_owned(),
            Error::Readable(_) => "take a data directory outside /usr, the directories of the PATH and those of --allow-read, e.g. /var/lib/remit".to_owned(),
            Error::Failed(_) => "look at what the words name; --confinement best starts without what cannot be had".to_owned(),
            Error::Open(_) => "use Linux 6.7 or newer (6.12 for all walls) with Landlock and seccomp on; --confinement best starts all the same, and `remit-runner status` names the ways that are open".to_owned(),
            Error::Root(_) => "run the runner as a user of its own, or let it make mount namespaces (CAP_SYS_ADMIN); --confinement best starts all the same".to_owned(),
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
    /// Its private place for temporary files, which it may always change.
    pub temp: Option<PathBuf>,
    /// What of all that it may execute.
    pub execute: Execute,
    /// Whether it has sockets that can have a name, also where nothing bounds which.
    pub unix_sockets: bool,
    /// Whether it gets a file system of its own, with what is named here alone.
    pub view: bool,
    /// A file that it must not be able to read.
    pub private: PathBuf,
    /// Ports that it may not connect to by TCP, wherever they are.
    pub denied_ports: Vec<u16>,
    /// How much it may use.
    pub limits: Limits,
    /// The cgroups that it goes into.
    pub cgroups: Vec<PathBuf>,
    /// What it is to try before it ends, where it is not to become a tool.
    pub trial: Option<Targets>,
}

impl Bounds {
    /// The bounds of a tool with these permissions. `temp` stays as it is.
    #[must_use]
    pub fn narrowed(mut self, permissions: &Permissions) -> Self {
        if !permissions.writes {
            self.read.append(&mut self.write);
        }
        self.write.extend(self.temp.clone());
        self.execute = permissions.execute.clone();
        self.unix_sockets = permissions.unix_sockets;
        self
    }
}

impl Bounds {
    /// Takes away all that may be changed but this directory: what could be, can still be read.
    pub fn only_look(&mut self, temp: &Path) {
        let (kept, taken) = std::mem::take(&mut self.write).into_iter().partition(|path| path == temp);
        self.write = kept;
        self.read.extend::<Vec<PathBuf>>(taken);
    }
}

/// What is in force of it: told by the confined process itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// The version of Landlock that keeps files out of reach; 0 for none.
    pub landlock: i32,
    /// System calls that would go around it are refused.
    pub calls: bool,
    /// It was tried: what must not be read cannot be read.
    pub private: bool,
    /// It has a file system of its own.
    pub view: bool,
    /// What a trial found.
    pub ways: Ways,
}

/// How this runner confines jobs.
#[derive(Clone, Debug)]
pub struct Confinement {
    settings: Settings,
    home: cgroup::Home,
    private: PathBuf,
    status_port: u16,
    view: bool,
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
        let mut it = Self { settings, home, private, status_port, in_force: InForce::default(), view: true };
        it.in_force = it.tried(dir).await?;
        if it.settings.strictness == Strictness::Required {
            it.demand(dir)?;
        }
        tracing::info!(confinement = %it.view(), "jobs are confined");
        it.warn();
        Ok(it)
    }

    /// The trial, without what this machine does not give.
    async fn tried(&mut self, dir: &DataDir) -> Result<InForce, Error> {
        loop {
            match self.trial(dir).await {
                Err(Error::Failed(words)) if self.view => {
                    tracing::warn!(words, "jobs get no file system of their own here");
                    self.view = false;
                }
                Err(Error::Failed(words)) if self.home.kind() != cgroup::Home::default().kind() => {
                    tracing::warn!(words, "cgroups are not used");
                    self.home = cgroup::Home::default();
                    // It may have been for them alone.
                    self.view = true;
                }
                tried => return tried,
            }
        }
    }

    /// Confines a program that tries to get out, and hears what is in force.
    async fn trial(&self, dir: &DataDir) -> Result<InForce, Error> {
        let mark = Mark { attempt: "trial".to_owned(), runner: dir.id().to_owned() };
        let mut confined = self.of(None, &Environment::allowed(&[]), &mark);
        // Of all tools, one that has the most: what it does not reach, none does.
        let most = Permissions { unix_sockets: true, ..Permissions::default() };
        confined.bounds = confined.bounds.narrowed(&most);
        confined.bounds.required = false;
        confined.bounds.cgroups = confined.cgroup.make(&confined.bounds.limits);
        let failed = |words: String| Error::Failed(words);
        let tried = tokio::time::timeout(TRIAL_MAX, trial::run(&mut confined, dir.root())).await;
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
        if let Some(Places { source, temp: _, state, plan }) = places {
            write.extend([source, state, plan].map(Clone::clone));
        }
        let bounds = Bounds {
            required: self.settings.strictness == Strictness::Required,
            read,
            write,
            temp: places.map(|places| places.temp.clone()),
            execute: Execute::Readable,
            unix_sockets: false,
            view: self.view,
            private: self.private.clone(),
            denied_ports,
            limits: Limits { count_processes: !self.home.counts_processes(), ..self.settings.limits },
            // Each tool makes it anew: it is removed when nothing is in it any more.
            cgroups: Vec::new(),
            trial: None,
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

    /// Whether jobs may ask the machine's metadata service.
    pub fn allows_metadata(&self) -> bool {
        self.settings.metadata
    }
}
