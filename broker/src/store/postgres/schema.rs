//! The tables of a shared database, and the one place where older ones are brought up to date.

use super::session::Session;
use super::words;
use crate::store::StoreError;

/// How many numbers one batch draws at once: more than it can have events and new objects.
pub(super) const NUMBERS: i64 = 32_768;

/// The steps from an empty database to today's: each is applied once, in order, and never changed. What a
/// table is for stands with the embedded store's; here `numbers` gives blocks of them to batches, after
/// they hold their objects, so that the places of an object's events grow. `objects.at` is the time of its newest
/// event: the next one's is not before it, though the server's clock is set back. A page that was taken away
/// keeps its row, with nothing on it.
const MIGRATIONS: &[&str] = &[
    "
    CREATE SEQUENCE numbers INCREMENT BY 32768 MINVALUE 1;
    CREATE TABLE objects (
        row bigint PRIMARY KEY,
        kind smallint NOT NULL,
        path text COLLATE \"C\" NOT NULL,
        revision bigint NOT NULL,
        last_seq bigint NOT NULL,
        deadline bigint,
        version integer NOT NULL,
        state bytea NOT NULL,
        keys bytea NOT NULL,
        UNIQUE (kind, path)
    ) WITH (fillfactor = 70);
    ALTER TABLE objects ALTER state SET STORAGE EXTERNAL, ALTER keys SET STORAGE MAIN;
    CREATE INDEX objects_deadline ON objects (deadline) WHERE deadline IS NOT NULL;
    CREATE TABLE events (
        seq bigint PRIMARY KEY,
        object bigint NOT NULL,
        prev bigint NOT NULL,
        at bigint NOT NULL,
        key text,
        sender bytea NOT NULL,
        body bytea NOT NULL,
        entries bytea
    );
    CREATE TABLE keys (
        object bigint NOT NULL,
        last bigint NOT NULL,
        block bytea NOT NULL,
        PRIMARY KEY (object, last)
    );
    CREATE TABLE inbox (
        number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind smallint NOT NULL,
        path text COLLATE \"C\" NOT NULL,
        sender bytea NOT NULL,
        body bytea NOT NULL
    );
    CREATE INDEX inbox_target ON inbox (kind, path);
    CREATE TABLE records (
        space text COLLATE \"C\" NOT NULL,
        key text COLLATE \"C\" NOT NULL,
        value bytea NOT NULL,
        PRIMARY KEY (space, key)
    );
    CREATE TABLE marks (name text PRIMARY KEY, value bigint NOT NULL);
    INSERT INTO marks (name, value) VALUES ('keys_expired_to', 0);
",
    "
    ALTER TABLE objects ADD COLUMN at bigint NOT NULL DEFAULT 0;
",
    "
    CREATE TABLE pages (
        object bigint NOT NULL,
        number bigint NOT NULL,
        page bytea,
        PRIMARY KEY (object, number)
    ) WITH (fillfactor = 70);
    ALTER TABLE pages ALTER page SET STORAGE EXTERNAL;
",
];

/// Brings the schema up to date, one broker at a time; refuses one of a newer broker.
pub(super) fn migrate(session: &mut Session) -> Result<(), StoreError> {
    let known = u32::try_from(MIGRATIONS.len()).expect("there are few migrations");
    session.run(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtext('remit schema'));
         CREATE SCHEMA IF NOT EXISTS remit;
         CREATE TABLE IF NOT EXISTS remit.schema (version integer NOT NULL)",
    )?;
    let found = session.wait(session.client().query_one("SELECT coalesce(max(version), 0) FROM schema", &[]));
    let found: i32 = found?.try_get(0).map_err(|error| StoreError::Corrupt(words(&error)))?;
    let found = u32::try_from(found).unwrap_or_default();
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (number, step) in (1u32..).zip(MIGRATIONS).skip(found as usize) {
        session.run(&format!("{step}; INSERT INTO schema (version) VALUES ({number})"))?;
    }
    session.run("COMMIT")
}
