//! What the vendor's keys are now: the pinned root, the roots that follow it, and the newest status.
//!
//! Every root is kept as it was signed, so that the way from the pin to the newest can be walked again at
//! each start and shown to anybody. It never goes backwards: what was learnt is on disk before it counts.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use remit_seal::document::Root;
use remit_seal::verify::{self, ROOT_HOPS_MAX, Standing, Verified};
use remit_seal::{Digest, Refusal};

use crate::broker::connection::{self, Link};
use crate::broker::identity::Identity;
use crate::error::{Coded, now_ms};
use crate::storage::data_dir::{DataDir, make_dir, read_bounded, write_atomic};
use crate::storage::disk::sync_parent;

const FOLDER: &str = "trust";
const STANDING: &str = "standing.json";
const FILE_LEN_MAX: u64 = 256 * 1024;
/// How many answers of the broker are taken one after the other: every root there may be, two at a time.
const ANSWERS_MAX: usize = ROOT_HOPS_MAX;

/// Why a root or a status is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was not believed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What is on disk is less than what was known before.
    #[error("{path} does not fit the roots beside it: {detail}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// How.
        detail: String,
    },
    /// The disk said no.
    #[error("cannot keep what the vendor's keys are in {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The broker did not give it.
    #[error("the broker does not say what the vendor's keys are")]
    Link(#[from] connection::Error),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Refused(refusal) => refusal.code(),
            Error::Damaged { .. } => "runner.trust_damaged",
            Error::Io { .. } => "runner.data_dir_io",
            Error::Link(error) => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Refused(_) => "see docs/errors/seal.md".to_owned(),
            Error::Damaged { .. } => {
                "restore the directory `trust` from the same backup as the rest of the data directory, or \
                 enrol again with an empty data directory"
                    .to_owned()
            }
            Error::Io { .. } => "check the disk of the runner's data directory".to_owned(),
            Error::Link(error) => error.hint(),
        }
    }
}

/// What is believed now, for one decision.
#[derive(Clone, Debug)]
pub struct View {
    /// The newest root, without the keys that were revoked.
    pub root: Verified<Root>,
    /// What the statuses of that root said.
    pub standing: Standing,
    /// The time of now: this machine's, or what a status said if that is later.
    pub now_ms: i64,
    /// Since when fences are counted: since the first root that is known, or the newest that dropped a dispatch
    /// key. What was told runners with that key ends with it.
    pub since_ms: i64,
}

impl View {
    /// Whether a status is known that has not expired.
    pub fn is_fresh(&self) -> bool {
        self.standing.is_fresh(self.now_ms)
    }
}

#[derive(Debug)]
struct State {
    root: Verified<Root>,
    standing: Standing,
    since_ms: i64,
}

/// Since when fences are counted once this root follows that one.
fn counted_since(before_ms: i64, old: &Root, new: &Root) -> i64 {
    let is_kept = |key| new.dispatch.keys.contains(key);
    if old.dispatch.keys.iter().all(is_kept) {
        return before_ms;
    }
    new.created_ms.max(before_ms.saturating_add(1))
}

/// The vendor's keys as this runner knows them.
#[derive(Debug)]
pub struct Trust {
    folder: PathBuf,
    state: RwLock<State>,
    /// One change at a time, file and memory.
    changing: Mutex<()>,
}

impl Trust {
    /// Reads what was kept, and walks from the pinned root to the newest.
    pub fn open(dir: &DataDir, identity: &Identity) -> Result<Self, Error> {
        Self::walk(dir, &identity.first_root()?)
    }

    fn walk(dir: &DataDir, first: &Verified<Root>) -> Result<Self, Error> {
        let folder = dir.path(FOLDER);
        let made = make_dir(&folder).and_then(|()| sync_parent(&folder));
        made.map_err(|source| Error::Io { path: folder.clone(), source })?;
        let (mut root, mut since_ms) = (first.clone(), first.get().created_ms);
        for _ in 0..ROOT_HOPS_MAX {
            let path = folder.join(root_file(root.get().version.saturating_add(1)));
            let Some(bytes) = read(&path)? else { break };
            let next = verify::next_root(&root, &bytes)?;
            (since_ms, root) = (counted_since(since_ms, root.get(), next.get()), next);
        }
        let path = folder.join(STANDING);
        let standing: Standing = match read(&path)? {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|e| Error::Damaged {
                path: path.clone(),
                detail: format!("column {}", e.column()),
            })?,
            None => Standing::default(),
        };
        let (known, found) = (standing.root_version, root.get().version);
        if known > found {
            let detail = format!("it is of root version {known}, and the newest root is version {found}");
            return Err(Error::Damaged { path, detail });
        }
        let standing = standing.under(root.get());
        Ok(Self {
            folder,
            state: RwLock::new(State { root, standing, since_ms }),
            changing: Mutex::default(),
        })
    }

    /// What is believed now.
    pub fn view(&self) -> View {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let standing = state.standing.clone();
        let (root, now_ms) = (standing.restrict(&state.root), standing.now_ms(now_ms()));
        View { root, now_ms, since_ms: state.since_ms, standing }
    }

    /// The newest root's version and when the newest status was signed: what the broker is told.
    pub fn marks(&self) -> (u64, i64) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.root.get().version, state.standing.time_ms)
    }

    /// The digest of the newest root.
    pub fn root_digest(&self) -> Digest {
        self.state.read().unwrap_or_else(PoisonError::into_inner).root.digest()
    }

    /// Takes in all that the broker has: the roots that follow, then the status of the last.
    pub async fn follow(&self, link: &Link) -> Result<(), Error> {
        for _ in 0..ANSWERS_MAX {
            let answer = link.trust(self.marks().0).await?;
            for root in &answer.roots {
                self.take_root(root)?;
            }
            if let Some(status) = &answer.status {
                self.take_status(status)?;
            }
            if answer.roots.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in the next root.
    pub fn take_root(&self, bytes: &[u8]) -> Result<(), Error> {
        let _changing = self.lock();
        let next = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            verify::next_root(&state.root, bytes)?
        };
        let version = next.get().version;
        self.write(&root_file(version), bytes)?;
        tracing::info!(version, digest = %next.digest(), "the vendor's trust root was rotated");
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        // On disk the old standing stays until a status of this root comes; `walk` knows it by its version.
        state.standing = std::mem::take(&mut state.standing).under(next.get());
        state.since_ms = counted_since(state.since_ms, state.root.get(), next.get());
        state.root = next;
        Ok(())
    }

    /// Takes in a status of the newest root.
    pub fn take_status(&self, bytes: &[u8]) -> Result<(), Error> {
        let _changing = self.lock();
        let (mut standing, status) = {
            let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
            (state.standing.clone(), verify::status(&state.root, bytes, now_ms())?)
        };
        let before = standing.revoked.len();
        standing.learn(&status)?;
        if standing.revoked.len() > before {
            tracing::warn!(revoked = standing.revoked.len(), "the vendor revoked keys");
        }
        let json = serde_json::to_vec(&standing).expect("a standing is texts and whole numbers");
        self.write(STANDING, &json)?;
        self.state.write().unwrap_or_else(PoisonError::into_inner).standing = standing;
        Ok(())
    }

    fn write(&self, file: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.folder.join(file);
        write_atomic(&path, bytes).map_err(|source| Error::Io { path, source })
    }
}

fn root_file(version: u64) -> String {
    format!("root.{version}.json")
}

fn read(path: &std::path::Path) -> Result<Option<Vec<u8>>, Error> {
    read_bounded(path, FILE_LEN_MAX).map_err(|source| Error::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
