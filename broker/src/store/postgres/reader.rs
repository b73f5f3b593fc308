//! Reads of a shared database, each on a connection of its own for as long as it takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remit_loops::{Kind, ObjectId, Timestamp};
use tokio_postgres::Row as SqlRow;

use super::Address;
use super::session::{Session, Value};
use super::transaction::{EVENT_COLUMNS, PAGES, get, read_event, read_notice, read_page};
use crate::store::numbers::{from_sql, kind_number, object_id, to_sql};
use crate::store::{InboxNotice, LogEnd, Reader, Row, StoreError, StoredEvent, StoredObject, StoredPage};

/// How many idle connections are kept.
const IDLE_MAX: usize = 4;
/// How often a read is tried again on a new connection after one was lost.
const LOST_MAX: usize = 3;

/// An object's columns.
const OBJECT_COLUMNS: &str = "row, kind, path, revision, last_seq, version, state, keys";

/// Reads the database; makes connections as they are needed.
pub(super) struct PostgresReader {
    address: Arc<Address>,
    idle: Mutex<Vec<Session>>,
}

impl PostgresReader {
    pub(super) fn new(address: Arc<Address>) -> Self {
        Self { address, idle: Mutex::new(Vec::new()) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        // A list of connections is whole whatever its last user did.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn query(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<SqlRow>, StoreError> {
        let mut lost = 0;
        loop {
            let idle = self.idle().pop();
            let session = idle.map_or_else(|| Session::open(&self.address), Ok)?;
            match session.wait(session.client().query(sql, values)) {
                Ok(rows) => {
                    let mut idle = self.idle();
                    if idle.len() < IDLE_MAX {
                        idle.push(session);
                    }
                    return Ok(rows);
                }
                Err(_) if session.is_closed() && lost < LOST_MAX => lost += 1,
                Err(error) => {
                    return Err(match StoreError::from(error) {
                        StoreError::Conflict(why) => StoreError::Unavailable(why),
                        error => error,
                    });
                }
            }
        }
    }
}

impl Reader for PostgresReader {
    fn object(&self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError> {
        let sql = format!("SELECT {OBJECT_COLUMNS} FROM objects WHERE kind = $1 AND path = $2");
        let rows = self.query(&sql, &[&kind_number(id.kind()), &id.path()])?;
        rows.first().map(read_object).transpose()
    }

    fn pages(&self, row: Row) -> Result<Vec<StoredPage>, StoreError> {
        self.query(PAGES, &[&row])?.iter().map(read_page).collect()
    }

    fn list(
        &self,
        kind: Kind,
        under: Option<&ObjectId>,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<StoredObject>, StoreError> {
        let after = after.map_or("", ObjectId::path);
        // All that begins with `own.` lies between `own.` and `own/`: the slash comes next to the dot.
        let own = under.map_or("", ObjectId::path);
        let sql = format!(
            "SELECT {OBJECT_COLUMNS} FROM objects
             WHERE kind = $1 AND path > $2 AND ($3 = '' OR path = $3 OR (path >= $3 || '.' AND path < $3 || '/'))
             ORDER BY path LIMIT $4"
        );
        let limit = to_sql(limit as u64);
        self.query(&sql, &[&kind_number(kind), &after, &own, &limit])?.iter().map(read_object).collect()
    }

    fn history(
        &self,
        id: &ObjectId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        // Follows the links of the log; a place that is the object's own shortens the way to it.
        let sql = format!(
            "WITH RECURSIVE walk AS (
                SELECT coalesce(
                    (SELECT e.prev FROM events e WHERE e.seq = $3 AND e.object = o.row), o.last_seq) AS seq
                FROM objects o WHERE o.kind = $1 AND o.path = $2
                UNION ALL
                SELECT e.prev FROM walk w JOIN events e ON e.seq = w.seq
             ), own AS (
                SELECT seq FROM walk WHERE seq > 0 AND ($3::int8 IS NULL OR seq < $3) LIMIT $4
             )
             SELECT {EVENT_COLUMNS} JOIN own ON own.seq = e.seq ORDER BY e.seq DESC"
        );
        let (before, limit) = (before.map(to_sql), to_sql(limit as u64));
        let rows = self.query(&sql, &[&kind_number(id.kind()), &id.path(), &before, &limit])?;
        rows.iter().map(read_event).collect()
    }

    fn events(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let sql = format!("SELECT {EVENT_COLUMNS} WHERE e.seq > $1 ORDER BY e.seq LIMIT $2");
        self.query(&sql, &[&to_sql(after), &to_sql(limit as u64)])?.iter().map(read_event).collect()
    }

    fn deadlines(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, ObjectId)>, StoreError> {
        let sql = "SELECT deadline, kind, path FROM objects WHERE deadline <= $1 ORDER BY deadline LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = self.query(sql, &[&until.0, &limit])?;
        let read = |row: &SqlRow| Ok((Timestamp(get(row, 0)?), object_id(get(row, 1)?, get(row, 2)?)?));
        rows.iter().map(read).collect()
    }

    fn revisions(&self, ids: &[ObjectId]) -> Result<Vec<u64>, StoreError> {
        let kinds: Vec<i16> = ids.iter().map(|id| kind_number(id.kind())).collect();
        let paths: Vec<&str> = ids.iter().map(ObjectId::path).collect();
        let sql = "SELECT coalesce(o.revision, 0)
            FROM unnest($1::int2[], $2::text[]) WITH ORDINALITY AS w(kind, path, place)
            LEFT JOIN objects o ON o.kind = w.kind AND o.path = w.path ORDER BY w.place";
        self.query(sql, &[&kinds, &paths])?.iter().map(|row| Ok(from_sql(get(row, 0)?))).collect()
    }

    fn inbox(&self) -> Result<Vec<InboxNotice>, StoreError> {
        let sql = "SELECT number, kind, path, sender, body FROM inbox ORDER BY number";
        self.query(sql, &[])?.iter().map(read_notice).collect()
    }

    fn log_end(&self) -> Result<LogEnd, StoreError> {
        let rows = self.query("SELECT seq, at FROM events ORDER BY seq DESC LIMIT 1", &[])?;
        let read = |row: &SqlRow| Ok(LogEnd { seq: from_sql(get(row, 0)?), at: Timestamp(get(row, 1)?) });
        rows.first().map_or_else(|| Ok(LogEnd::default()), read)
    }

    fn record(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.query("SELECT value FROM records WHERE space = $1 AND key = $2", &[&space, &key])?;
        rows.first().map(|row| get(row, 0)).transpose()
    }

    fn records(&self, space: &str, prefix: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let sql = "SELECT key, value FROM records
            WHERE space = $1 AND key >= $2 AND starts_with(key, $2) ORDER BY key LIMIT $3";
        let rows = self.query(sql, &[&space, &prefix, &to_sql(limit as u64)])?;
        rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
    }
}

fn read_object(row: &SqlRow) -> Result<StoredObject, StoreError> {
    Ok(StoredObject {
        row: get(row, 0)?,
        id: object_id(get(row, 1)?, get(row, 2)?)?,
        revision: from_sql(get(row, 3)?),
        last_seq: from_sql(get(row, 4)?),
        version: u32::try_from(get::<i32>(row, 5)?).unwrap_or_default(),
        state: get(row, 6)?,
        keys: get(row, 7)?,
    })
}
