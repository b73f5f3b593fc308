//! The brokers' store in the simulation: the memory store behind a door where commits get lost,
//! connections break, and planted bugs do their work. What it lets through it also notes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remit_broker::store::{
    EventWrite, InboxNotice, MemoryStore, ObjectWrite, Peers, Reader, Row, SpilledKey, Store, StoreError,
    StoredEvent, StoredObject, StoredPage, Transaction,
};
use remit_loops::timeline::Entry;
use remit_loops::{Kind, ObjectId, Timestamp};

use crate::bugs::Bug;
use crate::people;
use crate::promises::{Acted, Told};

/// What happens to the next commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Crash {
    /// Nothing bad.
    #[default]
    None,
    /// The broker dies before it is on disk.
    BeforeCommit,
    /// The broker dies when it is on disk, and before anybody hears of it.
    AfterCommit,
}

/// What the door saw, and what it is to do.
#[derive(Default)]
pub(crate) struct Notes {
    /// What happens to the next commit.
    pub(crate) crash: Crash,
    /// Objects whose state was committed since this was emptied last.
    pub(crate) touched: BTreeSet<ObjectId>,
    /// Every event that came with a key, as committed: the place of each.
    pub(crate) keys: BTreeMap<(ObjectId, String), u64>,
    /// The same by what a person meant, however often it was asked for.
    pub(crate) meant: BTreeMap<(ObjectId, String), u64>,
    /// Notices that a loop refused though they were neither stale nor for something that goes away.
    pub(crate) refused: Vec<String>,
    /// What rules did, since this was emptied last.
    pub(crate) acted: Vec<Acted>,
    /// What timelines said of health, since this was emptied last.
    pub(crate) told: Vec<Told>,
    /// The time of each object's newest event, and whether one was older than the one before it.
    pub(crate) newest: BTreeMap<ObjectId, Timestamp>,
    pub(crate) went_back: Option<String>,
    /// The time of the newest event of all.
    pub(crate) last: Timestamp,
    /// The time that the database says, where several brokers have but that one in common.
    pub(crate) clock: Option<Timestamp>,
    /// A signal that was done more than once.
    pub(crate) twice: Option<String>,
    pub(crate) events: u64,
    pub(crate) commits: u64,
    /// The numbers of all objects: the engines keep many of them in memory.
    rows: BTreeMap<Row, ObjectId>,
    bug: Option<Bug>,
    counter: u64,
}

impl Notes {
    /// The planted bug, every so many times.
    fn is_struck(&mut self, bug: Bug, every: u64) -> bool {
        if self.bug != Some(bug) {
            return false;
        }
        self.counter += 1;
        self.counter.is_multiple_of(every)
    }
}

/// The door to one database; each broker has a clone.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) inner: MemoryStore,
    pub(crate) notes: Arc<Mutex<Notes>>,
}

impl Door {
    pub(crate) fn new(shared: bool, bug: Option<Bug>) -> Self {
        let inner = if shared { MemoryStore::shared() } else { MemoryStore::default() };
        Self { inner, notes: Arc::new(Mutex::new(Notes { bug, ..Notes::default() })) }
    }

    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Door {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        let notes = self.notes.clone();
        let pending = Pending::default();
        Ok(Box::new(Passing { inner: self.inner.begin()?, notes, pending }))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        let (inner, bug) = (self.inner.reader(), self.notes().bug);
        match bug {
            Some(Bug::ForgetDeadlines | Bug::ForgetTime) => Arc::new(Forgetful { inner, bug }),
            Some(_) | None => inner,
        }
    }

    fn peers(&self) -> Option<Arc<dyn Peers>> {
        self.inner.peers()
    }
}

/// What a transaction will have done once it is committed.
#[derive(Default)]
struct Pending {
    touched: Vec<ObjectId>,
    keys: Vec<(ObjectId, String, u64)>,
    refused: Vec<String>,
    acted: Vec<Acted>,
    told: Vec<Told>,
    times: Vec<(ObjectId, Timestamp)>,
}

struct Passing<'a> {
    inner: Box<dyn Transaction + 'a>,
    notes: Arc<Mutex<Notes>>,
    pending: Pending,
}

impl Passing<'_> {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transaction for Passing<'_> {
    fn load(&mut self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError> {
        let loaded = self.inner.load(id)?;
        if let Some(object) = &loaded {
            self.notes().rows.insert(object.row, id.clone());
        }
        Ok(loaded)
    }

    fn clock(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let notes = self.notes();
        // A database's clock is taken to be kept: it may stand still, and does not go back.
        Ok(notes.clock.map(|clock| clock.max(notes.last)))
    }

    fn create(&mut self, id: &ObjectId) -> Result<Row, StoreError> {
        let row = self.inner.create(id)?;
        self.notes().rows.insert(row, id.clone());
        Ok(row)
    }

    fn spill_keys(&mut self, row: Row, keys: &[SpilledKey]) -> Result<(), StoreError> {
        self.inner.spill_keys(row, keys)
    }

    fn older_keys(&mut self, row: Row) -> Result<Vec<SpilledKey>, StoreError> {
        self.inner.older_keys(row)
    }

    fn append(&mut self, event: &EventWrite<'_>) -> Result<u64, StoreError> {
        let seq = self.inner.append(event)?;
        let id = self.notes().rows.get(&event.row).cloned();
        if let Some(id) = id {
            self.pending.times.push((id.clone(), event.at));
            if let Some(key) = event.key {
                self.pending.keys.push((id.clone(), key.to_owned(), seq));
            }
            let entries = String::from_utf8_lossy(event.entries);
            if entries.contains("rule ") {
                let all: Vec<Entry> = serde_json::from_slice(event.entries).unwrap_or_default();
                let acted = all.iter().filter_map(|entry| Acted::read(&id, event.at, entry));
                self.pending.acted.extend(acted);
            }
            if entries.contains("step.succeeded") || entries.contains("\"health.") {
                let all: Vec<Entry> = serde_json::from_slice(event.entries).unwrap_or_default();
                let told = all.iter().filter_map(|entry| Told::read(&id, event.at, entry));
                self.pending.told.extend(told);
            }
            let is_refused = entries.contains("engine.notice_refused");
            let is_fine =
                ["refused (loop.stale)", "refused (loop.deleting)"].iter().any(|fine| entries.contains(fine));
            if is_refused && !is_fine {
                self.pending.refused.push(format!("{id}: {entries}"));
            }
        }
        Ok(seq)
    }

    fn event(&mut self, seq: u64) -> Result<Option<StoredEvent>, StoreError> {
        self.inner.event(seq)
    }

    fn write(&mut self, object: &ObjectWrite<'_>) -> Result<(), StoreError> {
        let id = self.notes().rows.get(&object.row).cloned();
        let Some(id) = id else { return self.inner.write(object) };
        if self.notes().is_struck(Bug::TornCommit, 400) {
            return Ok(());
        }
        let uncounted = self.notes().bug == Some(Bug::UnwellUncounted) && id.kind() == Kind::App;
        let counted = uncounted.then(|| well_everywhere(object.state));
        let object = &ObjectWrite { state: counted.as_deref().unwrap_or(object.state), ..*object };
        let is_keyless = self.notes().is_struck(Bug::ForgetKeys, 1);
        self.pending.touched.push(id);
        let keys = if is_keyless { &[] } else { object.keys };
        self.inner.write(&ObjectWrite { keys, ..*object })
    }

    fn pages(&mut self, row: Row) -> Result<Vec<StoredPage>, StoreError> {
        self.inner.pages(row)
    }

    fn write_page(&mut self, row: Row, number: u64, page: Option<&[u8]>) -> Result<(), StoreError> {
        self.inner.write_page(row, number, page)
    }

    fn push_inbox(&mut self, to: &ObjectId, by: &[u8], body: &[u8]) -> Result<(), StoreError> {
        if self.notes().is_struck(Bug::LostNotice, 20) {
            return Ok(());
        }
        self.inner.push_inbox(to, by, body)
    }

    fn take_inbox(&mut self, limit: usize) -> Result<Vec<InboxNotice>, StoreError> {
        self.inner.take_inbox(limit)
    }

    fn expire_keys(&mut self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.inner.expire_keys(before, limit)
    }

    fn put_record(&mut self, space: &str, key: &str, value: &[u8], new: bool) -> Result<bool, StoreError> {
        self.inner.put_record(space, key, value, new)
    }

    fn delete_record(&mut self, space: &str, key: &str) -> Result<bool, StoreError> {
        self.inner.delete_record(space, key)
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { inner, notes, pending } = *self;
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        let crash = std::mem::take(&mut notes.crash);
        if crash == Crash::BeforeCommit {
            drop(inner);
            if notes.bug == Some(Bug::AckBeforeCommit) {
                return Ok(());
            }
            return Err(StoreError::Failed("the power went".to_owned()));
        }
        inner.commit()?;
        notes.commits += 1;
        notes.touched.extend(pending.touched);
        notes.refused.extend(pending.refused);
        notes.acted.extend(pending.acted);
        notes.told.extend(pending.told);
        for (object, key, seq) in pending.keys {
            // What a person meant is named before the dot; after it, which try it was.
            let meant = key.split('.').next().unwrap_or_default().to_owned();
            let first = notes.meant.entry((object.clone(), meant)).or_insert(seq);
            if *first != seq {
                notes.twice =
                    Some(format!("signal {key} to {object} was done as event {first} and as {seq}"));
            }
            notes.keys.insert((object, key), seq);
        }
        for (object, at) in pending.times {
            notes.events += 1;
            notes.last = notes.last.max(at);
            if let Some(before) = notes.newest.insert(object.clone(), at).filter(|before| *before > at) {
                notes.went_back =
                    Some(format!("{object} has an event of {} after one of {}", at.0, before.0));
            }
        }
        if crash == Crash::AfterCommit {
            return Err(StoreError::Failed("the connection broke".to_owned()));
        }
        Ok(())
    }
}

/// The planted bug: an app's state in which nobody is unwell.
fn well_everywhere(state: &[u8]) -> Vec<u8> {
    let unwell = |name: &str| format!(r#"{{"failed":{{"why":"{name}: {}"}}}}"#, people::NO_ANSWER);
    let well = |state: String, name: &&str| state.replace(&unwell(name), r#"{"done":{}}"#);
    people::PROBED.iter().fold(String::from_utf8_lossy(state).into_owned(), well).into_bytes()
}

/// A reader that planted bugs look through.
struct Forgetful {
    inner: Arc<dyn Reader>,
    bug: Option<Bug>,
}

impl Reader for Forgetful {
    fn object(&self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError> {
        self.inner.object(id)
    }

    fn pages(&self, row: Row) -> Result<Vec<StoredPage>, StoreError> {
        self.inner.pages(row)
    }

    fn list(
        &self,
        kind: remit_loops::Kind,
        under: Option<&ObjectId>,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<StoredObject>, StoreError> {
        self.inner.list(kind, under, after, limit)
    }

    fn history(
        &self,
        id: &ObjectId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.history(id, before, limit)
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        self.inner.events(after, limit)
    }

    fn deadlines(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, ObjectId)>, StoreError> {
        if self.bug == Some(Bug::ForgetDeadlines) { Ok(vec![]) } else { self.inner.deadlines(until, limit) }
    }

    fn inbox(&self) -> Result<Vec<InboxNotice>, StoreError> {
        self.inner.inbox()
    }

    fn log_end(&self) -> Result<remit_broker::store::LogEnd, StoreError> {
        let end = self.inner.log_end()?;
        let at = if self.bug == Some(Bug::ForgetTime) { Timestamp(0) } else { end.at };
        Ok(remit_broker::store::LogEnd { at, ..end })
    }

    fn record(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.record(space, key)
    }

    fn records(&self, space: &str, prefix: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        self.inner.records(space, prefix, limit)
    }
}
