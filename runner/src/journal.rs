//! The runner's receipts: every decision and its outcome, hash-chained, durable before its effect.
//!
//! One segment, `000001.log`, append-only. A torn tail is cut when the journal is opened;
//! damage anywhere else is fatal. Closing a segment and beginning the next, so that the
//! journal's size is bounded, is a later step: `SEGMENT` is the only name that it touches.

mod record;
mod segment;
mod state;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remit_seal::Digest;

use crate::fault::Coded;
use crate::outcome::{Attempt, Outcome};

pub use record::{Accepted, Entry, Process, Record};
pub use segment::Scan;
pub use state::{Open, State};

const SEGMENT: &str = "000001.log";
/// The most receipts that one page holds.
pub const PAGE_LEN_MAX: usize = 500;

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
            Error::Foreign { .. } => "journal.foreign",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Corrupt { .. } => "the runner will not go on from a journal that was changed: keep a copy, find out by whom, and begin with a new data directory".to_owned(),
            Error::Write { .. } => "make room on the runner's disk or mend it; the runner goes on by itself".to_owned(),
            Error::Read { .. } => "check the runner's disk and who may read its data directory".to_owned(),
            Error::Foreign { .. } => "give each install's runner its own --data-dir".to_owned(),
        }
    }
}

/// The journal, open for appending by this process alone.
#[derive(Clone, Debug)]
pub struct Journal {
    writer: Arc<Mutex<segment::Writer>>,
    state: Arc<Mutex<State>>,
    path: PathBuf,
}

impl Journal {
    /// Opens or begins the journal in this directory and reads it whole.
    pub fn open(dir: &Path, install: &str) -> Result<Self, Error> {
        let path = dir.join(SEGMENT);
        let (writer, state) = segment::Writer::open(path.clone(), dir.join("ballast"))?;
        let journal = Self { writer: Arc::new(Mutex::new(writer)), state: Arc::new(Mutex::new(state)), path };
        // Bound first: the guard must be gone before anything is appended.
        let found = journal.state().install.clone();
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
        Ok(journal)
    }

    /// Appends one entry; when this returns `Ok`, a crash does not lose it.
    pub async fn append(&self, entry: Entry) -> Result<(), Error> {
        let journal = self.clone();
        let path = self.path.clone();
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
            let found = room.as_ref().err().map(crate::fault::chain);
            lock(&journal.state).trouble.clone_from(&found);
            Ok(found.is_none())
        };
        self.blocking(look).await.unwrap_or(false)
    }

    fn append_blocking(&self, entry: Entry) -> Result<(), Error> {
        let opens = entry.opens();
        let mut writer = lock(&self.writer);
        let written = writer.append(entry);
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
                state.trouble = Some(crate::fault::chain(&error));
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

    /// Up to `limit` records after number `after`, oldest first.
    pub async fn page(&self, after: u64, limit: usize) -> Result<Vec<Record>, Error> {
        let path = self.path.clone();
        let read = move || {
            let mut page = Vec::new();
            let take = limit.min(PAGE_LEN_MAX);
            segment::scan(&path, |record| {
                if record.n > after && page.len() < take {
                    page.push(record);
                }
            })?;
            Ok(page)
        };
        self.blocking(read).await
    }

    /// How an attempt ended, if it did.
    pub async fn outcome_of(&self, attempt: &Attempt) -> Result<Option<Outcome>, Error> {
        let (path, attempt) = (self.path.clone(), attempt.clone());
        let read = move || {
            let mut found = None;
            segment::scan(&path, |record| match record.entry {
                Entry::Ended { attempt: of, outcome } if of == attempt => found = Some(outcome),
                _ => {}
            })?;
            Ok(found)
        };
        self.blocking(read).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(read)
            .await
            .unwrap_or_else(|e| Err(Error::Read { path, source: std::io::Error::other(e) }))
    }
}

/// Checks a journal whole, without changing it: for `remit-runner verify`.
pub fn verify(dir: &Path) -> Result<Scan, Error> {
    let path = dir.join(SEGMENT);
    // To go on from nothing is right, to call nothing whole is not.
    std::fs::metadata(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
    segment::scan(&path, |_| {})
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while holding it leaves the last durable state, which is what we want to go on from.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
