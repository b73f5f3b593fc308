//! Terraform's state, in the customer's account: written by the newest fence alone, in one lineage, never back.
//!
//! Terraform reaches it by an HTTP backend on loopback, each attempt with a password of its own. What is written
//! is durable on this machine before it is sent elsewhere, and the component's lock is not released before it
//! has arrived.

mod backend;
pub mod document;
mod keep;
mod moved;
mod session;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;

use crate::account::object_store::Cells;
use crate::error::{Coded, chain};
use crate::outcome::{Attempt, Class, Failure};
use crate::storage::data_dir::DataDir;

pub use session::Session;

/// The largest state.
pub const STATE_LEN_MAX: usize = 128 << 20;
/// What is put before it.
const MARK_LEN_MAX: u64 = 64 << 10;

/// The folder that states are in, wherever that is.
pub const FOLDER: &str = "terraform";

/// Why a state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A later attempt has put its fence in.
    #[error(
        "the state of `{component}` belongs to fence {found} ({by}); fence {offered} may no longer write it"
    )]
    Stale {
        /// The component.
        component: String,
        /// The attempt's.
        offered: u64,
        /// The state's.
        found: u64,
        /// Whose that is.
        by: String,
    },
    /// It is not what this runner saw last.
    #[error("the state {place} is not what it was: {words}")]
    WentBack {
        /// Where.
        place: String,
        /// How.
        words: String,
        /// What to remove if it is right.
        note: PathBuf,
    },
    /// What terraform wrote has not arrived where it belongs.
    #[error("the state of `{component}` has not arrived at {place}; it is kept in {kept}")]
    Unsent {
        /// The component.
        component: String,
        /// Where it belongs.
        place: String,
        /// Where it is.
        kept: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There are two.
    #[error("there is a state of `{component}` in {here} and another at {there}")]
    Two {
        /// The component.
        component: String,
        /// The one in the data directory.
        here: PathBuf,
        /// The one where states are now.
        there: String,
    },
    /// It was moved away from here.
    #[error("the state of `{component}` was moved to {to}, and this runner is told to keep states in files")]
    Moved {
        /// The component.
        component: String,
        /// Where it is.
        to: String,
    },
    /// It cannot be read or written.
    #[error("the state {place} cannot be used")]
    Io {
        /// Where.
        place: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// What sort of failure it is.
    pub fn class(&self) -> Class {
        match self {
            Error::Stale { .. } | Error::WentBack { .. } | Error::Two { .. } => Class::Interference,
            Error::Moved { .. } => Class::Permission,
            Error::Unsent { .. } | Error::Io { .. } => Class::Transient,
        }
    }
}

impl Error {
    /// What an attempt fails with.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.class(), self.code(), chain(self), self.hint())
    }
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Stale { .. } => "runner.state_stale",
            Error::WentBack { .. } => "runner.state_went_back",
            Error::Unsent { .. } => "runner.state_unsent",
            Error::Two { .. } => "runner.state_two",
            Error::Moved { .. } => "runner.state_moved",
            Error::Io { .. } => "runner.state_io",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Stale { .. } => "look at what that other runner did: this one is not the newest any more".to_owned(),
            Error::WentBack { note, .. } => format!(
                "restore the newest version of the state; if what is there now is right, remove {} and try again",
                note.display()
            ),
            Error::Unsent { .. } => "it is sent before anything else is done with the component: check the network and the permissions of the runner's role".to_owned(),
            Error::Two { here, .. } => format!(
                "find out which is right; if the one in the bucket is, rename {}",
                here.display()
            ),
            Error::Moved { to, .. } => format!("start the runner with --state as before ({to})"),
            Error::Io { .. } => "check that the runner may read and write it: disk, network, permissions".to_owned(),
        }
    }
}

/// The states of all components.
#[derive(Clone, Debug)]
pub struct States {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cells: Cells,
    /// Of the data directory: files, what was not sent yet, what was seen last.
    folder: PathBuf,
    /// Where states were before there was a backend.
    former: PathBuf,
    addr: SocketAddr,
    sessions: Mutex<BTreeMap<String, Arc<session::Inner>>>,
}

impl States {
    /// Begins to serve the states in these cells on a free port of loopback.
    pub async fn serve(cells: Cells, dir: &DataDir) -> std::io::Result<Self> {
        let folder = dir.path(FOLDER);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (addr, former) = (listener.local_addr()?, dir.path("state"));
        let shared = Shared { cells, folder, former, addr, sessions: Mutex::default() };
        let states = Self { shared: Arc::new(shared) };
        tokio::spawn(backend::serve(listener, states.clone()));
        Ok(states)
    }

    /// Gives the state to an attempt, and to no earlier one any more, wherever that runs.
    pub async fn open(&self, component: &str, attempt: &Attempt) -> Result<Session, Error> {
        self.open_counted(component, attempt, 0).await
    }

    /// The same to an attempt whose fence is counted since then.
    pub async fn open_counted(
        &self,
        component: &str,
        attempt: &Attempt,
        counted_ms: i64,
    ) -> Result<Session, Error> {
        self.shut(component);
        self.bring_here(component).await?;
        self.settle(component).await?;
        let (version, head, mark) = self.claim(component, (attempt, counted_ms)).await?;
        let inner = Arc::new(session::Inner::new(component, (attempt, mark), version, head));
        self.sessions().insert(component.to_owned(), inner.clone());
        Ok(Session::new(self.clone(), inner))
    }

    /// Where a component's state is, for people.
    pub fn place(&self, component: &str) -> String {
        self.shared.cells.of(&file(component))
    }

    /// One word.
    pub fn kind(&self) -> &'static str {
        self.shared.cells.kind()
    }

    /// Whose password was of a session of this component counts no more.
    fn shut(&self, component: &str) {
        self.sessions().remove(component);
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<String, Arc<session::Inner>>> {
        // A panic while holding it leaves a map that is whole.
        self.shared.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(component: &str) -> String {
    format!("{component}.tfstate")
}
