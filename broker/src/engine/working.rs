//! The objects of one batch as it sees them: loaded once, changed in memory, written at its end.

use std::collections::HashMap;
use std::sync::Arc;

use remit_loops::{Object, ObjectId};

use crate::engine::cache::{Cache, Cached};
use crate::engine::codec::{self, STATE_VERSION};
use crate::engine::keys::RecentKeys;
use crate::store::{ObjectWrite, Row, StoreError, Transaction};

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
    /// The length of its encoded state.
    bytes: usize,
    /// It has an event in this batch.
    pub(super) changed: bool,
    /// Its timer was taken out for a tick: set it again.
    pub(super) ticked: bool,
}

/// The objects of one batch.
pub(super) struct WorkingSet<'a> {
    cache: &'a Cache,
    list: Vec<Working>,
    slots: HashMap<Arc<ObjectId>, Slot>,
}

impl<'a> WorkingSet<'a> {
    pub(super) fn new(cache: &'a Cache) -> Self {
        Self { cache, list: Vec::new(), slots: HashMap::new() }
    }

    /// The object's place; loads it from the cache or the store, or begins a new one.
    pub(super) fn slot(&mut self, tx: &mut dyn Transaction, id: &ObjectId) -> Result<Slot, StoreError> {
        if let Some(slot) = self.slots.get(id) {
            return Ok(*slot);
        }
        let working = self.load(tx, id)?;
        let slot = Slot(self.list.len());
        self.slots.insert(working.id.clone(), slot);
        self.list.push(working);
        Ok(slot)
    }

    pub(super) fn get(&mut self, slot: Slot) -> &mut Working {
        // A slot is only ever made by pushing the element it stands for.
        &mut self.list[slot.0]
    }

    fn load(&self, tx: &mut dyn Transaction, id: &ObjectId) -> Result<Working, StoreError> {
        if let Some(cached) = self.cache.get(id) {
            let Cached { id, row, object, revision, last_seq, keys, bytes } = cached;
            let (row, changed, ticked) = (Some(row), false, false);
            return Ok(Working { id, row, object, revision, last_seq, keys, bytes, changed, ticked });
        }
        let id = Arc::new(id.clone());
        let Some(stored) = tx.load(&id)? else { return Ok(Working::new(id)) };
        Ok(Working {
            id,
            row: Some(stored.row),
            object: Arc::new(codec::decode_state(&stored)?),
            revision: stored.revision,
            last_seq: stored.last_seq,
            bytes: stored.state.len(),
            keys: RecentKeys::from_bytes(stored.keys),
            changed: false,
            ticked: false,
        })
    }

    /// Writes every changed object.
    pub(super) fn store(&mut self, tx: &mut dyn Transaction) -> Result<(), StoreError> {
        let mut state = Vec::new();
        for working in self.list.iter_mut().filter(|working| working.changed) {
            let Some(row) = working.row else { continue };
            state.clear();
            codec::encode_into(&*working.object, &mut state);
            working.bytes = state.len();
            tx.write(&ObjectWrite {
                row,
                revision: working.revision,
                last_seq: working.last_seq,
                deadline: working.object.deadline(),
                version: STATE_VERSION,
                state: &state,
                keys: working.keys.as_bytes(),
            })?;
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
        let (changed, ticked) = (false, false);
        Self { id, row: None, object, revision: 0, last_seq: 0, keys, bytes: 0, changed, ticked }
    }

    /// As the cache keeps it, if it is stored.
    pub(super) fn into_cached(self) -> Option<Cached> {
        let Self { id, row, object, revision, last_seq, keys, bytes, .. } = self;
        Some(Cached { id, row: row?, object, revision, last_seq, keys, bytes })
    }
}
