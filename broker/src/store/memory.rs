//! A store that forgets everything with the process: for tests, rehearsals and comparison.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remit_loops::{Kind, ObjectId, Timestamp};

use crate::store::{
    EventWrite, Heard, InboxNotice, LogEnd, ObjectWrite, Peers, Reader, Row, SpilledKey, Store, StoreError,
    StoredEvent, StoredObject, StoredPage, Transaction,
};

/// Everything in memory.
#[derive(Clone, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    is_shared: bool,
    #[cfg(test)]
    broken: Arc<std::sync::atomic::AtomicBool>,
}

#[derive(Clone, Default)]
struct Tables {
    objects: BTreeMap<ObjectId, (StoredObject, Option<Timestamp>)>,
    rows: HashMap<Row, ObjectId>,
    pages: BTreeMap<(Row, u64), Vec<u8>>,
    events: Vec<StoredEvent>,
    keys: BTreeMap<(Row, u64), Vec<SpilledKey>>,
    keys_expired_to: u64,
    inbox: BTreeMap<i64, InboxNotice>,
    inbox_last: i64,
    records: BTreeMap<(String, String), Vec<u8>>,
}

impl MemoryStore {
    /// An empty one.
    pub fn boxed() -> Box<dyn Store> {
        Box::new(Self::default())
    }

    /// An empty one for several engines, whose batches run one after the other: clone it for each.
    pub fn shared() -> Self {
        Self { is_shared: true, ..Self::default() }
    }

    /// All that is stored now, in a store of its own: a backup.
    pub fn backup(&self) -> Self {
        let tables = Arc::new(Mutex::new(self.tables().clone()));
        Self { tables, ..self.clone() }
    }

    /// From now on every commit fails.
    #[cfg(test)]
    pub(crate) fn break_down(&self) {
        self.broken.store(true, std::sync::atomic::Ordering::Release);
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        let store = self.clone();
        let (log_end, rows, inbox_last) = {
            let tables = store.tables();
            (tables.events.len() as u64, tables.rows.len() as Row, tables.inbox_last)
        };
        Ok(Box::new(MemoryTransaction { store, log_end, rows, inbox_last, writes: vec![] }))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        Arc::new(self.clone())
    }

    fn peers(&self) -> Option<Arc<dyn Peers>> {
        self.is_shared.then(|| Arc::new(Silent) as Arc<dyn Peers>)
    }
}

/// Brokers that tell each other nothing: they find out by looking.
struct Silent;

impl Peers for Silent {
    fn announce(&self, _changed: &[Arc<ObjectId>]) {}

    fn listen(&self, wait: Duration) -> Heard {
        std::thread::sleep(wait);
        Heard::default()
    }
}

/// One change, held back until the commit.
enum Write {
    Create(StoredObject),
    Append(StoredEvent),
    Object(StoredObject, Option<Timestamp>),
    Page(Row, u64, Option<Vec<u8>>),
    PushInbox(InboxNotice),
    TakeInbox(i64),
    Keys(Row, u64, Vec<SpilledKey>),
    ForgetKeys(Row, u64),
    KeysExpiredTo(u64),
    Record(String, String, Option<Vec<u8>>),
}

/// A batch: what it changes, in order. Reads look there first, the newest change first.
struct MemoryTransaction {
    store: MemoryStore,
    log_end: u64,
    rows: Row,
    inbox_last: i64,
    writes: Vec<Write>,
}

impl MemoryTransaction {
    fn id_of(&self, row: Row) -> Result<ObjectId, StoreError> {
        let made = self.writes.iter().find_map(|w| match w {
            Write::Create(object) if object.row == row => Some(object.id.clone()),
            _ => None,
        });
        made.or_else(|| self.store.tables().rows.get(&row).cloned())
            .ok_or_else(|| StoreError::Failed(format!("no object has the number {row}")))
    }

    fn has_record(&self, space: &str, key: &str) -> bool {
        let here = self.writes.iter().rev().find_map(|w| match w {
            Write::Record(s, k, value) if s == space && k == key => Some(value.is_some()),
            _ => None,
        });
        here.unwrap_or_else(|| self.store.tables().records.contains_key(&(space.to_owned(), key.to_owned())))
    }
}

impl Transaction for MemoryTransaction {
    fn load(&mut self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError> {
        let here = self.writes.iter().rev().find_map(|w| match w {
            Write::Create(object) | Write::Object(object, _) if object.id == *id => Some(object.clone()),
            _ => None,
        });
        Ok(here.or_else(|| self.store.tables().objects.get(id).map(|(object, _)| object.clone())))
    }

    fn create(&mut self, id: &ObjectId) -> Result<Row, StoreError> {
        if self.load(id)?.is_some() {
            return Err(StoreError::Failed(format!("{id} is stored already")));
        }
        self.rows += 1;
        let (row, id) = (self.rows, id.clone());
        let object =
            StoredObject { row, id, revision: 0, last_seq: 0, version: 0, state: vec![], keys: vec![] };
        self.writes.push(Write::Create(object));
        Ok(row)
    }

    fn spill_keys(&mut self, row: Row, keys: &[SpilledKey]) -> Result<(), StoreError> {
        if let Some((_, last)) = keys.last() {
            self.writes.push(Write::Keys(row, *last, keys.to_vec()));
        }
        Ok(())
    }

    fn older_keys(&mut self, row: Row) -> Result<Vec<SpilledKey>, StoreError> {
        let here = self.writes.iter().filter_map(|w| match w {
            Write::Keys(of, _, keys) if *of == row => Some(keys),
            _ => None,
        });
        let tables = self.store.tables();
        let stored = tables.keys.range((row, 0)..=(row, u64::MAX)).map(|(_, keys)| keys);
        Ok(stored.chain(here).flatten().copied().collect())
    }

    fn append(&mut self, event: &EventWrite<'_>) -> Result<u64, StoreError> {
        self.log_end += 1;
        let stored = StoredEvent {
            seq: self.log_end,
            object: self.id_of(event.row)?,
            prev_seq: event.prev_seq,
            at: event.at,
            key: event.key.map(str::to_owned),
            by: event.by.to_vec(),
            body: event.body.to_vec(),
            entries: event.entries.to_vec(),
        };
        self.writes.push(Write::Append(stored));
        Ok(self.log_end)
    }

    fn event(&mut self, seq: u64) -> Result<Option<StoredEvent>, StoreError> {
        let here = self.writes.iter().find_map(|w| match w {
            Write::Append(event) if event.seq == seq => Some(event.clone()),
            _ => None,
        });
        Ok(here.or_else(|| self.store.tables().event(seq).cloned()))
    }

    fn write(&mut self, object: &ObjectWrite<'_>) -> Result<(), StoreError> {
        let id = self.id_of(object.row)?;
        let ObjectWrite { row, revision, last_seq, deadline, version, state, keys } = *object;
        let (state, keys) = (state.to_vec(), keys.to_vec());
        let stored = StoredObject { row, id, revision, last_seq, version, state, keys };
        self.writes.push(Write::Object(stored, deadline));
        Ok(())
    }

    fn pages(&mut self, row: Row) -> Result<Vec<StoredPage>, StoreError> {
        Reader::pages(&self.store, row)
    }

    fn write_page(&mut self, row: Row, number: u64, page: Option<&[u8]>) -> Result<(), StoreError> {
        self.writes.push(Write::Page(row, number, page.map(<[u8]>::to_vec)));
        Ok(())
    }

    fn push_inbox(&mut self, to: &ObjectId, by: &[u8], body: &[u8]) -> Result<(), StoreError> {
        self.inbox_last += 1;
        let (number, to) = (self.inbox_last, to.clone());
        self.writes.push(Write::PushInbox(InboxNotice { number, to, by: by.to_vec(), body: body.to_vec() }));
        Ok(())
    }

    fn take_inbox(&mut self, limit: usize) -> Result<Vec<InboxNotice>, StoreError> {
        let notices: Vec<_> = self.store.tables().inbox.values().take(limit).cloned().collect();
        if let Some(last) = notices.last() {
            self.writes.push(Write::TakeInbox(last.number));
        }
        Ok(notices)
    }

    fn expire_keys(&mut self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let tables = self.store.tables();
        let from = usize::try_from(tables.keys_expired_to).unwrap_or(usize::MAX);
        let mut seen = 0;
        for event in tables.events.iter().skip(from).take(limit).take_while(|e| e.at < before) {
            seen += 1;
            if let Some((object, _)) = tables.objects.get(&event.object) {
                self.writes.push(Write::ForgetKeys(object.row, event.seq));
            }
        }
        self.writes.push(Write::KeysExpiredTo(tables.keys_expired_to + seen as u64));
        drop(tables);
        Ok(seen)
    }

    fn put_record(
        &mut self,
        space: &str,
        key: &str,
        value: &[u8],
        only_new: bool,
    ) -> Result<bool, StoreError> {
        if only_new && self.has_record(space, key) {
            return Ok(false);
        }
        self.writes.push(Write::Record(space.to_owned(), key.to_owned(), Some(value.to_vec())));
        Ok(true)
    }

    fn delete_record(&mut self, space: &str, key: &str) -> Result<bool, StoreError> {
        let was = self.has_record(space, key);
        self.writes.push(Write::Record(space.to_owned(), key.to_owned(), None));
        Ok(was)
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        #[cfg(test)]
        if self.store.broken.load(std::sync::atomic::Ordering::Acquire) {
            return Err(StoreError::Full("no space left on a test's device".into()));
        }
        let mut tables = self.store.tables();
        for write in self.writes {
            tables.take(write);
        }
        Ok(())
    }
}

impl Tables {
    fn event(&self, seq: u64) -> Option<&StoredEvent> {
        // The log has no gaps here: place 1 is the first element.
        self.events.get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    fn take(&mut self, write: Write) {
        match write {
            Write::Create(object) => {
                self.rows.insert(object.row, object.id.clone());
                self.objects.insert(object.id.clone(), (object, None));
            }
            Write::Append(event) => self.events.push(event),
            Write::Keys(row, last, keys) => {
                self.keys.insert((row, last), keys);
            }
            Write::Object(object, deadline) => {
                self.objects.insert(object.id.clone(), (object, deadline));
            }
            Write::Page(row, number, Some(page)) => {
                self.pages.insert((row, number), page);
            }
            Write::Page(row, number, None) => {
                self.pages.remove(&(row, number));
            }
            Write::PushInbox(notice) => {
                self.inbox_last = notice.number;
                self.inbox.insert(notice.number, notice);
            }
            Write::TakeInbox(last) => self.inbox.retain(|number, _| *number > last),
            Write::ForgetKeys(row, last) => {
                self.keys.remove(&(row, last));
            }
            Write::KeysExpiredTo(seq) => self.keys_expired_to = seq,
            Write::Record(space, key, Some(value)) => {
                self.records.insert((space, key), value);
            }
            Write::Record(space, key, None) => {
                self.records.remove(&(space, key));
            }
        }
    }
}

impl Reader for MemoryStore {
    fn object(&self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError> {
        Ok(self.tables().objects.get(id).map(|(object, _)| object.clone()))
    }

    fn pages(&self, row: Row) -> Result<Vec<StoredPage>, StoreError> {
        let tables = self.tables();
        let pages = tables.pages.range((row, 0)..=(row, u64::MAX));
        Ok(pages.map(|((_, number), page)| (*number, page.clone())).collect())
    }

    fn list(
        &self,
        kind: Kind,
        under: Option<&ObjectId>,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<StoredObject>, StoreError> {
        let is_under = |id: &ObjectId| {
            under.is_none_or(|under| {
                let rest = id.path().strip_prefix(under.path());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        let wanted = |id: &ObjectId| {
            id.kind() == kind && after.is_none_or(|after| id.path() > after.path()) && is_under(id)
        };
        let tables = self.tables();
        let found = tables.objects.values().map(|(object, _)| object).filter(|object| wanted(&object.id));
        Ok(found.take(limit).cloned().collect())
    }

    fn history(
        &self,
        id: &ObjectId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let tables = self.tables();
        let mut seq = tables.objects.get(id).map_or(0, |(object, _)| object.last_seq);
        let mut events = Vec::new();
        while let Some(event) = tables.event(seq)
            && events.len() < limit
        {
            seq = event.prev_seq;
            if before.is_none_or(|before| event.seq < before) {
                events.push(event.clone());
            }
        }
        Ok(events)
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(self.tables().events.iter().skip(after).take(limit).cloned().collect())
    }

    fn deadlines(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, ObjectId)>, StoreError> {
        let tables = self.tables();
        let with = tables.objects.values().filter_map(|(object, at)| Some(((*at)?, object.id.clone())));
        let mut deadlines: Vec<_> = with.filter(|(at, _)| *at <= until).collect();
        deadlines.sort();
        deadlines.truncate(limit);
        Ok(deadlines)
    }

    fn inbox(&self) -> Result<Vec<InboxNotice>, StoreError> {
        Ok(self.tables().inbox.values().cloned().collect())
    }

    fn log_end(&self) -> Result<LogEnd, StoreError> {
        let tables = self.tables();
        Ok(tables.events.last().map(|event| LogEnd { seq: event.seq, at: event.at }).unwrap_or_default())
    }

    fn record(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables().records.get(&(space.to_owned(), key.to_owned())).cloned())
    }

    fn records(&self, space: &str, prefix: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let tables = self.tables();
        let from = (space.to_owned(), prefix.to_owned());
        let rest = tables.records.range(from..);
        let own = rest.take_while(|((s, k), _)| s == space && k.starts_with(prefix));
        Ok(own.take(limit).map(|((_, k), value)| (k.clone(), value.clone())).collect())
    }
}
