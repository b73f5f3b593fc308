//! How rows of the database are read, by the batch and by readers alike.

use remit_loops::{ObjectId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use crate::store::numbers::{from_sql, kind_number, object_id, to_sql};
use crate::store::{InboxNotice, Row, StoreError, StoredEvent, StoredObject, StoredPage};

/// What a query of events selects, and from where.
pub(super) const EVENT_COLUMNS: &str =
    "e.seq, o.kind, o.path, e.prev, e.at, e.key, e.sender, e.body, e.entries
     FROM events e JOIN objects o ON o.row = e.object";

/// One object; for the batch and for readers alike.
pub(super) fn load(connection: &Connection, id: &ObjectId) -> Result<Option<StoredObject>, StoreError> {
    let sql =
        "SELECT row, revision, last_seq, version, state, keys FROM objects WHERE kind = ?1 AND path = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params![kind_number(id.kind()), id.path()], |row| read_object(row, id));
    Ok(found.optional()?)
}

/// An object's pages; for the batch and for readers alike.
pub(super) fn pages(connection: &Connection, row: Row) -> Result<Vec<StoredPage>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT number, page FROM pages WHERE object = ?1")?;
    let rows = statement.query_map([row], |row| Ok((from_sql(row.get(0)?), row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn read_object(row: &SqlRow<'_>, id: &ObjectId) -> rusqlite::Result<StoredObject> {
    Ok(StoredObject {
        row: row.get(0)?,
        id: id.clone(),
        revision: from_sql(row.get(1)?),
        last_seq: from_sql(row.get(2)?),
        version: row.get(3)?,
        state: row.get(4)?,
        keys: row.get(5)?,
    })
}

pub(super) fn read_event(row: &SqlRow<'_>) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        seq: from_sql(row.get(0)?),
        object: object_id(row.get(1)?, row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
        prev_seq: from_sql(row.get(3)?),
        at: Timestamp(row.get(4)?),
        key: row.get(5)?,
        by: row.get(6)?,
        body: row.get(7)?,
        entries: row.get::<_, Option<Vec<u8>>>(8)?.unwrap_or_default(),
    })
}

/// The oldest notices in the inbox.
pub(super) fn inbox(connection: &Connection, limit: usize) -> Result<Vec<InboxNotice>, StoreError> {
    let sql = "SELECT number, target, sender, body FROM inbox ORDER BY number LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([to_sql(limit as u64)], |row| {
        Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.map(|row| {
        let (number, to, by, body) = row?;
        let to = to.parse().map_err(|_| StoreError::Corrupt(format!("a notice to `{to}`")))?;
        Ok(InboxNotice { number, to, by, body })
    })
    .collect()
}
