//! The logs of attempts: offset-addressed, appended idempotently, compressed, bounded.
//!
//! Offsets count the bytes as the runner sent them. Bytes are kept as they came and cleaned
//! of control characters on their way out, so that a repeat is told from news by its offset
//! alone. The last chunk is rewritten until it is full: a crash costs at most what the
//! runner sends again.

pub(crate) mod text;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex as StdMutex};

use bytes::Bytes;
use futures::TryStreamExt;
use lru::LruCache;
use object_store::path::Path;
use object_store::{ObjectStore, PutPayload};
use remit_loops::{ObjectId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};

/// The most bytes kept of one attempt.
pub(crate) const ATTEMPT_SIZE_MAX: u64 = 256 * 1024 * 1024;
/// How many bytes one chunk holds before compression.
const CHUNK_SIZE: usize = 64 * 1024;
/// How many attempts' ends are kept in memory.
const OPEN_MAX: usize = 1024;
const LEVEL: i32 = 1;
const FORMAT: u32 = 1;

/// What can go wrong with a log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The store failed.
    #[error("the log store failed: {0}")]
    Store(#[from] object_store::Error),
    /// What is stored cannot be read.
    #[error("the stored log {what} cannot be read: {why}")]
    Corrupt {
        /// Which.
        what: String,
        /// Why.
        why: String,
    },
}

/// Names the log of one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The install.
    pub(crate) install: ObjectId,
    /// The job's id; no separators in it.
    pub(crate) job: String,
    /// Which try.
    pub(crate) attempt: u32,
}

/// What is known of a log beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    version: u32,
    /// When its first bytes came.
    pub(crate) began: Timestamp,
    /// Nothing more comes.
    pub(crate) is_final: bool,
    /// It was longer than what is kept.
    pub(crate) truncated: bool,
}

/// Where a log ends now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// How many bytes are kept.
    pub(crate) size: u64,
    /// Nothing more comes.
    pub(crate) is_final: bool,
    /// It was longer than what is kept.
    pub(crate) truncated: bool,
}

/// One attempt's log, open.
#[derive(Debug)]
struct Log {
    folder: Path,
    state: Mutex<Option<State>>,
    end: watch::Sender<End>,
}

#[derive(Debug)]
struct State {
    meta: Meta,
    /// Where the last, unfinished chunk begins.
    tail_start: u64,
    tail: Vec<u8>,
    /// Bytes received, kept or not.
    received: u64,
}

/// The logs of all attempts.
pub(crate) struct Logs {
    store: Arc<dyn ObjectStore>,
    open: StdMutex<LruCache<Key, Arc<Log>>>,
    size_max: u64,
    /// Other brokers append to the same logs: what is in memory may be old.
    is_shared: bool,
}

/// A new piece of a log.
#[derive(Debug)]
pub(crate) struct Piece<'a> {
    /// Where it belongs.
    pub(crate) offset: u64,
    /// The bytes.
    pub(crate) data: &'a [u8],
    /// Nothing comes after it.
    pub(crate) is_final: bool,
}

impl Logs {
    /// Kept in this store, which other brokers may write to.
    pub(crate) fn new(store: Arc<dyn ObjectStore>, is_shared: bool) -> Self {
        Self { is_shared, ..Self::with_size_max(store, ATTEMPT_SIZE_MAX) }
    }

    fn with_size_max(store: Arc<dyn ObjectStore>, size_max: u64) -> Self {
        let open = LruCache::new(NonZeroUsize::new(OPEN_MAX).expect("it is a constant above zero"));
        Self { store, open: StdMutex::new(open), size_max, is_shared: false }
    }

    /// Whether a log can grow without this broker's hearing of it: who follows one must look.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Appends a piece and answers where the log ends now. A piece that begins beyond the end
    /// changes nothing: the answer says what is missing.
    pub(crate) async fn append(&self, key: &Key, piece: &Piece<'_>, now: Timestamp) -> Result<u64, Error> {
        let log = self.open(key);
        let mut guard = log.state.lock().await;
        if guard.is_none() || self.is_shared {
            *guard = self.load(&log).await?;
        }
        if guard.is_none() {
            let meta = Meta { version: FORMAT, began: now, is_final: false, truncated: false };
            self.put_meta(&log, &meta).await?;
            *guard = Some(State { meta, tail_start: 0, tail: vec![], received: 0 });
        }
        let Some(state) = guard.as_mut() else { return Ok(0) };
        if piece.offset > state.received || state.meta.is_final {
            return Ok(state.received);
        }
        let known = usize::try_from(state.received - piece.offset).unwrap_or(usize::MAX);
        let fresh = piece.data.get(known..).unwrap_or_default();
        let result = self.extend(&log, state, fresh, piece.is_final).await;
        if result.is_err() {
            // Memory may be ahead of the store now: read it again the next time.
            *guard = None;
            return result;
        }
        log.end.send_replace(state.end());
        result
    }

    async fn extend(&self, log: &Log, state: &mut State, fresh: &[u8], last: bool) -> Result<u64, Error> {
        let room = usize::try_from(self.size_max - state.size()).unwrap_or(usize::MAX);
        let mut kept = &fresh[..fresh.len().min(room)];
        while !kept.is_empty() {
            let (now, later) = kept.split_at(kept.len().min(CHUNK_SIZE - state.tail.len()));
            state.tail.extend_from_slice(now);
            self.put_tail(log, state).await?;
            if state.tail.len() == CHUNK_SIZE {
                state.tail_start += CHUNK_SIZE as u64;
                state.tail.clear();
            }
            kept = later;
        }
        state.received += fresh.len() as u64;
        let truncated = state.meta.truncated || fresh.len() > room;
        if truncated != state.meta.truncated || last {
            state.meta.truncated = truncated;
            state.meta.is_final |= last;
            self.put_meta(log, &state.meta).await?;
        }
        Ok(state.received)
    }

    /// Where the log ends, and the means to wait for more; `None` where there is no such log.
    pub(crate) async fn follow(&self, key: &Key) -> Result<Option<watch::Receiver<End>>, Error> {
        let log = self.open(key);
        let receiver = log.end.subscribe();
        let mut guard = log.state.lock().await;
        if guard.is_none() || self.is_shared {
            *guard = self.load(&log).await?;
            if let Some(state) = guard.as_ref() {
                let end = state.end();
                log.end.send_if_modified(|known| std::mem::replace(known, end) != end);
            }
        }
        Ok(guard.is_some().then_some(receiver))
    }

    /// Raw bytes from an offset, `max` at most and never beyond the end.
    pub(crate) async fn read(&self, key: &Key, offset: u64, max: u64) -> Result<Vec<u8>, Error> {
        let log = self.open(key);
        let size = log.end.borrow().size;
        let (mut at, end) = (offset, size.min(offset.saturating_add(max)));
        let mut bytes = Vec::with_capacity(usize::try_from(end.saturating_sub(at)).unwrap_or(0));
        while at < end {
            let start = at - at % CHUNK_SIZE as u64;
            let chunk = self.chunk(&log, start).await?;
            let from = usize::try_from(at - start).unwrap_or(usize::MAX);
            let to = chunk.len().min(usize::try_from(end - start).unwrap_or(usize::MAX));
            let Some(part) = chunk.get(from..to).filter(|part| !part.is_empty()) else { break };
            bytes.extend_from_slice(part);
            at += part.len() as u64;
        }
        Ok(bytes)
    }

    /// The attempts of an install that have logs: their keys and what is known of them.
    pub(crate) async fn index(&self, install: &ObjectId) -> Result<Vec<(Key, Meta, End)>, Error> {
        let mut found = vec![];
        for job in self.store.list_with_delimiter(Some(&folder_of(install))).await?.common_prefixes {
            for attempt in self.store.list_with_delimiter(Some(&job)).await?.common_prefixes {
                let names = (job.filename(), attempt.filename().and_then(|a| a.parse().ok()));
                let (Some(job), Some(attempt)) = names else { continue };
                let key = Key { install: install.clone(), job: job.to_owned(), attempt };
                let Some(end) = self.follow(&key).await?.map(|end| *end.borrow()) else { continue };
                if let Some(meta) = self.meta(&attempt_folder(&key)).await? {
                    found.push((key, meta, end));
                }
            }
        }
        found.sort_by(|(a, am, _), (b, bm, _)| {
            (am.began, &a.job, a.attempt).cmp(&(bm.began, &b.job, b.attempt))
        });
        Ok(found)
    }

    fn open(&self, key: &Key) -> Arc<Log> {
        let mut open = self.open.lock().expect("nobody panics while holding it");
        let new = || {
            let end = watch::Sender::new(End::default());
            Arc::new(Log { folder: attempt_folder(key), state: Mutex::new(None), end })
        };
        open.get_or_insert(key.clone(), new).clone()
    }

    async fn load(&self, log: &Log) -> Result<Option<State>, Error> {
        let Some(meta) = self.meta(&log.folder).await? else { return Ok(None) };
        let chunks: Vec<_> = self.store.list(Some(&log.folder)).try_collect().await?;
        let start = |path: &Path| path.filename()?.strip_suffix(".zst")?.parse::<u64>().ok();
        let last = chunks.iter().filter_map(|c| start(&c.location)).max();
        let (mut tail_start, mut tail) = (0, vec![]);
        if let Some(last) = last {
            (tail_start, tail) = (last, self.chunk(log, last).await?);
        }
        if tail.len() >= CHUNK_SIZE {
            tail_start += CHUNK_SIZE as u64;
            tail.clear();
        }
        let received = tail_start + tail.len() as u64;
        Ok(Some(State { meta, tail_start, tail, received }))
    }

    async fn meta(&self, folder: &Path) -> Result<Option<Meta>, Error> {
        let Some(bytes) = self.get(&folder.child("meta.json")).await? else { return Ok(None) };
        let meta = serde_json::from_slice(&bytes);
        meta.map(Some).map_err(|e| Error::Corrupt { what: folder.to_string(), why: e.to_string() })
    }

    async fn put_meta(&self, log: &Log, meta: &Meta) -> Result<(), Error> {
        let bytes = serde_json::to_vec(meta).expect("a struct of numbers is always JSON");
        self.store.put(&log.folder.child("meta.json"), PutPayload::from(bytes)).await?;
        Ok(())
    }

    async fn chunk(&self, log: &Log, start: u64) -> Result<Vec<u8>, Error> {
        let path = chunk_path(log, start);
        let corrupt = |why: String| Error::Corrupt { what: path.to_string(), why };
        let packed = self.get(&path).await?.ok_or_else(|| corrupt("it is missing".to_owned()))?;
        zstd::bulk::decompress(&packed, CHUNK_SIZE).map_err(|e| corrupt(e.to_string()))
    }

    async fn put_tail(&self, log: &Log, state: &State) -> Result<(), Error> {
        let path = chunk_path(log, state.tail_start);
        let packed = zstd::bulk::compress(&state.tail, LEVEL)
            .map_err(|e| Error::Corrupt { what: path.to_string(), why: e.to_string() })?;
        self.store.put(&path, PutPayload::from(packed)).await?;
        Ok(())
    }

    async fn get(&self, path: &Path) -> Result<Option<Bytes>, Error> {
        match self.store.get(path).await {
            Ok(found) => Ok(Some(found.bytes().await?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl State {
    fn size(&self) -> u64 {
        self.tail_start + self.tail.len() as u64
    }

    fn end(&self) -> End {
        End { size: self.size(), is_final: self.meta.is_final, truncated: self.meta.truncated }
    }
}

fn folder_of(install: &ObjectId) -> Path {
    Path::from_iter(std::iter::once("logs").chain(install.path().split('.')))
}

fn attempt_folder(key: &Key) -> Path {
    folder_of(&key.install).child(key.job.as_str()).child(key.attempt.to_string())
}

fn chunk_path(log: &Log, start: u64) -> Path {
    log.folder.child(format!("{start:012}.zst"))
}

#[cfg(test)]
mod tests;
