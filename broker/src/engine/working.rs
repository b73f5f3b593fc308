//! The objects of one batch as it sees them: loaded once, changed in memory, written at its end.

use std::collections::HashMap;
use std::sync::Arc;

use remit_loops::page::Page;
use remit_loops::{Object, ObjectId};

use crate::engine::cache::{Cache, Cached};
use crate::engine::codec;
use crate::engine::keys::RecentKeys;
use crate::store::{HeldObject, ObjectWrite, Row, StoreError, StoredObject, Transaction, Wanted};

/// About how many bytes a page has, for the cache's bound.
const PAGE_BYTES: usize = 4_096;

/// An object's place in the working set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(usize);

/// An object as the batch sees it.
pub(super) struct Working {
    pub(super) id: Arc<ObjectId>,
    /// Its number in the store, once it has one.
    pub(super) row: Option<Row>,
    pub(super) object: Arc<Object>,
    pub(super) revision: u64,
    pub(super) last_seq: u64,
    pub(super) keys: RecentKeys,
    /// Its pages as they are stored.
    pages: Arc<[Page]>,
    /// The length of its encoded state.
    bytes: usize,
    /// It has an event in this batch.
    pub(super) changed: bool,
    /// Its timer was taken out for a tick: set it again.
    pub(super) ticked: bool,
    /// Notices for it wait in the inbox: newer ones must wait behind them.
    pub(super) is_behind: bool,
}

/// The objects of one batch.
pub(super) struct WorkingSet<'a> {
    cache: &'a Cache,
    /// Other brokers change objects too: what the cache says counts only once the object is held.
    is_shared: bool,
    list: Vec<Working>,
    slots: HashMap<Arc<ObjectId>, Slot>,
    /// Objects that another broker changed since this one had them.
    pub(super) reloaded: Vec<Row>,
}

impl<'a> WorkingSet<'a> {
    pub(super) fn new(cache: &'a Cache, is_shared: bool) -> Self {
        Self { cache, is_shared, list: Vec::new(), slots: HashMap::new(), reloaded: Vec::new() }
    }

    /// The object's place; loads it from the cache or the store, or begins a new one. `None`: another
    /// broker holds it.
    pub(super) fn slot(
        &mut self,
        tx: &mut dyn Transaction,
        id: &ObjectId,
    ) -> Result<Option<Slot>, StoreError> {
        if let Some(slot) = self.slots.get(id) {
            return Ok(Some(*slot));
        }
        match self.cache.get(id) {
            Some(cached) if !self.is_shared => self.add(Working::from_cached(cached)),
            _ => self.hold(tx, [id], false)?,
        }
        Ok(self.slots.get(id).copied())
    }

    /// Loads objects in one go; see [`Transaction::hold`].
    pub(super) fn hold<'i>(
        &mut self,
        tx: &mut dyn Transaction,
        ids: impl IntoIterator<Item = &'i ObjectId>,
        wait: bool,
    ) -> Result<(), StoreError> {
        let mut new: Vec<&ObjectId> = ids.into_iter().filter(|id| !self.slots.contains_key(*id)).collect();
        new.sort_unstable();
        new.dedup();
        let cached: Vec<Option<Cached>> = new.iter().map(|id| self.cache.get(id)).collect();
        let known = |cached: &Option<Cached>| cached.as_ref().map(|cached| cached.revision);
        let wanted: Vec<Wanted<'_>> =
            new.iter().zip(&cached).map(|(id, cached)| Wanted { id, known: known(cached) }).collect();
        let held = tx.hold(&wanted, wait)?;
        for ((id, cached), held) in new.into_iter().zip(cached).zip(held) {
            let Some(held) = held else { continue };
            let mut working = match (held.object, cached) {
                (HeldObject::AsKnown, Some(cached)) => Working::from_cached(cached),
                (HeldObject::Stored(stored), _) => {
                    self.reloaded.push(stored.row);
                    Working::from_stored(stored, tx)?
                }
                (HeldObject::AsKnown | HeldObject::Absent, _) => Working::new(Arc::new(id.clone())),
            };
            working.is_behind = held.is_behind;
            self.add(working);
        }
        Ok(())
    }

    fn add(&mut self, working: Working) {
        self.slots.insert(working.id.clone(), Slot(self.list.len()));
        self.list.push(working);
    }

    pub(super) fn get(&mut self, slot: Slot) -> &mut Working {
        // A slot is only ever made by pushing the element it stands for.
        &mut self.list[slot.0]
    }

    /// Writes every changed object.
    pub(super) fn store(&mut self, tx: &mut dyn Transaction) -> Result<(), StoreError> {
        let mut state = Vec::new();
        for working in self.list.iter_mut().filter(|working| working.changed) {
            let Some(row) = working.row else { continue };
            let write = ObjectWrite {
                row,
                revision: working.revision,
                last_seq: working.last_seq,
                deadline: working.object.deadline(),
                version: 0,
                state: &[],
                keys: working.keys.as_bytes(),
            };
            let pages = codec::write_state(tx, &write, &working.object, &working.pages, &mut state)?;
            working.bytes = state.len() + pages.len() * PAGE_BYTES;
            working.pages = pages.into();
        }
        Ok(())
    }

    /// The objects that the commit has something to say about.
    pub(super) fn into_touched(self) -> Vec<Working> {
        self.list.into_iter().filter(|working| working.changed || working.ticked).collect()
    }
}

impl Working {
    /// An object that was never stored.
    fn new(id: Arc<ObjectId>) -> Self {
        let (object, keys) = (Arc::new(Object::new(&id)), RecentKeys::default());
        let (revision, last_seq, bytes, row, pages) = (0, 0, 0, None, Arc::from([]));
        let (changed, ticked, is_behind) = (false, false, false);
        Self { id, row, object, revision, last_seq, keys, pages, bytes, changed, ticked, is_behind }
    }

    fn from_cached(cached: Cached) -> Self {
        let Cached { id, row, object, revision, last_seq, keys, pages, bytes } = cached;
        let (changed, ticked, is_behind) = (false, false, false);
        Self {
            id,
            row: Some(row),
            object,
            revision,
            last_seq,
            keys,
            pages,
            bytes,
            changed,
            ticked,
            is_behind,
        }
    }

    fn from_stored(stored: StoredObject, tx: &mut dyn Transaction) -> Result<Self, StoreError> {
        let object = Arc::new(codec::decode_state(&stored, |row| tx.pages(row))?);
        let pages = codec::stored_pages(&stored, &object).into();
        let StoredObject { row, id, revision, last_seq, state, keys, .. } = stored;
        let (id, keys, bytes) = (Arc::new(id), RecentKeys::from_bytes(keys), state.len());
        Ok(Self::from_cached(Cached { id, row, object, revision, last_seq, keys, pages, bytes }))
    }

    /// As the cache keeps it, if it is stored.
    pub(super) fn into_cached(self) -> Option<Cached> {
        let Self { id, row, object, revision, last_seq, keys, pages, bytes, .. } = self;
        Some(Cached { id, row: row?, object, revision, last_seq, keys, pages, bytes })
    }
}
