//! What a batch writes, kept until the commit: one statement a table, all sent at once.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::future::OptionFuture;
use futures::join;
use remit_loops::{ObjectId, Timestamp};
use tokio_postgres::{Client, Error};

use super::Statements;
use crate::store::numbers::{from_sql, kind_number, to_sql};
use crate::store::postgres::session::Value;
use crate::store::{EventWrite, ObjectWrite, Row, StoredEvent, StoredObject};

#[derive(Default)]
pub(super) struct Writes {
    /// The numbers of the objects that this batch has loaded or made.
    rows: HashMap<ObjectId, Row>,
    created: HashMap<Row, ObjectId>,
    objects: HashMap<Row, Written>,
    events: Vec<Appended>,
    /// When each object had its newest event of this batch.
    newest: HashMap<Row, Timestamp>,
    pub(super) keys: Vec<(Row, i64, Vec<u8>)>,
    pub(super) pages: BTreeMap<(Row, i64), Option<Vec<u8>>>,
    notices: Vec<(ObjectId, Vec<u8>, Vec<u8>)>,
    told: HashSet<ObjectId>,
}

/// An object's new state.
struct Written {
    revision: i64,
    last_seq: i64,
    deadline: Option<i64>,
    version: i32,
    state: Vec<u8>,
    keys: Vec<u8>,
    at: i64,
}

/// An event on its way into the log.
struct Appended {
    seq: i64,
    object: Row,
    prev: i64,
    at: Timestamp,
    key: Option<String>,
    by: Vec<u8>,
    body: Vec<u8>,
    entries: Option<Vec<u8>>,
}

impl Writes {
    pub(super) fn create(&mut self, row: Row, id: &ObjectId) {
        self.rows.insert(id.clone(), row);
        self.created.insert(row, id.clone());
    }

    pub(super) fn loaded(&mut self, row: Row, id: &ObjectId) {
        self.rows.insert(id.clone(), row);
    }

    pub(super) fn is_stored(&self, id: &ObjectId) -> bool {
        self.rows.contains_key(id)
    }

    /// An object as this batch has written it, if it has.
    pub(super) fn object(&self, id: &ObjectId) -> Option<StoredObject> {
        let row = self.rows.get(id)?;
        let Written { revision, last_seq, version, state, keys, .. } = self.objects.get(row)?;
        Some(StoredObject {
            row: *row,
            id: id.clone(),
            revision: from_sql(*revision),
            last_seq: from_sql(*last_seq),
            version: u32::try_from(*version).unwrap_or_default(),
            state: state.clone(),
            keys: keys.clone(),
        })
    }

    pub(super) fn append(&mut self, seq: i64, event: &EventWrite<'_>) {
        self.newest.insert(event.row, event.at);
        self.events.push(Appended {
            seq,
            object: event.row,
            prev: to_sql(event.prev_seq),
            at: event.at,
            key: event.key.map(str::to_owned),
            by: event.by.to_vec(),
            body: event.body.to_vec(),
            entries: (!event.entries.is_empty()).then(|| event.entries.to_vec()),
        });
    }

    /// An event that this batch has appended.
    pub(super) fn event(&self, seq: i64) -> Option<StoredEvent> {
        let event = self.events.iter().find(|event| event.seq == seq)?;
        let (object, _) = self.rows.iter().find(|(_, row)| **row == event.object)?;
        Some(StoredEvent {
            seq: from_sql(seq),
            object: object.clone(),
            prev_seq: from_sql(event.prev),
            at: event.at,
            key: event.key.clone(),
            by: event.by.clone(),
            body: event.body.clone(),
            entries: event.entries.clone().unwrap_or_default(),
        })
    }

    pub(super) fn write(&mut self, object: &ObjectWrite<'_>) {
        let written = Written {
            revision: to_sql(object.revision),
            last_seq: to_sql(object.last_seq),
            deadline: object.deadline.map(|deadline| deadline.0),
            version: i32::try_from(object.version).expect("versions are small numbers"),
            state: object.state.to_vec(),
            keys: object.keys.to_vec(),
            at: self.newest.get(&object.row).map_or(0, |at| at.0),
        };
        self.objects.insert(object.row, written);
    }

    pub(super) fn tell(&mut self, to: &ObjectId, by: &[u8], body: &[u8]) {
        self.told.insert(to.clone());
        self.notices.push((to.clone(), by.to_vec(), body.to_vec()));
    }

    /// Whether this batch has put a notice for it in the inbox.
    pub(super) fn tells(&self, id: &ObjectId) -> bool {
        self.told.contains(id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.created.is_empty()
            && self.objects.is_empty()
            && self.events.is_empty()
            && self.keys.is_empty()
            && self.pages.is_empty()
            && self.notices.is_empty()
    }

    /// Writes it all and commits.
    pub(super) async fn send(&self, client: &Client, all: &Statements) -> Result<(), Error> {
        // The server runs them in the order in which they are polled first: the commit is the last.
        let (made, moved, logged, keyed, paged, told, committed) = join!(
            self.insert_objects(client, all),
            self.update_objects(client, all),
            self.insert_events(client, all),
            self.insert_keys(client, all),
            self.put_pages(client, all),
            self.insert_inbox(client, all),
            client.batch_execute("COMMIT"),
        );
        // After a failure of one the server answers `ROLLBACK` to the commit, and no error.
        for answer in [made, moved, logged, keyed, paged, told] {
            answer?;
        }
        committed
    }

    async fn insert_objects(&self, client: &Client, all: &Statements) -> Result<(), Error> {
        let new = || self.created.iter().filter_map(|(row, id)| Some((row, id, self.objects.get(row)?)));
        let rows: Vec<i64> = new().map(|(row, ..)| *row).collect();
        let kinds: Vec<i16> = new().map(|(_, id, _)| kind_number(id.kind())).collect();
        let paths: Vec<&str> = new().map(|(_, id, _)| id.path()).collect();
        let columns = Columns::of(new().map(|(.., written)| written));
        let Columns { revisions, seqs, deadlines, versions, states, keys, times } = &columns;
        let values: [Value<'_>; 10] =
            [&rows, &kinds, &paths, revisions, seqs, deadlines, versions, states, keys, times];
        let asked = (!rows.is_empty()).then(|| client.execute(&all.insert_objects, &values));
        OptionFuture::from(asked).await.transpose().map(drop)
    }

    async fn update_objects(&self, client: &Client, all: &Statements) -> Result<(), Error> {
        let old = || self.objects.iter().filter(|(row, _)| !self.created.contains_key(row));
        let rows: Vec<i64> = old().map(|(row, _)| *row).collect();
        let columns = Columns::of(old().map(|(_, written)| written));
        let Columns { revisions, seqs, deadlines, versions, states, keys, times } = &columns;
        let values: [Value<'_>; 8] = [&rows, revisions, seqs, deadlines, versions, states, keys, times];
        let asked = (!rows.is_empty()).then(|| client.execute(&all.update_objects, &values));
        OptionFuture::from(asked).await.transpose().map(drop)
    }

    async fn insert_events(&self, client: &Client, all: &Statements) -> Result<(), Error> {
        let each = || self.events.iter();
        let seqs: Vec<i64> = each().map(|e| e.seq).collect();
        let objects: Vec<i64> = each().map(|e| e.object).collect();
        let prevs: Vec<i64> = each().map(|e| e.prev).collect();
        let times: Vec<i64> = each().map(|e| e.at.0).collect();
        let keys: Vec<Option<&str>> = each().map(|e| e.key.as_deref()).collect();
        let senders: Vec<&[u8]> = each().map(|e| &e.by[..]).collect();
        let bodies: Vec<&[u8]> = each().map(|e| &e.body[..]).collect();
        let entries: Vec<Option<&[u8]>> = each().map(|e| e.entries.as_deref()).collect();
        let values: [Value<'_>; 8] = [&seqs, &objects, &prevs, &times, &keys, &senders, &bodies, &entries];
        let asked = (!seqs.is_empty()).then(|| client.execute(&all.insert_events, &values));
        OptionFuture::from(asked).await.transpose().map(drop)
    }

    async fn insert_keys(&self, client: &Client, all: &Statements) -> Result<(), Error> {
        let objects: Vec<i64> = self.keys.iter().map(|(object, ..)| *object).collect();
        let lasts: Vec<i64> = self.keys.iter().map(|(_, last, _)| *last).collect();
        let blocks: Vec<&[u8]> = self.keys.iter().map(|(.., block)| &block[..]).collect();
        let values: [Value<'_>; 3] = [&objects, &lasts, &blocks];
        let asked = (!objects.is_empty()).then(|| client.execute(&all.insert_keys, &values));
        OptionFuture::from(asked).await.transpose().map(drop)
    }

    async fn put_pages(&self, client: &Client, all: &Statements) -> Result<(), Error> {
        let objects: Vec<i64> = self.pages.keys().map(|(object, _)| *object).collect();
        let numbers: Vec<i64> = self.pages.keys().map(|(_, number)| *number).collect();
        let pages: Vec<Option<&[u8]>> = self.pages.values().map(Option::as_deref).collect();
        let values: [Value<'_>; 3] = [&objects, &numbers, &pages];
        let asked = (!objects.is_empty()).then(|| client.execute(&all.put_pages, &values));
        OptionFuture::from(asked).await.transpose().map(drop)
    }

    async fn insert_inbox(&self, client: &Client, all: &Statements) -> Result<(), Error> {
        let kinds: Vec<i16> = self.notices.iter().map(|(to, ..)| kind_number(to.kind())).collect();
        let paths: Vec<&str> = self.notices.iter().map(|(to, ..)| to.path()).collect();
        let senders: Vec<&[u8]> = self.notices.iter().map(|(_, by, _)| &by[..]).collect();
        let bodies: Vec<&[u8]> = self.notices.iter().map(|(.., body)| &body[..]).collect();
        let values: [Value<'_>; 4] = [&kinds, &paths, &senders, &bodies];
        let asked = (!kinds.is_empty()).then(|| client.execute(&all.insert_inbox, &values));
        OptionFuture::from(asked).await.transpose().map(drop)
    }
}

/// The columns that new and old objects have in common.
struct Columns<'a> {
    revisions: Vec<i64>,
    seqs: Vec<i64>,
    deadlines: Vec<Option<i64>>,
    versions: Vec<i32>,
    states: Vec<&'a [u8]>,
    keys: Vec<&'a [u8]>,
    times: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(objects: impl Iterator<Item = &'a Written> + Clone) -> Self {
        Self {
            revisions: objects.clone().map(|o| o.revision).collect(),
            seqs: objects.clone().map(|o| o.last_seq).collect(),
            deadlines: objects.clone().map(|o| o.deadline).collect(),
            versions: objects.clone().map(|o| o.version).collect(),
            states: objects.clone().map(|o| &o.state[..]).collect(),
            keys: objects.clone().map(|o| &o.keys[..]).collect(),
            times: objects.map(|o| o.at).collect(),
        }
    }
}
