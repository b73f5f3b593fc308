//! How states and events are written down: JSON, with a number for the format of states.

use remit_loops::event::Entry;
use remit_loops::{Actor, Body, Object};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{StoreError, StoredEvent, StoredObject};

/// The format in which states are written.
pub(super) const STATE_VERSION: u32 = 1;

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    encode_into(value, &mut bytes);
    bytes
}

pub(super) fn encode_into<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    serde_json::to_writer(bytes, value).expect("the vocabulary has string keys only and a vector takes all");
}

/// Entries of the timeline; most events have none, and none takes no bytes.
pub(super) fn encode_entries(entries: &[Entry], bytes: &mut Vec<u8>) {
    if !entries.is_empty() {
        encode_into(&entries, bytes);
    }
}

fn decode<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}

/// The one place that reads states: older formats are brought up to date here.
pub(super) fn decode_state(stored: &StoredObject) -> Result<Object, StoreError> {
    match stored.version {
        STATE_VERSION => decode(&format!("the state of {}", stored.id), &stored.state),
        found => Err(StoreError::Newer { found, known: STATE_VERSION }),
    }
}

pub(super) fn decode_by(bytes: &[u8]) -> Result<Actor, StoreError> {
    decode("the sender of an event", bytes)
}

pub(super) fn decode_body(bytes: &[u8]) -> Result<Body, StoreError> {
    decode("an event", bytes)
}

pub(super) fn decode_entries(event: &StoredEvent) -> Result<Vec<Entry>, StoreError> {
    if event.entries.is_empty() { Ok(vec![]) } else { decode("the timeline of an event", &event.entries) }
}
