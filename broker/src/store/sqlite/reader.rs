//! Reads of the embedded store, on connections of their own: they wait for no writer and stop none.

use std::path::PathBuf;
use std::sync::Mutex;

use remit_loops::{Kind, ObjectId, Timestamp};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::rows::{EVENT_COLUMNS, inbox, load, pages, read_event};
use super::{READER_CACHE_KIB, connect};
use crate::store::numbers::{from_sql, kind_number, object_id, to_sql};
use crate::store::{InboxNotice, LogEnd, Reader, Row, StoreError, StoredEvent, StoredObject, StoredPage};

/// How many idle connections are kept.
const IDLE_MAX: usize = 8;

/// Reads the database; makes connections as they are needed.
pub(super) struct SqliteReader {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl SqliteReader {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A list of connections is whole whatever its last user did.
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
                connection
            }
        };
        let answer = read(&connection);
        let mut idle = self.idle();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
        answer
    }
}

impl Reader for SqliteReader {
    fn object(&self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError> {
        self.with(|connection| load(connection, id))
    }

    fn pages(&self, row: Row) -> Result<Vec<StoredPage>, StoreError> {
        self.with(|connection| pages(connection, row))
    }

    fn list(
        &self,
        kind: Kind,
        under: Option<&ObjectId>,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<StoredObject>, StoreError> {
        let after = after.map_or("", ObjectId::path);
        self.with(|connection| match under {
            None => range(connection, kind, after, "", "~", limit),
            Some(under) => {
                let own = under.path();
                let mut found = range(connection, kind, after, own, own, limit)?;
                // All that begins with `own.` lies between `own.` and `own/`: the slash comes next to the dot.
                let (from, to) = (format!("{own}."), format!("{own}/"));
                found.extend(range(connection, kind, after, &from, &to, limit - found.len())?);
                Ok(found)
            }
        })
    }

    fn history(
        &self,
        id: &ObjectId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        self.with(|connection| {
            let Some(object) = load(connection, id)? else { return Ok(vec![]) };
            let mut seq = start_of_walk(connection, &object, before)?;
            let sql = format!("SELECT {EVENT_COLUMNS} WHERE e.seq = ?1");
            let mut statement = connection.prepare_cached(&sql)?;
            let mut events = Vec::new();
            while seq > 0 && events.len() < limit {
                let found = statement.query_row([to_sql(seq)], |row| Ok(read_event(row))).optional()?;
                let event = found.transpose()?.ok_or_else(|| missing(seq, id))?;
                seq = event.prev_seq;
                if before.is_none_or(|before| event.seq < before) {
                    events.push(event);
                }
            }
            Ok(events)
        })
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = format!("SELECT {EVENT_COLUMNS} WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2");
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement
                .query_map(params![to_sql(after), to_sql(limit as u64)], |row| Ok(read_event(row)))?;
            rows.map(|row| row?).collect()
        })
    }

    fn deadlines(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, ObjectId)>, StoreError> {
        let sql = "SELECT deadline, kind, path FROM objects WHERE deadline <= ?1 ORDER BY deadline LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.with(|connection| {
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map(params![until.0, limit], |row| {
                Ok((Timestamp(row.get(0)?), object_id(row.get(1)?, row.get_ref(2)?.as_str()?)))
            })?;
            rows.map(|row| row.map_err(StoreError::from).and_then(|(at, id)| Ok((at, id?)))).collect()
        })
    }

    fn inbox(&self) -> Result<Vec<InboxNotice>, StoreError> {
        self.with(|connection| inbox(connection, i64::MAX as usize))
    }

    fn log_end(&self) -> Result<LogEnd, StoreError> {
        let sql = "SELECT seq, at FROM events ORDER BY seq DESC LIMIT 1";
        self.with(|connection| {
            let end = connection
                .prepare(sql)?
                .query_row([], |row| Ok(LogEnd { seq: from_sql(row.get(0)?), at: Timestamp(row.get(1)?) }));
            Ok(end.optional()?.unwrap_or_default())
        })
    }

    fn record(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT value FROM records WHERE space = ?1 AND key = ?2";
        self.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_row(params![space, key], |row| row.get(0)).optional()?)
        })
    }

    fn records(&self, space: &str, prefix: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT key, value FROM records WHERE space = ?1 AND key >= ?2 ORDER BY key LIMIT ?3";
        self.with(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let limit = to_sql(limit as u64);
            let rows = statement.query_map(params![space, prefix, limit], |r| Ok((r.get(0)?, r.get(1)?)))?;
            let mut records: Vec<(String, Vec<u8>)> = rows.collect::<Result<_, _>>()?;
            records.retain(|(key, _)| key.starts_with(prefix));
            Ok(records)
        })
    }
}

/// Objects of a kind with a path after `after` and from `from` to `to`, both included.
fn range(
    connection: &Connection,
    kind: Kind,
    after: &str,
    from: &str,
    to: &str,
    limit: usize,
) -> Result<Vec<StoredObject>, StoreError> {
    let sql = "SELECT row, kind, path, revision, last_seq, version, state, keys FROM objects
               WHERE kind = ?1 AND path > ?2 AND path >= ?3 AND path <= ?4 ORDER BY path LIMIT ?5";
    let mut statement = connection.prepare_cached(sql)?;
    let bounds = params![kind_number(kind), after, from, to, to_sql(limit as u64)];
    let mut rows = statement.query(bounds)?;
    let mut objects = Vec::new();
    while let Some(row) = rows.next()? {
        objects.push(StoredObject {
            row: row.get(0)?,
            id: object_id(row.get(1)?, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
            revision: from_sql(row.get(3)?),
            last_seq: from_sql(row.get(4)?),
            version: row.get(5)?,
            state: row.get(6)?,
            keys: row.get(7)?,
        });
    }
    Ok(objects)
}

/// Where to begin to follow the object's events back: at the one before `before`, if that is one of its own.
fn start_of_walk(
    connection: &Connection,
    object: &StoredObject,
    before: Option<u64>,
) -> Result<u64, StoreError> {
    let Some(before) = before else { return Ok(object.last_seq) };
    let sql = "SELECT prev FROM events WHERE seq = ?1 AND object = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let prev = statement.query_row(params![to_sql(before), object.row], |row| row.get(0)).optional()?;
    Ok(prev.map_or(object.last_seq, from_sql))
}

fn missing(seq: u64, id: &ObjectId) -> StoreError {
    StoreError::Corrupt(format!("event {seq} of {id} is not in the log"))
}
