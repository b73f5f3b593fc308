//! The statements of a batch, prepared once a connection.

use tokio_postgres::Statement;

use crate::store::StoreError;
use crate::store::postgres::session::Session;

/// What a query of events selects, and from where.
pub(in crate::store::postgres) const EVENT_COLUMNS: &str =
    "e.seq, o.kind, o.path, e.prev, e.at, e.key, e.sender, e.body, e.entries
     FROM events e JOIN objects o ON o.row = e.object";

/// The objects wanted, by their places from 1.
const WANTED: &str = "unnest($1::int2[], $2::text[]) WITH ORDINALITY AS w(kind, path, place)";

/// In the order of their numbers: two brokers that wait for each other's objects cannot wait in a circle.
/// With the time, which is not before that of any event that the objects have had.
const HOLD: &str = "SELECT w.place, o.row, o.revision, o.last_seq, o.version,
        CASE WHEN o.revision IS NOT DISTINCT FROM w.known THEN NULL ELSE o.state END,
        CASE WHEN o.revision IS NOT DISTINCT FROM w.known THEN NULL ELSE o.keys END,
        greatest(o.at, (extract(epoch FROM clock_timestamp()) * 1000)::int8)
    FROM unnest($1::int2[], $2::text[], $3::int8[]) WITH ORDINALITY AS w(kind, path, known, place)
    JOIN objects o ON o.kind = w.kind AND o.path = w.path ORDER BY o.row FOR UPDATE OF o";

/// Takes the oldest notices whose objects are free or were never stored, and holds those objects.
const TAKE_INBOX: &str = "WITH waiting AS (
        SELECT DISTINCT kind, path FROM (SELECT kind, path FROM inbox ORDER BY number LIMIT $1) oldest
    ), held AS (
        SELECT o.kind, o.path FROM waiting w JOIN objects o ON o.kind = w.kind AND o.path = w.path
        ORDER BY o.row FOR UPDATE OF o SKIP LOCKED
    ), free AS (
        SELECT kind, path FROM held UNION ALL
        SELECT w.kind, w.path FROM waiting w
        WHERE NOT EXISTS (SELECT FROM objects o WHERE o.kind = w.kind AND o.path = w.path)
    ), taken AS (
        SELECT i.number FROM inbox i JOIN free f ON f.kind = i.kind AND f.path = i.path
        ORDER BY i.number LIMIT $1
    )
    DELETE FROM inbox WHERE number IN (SELECT number FROM taken)
    RETURNING number, kind, path, sender, body";

/// Walks the log from where the last walk ended; another broker that is at it already does it for this one.
const EXPIRE_KEYS: &str = "WITH mark AS (
        SELECT value FROM marks WHERE name = 'keys_expired_to' FOR UPDATE SKIP LOCKED
    ), old AS (
        SELECT e.seq, e.object, e.key IS NOT NULL AS has_key FROM mark
        CROSS JOIN LATERAL (
            SELECT * FROM events WHERE seq > mark.value AND at < $1 ORDER BY seq LIMIT $2
        ) e
    ), gone AS (
        DELETE FROM keys k USING old WHERE old.has_key AND k.object = old.object AND k.last = old.seq
    ), moved AS (
        UPDATE marks SET value = (SELECT max(seq) FROM old)
        WHERE name = 'keys_expired_to' AND EXISTS (SELECT FROM old)
    )
    SELECT count(*) FROM old";

const INSERT_OBJECTS: &str = "INSERT INTO objects
        (row, kind, path, revision, last_seq, deadline, version, state, keys, at)
    SELECT * FROM unnest($1::int8[], $2::int2[], $3::text[], $4::int8[], $5::int8[], $6::int8[], $7::int4[],
        $8::bytea[], $9::bytea[], $10::int8[])
        AS n(row, kind, path, revision, last_seq, deadline, version, state, keys, at)
    ORDER BY kind, path";

const UPDATE_OBJECTS: &str = "UPDATE objects o SET revision = n.revision, last_seq = n.last_seq,
        deadline = n.deadline, version = n.version, state = n.state, keys = n.keys, at = greatest(o.at, n.at)
    FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int4[], $6::bytea[], $7::bytea[], $8::int8[])
        AS n(row, revision, last_seq, deadline, version, state, keys, at)
    WHERE o.row = n.row";

const INSERT_EVENTS: &str = "INSERT INTO events (seq, object, prev, at, key, sender, body, entries)
    SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::text[], $6::bytea[], $7::bytea[],
        $8::bytea[])";

const INSERT_KEYS: &str = "INSERT INTO keys (object, last, block)
    SELECT * FROM unnest($1::int8[], $2::int8[], $3::bytea[])";

const PUT_PAGES: &str = "INSERT INTO pages (object, number, page)
    SELECT * FROM unnest($1::int8[], $2::int8[], $3::bytea[])
    ON CONFLICT (object, number) DO UPDATE SET page = excluded.page";

const INSERT_INBOX: &str = "INSERT INTO inbox (kind, path, sender, body)
    SELECT kind, path, sender, body FROM unnest($1::int2[], $2::text[], $3::bytea[], $4::bytea[])
        WITH ORDINALITY AS n(kind, path, sender, body, place) ORDER BY place";

/// The pages of an object.
pub(in crate::store::postgres) const PAGES: &str =
    "SELECT number, page FROM pages WHERE object = $1 AND page IS NOT NULL";

pub(in crate::store::postgres) struct Statements {
    /// The transaction's name, a block of numbers, and the time, all taken once the objects are held.
    pub(super) start: Statement,
    pub(super) numbers: Statement,
    pub(super) hold_waiting: Statement,
    pub(super) hold_free: Statement,
    pub(super) there: Statement,
    pub(super) behind: Statement,
    pub(super) event: Statement,
    pub(super) older_keys: Statement,
    pub(super) newer_keys: Statement,
    pub(super) take_inbox: Statement,
    pub(super) expire_keys: Statement,
    pub(super) add_record: Statement,
    pub(super) put_record: Statement,
    pub(super) delete_record: Statement,
    pub(super) insert_objects: Statement,
    pub(super) update_objects: Statement,
    pub(super) insert_events: Statement,
    pub(super) insert_keys: Statement,
    pub(super) insert_inbox: Statement,
    pub(super) pages: Statement,
    pub(super) put_pages: Statement,
}

impl Statements {
    pub(in crate::store::postgres) fn prepare(session: &mut Session) -> Result<Self, StoreError> {
        let prepare = |sql: &str| session.prepare(sql);
        let record = "INSERT INTO records (space, key, value) VALUES ($1, $2, $3) ON CONFLICT (space, key)";
        Ok(Self {
            start: prepare(
                "SELECT pg_current_xact_id()::text, nextval('numbers'),
                    (extract(epoch FROM clock_timestamp()) * 1000)::int8",
            )?,
            numbers: prepare("SELECT nextval('numbers')")?,
            hold_waiting: prepare(HOLD)?,
            hold_free: prepare(&format!("{HOLD} SKIP LOCKED"))?,
            there: prepare(&format!(
                "SELECT w.place FROM {WANTED} JOIN objects o ON o.kind = w.kind AND o.path = w.path"
            ))?,
            behind: prepare(&format!(
                "SELECT w.place FROM {WANTED}
                 WHERE EXISTS (SELECT FROM inbox i WHERE i.kind = w.kind AND i.path = w.path)"
            ))?,
            event: prepare(&format!("SELECT {EVENT_COLUMNS} WHERE e.seq = $1"))?,
            older_keys: prepare("SELECT block FROM keys WHERE object = $1 ORDER BY last")?,
            newer_keys: prepare(
                "SELECT k.object, k.block FROM unnest($1::int8[], $2::int8[]) AS w(object, after)
                 JOIN keys k ON k.object = w.object AND k.last > w.after ORDER BY k.object, k.last",
            )?,
            take_inbox: prepare(TAKE_INBOX)?,
            expire_keys: prepare(EXPIRE_KEYS)?,
            add_record: prepare(&format!("{record} DO NOTHING"))?,
            put_record: prepare(&format!("{record} DO UPDATE SET value = excluded.value"))?,
            delete_record: prepare("DELETE FROM records WHERE space = $1 AND key = $2")?,
            insert_objects: prepare(INSERT_OBJECTS)?,
            update_objects: prepare(UPDATE_OBJECTS)?,
            insert_events: prepare(INSERT_EVENTS)?,
            insert_keys: prepare(INSERT_KEYS)?,
            insert_inbox: prepare(INSERT_INBOX)?,
            pages: prepare(PAGES)?,
            put_pages: prepare(PUT_PAGES)?,
        })
    }
}
