//! Decoded states of the objects used last, as they were committed last.
//!
//! The committer alone writes here, after each commit, so whoever reads sees what is on disk and
//! nothing else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use remit_loops::page::Page;
use remit_loops::{Object, ObjectId};

use crate::engine::keys::RecentKeys;
use crate::store::Row;

/// What a decoded object takes besides its content, bytes; about.
const ENTRY_BYTES: usize = 640;

/// An object as it is committed.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub(super) id: Arc<ObjectId>,
    pub(super) row: Row,
    pub(super) object: Arc<Object>,
    pub(super) revision: u64,
    pub(super) last_seq: u64,
    pub(super) keys: RecentKeys,
    /// Its pages as they are stored.
    pub(super) pages: Arc<[Page]>,
    /// The length of its encoded state, for the cache's bound.
    pub(super) bytes: usize,
}

/// The cache, bounded by what its objects take encoded.
pub(super) struct Cache {
    entries: Mutex<Entries>,
    bytes_max: usize,
}

struct Entries {
    lru: LruCache<Arc<ObjectId>, Cached>,
    bytes: usize,
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        let entries = Entries { lru: LruCache::unbounded(), bytes: 0 };
        Self { entries: Mutex::new(entries), bytes_max }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, id: &ObjectId) -> Option<Cached> {
        self.entries().lru.get(id).cloned()
    }

    /// Puts what a commit wrote in place of what was there.
    pub(super) fn publish(&self, objects: impl Iterator<Item = Cached>) {
        let mut entries = self.entries();
        for cached in objects {
            entries.bytes += cached.bytes + ENTRY_BYTES;
            if let Some((_, old)) = entries.lru.push(cached.id.clone(), cached) {
                entries.bytes -= old.bytes + ENTRY_BYTES;
            }
        }
        while entries.bytes > self.bytes_max
            && let Some((_, old)) = entries.lru.pop_lru()
        {
            entries.bytes -= old.bytes + ENTRY_BYTES;
        }
    }
}
