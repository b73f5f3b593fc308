//! One change at a time to a component: a lock in this process and a record on its disk.
//!
//! The data directory belongs to one runner (flock), so the in-process lock decides; the
//! record keeps the greatest fence, and an attempt with one that is not greater is refused.
//! It is released only when nothing of its holder runs any more.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::OwnedMutexGuard;

use crate::data_dir::{DataDir, read_bounded, write_atomic};
use crate::fault::Coded;
use crate::outcome::Attempt;

const RECORD_LEN_MAX: u64 = 64 * 1024;

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An attempt with this fence or a later one held it before.
    #[error("fence {offered} is not above {held}, which held the lock of `{component}` before")]
    Stale {
        /// The component.
        component: String,
        /// The attempt's.
        offered: u64,
        /// The record's.
        held: u64,
    },
    /// The record cannot be read or written.
    #[error("the lock record {path} cannot be used")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Stale { .. } => "runner.fence_stale",
            Error::Io { .. } => "runner.lock_io",
        }
    }
}

/// Who holds or last held a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The version of this form.
    pub version: u32,
    /// The attempt.
    #[serde(flatten)]
    pub attempt: Attempt,
    /// Its sequence number.
    pub seq: u64,
    /// The machine's boot.
    pub boot: String,
    /// The runner's process.
    pub pid: u32,
    /// True from taking to releasing.
    pub held: bool,
}

/// The locks of all components.
#[derive(Debug)]
pub struct Locks {
    dir: PathBuf,
    queues: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// A component's lock, held. Dropping it frees the component in this process; `release`
/// also says so on disk.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    record: Record,
    _guard: OwnedMutexGuard<()>,
}

impl Locks {
    /// The locks in this data directory.
    pub fn new(dir: &DataDir) -> Self {
        Self { dir: dir.path("locks"), queues: Mutex::default() }
    }

    /// Waits for the component, then takes it with a strictly greater fence; durable when it returns.
    pub async fn take(&self, component: &str, attempt: &Attempt, seq: u64) -> Result<Held, Error> {
        let queue = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.entry(component.to_owned()).or_default().clone()
        };
        let guard = queue.lock_owned().await;
        let path = self.dir.join(format!("{component}.json"));
        let held = read(&path)?.map_or(0, |record| record.attempt.fence);
        if attempt.fence <= held {
            let component = component.to_owned();
            return Err(Error::Stale { component, offered: attempt.fence, held });
        }
        let record = Record {
            version: 1,
            attempt: attempt.clone(),
            seq,
            boot: crate::process::boot_id(),
            pid: std::process::id(),
            held: true,
        };
        write(&path, &record)?;
        Ok(Held { path, record, _guard: guard })
    }

    /// Says on disk that an attempt of an earlier process, which is proven to be gone, holds
    /// the component no more.
    pub fn free(&self, component: &str, attempt: &Attempt) -> Result<(), Error> {
        let path = self.dir.join(format!("{component}.json"));
        match read(&path)? {
            Some(mut record) if record.attempt == *attempt && record.held => {
                record.held = false;
                write(&path, &record)
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Held {
    /// Says on disk that it is free. The fence stays.
    pub fn release(mut self) -> Result<(), Error> {
        self.record.held = false;
        write(&self.path, &self.record)
    }
}

fn read(path: &Path) -> Result<Option<Record>, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let bytes = read_bounded(path, RECORD_LEN_MAX).map_err(io)?;
    bytes.map(|b| serde_json::from_slice(&b).map_err(|e| io(e.into()))).transpose()
}

fn write(path: &Path, record: &Record) -> Result<(), Error> {
    let bytes = serde_json::to_vec(record).expect("a record is texts and whole numbers");
    write_atomic(path, &bytes).map_err(|source| Error::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(fence: u64) -> Attempt {
        Attempt { job: "job_a".to_owned(), attempt: 1, fence }
    }

    #[tokio::test]
    async fn only_a_greater_fence_gets_the_lock_even_after_a_restart() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let locks = Locks::new(&dir);
        locks.take("network", &attempt(5), 1).await.unwrap().release().unwrap();
        for fence in [4, 5] {
            let again = Locks::new(&dir);
            let error = again.take("network", &attempt(fence), 2).await.unwrap_err();
            assert_eq!(error.code(), "runner.fence_stale");
        }
        locks.take("network", &attempt(6), 2).await.unwrap();
        locks.take("other", &attempt(1), 2).await.unwrap();
    }

    #[tokio::test]
    async fn a_held_component_makes_the_next_wait() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temp.path()).unwrap();
        let locks = Arc::new(Locks::new(&dir));
        let held = locks.take("network", &attempt(1), 1).await.unwrap();
        let next = attempt(2);
        let mut second = Box::pin(locks.take("network", &next, 2));
        assert!(futures::poll!(&mut second).is_pending());
        held.release().unwrap();
        second.await.unwrap();
    }
}
