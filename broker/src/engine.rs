//! The engine: hosts event loops durably. Decide → commit → act.

use std::sync::Arc;

use remit_loops::event::Entry;
use remit_loops::{Actor, Body, Kind, Object, ObjectId, Rejected, Timestamp};

use crate::store::{Store, StoreError};

/// The engine's handle; cheap to clone.
#[derive(Clone)]
pub struct Engine {}

/// How the engine is set up; the defaults fit most.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many events may wait to be stored; more are refused.
    pub intake_max: usize,
    /// How many events one commit takes at most.
    pub batch_max: usize,
    /// How many notices one commit carries at most; the rest is stored and taken up by the next.
    pub notices_max: usize,
    /// How many bytes of encoded state the cache of decoded objects may stand for.
    pub cache_bytes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { intake_max: 16_384, batch_max: 1_024, notices_max: 8_192, cache_bytes_max: 128 << 20 }
    }
}

/// One event on its way in.
#[derive(Clone, Debug)]
pub struct Submission {
    /// To which object.
    pub to: ObjectId,
    /// From whom.
    pub by: Actor,
    /// Sending it twice with one key does it once.
    pub key: Option<String>,
    /// What.
    pub body: Body,
}

/// The durable yes to a submission.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its place in the log.
    pub seq: u64,
    /// The key was seen before; nothing was done now.
    pub duplicate: bool,
    /// The object after the event (or as it is now, for a duplicate).
    pub snapshot: Snapshot,
}

/// An object as it was at a revision.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Its id.
    pub id: ObjectId,
    /// Its state.
    pub object: Arc<Object>,
    /// Grows by one with each event of the object.
    pub revision: u64,
}

/// Why a submission was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The loop refused it.
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// Too much is waiting already: try again.
    #[error("the broker is busy: {waiting} events wait to be stored; try again in a moment")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The broker is going down.
    #[error("the broker is stopping; try again in a moment")]
    Stopping,
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(String),
}

impl SubmitError {
    /// The stable code, with a page in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        match self {
            SubmitError::Rejected(rejected) => rejected.code.as_str(),
            SubmitError::Busy { .. } => "engine.busy",
            SubmitError::Stopping => "engine.stopping",
            SubmitError::Store(_) => "store.failed",
        }
    }
}

/// One event of an object's past.
#[derive(Clone, Debug)]
pub struct HistoryItem {
    /// Its place in the log.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// From whom.
    pub by: Actor,
    /// What.
    pub body: Body,
    /// What it put on the timeline.
    pub entries: Vec<Entry>,
}

/// Figures of the engine since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Submissions stored.
    pub accepted: u64,
    /// Submissions whose key was seen before.
    pub duplicates: u64,
    /// Submissions that a loop refused.
    pub rejected: u64,
    /// Submissions refused because too much was waiting.
    pub busy: u64,
    /// Notices between loops stored.
    pub notices: u64,
    /// Notices that the loop they went to refused; each is on its timeline.
    pub notices_refused: u64,
    /// Ticks given.
    pub ticks: u64,
    /// Commits.
    pub commits: u64,
    /// Time spent in commits, microseconds.
    pub commit_us: u64,
    /// Commits by how many submissions they held: the upper bounds are [`BATCH_BUCKETS`].
    pub batch_sizes: [u64; BATCH_BUCKETS.len()],
    /// Events that wait to be stored now.
    pub queue_depth: usize,
    /// Objects somebody watches now.
    pub watched: usize,
}

/// Upper bounds of the buckets of [`Metrics::batch_sizes`]; the last one holds the rest.
pub const BATCH_BUCKETS: [usize; 8] = [1, 4, 16, 64, 256, 1_024, 4_096, usize::MAX];

/// Tells when an object changed. A hint: read the object after it.
#[derive(Debug)]
pub struct Changes {}

impl Changes {
    /// Waits until the object may have changed since the last call, or since `watch`.
    pub async fn changed(&mut self) {
        std::future::pending().await
    }
}

impl Engine {
    /// Takes the store over and starts the committer.
    pub fn start(_store: Box<dyn Store>, _options: Options) -> Result<Engine, StoreError> {
        todo!()
    }

    /// Gives an object an event. `Ok` means: it is on disk.
    pub async fn submit(&self, _submission: Submission) -> Result<Accepted, SubmitError> {
        todo!()
    }

    /// The object as it was committed last; `None` if nobody ever made it.
    pub async fn query(&self, _id: &ObjectId) -> Result<Option<Snapshot>, StoreError> {
        todo!()
    }

    /// Objects of a kind that `under` is or holds, after `after`, in the order of their ids.
    pub async fn list(
        &self,
        _kind: Kind,
        _under: Option<&ObjectId>,
        _after: Option<&ObjectId>,
        _limit: usize,
    ) -> Result<Vec<Snapshot>, StoreError> {
        todo!()
    }

    /// An object's events, newest first, before a place in the log.
    pub async fn history(
        &self,
        _id: &ObjectId,
        _before: Option<u64>,
        _limit: usize,
    ) -> Result<Vec<HistoryItem>, StoreError> {
        todo!()
    }

    /// Watches an object, from now on; an install's watch also tells of its components and runner.
    pub fn watch(&self, _id: &ObjectId) -> Changes {
        todo!()
    }

    /// Writes a record of the edge, over an older one.
    pub async fn put_record(&self, _space: &str, _key: &str, _value: Vec<u8>) -> Result<(), StoreError> {
        todo!()
    }

    /// Writes a record of the edge if there is none yet; answers whether it did.
    pub async fn add_record(&self, _space: &str, _key: &str, _value: Vec<u8>) -> Result<bool, StoreError> {
        todo!()
    }

    /// One record of the edge.
    pub async fn get_record(&self, _space: &str, _key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        todo!()
    }

    /// Removes a record of the edge; answers whether there was one.
    pub async fn delete_record(&self, _space: &str, _key: &str) -> Result<bool, StoreError> {
        todo!()
    }

    /// The records of a space whose keys begin so, in the order of their keys.
    pub async fn list_records(
        &self,
        _space: &str,
        _prefix: &str,
        _limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        todo!()
    }

    /// The time as events get it: never before the newest event.
    pub fn now(&self) -> Timestamp {
        todo!()
    }

    /// Figures since the start.
    pub fn metrics(&self) -> Metrics {
        todo!()
    }

    /// Whether it takes events: false after a failed commit and after `stop`.
    pub fn healthy(&self) -> bool {
        todo!()
    }

    /// Refuses new events, stores what waits, closes the store.
    pub async fn stop(&self) {
        todo!()
    }
}
