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
    by_row: LruCache<Row, HashSet<u64>>,
    known: usize,
    known_max: usize,
}

impl Default for OlderKeys {
    fn default() -> Self {
        Self { by_row: LruCache::unbounded(), known: 0, known_max: KNOWN_MAX }
    }
}

impl OlderKeys {
    /// The event that came with this key, if that is in the table.
    pub(super) fn find(
        &mut self,
        tx: &mut dyn Transaction,
        row: Row,
        key: &KeyHash,
    ) -> Result<Option<u64>, StoreError> {
        if !self.by_row.contains(&row) {
            let prints: HashSet<u64> = tx.older_keys(row)?.iter().map(|(hash, _)| print(hash)).collect();
            self.known += prints.len();
            self.by_row.push(row, prints);
            self.shrink(row);
        }
        if !self.by_row.get(&row).is_some_and(|prints| prints.contains(&print(key))) {
            return Ok(None);
        }
        // It most likely is there: one sent twice after many others, or one that has expired since.
        Ok(tx.older_keys(row)?.iter().rev().find(|(hash, _)| hash == key).map(|(_, seq)| *seq))
    }

    /// Another broker had the object: what is known of its keys may be too little.
    pub(super) fn forget(&mut self, row: Row) {
        if let Some(prints) = self.by_row.pop(&row) {
            self.known -= prints.len();
        }
    }

    /// Keys of the object went to the table.
    pub(super) fn add(&mut self, row: Row, keys: &[SpilledKey]) {
        if let Some(prints) = self.by_row.peek_mut(&row) {
            let before = prints.len();
            prints.extend(keys.iter().map(|(hash, _)| print(hash)));
            self.known += prints.len() - before;
            self.shrink(row);
        }
    }

    /// Forgets the objects used longest ago, but never the one at hand.
    fn shrink(&mut self, in_use: Row) {
        while self.known > self.known_max && self.by_row.len() > 1 {
            let Some((row, prints)) = self.by_row.pop_lru() else { return };
            if row == in_use {
                self.by_row.push(row, prints);
            } else {
                self.known -= prints.len();
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
        for seq in 0..160_u64 {
            let row = rows[seq as usize / 2 % 4];
            let keys = [(key_hash(&format!("{seq}")), seq)];
            assert_eq!(older.find(&mut *tx, row, &keys[0].0).unwrap(), None);
            tx.spill_keys(row, &keys).unwrap();
            older.add(row, &keys);
            assert!(older.known <= 20 + 40, "{} are known", older.known);
        }
        for seq in 0..160_u64 {
            let (row, other) = (rows[seq as usize / 2 % 4], rows[(seq as usize / 2 + 1) % 4]);
            let key = key_hash(&format!("{seq}"));
            assert_eq!(older.find(&mut *tx, row, &key).unwrap(), Some(seq));
            assert_eq!(older.find(&mut *tx, other, &key).unwrap(), None);
        }
    }
}
