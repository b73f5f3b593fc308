//! The idempotency keys that came with an object's events.
//!
//! The newest lie beside its state: a key in a table of its own would dirty a page of its own for each
//! event, which costs as much as all the rest. Older ones go to the store's table in blocks; which
//! keys those are is kept in memory for the objects used last, so that a new key asks nobody.

use std::collections::HashSet;

use lru::LruCache;

use crate::store::{
    KEY_ENTRY_LEN, KeyHash, Row, SpilledKey, StoreError, Transaction, decode_keys, encode_key,
};

/// How many keys an object's row holds at most.
const KEYS_MAX: usize = 24;
/// How many of them, the oldest, go to the table when it is full.
const SPILL: usize = 16;
/// How many older keys are known in memory, of all objects; about 16 bytes each.
const KNOWN_MAX: usize = 2_000_000;

/// The newest keys of one object, as they are stored: nothing; or a byte that says whether older ones
/// are in the table, and the entries, oldest first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RecentKeys {
    bytes: Vec<u8>,
}

impl RecentKeys {
    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn entries(&self) -> &[u8] {
        self.bytes.get(1..).unwrap_or_default()
    }

    /// The event that came with this key, if it is one of the newest.
    pub(super) fn find(&self, key: &KeyHash) -> Option<u64> {
        decode_keys(self.entries()).find(|(hash, _)| hash == key).map(|(_, seq)| seq)
    }

    /// Whether older keys of the object are in the store's table.
    pub(super) fn has_older(&self) -> bool {
        self.bytes.first() == Some(&1)
    }

    /// Adds the key of a new event; answers the keys that must go to the table with it.
    pub(super) fn add(&mut self, key: &KeyHash, seq: u64) -> Vec<SpilledKey> {
        let mut spilled = Vec::new();
        if self.bytes.is_empty() {
            self.bytes.push(0);
        }
        if self.entries().len() >= KEYS_MAX * KEY_ENTRY_LEN {
            spilled = decode_keys(self.entries()).take(SPILL).collect();
            self.bytes.drain(1..=SPILL * KEY_ENTRY_LEN);
            self.bytes[0] = 1;
        }
        encode_key(&(*key, seq), &mut self.bytes);
        spilled
    }
}

impl Clone for RecentKeys {
    /// With room for one more: a copy is made to add to it.
    fn clone(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 1 + KEY_ENTRY_LEN);
        bytes.extend_from_slice(&self.bytes);
        Self { bytes }
    }
}

/// Which older keys are in the store's table, for the objects used last. The committer's own.
pub(super) struct OlderKeys {
    by_row: LruCache<Row, Older>,
    known: usize,
    known_max: usize,
}

/// The older keys of one object.
#[derive(Default)]
struct Older {
    prints: HashSet<u64>,
    /// The place of the newest of them.
    last: u64,
    /// Another broker had the object: there may be newer ones.
    is_behind: bool,
}

impl Default for OlderKeys {
    fn default() -> Self {
        Self { by_row: LruCache::unbounded(), known: 0, known_max: KNOWN_MAX }
    }
}

impl OlderKeys {
    /// Finds out, in one go, which older keys these objects have.
    pub(super) fn load(&mut self, tx: &mut dyn Transaction, rows: &[Row]) -> Result<(), StoreError> {
        let known = |row: &Row| match self.by_row.peek(row) {
            Some(older) if !older.is_behind => None,
            older => Some((*row, older.map_or(0, |older| older.last))),
        };
        let mut wanted: Vec<(Row, u64)> = rows.iter().filter_map(known).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let Some((one, _)) = wanted.last().copied() else { return Ok(()) };
        for ((row, _), keys) in wanted.iter().zip(tx.newer_keys(&wanted)?) {
            self.by_row.get_or_insert_mut(*row, Older::default).is_behind = false;
            self.learn(*row, &keys);
        }
        self.shrink(one);
        Ok(())
    }

    /// The event that came with this key, if that is in the table.
    pub(super) fn find(
        &mut self,
        tx: &mut dyn Transaction,
        row: Row,
        key: &KeyHash,
    ) -> Result<Option<u64>, StoreError> {
        self.load(tx, &[row])?;
        if !self.by_row.get(&row).is_some_and(|older| older.prints.contains(&print(key))) {
            return Ok(None);
        }
        // It most likely is there: one sent twice after many others, or one that has expired since.
        Ok(tx.older_keys(row)?.iter().rev().find(|(hash, _)| hash == key).map(|(_, seq)| *seq))
    }

    /// Another broker had the object: what is known of its keys may be too little.
    pub(super) fn fall_behind(&mut self, row: Row) {
        if let Some(older) = self.by_row.peek_mut(&row) {
            older.is_behind = true;
        }
    }

    /// Keys of the object went to the table.
    pub(super) fn add(&mut self, row: Row, keys: &[SpilledKey]) {
        // Of one that is behind, the place of its newest known key must stay: from there it is caught up.
        if self.by_row.peek(&row).is_some_and(|older| !older.is_behind) {
            self.learn(row, keys);
            self.shrink(row);
        }
    }

    fn learn(&mut self, row: Row, keys: &[SpilledKey]) {
        let Some(older) = self.by_row.peek_mut(&row) else { return };
        let before = older.prints.len();
        older.prints.extend(keys.iter().map(|(hash, _)| print(hash)));
        older.last = keys.iter().map(|(_, seq)| *seq).fold(older.last, u64::max);
        self.known += older.prints.len() - before;
    }

    /// Forgets the objects used longest ago, but never the one at hand.
    fn shrink(&mut self, in_use: Row) {
        while self.known > self.known_max && self.by_row.len() > 1 {
            let Some((row, older)) = self.by_row.pop_lru() else { return };
            if row == in_use {
                self.by_row.push(row, older);
            } else {
                self.known -= older.prints.len();
            }
        }
    }
}

/// Enough of a hash to say that a key is not there.
fn print(hash: &KeyHash) -> u64 {
    let (print, _) = hash.split_first_chunk().expect("a hash is longer than eight bytes");
    u64::from_be_bytes(*print)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{MemoryStore, Store, key_hash};

    #[test]
    fn every_key_is_in_the_row_or_was_handed_over() {
        let mut keys = RecentKeys::default();
        let mut table = Vec::new();
        for seq in 1..=200_u64 {
            let hash = key_hash(&seq.to_string());
            assert_eq!(keys.find(&hash), None);
            table.extend(keys.add(&hash, seq));
            assert_eq!(keys.find(&hash), Some(seq));
            assert_eq!(keys.has_older(), !table.is_empty());
            assert!(keys.as_bytes().len() <= 1 + KEYS_MAX * KEY_ENTRY_LEN);
            keys = RecentKeys::from_bytes(keys.as_bytes().to_vec());
        }
        let in_row = decode_keys(keys.entries());
        let all: Vec<u64> = table.into_iter().chain(in_row).map(|(_, seq)| seq).collect();
        assert_eq!(all, (1..=200).collect::<Vec<_>>());
    }

    #[test]
    fn older_keys_are_found_however_few_may_be_known() {
        let mut store = MemoryStore::default();
        let mut tx = store.begin().unwrap();
        let rows: Vec<Row> =
            (0..4).map(|n| tx.create(&format!("org_o{n}").parse().unwrap()).unwrap()).collect();
        let mut older = OlderKeys { known_max: 20, ..OlderKeys::default() };
        for seq in 1..=160_u64 {
            let row = rows[seq as usize / 2 % 4];
            let keys = [(key_hash(&format!("{seq}")), seq)];
            assert_eq!(older.find(&mut *tx, row, &keys[0].0).unwrap(), None);
            tx.spill_keys(row, &keys).unwrap();
            older.add(row, &keys);
            assert!(older.known <= 20 + 40, "{} are known", older.known);
        }
        for seq in 1..=160_u64 {
            let (row, other) = (rows[seq as usize / 2 % 4], rows[(seq as usize / 2 + 1) % 4]);
            let key = key_hash(&format!("{seq}"));
            assert_eq!(older.find(&mut *tx, row, &key).unwrap(), Some(seq));
            assert_eq!(older.find(&mut *tx, other, &key).unwrap(), None);
        }
    }
}
