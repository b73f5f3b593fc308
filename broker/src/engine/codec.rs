//! How states and events are written down: JSON, with a number for the format of states.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use remit_loops::page::Page;
use remit_loops::timeline::Entry;
use remit_loops::{Actor, Body, Object};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::{
    ObjectWrite, Reader, Row, StoreError, StoredEvent, StoredObject, StoredPage, Transaction,
};

/// The format in which states are written: whole, or with pages beside them.
pub(super) const WHOLE: u32 = 1;
const PAGED: u32 = 2;
/// How often a state is read that others write at the same time.
const READS_MAX: usize = 100;

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

/// The one place that reads states: older formats are brought up to date here. `pages` reads what lies beside
/// the state; it is asked only where something does.
pub(super) fn decode_state(
    stored: &StoredObject,
    pages: impl FnOnce(Row) -> Result<Vec<StoredPage>, StoreError>,
) -> Result<Object, StoreError> {
    let what = || format!("the state of {}", stored.id);
    match stored.version {
        WHOLE => decode(&what(), &stored.state),
        PAGED => {
            let mut object: Object = decode(&what(), &stored.state)?;
            for (number, page) in pages(stored.row)? {
                let placed = object.put_page(number, decode(&what(), &page)?);
                placed.map_err(|error| StoreError::Corrupt(format!("{}: {error}", what())))?;
            }
            Ok(object)
        }
        found => Err(StoreError::Newer { found, known: PAGED }),
    }
}

/// A state that was read beside others' writes, and its revision: a newer one if it was written meanwhile.
pub(super) fn decode_read(stored: &StoredObject, reader: &dyn Reader) -> Result<(Object, u64), StoreError> {
    if stored.version == WHOLE {
        return Ok((decode_state(stored, |_| Ok(vec![]))?, stored.revision));
    }
    let mut newest = Cow::Borrowed(stored);
    for _ in 0..READS_MAX {
        let pages = reader.pages(newest.row)?;
        match reader.object(&newest.id)? {
            // Nobody has written it meanwhile: the pages belong to the state.
            Some(now) if now.revision == newest.revision => {
                return Ok((decode_state(&now, |_| Ok(pages))?, now.revision));
            }
            Some(now) => newest = Cow::Owned(now),
            None => break,
        }
    }
    Err(StoreError::Unavailable(format!("{} changes faster than it can be read", stored.id)))
}

/// The pages of an object that was just read, as they are stored: none if it was stored whole.
pub(super) fn stored_pages(stored: &StoredObject, object: &Object) -> Vec<Page> {
    if stored.version == PAGED { object.pages() } else { vec![] }
}

/// Writes a state: whole if it is small, else its pages beside it, those that are not as they were.
pub(super) fn write_state(
    tx: &mut dyn Transaction,
    write: &ObjectWrite<'_>,
    object: &Object,
    before: &[Page],
    state: &mut Vec<u8>,
) -> Result<Vec<Page>, StoreError> {
    let (row, now) = (write.row, object.pages());
    let known: HashMap<u64, &Page> = before.iter().map(|page| (page.number(), page)).collect();
    let is_new = |page: &&Page| known.get(&page.number()).is_none_or(|known| !known.is(page));
    for page in now.iter().filter(is_new) {
        state.clear();
        encode_into(page, state);
        tx.write_page(row, page.number(), Some(&state[..]))?;
    }
    let kept: HashSet<u64> = now.iter().map(Page::number).collect();
    for gone in before.iter().filter(|page| !kept.contains(&page.number())) {
        tx.write_page(row, gone.number(), None)?;
    }
    state.clear();
    let version = if now.is_empty() { WHOLE } else { PAGED };
    match version {
        WHOLE => encode_into(object, state),
        _ => encode_into(&object.without_pages(), state),
    }
    tx.write(&ObjectWrite { version, state: &state[..], ..*write })?;
    Ok(now)
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
