//! The engine: hosts event loops durably. Decide → commit → act.
//!
//! Events queue up in a bounded intake; one committer thread applies what waits as a batch, commits
//! it, and only then answers and wakes. Reads go beside it and see what is committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use remit_loops::timeline::Entry;
use remit_loops::{Actor, Body, Event, Kind, Object, ObjectId, Rejected, RejectedCode, Timestamp};
use tokio::sync::{Semaphore, oneshot, watch as channel};

use crate::store::{Reader, Store, StoreError, StoredObject, key_hash};

mod batch;
mod cache;
mod clock;
mod codec;
mod committed;
mod committer;
#[cfg(test)]
mod crash;
mod driver;
mod intake;
mod keys;
mod logged;
mod metrics;
#[cfg(test)]
mod paged;
mod peers;
mod replay;
mod shared;
#[cfg(test)]
mod takeover;
#[cfg(test)]
mod tests;
mod timers;
mod watch;
mod working;

pub use clock::ClockSource;
pub use driver::Driver;
pub use logged::LoggedEvent;
pub(crate) use logged::{Asked, digest as event_digest};
pub use metrics::{BATCH_BUCKETS, Metrics};
pub use replay::{ReplayError, Replayed, replay};
pub use watch::{Changes, News};

use committer::{Committer, EndGuard};
use intake::{Closed, Intake, Item, Pending, RecordChange, RecordWrite, Refusal};
use metrics::count;
use peers::Follower;
use shared::Shared;

/// The longest idempotency key, bytes.
pub const KEY_LEN_MAX: usize = 200;
/// The largest event, bytes of JSON.
pub const EVENT_LEN_MAX: usize = 2 << 20;
/// The largest record of the edge, bytes.
pub const RECORD_LEN_MAX: usize = 4 << 20;
/// The most that one `list`, `history` or `list_records` answers.
pub const PAGE_MAX: usize = 1_000;
/// How many reads go to the store at once.
const READS_MAX: usize = 16;

/// The engine's handle; cheap to clone. When the last one goes, the engine stops.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    reader: Arc<dyn Reader>,
    reads: Arc<Semaphore>,
}

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
    /// Where the time comes from.
    pub clock: ClockSource,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            intake_max: 16_384,
            batch_max: 1_024,
            notices_max: 8_192,
            cache_bytes_max: 128 << 20,
            clock: ClockSource::System,
        }
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
    /// The store is away for a while; nothing was done.
    #[error("the broker cannot store anything now; try again in a moment: {0}")]
    Unavailable(String),
}

impl From<&StoreError> for SubmitError {
    fn from(error: &StoreError) -> Self {
        if error.is_passing() {
            SubmitError::Unavailable(error.to_string())
        } else {
            SubmitError::Store(error.to_string())
        }
    }
}

impl SubmitError {
    /// The stable code, with a page in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        match self {
            SubmitError::Rejected(rejected) => rejected.code.as_str(),
            SubmitError::Busy { .. } => "engine.busy",
            SubmitError::Stopping => "engine.stopping",
            SubmitError::Store(_) => "store.failed",
            SubmitError::Unavailable(_) => "store.unavailable",
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

impl Engine {
    /// Takes the store over and starts the committer.
    pub fn start(store: Box<dyn Store>, options: Options) -> Result<Engine, StoreError> {
        let (engine, committer) = Self::build(store, options)?;
        if let Some(peers) = engine.inner.shared.peers.clone() {
            let follower = Follower::new(peers, &engine.inner.shared, engine.inner.reader.clone());
            spawn("peers", move || follower.run())?;
        }
        spawn("committer", move || committer.run())?;
        Ok(engine)
    }

    /// Takes the store over; batches run when the driver is told to, and only then.
    pub fn driven(store: Box<dyn Store>, options: Options) -> Result<(Engine, Driver), StoreError> {
        let (engine, committer) = Self::build(store, options)?;
        let guard = EndGuard(engine.inner.shared.clone());
        let driver = Driver::new(committer, engine.inner.reader.clone(), guard);
        Ok((engine, driver))
    }

    fn build(store: Box<dyn Store>, options: Options) -> Result<(Engine, Committer), StoreError> {
        let reader = store.reader();
        let shared = Arc::new(Shared {
            intake: Intake::new(options.intake_max),
            cache: cache::Cache::new(options.cache_bytes_max),
            watchers: watch::Watchers::default(),
            counters: metrics::Counters::default(),
            clock: clock::Clock::new(options.clock.clone(), reader.log_end()?.at),
            peers: store.peers(),
            store_is_away: AtomicBool::new(false),
            ended: channel::Sender::new(false),
        });
        let committer = Committer::new(store, shared.clone(), options)?;
        let reads = Arc::new(Semaphore::new(READS_MAX));
        Ok((Self { inner: Arc::new(Inner { shared, reader, reads }) }, committer))
    }

    /// Gives an object an event. `Ok` means: it is on disk.
    ///
    /// Once called it may be done even if the returned future is dropped; send it again with the
    /// same key to learn of it.
    pub async fn submit(&self, submission: Submission) -> Result<Accepted, SubmitError> {
        let Submission { to, by, key, body } = submission;
        let (by_bytes, body_bytes) = (codec::encode(&by), codec::encode(&body));
        check_sizes(key.as_deref(), body_bytes.len())?;
        let (reply, answer) = oneshot::channel();
        let key = key.map(|key| (key_hash(&key), key)).map(|(hash, key)| (key, hash));
        let event = Event { at: Timestamp(0), by, body };
        let pending = Box::new(Pending { to, event, key, by: by_bytes, body: body_bytes, reply });
        match self.inner.shared.intake.push(Item::Event(pending)) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(SubmitError::Store(gone()))),
            Err(Refusal::Busy { waiting }) => {
                count(&self.inner.shared.counters.busy);
                Err(SubmitError::Busy { waiting })
            }
            Err(Refusal::Closed(Closed::Stopping)) => Err(SubmitError::Stopping),
            Err(Refusal::Closed(Closed::Failed(reason))) => Err(SubmitError::Store(reason)),
        }
    }

    /// Whether this object was made and is not gone.
    pub(crate) async fn is_alive(&self, id: &ObjectId) -> Result<bool, StoreError> {
        let found = self.query(id).await?;
        Ok(found.is_some_and(|found| found.object.view().status.word != "deleted"))
    }

    /// The object as it was committed last; `None` if nobody ever made it.
    pub async fn query(&self, id: &ObjectId) -> Result<Option<Snapshot>, StoreError> {
        if self.inner.shared.peers.is_none()
            && let Some(cached) = self.inner.shared.cache.get(id)
        {
            let snapshot = Snapshot { id: id.clone(), object: cached.object, revision: cached.revision };
            return Ok(Some(snapshot).filter(|s| s.object.is_known()));
        }
        let id = id.clone();
        let read = move |reader: &dyn Reader| {
            let stored = reader.object(&id)?;
            stored.map(|stored| snapshot(&stored, reader)).transpose()
        };
        let snapshot = self.read(read).await?;
        Ok(snapshot.filter(|s| s.object.is_known()))
    }

    /// Objects of a kind that `under` is or holds, after `after`, in the order of their ids.
    pub async fn list(
        &self,
        kind: Kind,
        under: Option<&ObjectId>,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<Snapshot>, StoreError> {
        let (under, after) = (under.cloned(), after.cloned());
        let limit = limit.min(PAGE_MAX);
        self.read(move |reader| known(reader, kind, under.as_ref(), after, limit)).await
    }

    /// An object's events, newest first, before a place in the log.
    pub async fn history(
        &self,
        id: &ObjectId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryItem>, StoreError> {
        let id = id.clone();
        let events = self.read(move |reader| reader.history(&id, before, limit.min(PAGE_MAX))).await?;
        let item = |event: &crate::store::StoredEvent| {
            Ok(HistoryItem {
                seq: event.seq,
                at: event.at,
                by: codec::decode_by(&event.by)?,
                body: codec::decode_body(&event.body)?,
                entries: codec::decode_entries(event)?,
            })
        };
        events.iter().map(item).collect()
    }

    /// Watches an object, from now on; an install's watch also tells of its components and runner.
    pub fn watch(&self, id: &ObjectId) -> Changes {
        self.inner.shared.watchers.watch(id)
    }

    /// Watches the whole log, from now on.
    pub fn watch_all(&self) -> News {
        self.inner.shared.watchers.watch_all()
    }

    /// Writes a record of the edge, over an older one.
    pub async fn put_record(&self, space: &str, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        self.change_record(space, key, RecordChange::Put(value)).await.map(drop)
    }

    /// Writes a record of the edge if there is none yet; answers whether it did.
    pub async fn add_record(&self, space: &str, key: &str, value: Vec<u8>) -> Result<bool, StoreError> {
        self.change_record(space, key, RecordChange::Add(value)).await
    }

    /// One record of the edge.
    pub async fn get_record(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let (space, key) = (space.to_owned(), key.to_owned());
        self.read(move |reader| reader.record(&space, &key)).await
    }

    /// Removes a record of the edge; answers whether there was one.
    pub async fn delete_record(&self, space: &str, key: &str) -> Result<bool, StoreError> {
        self.change_record(space, key, RecordChange::Delete).await
    }

    /// The records of a space whose keys begin so, in the order of their keys.
    pub async fn list_records(
        &self,
        space: &str,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let (space, prefix) = (space.to_owned(), prefix.to_owned());
        self.read(move |reader| reader.records(&space, &prefix, limit.min(PAGE_MAX))).await
    }

    /// Whether other brokers may work on the same store.
    pub fn is_shared(&self) -> bool {
        self.inner.shared.peers.is_some()
    }

    /// The time as events get it: never before the newest event.
    pub fn now(&self) -> Timestamp {
        self.inner.shared.clock.now()
    }

    /// Figures since the start.
    pub fn metrics(&self) -> Metrics {
        let shared = &self.inner.shared;
        shared.counters.read(shared.intake.len(), shared.watchers.len())
    }

    /// Whether it takes events: false while the store is away, after a failed commit and after `stop`.
    pub fn healthy(&self) -> bool {
        let shared = &self.inner.shared;
        shared.intake.closed().is_none() && !shared.store_is_away.load(Ordering::Acquire)
    }

    /// Refuses new events, stores what waits, closes the store.
    pub async fn stop(&self) {
        self.inner.shared.intake.close(Closed::Stopping);
        let mut ended = self.inner.shared.ended.subscribe();
        // The sender lives in `shared`, which this handle holds.
        let _ = ended.wait_for(|ended| *ended).await;
    }

    async fn change_record(&self, space: &str, key: &str, change: RecordChange) -> Result<bool, StoreError> {
        if let RecordChange::Put(value) | RecordChange::Add(value) = &change
            && value.len() > RECORD_LEN_MAX
        {
            return Err(StoreError::TooLarge { what: "the record", got: value.len(), max: RECORD_LEN_MAX });
        }
        let (reply, answer) = oneshot::channel();
        let write = RecordWrite { space: space.to_owned(), key: key.to_owned(), change, reply };
        match self.inner.shared.intake.push(Item::Record(write)) {
            Ok(()) => answer.await.unwrap_or_else(|_| Err(StoreError::Failed(gone()))),
            Err(Refusal::Busy { waiting }) => Err(StoreError::Busy { waiting }),
            Err(Refusal::Closed(Closed::Stopping)) => Err(StoreError::Stopped),
            Err(Refusal::Closed(Closed::Failed(reason))) => Err(StoreError::Failed(reason)),
        }
    }

    /// Reads the store on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.inner.reads.clone().acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        let reader = self.inner.reader.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&*reader)
        });
        reading.await.map_err(|error| StoreError::Failed(error.to_string()))?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.intake.close(Closed::Stopping);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(run);
    spawned.map(drop).map_err(|error| StoreError::Failed(error.to_string()))
}

fn gone() -> String {
    "the committer ended before it answered".to_owned()
}

fn check_sizes(key: Option<&str>, body_len: usize) -> Result<(), Rejected> {
    let invalid = |message| Err(Rejected::new(RejectedCode::Invalid, message));
    if key.is_some_and(|key| key.is_empty() || key.len() > KEY_LEN_MAX) {
        return invalid(format!("an idempotency key has 1 to {KEY_LEN_MAX} bytes"));
    }
    if body_len > EVENT_LEN_MAX {
        return invalid(format!("the event has {body_len} bytes; at most {EVENT_LEN_MAX} are taken"));
    }
    Ok(())
}

fn snapshot(stored: &StoredObject, reader: &dyn Reader) -> Result<Snapshot, StoreError> {
    let (object, revision) = codec::decode_read(stored, reader)?;
    Ok(Snapshot { id: stored.id.clone(), object: Arc::new(object), revision })
}

/// A page of objects that somebody made: those that only refused a notice are passed over.
fn known(
    reader: &dyn Reader,
    kind: Kind,
    under: Option<&ObjectId>,
    mut after: Option<ObjectId>,
    limit: usize,
) -> Result<Vec<Snapshot>, StoreError> {
    let mut found = Vec::new();
    while found.len() < limit {
        let page = reader.list(kind, under, after.as_ref(), limit - found.len())?;
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        for stored in &page {
            let snapshot = snapshot(stored, reader)?;
            if snapshot.object.is_known() {
                found.push(snapshot);
            }
        }
    }
    Ok(found)
}
