//! The idempotency keys that came with an object's newest events: they lie beside its state.
//!
//! A key in a table of its own dirties a page of its own for each event, which costs as much as all
//! the rest. So the newest keys of an object travel in its row, and only when they are many do the
//! older ones go to the store's table, all at once.

use crate::store::{KEY_HASH_LEN, KeyHash, SpilledKey};

/// How many keys an object's row holds at most.
const KEYS_MAX: usize = 24;
/// How many of them, the oldest, go to the table when it is full.
const SPILL: usize = 16;
/// A key's hash and the place of its event.
const ENTRY_LEN: usize = KEY_HASH_LEN + 8;

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

    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes.get(1..).unwrap_or_default().chunks_exact(ENTRY_LEN)
    }

    /// The event that came with this key, if it is one of the newest.
    pub(super) fn find(&self, key: &KeyHash) -> Option<u64> {
        self.entries().map(decode).find(|(hash, _)| hash == key).map(|(_, seq)| seq)
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
        if self.entries().count() >= KEYS_MAX {
            spilled = self.entries().take(SPILL).map(decode).collect();
            self.bytes.drain(1..=SPILL * ENTRY_LEN);
            self.bytes[0] = 1;
        }
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(&seq.to_be_bytes());
        spilled
    }
}

impl Clone for RecentKeys {
    /// With room for one more: a copy is made to add to it.
    fn clone(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 1 + ENTRY_LEN);
        bytes.extend_from_slice(&self.bytes);
        Self { bytes }
    }
}

fn decode(entry: &[u8]) -> SpilledKey {
    let (hash, seq) = entry.split_at(KEY_HASH_LEN);
    let hash = hash.try_into().expect("an entry begins with a hash");
    (hash, u64::from_be_bytes(seq.try_into().expect("an entry ends with eight bytes")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::key_hash;

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
            assert!(keys.as_bytes().len() <= 1 + KEYS_MAX * ENTRY_LEN);
            keys = RecentKeys::from_bytes(keys.as_bytes().to_vec());
        }
        let in_row = keys.entries().map(decode);
        let all: Vec<u64> = table.into_iter().chain(in_row).map(|(_, seq)| seq).collect();
        assert_eq!(all, (1..=200).collect::<Vec<_>>());
    }
}
