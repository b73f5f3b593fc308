//! One batch over the wire: what it needs it holds in one round trip, what it writes goes with the commit.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use futures::join;
use remit_loops::{ObjectId, Timestamp};
use tokio_postgres::Row as SqlRow;
use tokio_postgres::error::Severity;

use super::schema::NUMBERS;
use super::session::{Session, Value};
use super::{Address, words};
use crate::store::numbers::{from_sql, kind_number, object_id, to_sql};
use crate::store::{
    EventWrite, Held, HeldObject, InboxNotice, KEY_ENTRY_LEN, ObjectWrite, Row, SpilledKey, StoreError,
    StoredEvent, StoredObject, StoredPage, Transaction, Wanted, decode_keys, encode_key,
};

mod statements;
mod writes;

pub(super) use statements::{EVENT_COLUMNS, PAGES, Statements};
use writes::Writes;

/// How long a broker looks for what became of a commit that was not answered.
const FATE_WITHIN: Duration = Duration::from_secs(60);
const FATE_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct PostgresTransaction<'a> {
    session: &'a mut Session,
    statements: &'a Statements,
    address: &'a Address,
    begun: Option<Begun>,
    writes: Writes,
    finished: bool,
}

/// What the server said when the batch began.
struct Begun {
    /// The transaction's name.
    name: String,
    /// The next number to give out.
    next: i64,
    end: i64,
    now: Timestamp,
}

impl<'a> PostgresTransaction<'a> {
    pub(super) fn new(session: &'a mut Session, statements: &'a Statements, address: &'a Address) -> Self {
        Self { session, statements, address, begun: None, writes: Writes::default(), finished: false }
    }

    /// Begins on the server, holding these objects first.
    fn begin(&mut self, kinds: &[i16], paths: &[&str], known: &[Option<i64>]) -> Result<Found, StoreError> {
        let (client, all) = (self.session.client(), self.statements);
        let wanted: [Value<'_>; 3] = [&kinds, &paths, &known];
        let (begun, held, there, behind, start) = self.session.wait(async {
            join!(
                client.batch_execute("BEGIN"),
                client.query(&all.hold_waiting, &wanted),
                client.query(&all.there, &wanted[..2]),
                client.query(&all.behind, &wanted[..2]),
                client.query_one(&all.start, &[]),
            )
        });
        begun?;
        let found = Found { held: held?, there: there?, behind: behind? };
        let start = start?;
        let first: i64 = get(&start, 1)?;
        let (name, now) = (get(&start, 0)?, Timestamp(get(&start, 2)?));
        self.begun = Some(Begun { name, next: first, end: first + NUMBERS, now });
        Ok(found)
    }

    fn begun(&mut self) -> Result<&mut Begun, StoreError> {
        if self.begun.is_none() {
            self.begin(&[], &[], &[])?;
        }
        self.begun.as_mut().ok_or_else(|| StoreError::Failed("the batch has not begun".to_owned()))
    }

    fn number(&mut self) -> Result<i64, StoreError> {
        let begun = self.begun()?;
        if begun.next == begun.end {
            return Err(StoreError::Failed(format!("a batch has at most {NUMBERS} events and new objects")));
        }
        begun.next += 1;
        Ok(begun.next - 1)
    }

    /// Holds objects that this batch has not written yet.
    fn hold_new(&mut self, wanted: &[Wanted<'_>], wait: bool) -> Result<Vec<Option<Held>>, StoreError> {
        let kinds: Vec<i16> = wanted.iter().map(|w| kind_number(w.id.kind())).collect();
        let paths: Vec<&str> = wanted.iter().map(|w| w.id.path()).collect();
        let known: Vec<Option<i64>> = wanted.iter().map(|w| w.known.map(to_sql)).collect();
        let found = if self.begun.is_none() && wait {
            self.begin(&kinds, &paths, &known)?
        } else {
            self.begun()?;
            let (client, all) = (self.session.client(), self.statements);
            let hold = if wait { &all.hold_waiting } else { &all.hold_free };
            let wanted: [Value<'_>; 3] = [&kinds, &paths, &known];
            let (held, there, behind) = self.session.wait(async {
                join!(
                    client.query(hold, &wanted),
                    client.query(&all.there, &wanted[..2]),
                    client.query(&all.behind, &wanted[..2]),
                )
            });
            Found { held: held?, there: there?, behind: behind? }
        };
        self.come_after(&found.held)?;
        found.into_held(wanted, &mut self.writes)
    }

    /// Events come after those that the objects have had, in time and place. Another broker may have begun
    /// after this one, and have drawn later numbers, and be done with an object before this one holds it.
    fn come_after(&mut self, held: &[SqlRow]) -> Result<(), StoreError> {
        let (mut last, mut now) = (0, Timestamp(0));
        for row in held {
            last = last.max(get::<i64>(row, 3)?);
            now = now.max(Timestamp(get(row, 7)?));
        }
        let begun = self.begun()?;
        begun.now = begun.now.max(now);
        if last >= begun.next {
            let rows = self.session.rows(&self.statements.numbers, &[])?;
            let first: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
            let begun = self.begun()?;
            (begun.next, begun.end) = (first, first + NUMBERS);
        }
        Ok(())
    }

    fn rollback(&mut self) {
        if self.begun.is_some() && !self.session.is_closed() {
            let rolled_back = self.session.run("ROLLBACK");
            if let Err(error) = rolled_back {
                tracing::debug!(%error, "a batch could not be rolled back; its connection is given up");
            }
        }
    }

    /// Waits until it is known whether the transaction was committed.
    fn find_fate(&mut self, name: &str, lost: &StoreError) -> Result<(), StoreError> {
        let until = Instant::now() + FATE_WITHIN;
        loop {
            let fate = Session::open(self.address).and_then(|mut session| session.fate(name));
            match fate.as_ref().map(Option::as_deref) {
                Ok(Some("committed")) => return Ok(()),
                Ok(Some("aborted")) => return Err(StoreError::Conflict(lost.to_string())),
                _ if Instant::now() > until => {
                    return Err(StoreError::Failed(format!(
                        "nobody can say whether a commit was made: {lost}"
                    )));
                }
                _ => std::thread::sleep(FATE_AGAIN),
            }
        }
    }
}

/// What the server answered to the wish to hold objects.
struct Found {
    held: Vec<SqlRow>,
    /// The places, among those wanted, of objects that are stored.
    there: Vec<SqlRow>,
    /// Those of objects with notices in the inbox.
    behind: Vec<SqlRow>,
}

impl Found {
    fn into_held(self, wanted: &[Wanted<'_>], writes: &mut Writes) -> Result<Vec<Option<Held>>, StoreError> {
        let places = |rows: &[SqlRow]| rows.iter().map(|row| get::<i64>(row, 0)).collect::<Result<_, _>>();
        let there: HashSet<i64> = places(&self.there)?;
        let behind: HashSet<i64> = places(&self.behind)?;
        let mut objects: HashMap<i64, HeldObject> = HashMap::with_capacity(self.held.len());
        for row in &self.held {
            let place: i64 = get(row, 0)?;
            let id = place_of(wanted, place)?.id;
            writes.loaded(get(row, 1)?, id);
            objects.insert(place, held_object(row, id)?);
        }
        let answer = (1..).zip(wanted).map(|(place, wanted)| {
            let absent = || (!there.contains(&place)).then_some(HeldObject::Absent);
            let object = objects.remove(&place).or_else(absent)?;
            let is_behind = behind.contains(&place) || writes.tells(wanted.id);
            Some(Held { object, is_behind })
        });
        Ok(answer.collect())
    }
}

fn place_of<'w, 'a>(wanted: &'w [Wanted<'a>], place: i64) -> Result<&'w Wanted<'a>, StoreError> {
    let index = usize::try_from(place - 1).ok();
    let found = index.and_then(|index| wanted.get(index));
    found.ok_or_else(|| StoreError::Failed(format!("the server answered for object {place}")))
}

fn held_object(row: &SqlRow, id: &ObjectId) -> Result<HeldObject, StoreError> {
    let Some(state) = get::<Option<Vec<u8>>>(row, 5)? else { return Ok(HeldObject::AsKnown) };
    Ok(HeldObject::Stored(StoredObject {
        row: get(row, 1)?,
        id: id.clone(),
        revision: from_sql(get(row, 2)?),
        last_seq: from_sql(get(row, 3)?),
        version: u32::try_from(get::<i32>(row, 4)?).unwrap_or_default(),
        state,
        keys: get::<Option<Vec<u8>>>(row, 6)?.unwrap_or_default(),
    }))
}

impl Transaction for PostgresTransaction<'_> {
    fn load(&mut self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError> {
        match self.hold(&[Wanted { id, known: None }], true)?.pop().flatten().map(|held| held.object) {
            Some(HeldObject::Stored(stored)) => Ok(Some(stored)),
            Some(HeldObject::Absent) => Ok(None),
            Some(HeldObject::AsKnown) | None => Err(StoreError::Conflict(format!("{id} could not be held"))),
        }
    }

    fn hold(&mut self, wanted: &[Wanted<'_>], wait: bool) -> Result<Vec<Option<Held>>, StoreError> {
        let own = |wanted: &Wanted<'_>| self.writes.object(wanted.id);
        let own: Vec<Option<StoredObject>> = wanted.iter().map(own).collect();
        let new: Vec<Wanted<'_>> =
            wanted.iter().zip(&own).filter(|(_, own)| own.is_none()).map(|(wanted, _)| *wanted).collect();
        let mut held = if new.is_empty() { vec![] } else { self.hold_new(&new, wait)? }.into_iter();
        let answer = own.into_iter().map(|own| match own {
            Some(stored) => Some(Held { object: HeldObject::Stored(stored), is_behind: false }),
            None => held.next().flatten(),
        });
        Ok(answer.collect())
    }

    fn clock(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(Some(self.begun()?.now))
    }

    fn create(&mut self, id: &ObjectId) -> Result<Row, StoreError> {
        if self.writes.is_stored(id) {
            return Err(StoreError::Failed(format!("{id} is stored already")));
        }
        let row = self.number()?;
        self.writes.create(row, id);
        Ok(row)
    }

    fn spill_keys(&mut self, row: Row, keys: &[SpilledKey]) -> Result<(), StoreError> {
        let Some((_, last)) = keys.last() else { return Ok(()) };
        let mut block = Vec::with_capacity(keys.len() * KEY_ENTRY_LEN);
        keys.iter().for_each(|key| encode_key(key, &mut block));
        self.writes.keys.push((row, to_sql(*last), block));
        Ok(())
    }

    fn older_keys(&mut self, row: Row) -> Result<Vec<SpilledKey>, StoreError> {
        self.begun()?;
        let rows = self.session.rows(&self.statements.older_keys, &[&row])?;
        let stored = rows.iter().map(|row| get::<Vec<u8>>(row, 0)).collect::<Result<Vec<_>, _>>()?;
        let own = self.writes.keys.iter().filter(|(of, _, _)| *of == row).map(|(_, _, block)| block);
        Ok(stored.iter().chain(own).flat_map(|block| decode_keys(block)).collect())
    }

    fn newer_keys(&mut self, of: &[(Row, u64)]) -> Result<Vec<Vec<SpilledKey>>, StoreError> {
        self.begun()?;
        let objects: Vec<i64> = of.iter().map(|(row, _)| *row).collect();
        let after: Vec<i64> = of.iter().map(|(_, seq)| to_sql(*seq)).collect();
        let found = self.session.rows(&self.statements.newer_keys, &[&objects, &after])?;
        let mut newer: HashMap<i64, Vec<SpilledKey>> = HashMap::new();
        for row in &found {
            newer.entry(get(row, 0)?).or_default().extend(decode_keys(get(row, 1)?));
        }
        for (object, _, block) in &self.writes.keys {
            newer.entry(*object).or_default().extend(decode_keys(block));
        }
        let of = of.iter().map(|(row, after)| {
            let keys = newer.remove(row).unwrap_or_default().into_iter();
            keys.filter(|(_, seq)| seq > after).collect()
        });
        Ok(of.collect())
    }

    fn append(&mut self, event: &EventWrite<'_>) -> Result<u64, StoreError> {
        let seq = self.number()?;
        self.writes.append(seq, event);
        Ok(from_sql(seq))
    }

    fn event(&mut self, seq: u64) -> Result<Option<StoredEvent>, StoreError> {
        if let Some(own) = self.writes.event(to_sql(seq)) {
            return Ok(Some(own));
        }
        self.begun()?;
        let rows = self.session.rows(&self.statements.event, &[&to_sql(seq)])?;
        rows.first().map(read_event).transpose()
    }

    fn write(&mut self, object: &ObjectWrite<'_>) -> Result<(), StoreError> {
        self.writes.write(object);
        Ok(())
    }

    fn pages(&mut self, row: Row) -> Result<Vec<StoredPage>, StoreError> {
        self.begun()?;
        self.session.rows(&self.statements.pages, &[&row])?.iter().map(read_page).collect()
    }

    fn write_page(&mut self, row: Row, number: u64, page: Option<&[u8]>) -> Result<(), StoreError> {
        self.writes.pages.insert((row, to_sql(number)), page.map(<[u8]>::to_vec));
        Ok(())
    }

    fn push_inbox(&mut self, to: &ObjectId, by: &[u8], body: &[u8]) -> Result<(), StoreError> {
        self.writes.tell(to, by, body);
        Ok(())
    }

    fn take_inbox(&mut self, limit: usize) -> Result<Vec<InboxNotice>, StoreError> {
        self.begun()?;
        let rows = self.session.rows(&self.statements.take_inbox, &[&to_sql(limit as u64)])?;
        let mut notices = rows.iter().map(read_notice).collect::<Result<Vec<_>, _>>()?;
        notices.sort_unstable_by_key(|notice| notice.number);
        Ok(notices)
    }

    fn expire_keys(&mut self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.begun()?;
        let rows = self.session.rows(&self.statements.expire_keys, &[&before.0, &to_sql(limit as u64)])?;
        let seen: i64 = rows.first().map_or(Ok(0), |row| get(row, 0))?;
        Ok(usize::try_from(seen).unwrap_or_default())
    }

    fn put_record(
        &mut self,
        space: &str,
        key: &str,
        value: &[u8],
        only_new: bool,
    ) -> Result<bool, StoreError> {
        self.begun()?;
        let statement = if only_new { &self.statements.add_record } else { &self.statements.put_record };
        Ok(self.session.execute(statement, &[&space, &key, &value])? > 0)
    }

    fn delete_record(&mut self, space: &str, key: &str) -> Result<bool, StoreError> {
        self.begun()?;
        Ok(self.session.execute(&self.statements.delete_record, &[&space, &key])? > 0)
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.begun.is_none() && self.writes.is_empty() {
            return Ok(());
        }
        self.begun()?;
        let name = self.begun.take().map(|begun| begun.name).unwrap_or_default();
        let answer = self.session.wait(self.writes.send(self.session.client(), self.statements));
        self.finished = true;
        let Err(error) = answer else { return Ok(()) };
        // Who says no says that nothing was written; who hangs up says nothing.
        let says_no = error.as_db_error().is_some_and(|db| db.parsed_severity() == Some(Severity::Error));
        let lost = StoreError::from(error);
        if says_no { Err(lost) } else { self.find_fate(&name, &lost) }
    }
}

impl Drop for PostgresTransaction<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.rollback();
        }
    }
}

/// A column's value.
pub(super) fn get<'r, T: tokio_postgres::types::FromSql<'r>>(
    row: &'r SqlRow,
    column: usize,
) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| StoreError::Corrupt(words(&error)))
}

pub(super) fn read_page(row: &SqlRow) -> Result<StoredPage, StoreError> {
    Ok((from_sql(get(row, 0)?), get(row, 1)?))
}

pub(super) fn read_event(row: &SqlRow) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        seq: from_sql(get(row, 0)?),
        object: object_id(get(row, 1)?, get(row, 2)?)?,
        prev_seq: from_sql(get(row, 3)?),
        at: Timestamp(get(row, 4)?),
        key: get(row, 5)?,
        by: get(row, 6)?,
        body: get(row, 7)?,
        entries: get::<Option<Vec<u8>>>(row, 8)?.unwrap_or_default(),
    })
}

pub(super) fn read_notice(row: &SqlRow) -> Result<InboxNotice, StoreError> {
    let to = object_id(get(row, 1)?, get(row, 2)?)?;
    Ok(InboxNotice { number: get(row, 0)?, to, by: get(row, 3)?, body: get(row, 4)? })
}
