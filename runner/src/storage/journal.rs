//! The runner's receipts: every decision and its outcome, hash-chained, durable before its effect.
//!
//! Segments `000001.log` and on, append-only and bounded: a full one is closed by a signed checkpoint,
//! and the next begins with what the chain so far amounts to. A torn tail is cut when the journal is
//! opened; damage anywhere else is fatal.

mod acknowledgement;
mod checkpoint;
mod ledger;
mod record;
mod scan;
mod segment;
mod state;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remit_seal::Digest;
use remit_seal::document::{KeySpec, Root};
use remit_seal::verify::Verified;

use crate::error::Coded;
use crate::outcome::{Attempt, Outcome};

pub use acknowledgement::{Acknowledged, NotKept, Taken};
pub use ledger::{Ledger, Marks};
pub use record::{
    Accepted, Consented, Counted, Entry, Permitted, Planned, Process, Record, Reference, Task, Used,
};
pub use state::{Open, Ran, Removed, Snapshot, State};
pub use verify::{Asked, Whole, verify};

/// The most receipts that one page holds.
pub const PAGE_LEN_MAX: usize = 500;
/// A segment that is longer is closed before the next envelope is recorded.
const SEGMENT_LEN_MAX: u64 = 8 << 20;

/// Why the journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A record before the last one is not what was written.
    #[error("record {n} of the journal {path} is damaged at byte {offset}: {why}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Which record, from 1.
        n: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The disk did not take a record; nothing was begun on the strength of it.
    #[error("the journal {path} could not be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The disk did not give the records back.
    #[error("the journal {path} could not be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A checkpoint is not of this chain.
    #[error("the checkpoint {path} does not prove this journal: {why}")]
    Checkpoint {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The journal belongs to another install.
    #[error("the journal is of install {found}, not of {wanted}")]
    Foreign {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Corrupt { .. } => "journal.corrupt",
            Error::Write { .. } => "journal.write_failed",
            Error::Read { .. } => "journal.read_failed",
            Error::Checkpoint { .. } => "journal.checkpoint_wrong",
            Error::Foreign { .. } => "journal.foreign",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Corrupt { .. } => "the runner will not go on from a journal that was changed: keep a copy, find out by whom, and begin with a new data directory".to_owned(),
            Error::Write { .. } => "make room on the runner's disk or mend it; the runner goes on by itself".to_owned(),
            Error::Read { .. } => "check the runner's disk and who may read its data directory".to_owned(),
            Error::Checkpoint { .. } => "if the checkpoint is of this install, the journal was changed or replaced since: keep a copy of both and find out by whom".to_owned(),
            Error::Foreign { .. } => "give each install's runner its own --data-dir".to_owned(),
        }
    }
}

/// The journal, open for appending by this process alone.
#[derive(Clone, Debug)]
pub struct Journal {
    writer: Arc<Mutex<segment::Writer>>,
    state: Arc<Mutex<State>>,
    dir: PathBuf,
}

impl Journal {
    /// Opens or begins the journal in this directory and reads its newest segment whole.
    pub fn open(dir: &Path, install: &str) -> Result<Self, Error> {
        Self::open_bounded(dir, install, SEGMENT_LEN_MAX)
    }

    fn open_bounded(dir: &Path, install: &str, len_max: u64) -> Result<Self, Error> {
        let signer = checkpoint::Signer::establish(dir, install)?;
        let public = signer.public();
        let (writer, state) = segment::Writer::open(dir, signer, len_max)?;
        let writer = Arc::new(Mutex::new(writer));
        let journal = Self { writer, state: Arc::new(Mutex::new(state)), dir: dir.to_owned() };
        // Bound first: the guard must be gone before anything is appended.
        let (found, key) = {
            let state = journal.state();
            (state.install.clone(), state.key.clone())
        };
        match found {
            None => {
                let entry = Entry::Opened { format: record::FORMAT, install: install.to_owned() };
                journal.append_blocking(entry)?;
            }
            Some(found) if found != install => {
                return Err(Error::Foreign { found, wanted: install.to_owned() });
            }
            Some(_) => {}
        }
        if key.as_ref() != Some(&public) {
            journal.append_blocking(Entry::Keyed { key: public })?;
        }
        Ok(journal)
    }

    /// Appends one entry; when this returns `Ok`, a crash does not lose it.
    pub async fn append(&self, entry: Entry) -> Result<(), Error> {
        let journal = self.clone();
        let path = self.dir.clone();
        tokio::task::spawn_blocking(move || journal.append_blocking(entry))
            .await
            .unwrap_or_else(|e| Err(Error::Write { path, source: std::io::Error::other(e) }))
    }

    /// Whether a beginning could be recorded now; where it could not before, looks again.
    pub async fn has_room(&self) -> bool {
        if self.state().trouble.is_none() {
            return true;
        }
        let journal = self.clone();
        let look = move || {
            let room = lock(&journal.writer).make_ready();
            let found = room.as_ref().err().map(crate::error::chain);
            lock(&journal.state).trouble.clone_from(&found);
            Ok(found.is_none())
        };
        self.blocking(look).await.unwrap_or(false)
    }

    fn append_blocking(&self, entry: Entry) -> Result<(), Error> {
        let opens = entry.opens();
        let mut writer = lock(&self.writer);
        let written = writer.append(entry, || lock(&self.state).snapshot());
        let mut state = lock(&self.state);
        match written {
            Ok(record) => {
                state.apply(&record);
                state.head = writer.head();
                // That an ending found room does not mean that there is room for a beginning.
                if opens {
                    state.trouble = None;
                }
                Ok(())
            }
            Err(error) => {
                state.trouble = Some(crate::error::chain(&error));
                Err(error)
            }
        }
    }

    /// What the journal says, as of the last durable record. Hold it briefly.
    pub fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The digest of the last record, which proves all before it.
    pub fn head(&self) -> Digest {
        self.state().head
    }

    /// The newest segment's number and the id of the key that signs checkpoints.
    pub fn newest(&self) -> (u32, String) {
        let writer = lock(&self.writer);
        (writer.number(), writer.signer().public().id().unwrap_or_default())
    }

    /// The chain as it is now, signed: whoever keeps it can prove later that it was changed.
    pub async fn checkpoint(&self) -> Result<Vec<u8>, Error> {
        let journal = self.clone();
        let path = self.dir.clone();
        let sign = move || lock(&journal.writer).checkpoint().map_err(|source| Error::Read { path, source });
        self.blocking(sign).await
    }

    /// What the broker is told: the chain's last place, the same signed, and the key that verifies it.
    pub async fn told(&self) -> Result<Told, Error> {
        let journal = self.clone();
        let sign = move || {
            let writer = lock(&journal.writer);
            let (records, head) = writer.place();
            let path = journal.dir.clone();
            let checkpoint = writer.checkpoint().map_err(|source| Error::Read { path, source })?;
            Ok(Told { records, head, checkpoint, key: writer.signer().public() })
        };
        self.blocking(sign).await
    }

    /// Keeps what the broker acknowledged of a place that it was told.
    pub async fn acknowledged(
        &self,
        root: Verified<Root>,
        (install, records, head): (String, u64, Digest),
        bytes: Vec<u8>,
    ) -> Result<Taken, NotKept> {
        let dir = self.dir.clone();
        let take = move || acknowledgement::take(&dir, &root, (&install, records, head), &bytes);
        let taken = tokio::task::spawn_blocking(take).await;
        taken.unwrap_or_else(|e| {
            let (path, source) = (self.dir.clone(), std::io::Error::other(e));
            Err(NotKept::Disk(Error::Write { path, source }))
        })
    }

    /// Up to `limit` records after number `after`, oldest first. Those of segments that were moved
    /// elsewhere are left out.
    pub async fn page(&self, after: u64, limit: usize) -> Result<Vec<Record>, Error> {
        let dir = self.dir.clone();
        let read = move || {
            let mut page = Vec::new();
            let take = limit.min(PAGE_LEN_MAX);
            for number in with_record(&dir, after + 1)? {
                scan::scan(&scan::path(&dir, number), None, |record| {
                    if record.n > after && page.len() < take {
                        page.push(record);
                    }
                })?;
                if page.len() == take {
                    break;
                }
            }
            Ok(page)
        };
        self.blocking(read).await
    }

    /// How an attempt ended, if it did.
    pub async fn outcome_of(&self, attempt: &Attempt) -> Result<Option<Outcome>, Error> {
        let (dir, attempt) = (self.dir.clone(), attempt.clone());
        let read = move || {
            let mut found = None;
            for number in scan::segments(&dir)?.into_iter().rev() {
                scan::scan(&scan::path(&dir, number), None, |record| match record.entry {
                    Entry::Ended { attempt: of, outcome, .. } if of == attempt => found = Some(outcome),
                    _ => {}
                })?;
                if found.is_some() {
                    break;
                }
            }
            Ok(found)
        };
        self.blocking(read).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let path = self.dir.clone();
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|e| Err(Error::Read { path, source: std::io::Error::other(e) }))
    }
}

/// What the broker is told of a journal.
#[derive(Clone, Debug)]
pub struct Told {
    /// How many records there are.
    pub records: u64,
    /// The digest of the last.
    pub head: Digest,
    /// Both, signed.
    pub checkpoint: Vec<u8>,
    /// The key that signed it.
    pub key: KeySpec,
}

/// Whose journal is in a directory, without reading more of it than the first record.
pub fn install_of(dir: &Path) -> Option<String> {
    let first = *scan::segments(dir).ok()?.first()?;
    match scan::first(&scan::path(dir, first)).ok()??.entry {
        Entry::Opened { install, .. } => Some(install),
        Entry::Continued { snapshot } => Some(snapshot.install),
        _ => None,
    }
}

/// The segments from the one that holds this record on.
fn with_record(dir: &Path, n: u64) -> Result<Vec<u32>, Error> {
    let mut segments = scan::segments(dir)?;
    let mut from = 0;
    for (i, number) in segments.iter().enumerate() {
        if scan::first(&scan::path(dir, *number))?.is_some_and(|first| first.n <= n) {
            from = i;
        }
    }
    Ok(segments.split_off(from))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while holding it leaves the last durable state, which is what we want to go on from.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
