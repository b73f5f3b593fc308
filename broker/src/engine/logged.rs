//! The log of all objects, in order, for whoever tells others of it.

use remit_loops::timeline::Entry;
use remit_loops::{Actor, Body, ObjectId, Timestamp};
use remit_seal::Digest;

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

/// What a person asked of an object, as the log has it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Its place in the log.
    pub(crate) seq: u64,
    /// Whose event it is.
    pub(crate) object: ObjectId,
    /// By the name of their token.
    pub(crate) by: String,
    /// What.
    pub(crate) body: Body,
    /// The digest of the whole event, as [`digest`] makes it.
    pub(crate) digest: Digest,
}

/// A page of the log, of which only what people asked is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct AskedPage {
    pub(crate) asked: Vec<Asked>,
    /// The last event that was looked at; 0 if there was none.
    pub(crate) last: u64,
    /// There may be more.
    pub(crate) is_full: bool,
}

/// An actor that is a person begins so; the rest need not be decoded.
const PERSON: &[u8] = br#"{"person":"#;

/// The digest of an event with all that is stored of it.
pub(crate) fn digest(event: &StoredEvent) -> Digest {
    let (object, numbers) = (event.object.to_string(), [event.seq, event.prev_seq].map(u64::to_be_bytes));
    let key = event.key.as_deref().unwrap_or_default();
    let at = event.at.0.to_be_bytes();
    let parts = [object.as_bytes(), &numbers[0], &numbers[1], &at, key.as_bytes(), &event.by, &event.body];
    let mut all = Vec::with_capacity(256 + event.body.len() + event.entries.len());
    for part in parts.into_iter().chain([&event.entries[..]]) {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    Digest::of(&all)
}

impl Engine {
    /// What people asked, after a place in the log; where brokers share it, only up to what is older than
    /// `settled_ms`, for events become visible a little out of order there.
    pub(crate) async fn asked_after(
        &self,
        after: u64,
        limit: usize,
        settled_ms: i64,
    ) -> Result<AskedPage, StoreError> {
        let (limit, until) = (limit.min(PAGE_MAX), self.now().plus_ms(-settled_ms));
        let is_shared = self.is_shared();
        self.read(move |reader| {
            let events = reader.events(after, limit)?;
            let is_full = events.len() == limit;
            let mut page = AskedPage { is_full, ..AskedPage::default() };
            for event in events.iter().take_while(|event| !is_shared || event.at <= until) {
                page.last = event.seq;
                if event.by.starts_with(PERSON) {
                    page.asked.push(asked(event)?);
                }
            }
            Ok(page)
        })
        .await
    }

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

fn asked(event: &StoredEvent) -> Result<Asked, StoreError> {
    let by = match codec::decode_by(&event.by)? {
        Actor::Person(name) => name,
        other @ (Actor::Object(_) | Actor::Runner | Actor::Clock) => other.to_string(),
    };
    let (seq, object, body) = (event.seq, event.object.clone(), codec::decode_body(&event.body)?);
    Ok(Asked { seq, object, by, body, digest: digest(event) })
}
