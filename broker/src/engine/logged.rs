//! The log of all objects, in order, for whoever tells others of it.

use remit_loops::event::Entry;
use remit_loops::{Actor, ObjectId, Timestamp};

use super::{Engine, PAGE_MAX, codec};
use crate::store::{StoreError, StoredEvent};

/// An event of the log, as far as its timeline goes.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// Its place in the log.
    pub seq: u64,
    /// Whose event it is.
    pub object: ObjectId,
    /// When.
    pub at: Timestamp,
    /// From whom.
    pub by: Actor,
    /// What it put on the timeline.
    pub entries: Vec<Entry>,
}

impl Engine {
    /// Events of all objects after a place in the log, the oldest first.
    pub async fn events_after(&self, after: u64, limit: usize) -> Result<Vec<LoggedEvent>, StoreError> {
        let limit = limit.min(PAGE_MAX);
        self.read(move |reader| reader.events(after, limit)?.iter().map(logged).collect()).await
    }

    /// The place of the newest event; 0 if there is none.
    pub async fn log_end(&self) -> Result<u64, StoreError> {
        self.read(|reader| Ok(reader.log_end()?.seq)).await
    }
}

fn logged(event: &StoredEvent) -> Result<LoggedEvent, StoreError> {
    Ok(LoggedEvent {
        seq: event.seq,
        object: event.object.clone(),
        at: event.at,
        by: codec::decode_by(&event.by)?,
        entries: codec::decode_entries(event)?,
    })
}
