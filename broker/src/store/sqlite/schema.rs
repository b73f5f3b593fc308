//! The tables of the embedded store, and the one place where an older database is brought up to date.

use rusqlite::Connection;

use crate::store::StoreError;

/// The steps from an empty database to today's: each is applied once, in order, and never changed.
///
/// - `events` is the log: append-only, keyed by its place, so that it only ever grows at its end.
///   `prev` links an object's events, so that its history needs no index.
/// - `objects` holds the state of each; its number keeps other tables small.
/// - `objects.keys` are the idempotency keys of an object's newest events, `keys` those of older ones, in
///   blocks; `last` is a block's newest event. Old blocks are found and taken out by walking the log.
/// - `pages` holds what large states keep beside them, in pieces that are written when they change.
/// - `inbox` holds notices that did not fit into a commit; `records` belong to the edge.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE objects (
        row INTEGER PRIMARY KEY,
        kind INTEGER NOT NULL,
        path TEXT NOT NULL,
        revision INTEGER NOT NULL,
        last_seq INTEGER NOT NULL,
        deadline INTEGER,
        version INTEGER NOT NULL,
        state BLOB NOT NULL,
        keys BLOB NOT NULL,
        UNIQUE (kind, path)
    ) STRICT;
    CREATE INDEX objects_deadline ON objects (deadline) WHERE deadline IS NOT NULL;
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        object INTEGER NOT NULL,
        prev INTEGER NOT NULL,
        at INTEGER NOT NULL,
        key TEXT,
        sender BLOB NOT NULL,
        body BLOB NOT NULL,
        entries BLOB
    ) STRICT;
    CREATE TABLE keys (
        object INTEGER NOT NULL,
        last INTEGER NOT NULL,
        block BLOB NOT NULL,
        PRIMARY KEY (object, last)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE inbox (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        target TEXT NOT NULL,
        sender BLOB NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE records (
        space TEXT NOT NULL,
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (space, key)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO marks (name, value) VALUES ('keys_expired_to', 0);
",
    "
    CREATE TABLE pages (
        object INTEGER NOT NULL,
        number INTEGER NOT NULL,
        page BLOB NOT NULL,
        PRIMARY KEY (object, number)
    ) STRICT, WITHOUT ROWID;
",
];

/// Brings the schema up to date; refuses one of a newer broker.
pub(super) fn migrate(connection: &Connection) -> Result<(), StoreError> {
    let known = u32::try_from(MIGRATIONS.len()).expect("there are few migrations");
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (number, step) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        connection
            .execute_batch(&format!("BEGIN IMMEDIATE; {step} PRAGMA user_version = {number}; COMMIT;"))?;
    }
    Ok(())
}
