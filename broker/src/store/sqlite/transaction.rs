//! One batch on the writing connection.

use std::cell::Cell;

use remit_loops::{ObjectId, Timestamp};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::checkpoint::{Checkpointer, PAGE_BYTES};
use super::rows::{EVENT_COLUMNS, load, pages, read_event};
use crate::store::numbers::{from_sql, kind_number, to_sql};
use crate::store::{
    EventWrite, InboxNotice, KEY_ENTRY_LEN, ObjectWrite, Row, SpilledKey, StoreError, StoredEvent,
    StoredObject, StoredPage, Transaction, decode_keys, encode_key,
};

const APPEND: &str = "INSERT INTO events (object, prev, at, key, sender, body, entries)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const WRITE: &str = "UPDATE objects SET revision = ?2, last_seq = ?3, deadline = ?4, version = ?5,
    state = ?6, keys = ?7 WHERE row = ?1";

pub(super) struct SqliteTransaction<'a> {
    connection: &'a Connection,
    checkpointer: &'a Checkpointer,
    /// The statements that each event needs, looked up once a batch.
    append: CachedStatement<'a>,
    write: CachedStatement<'a>,
    committed: bool,
    /// About how many bytes the commit adds to the write-ahead log.
    log_bytes: Cell<u64>,
}

impl<'a> SqliteTransaction<'a> {
    pub(super) fn begin(
        connection: &'a Connection,
        checkpointer: &'a Checkpointer,
    ) -> Result<Self, StoreError> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let (append, write) = (connection.prepare_cached(APPEND)?, connection.prepare_cached(WRITE)?);
        Ok(Self { connection, checkpointer, append, write, committed: false, log_bytes: Cell::new(0) })
    }

    fn grows(&self, bytes: u64) {
        self.log_bytes.set(self.log_bytes.get() + bytes);
    }
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "a batch could not be rolled back");
        }
    }
}

impl Transaction for SqliteTransaction<'_> {
    fn load(&mut self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError> {
        load(self.connection, id)
    }

    fn create(&mut self, id: &ObjectId) -> Result<Row, StoreError> {
        let sql = "INSERT INTO objects (kind, path, revision, last_seq, version, state, keys)
                   VALUES (?1, ?2, 0, 0, 0, x'', x'')";
        self.grows(2 * PAGE_BYTES);
        self.connection.prepare_cached(sql)?.execute(params![kind_number(id.kind()), id.path()])?;
        Ok(self.connection.last_insert_rowid())
    }

    fn spill_keys(&mut self, row: Row, keys: &[SpilledKey]) -> Result<(), StoreError> {
        let Some((_, last)) = keys.last() else { return Ok(()) };
        let mut block = Vec::with_capacity(keys.len() * KEY_ENTRY_LEN);
        keys.iter().for_each(|key| encode_key(key, &mut block));
        let sql = "INSERT INTO keys (object, last, block) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![row, to_sql(*last), block])?;
        self.grows(PAGE_BYTES);
        Ok(())
    }

    fn older_keys(&mut self, row: Row) -> Result<Vec<SpilledKey>, StoreError> {
        let sql = "SELECT block FROM keys WHERE object = ?1 ORDER BY last";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([row])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            keys.extend(decode_keys(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?));
        }
        Ok(keys)
    }

    fn append(&mut self, event: &EventWrite<'_>) -> Result<u64, StoreError> {
        let entries = (!event.entries.is_empty()).then_some(event.entries);
        self.append.execute(params![
            event.row,
            to_sql(event.prev_seq),
            event.at.0,
            event.key,
            event.by,
            event.body,
            entries
        ])?;
        let seq = self.connection.last_insert_rowid();
        self.grows((event.by.len() + event.body.len() + event.entries.len() + 64) as u64);
        Ok(from_sql(seq))
    }

    fn event(&mut self, seq: u64) -> Result<Option<StoredEvent>, StoreError> {
        let sql = format!("SELECT {EVENT_COLUMNS} WHERE e.seq = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        statement.query_row([to_sql(seq)], |row| Ok(read_event(row))).optional()?.transpose()
    }

    fn write(&mut self, object: &ObjectWrite<'_>) -> Result<(), StoreError> {
        self.write.execute(params![
            object.row,
            to_sql(object.revision),
            to_sql(object.last_seq),
            object.deadline.map(|d| d.0),
            object.version,
            object.state,
            object.keys
        ])?;
        self.grows(PAGE_BYTES + (object.state.len() + object.keys.len()) as u64);
        Ok(())
    }

    fn pages(&mut self, row: Row) -> Result<Vec<StoredPage>, StoreError> {
        pages(self.connection, row)
    }

    fn write_page(&mut self, row: Row, number: u64, page: Option<&[u8]>) -> Result<(), StoreError> {
        match page {
            Some(page) => {
                let sql = "INSERT OR REPLACE INTO pages (object, number, page) VALUES (?1, ?2, ?3)";
                self.connection.prepare_cached(sql)?.execute(params![row, to_sql(number), page])?;
                self.grows(PAGE_BYTES + page.len() as u64);
            }
            None => {
                let sql = "DELETE FROM pages WHERE object = ?1 AND number = ?2";
                self.connection.prepare_cached(sql)?.execute(params![row, to_sql(number)])?;
                self.grows(PAGE_BYTES);
            }
        }
        Ok(())
    }

    fn push_inbox(&mut self, to: &ObjectId, by: &[u8], body: &[u8]) -> Result<(), StoreError> {
        let sql = "INSERT INTO inbox (target, sender, body) VALUES (?1, ?2, ?3)";
        self.connection.prepare_cached(sql)?.execute(params![to.to_string(), by, body])?;
        self.grows(body.len() as u64 + 64);
        Ok(())
    }

    fn take_inbox(&mut self, limit: usize) -> Result<Vec<InboxNotice>, StoreError> {
        let notices = super::rows::inbox(self.connection, limit)?;
        if let Some(last) = notices.last() {
            let sql = "DELETE FROM inbox WHERE number <= ?1";
            self.connection.prepare_cached(sql)?.execute([last.number])?;
        }
        Ok(notices)
    }

    fn expire_keys(&mut self, before: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mark = "SELECT value FROM marks WHERE name = 'keys_expired_to'";
        let from: i64 = self.connection.prepare_cached(mark)?.query_row([], |r| r.get(0))?;
        let sql = "SELECT seq, object, key IS NOT NULL FROM events WHERE seq > ?1 AND at < ?2
                   ORDER BY seq LIMIT ?3";
        let mut walk = self.connection.prepare_cached(sql)?;
        let old = walk.query_map(params![from, before.0, to_sql(limit as u64)], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, Row>(1)?, r.get::<_, bool>(2)?))
        })?;
        let mut seen = 0;
        let mut to = from;
        for event in old {
            let (seq, object, has_key) = event?;
            (seen, to) = (seen + 1, seq);
            if has_key {
                let sql = "DELETE FROM keys WHERE object = ?1 AND last = ?2";
                self.connection.prepare_cached(sql)?.execute([object, seq])?;
            }
        }
        let sql = "UPDATE marks SET value = ?1 WHERE name = 'keys_expired_to'";
        self.connection.prepare_cached(sql)?.execute([to])?;
        Ok(seen)
    }

    fn put_record(
        &mut self,
        space: &str,
        key: &str,
        value: &[u8],
        only_new: bool,
    ) -> Result<bool, StoreError> {
        let sql = if only_new {
            "INSERT OR IGNORE INTO records (space, key, value) VALUES (?1, ?2, ?3)"
        } else {
            "INSERT OR REPLACE INTO records (space, key, value) VALUES (?1, ?2, ?3)"
        };
        self.grows(PAGE_BYTES + value.len() as u64);
        Ok(self.connection.prepare_cached(sql)?.execute(params![space, key, value])? > 0)
    }

    fn delete_record(&mut self, space: &str, key: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM records WHERE space = ?1 AND key = ?2";
        Ok(self.connection.prepare_cached(sql)?.execute(params![space, key])? > 0)
    }

    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.committed = true;
        self.checkpointer.wrote(self.log_bytes.get());
        Ok(())
    }
}
