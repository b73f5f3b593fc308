//! Where the engine keeps what it must not lose: a closed, small seam with one suite for all stores.
//!
//! Writes go through one [`Store`] owned by one committer; reads go through its [`Reader`], beside it.
//! A store that several brokers share has [`Peers`] too, and objects are used only while they are held.

use std::sync::Arc;
use std::time::Duration;

use remit_loops::{Kind, ObjectId, Timestamp};
use sha2::{Digest, Sha256};

#[cfg(test)]
mod conformance;
pub mod memory;
mod numbers;
pub mod postgres;
pub mod sqlite;

pub use memory::MemoryStore;
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// The number of an object in its store.
pub type Row = i64;

/// How long the hash of an idempotency key is, bytes.
pub const KEY_HASH_LEN: usize = 16;
/// What is kept of an idempotency key to know it again: the beginning of its SHA-256.
pub type KeyHash = [u8; KEY_HASH_LEN];
/// A key and the place of the event that came with it.
pub type SpilledKey = (KeyHash, u64);

/// How many bytes a stored key has: its hash and the place of its event.
pub const KEY_ENTRY_LEN: usize = KEY_HASH_LEN + 8;

/// A key as it is stored, in an object's row and in the table.
pub fn encode_key((hash, seq): &SpilledKey, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(hash);
    bytes.extend_from_slice(&seq.to_be_bytes());
}

/// The keys that [`encode_key`] wrote.
pub fn decode_keys(bytes: &[u8]) -> impl Iterator<Item = SpilledKey> {
    bytes.chunks_exact(KEY_ENTRY_LEN).map(|entry| {
        let (hash, seq) = entry.split_at(KEY_HASH_LEN);
        let hash = hash.try_into().expect("an entry begins with a hash");
        (hash, u64::from_be_bytes(seq.try_into().expect("an entry ends with eight bytes")))
    })
}

/// The hash of an idempotency key.
pub fn key_hash(key: &str) -> KeyHash {
    let mut hash = [0; KEY_HASH_LEN];
    hash.copy_from_slice(&Sha256::digest(key)[..KEY_HASH_LEN]);
    hash
}

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its number in the store.
    pub row: Row,
    /// Its id.
    pub id: ObjectId,
    /// How many events it has had.
    pub revision: u64,
    /// The newest of them.
    pub last_seq: u64,
    /// The format of `state`.
    pub version: u32,
    /// Its state, encoded.
    pub state: Vec<u8>,
    /// The idempotency keys of its newest events, as the engine keeps them.
    pub keys: Vec<u8>,
}

/// A page of an object's state: its number, and what is on it, encoded.
pub type StoredPage = (u64, Vec<u8>);

/// The new state of an object.
#[derive(Clone, Copy, Debug)]
pub struct ObjectWrite<'a> {
    /// Its number in the store.
    pub row: Row,
    /// How many events it has had.
    pub revision: u64,
    /// The newest of them.
    pub last_seq: u64,
    /// When it wants a tick.
    pub deadline: Option<Timestamp>,
    /// The format of `state`.
    pub version: u32,
    /// Its state, encoded.
    pub state: &'a [u8],
    /// The idempotency keys of its newest events, as the engine keeps them.
    pub keys: &'a [u8],
}

/// An event on its way into the log.
#[derive(Clone, Copy, Debug)]
pub struct EventWrite<'a> {
    /// Whose event it is.
    pub row: Row,
    /// The object's event before this one; 0 if there is none.
    pub prev_seq: u64,
    /// When it was accepted.
    pub at: Timestamp,
    /// The sender's idempotency key.
    pub key: Option<&'a str>,
    /// From whom, encoded.
    pub by: &'a [u8],
    /// What, encoded.
    pub body: &'a [u8],
    /// What it put on the timeline, encoded; empty if nothing.
    pub entries: &'a [u8],
}

/// An event of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the log.
    pub seq: u64,
    /// Whose event it is.
    pub object: ObjectId,
    /// The object's event before this one; 0 if there is none.
    pub prev_seq: u64,
    /// When it was accepted.
    pub at: Timestamp,
    /// The sender's idempotency key.
    pub key: Option<String>,
    /// From whom, encoded.
    pub by: Vec<u8>,
    /// What, encoded.
    pub body: Vec<u8>,
    /// What it put on the timeline, encoded; empty if nothing.
    pub entries: Vec<u8>,
}

/// A notice that did not fit into the commit of the event that sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxNotice {
    /// Its place in the inbox.
    pub number: i64,
    /// To whom.
    pub to: ObjectId,
    /// From whom, encoded.
    pub by: Vec<u8>,
    /// What, encoded.
    pub body: Vec<u8>,
}

/// An object that a batch wants to use.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Which.
    pub id: &'a ObjectId,
    /// The revision whose state the caller has in memory.
    pub known: Option<u64>,
}

/// An object that a batch holds: until its end nobody else changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What there is of it.
    pub object: HeldObject,
    /// Notices for it wait in the inbox: newer ones must go there too, to keep their order.
    pub is_behind: bool,
}

/// What there is of an object that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeldObject {
    /// The revision that the caller knows is the newest.
    AsKnown,
    /// This.
    Stored(StoredObject),
    /// It was never stored.
    Absent,
}

/// What other brokers said of the database that they share with this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// These objects changed.
    pub changed: Vec<ObjectId>,
    /// More than can be told, or something was missed: anything may have changed.
    pub everything: bool,
}

/// What the engine must know before it takes the first event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogEnd {
    /// The newest event; 0 if there is none.
    pub seq: u64,
    /// When it was accepted.
    pub at: Timestamp,
}

/// What went wrong in a store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another broker has it open.
    #[error(
        "{path} is in use by another broker; stop that one first, or give this one its own data directory"
    )]
    Locked {
        /// The database.
        path: String,
    },
    /// A newer Remit wrote it.
    #[error(
        "the database has schema {found}, this broker knows up to {known}; start a broker of the newer version"
    )]
    Newer {
        /// What it has.
        found: u32,
        /// What we know.
        known: u32,
    },
    /// It cannot be opened.
    #[error("cannot open {path}: {reason}")]
    Open {
        /// The database.
        path: String,
        /// The system's words.
        reason: String,
    },
    /// The disk is full.
    #[error("the disk is full; free some space and start the broker again: {0}")]
    Full(String),
    /// What is stored cannot be read.
    #[error("what is stored cannot be read; restore a backup: {0}")]
    Corrupt(String),
    /// Too large to store.
    #[error("{what} has {got} bytes; at most {max} are stored")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// Another broker was faster; nothing was written. The batch is run again.
    #[error("another broker changed the same at the same time; try again: {0}")]
    Conflict(String),
    /// The database server is not there, or does not answer; nothing was written.
    #[error("the database cannot be reached; it is tried again: {0}")]
    Unavailable(String),
    /// Any other failure, of a write or a read.
    #[error("the store failed: {0}")]
    Failed(String),
    /// Too much waits to be stored.
    #[error("the broker is busy: {waiting} writes wait to be stored; try again in a moment")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The engine has stopped.
    #[error("the broker is stopping")]
    Stopped,
}

impl StoreError {
    /// The stable code, with a page in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        match self {
            StoreError::Locked { .. } => "store.locked",
            StoreError::Newer { .. } => "store.newer",
            StoreError::Open { .. } => "store.open",
            StoreError::Full(_) => "store.full",
            StoreError::Corrupt(_) => "store.corrupt",
            StoreError::TooLarge { .. } => "store.too_large",
            StoreError::Conflict(_) | StoreError::Unavailable(_) => "store.unavailable",
            StoreError::Failed(_) => "store.failed",
            StoreError::Busy { .. } => "engine.busy",
            StoreError::Stopped => "engine.stopping",
        }
    }
}

impl StoreError {
    /// Whether it passes by itself: nothing was written, and the store can be used again.
    pub fn is_passing(&self) -> bool {
        matches!(self, StoreError::Conflict(_) | StoreError::Unavailable(_))
    }
}

/// What the committer writes to. Sync: it is used from one thread of its own.
pub trait Store: Send {
    /// Begins a batch. Dropped without `commit`, it leaves nothing behind.
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError>;

    /// The way to read what was committed, from any thread.
    fn reader(&self) -> Arc<dyn Reader>;

    /// The other brokers that may share the database; `None`: this one has it for itself.
    fn peers(&self) -> Option<Arc<dyn Peers>> {
        None
    }
}

/// Word from broker to broker over a shared database. All of it is a hint: the database is the truth.
pub trait Peers: Send + Sync {
    /// Tells the others that these changed; never waits.
    fn announce(&self, changed: &[Arc<ObjectId>]);

    /// Waits for what others announce, but not longer than this.
    fn listen(&self, wait: Duration) -> Heard;
}

/// One batch: all of it becomes durable, or none.
pub trait Transaction {
    /// Loads an object and holds it for this transaction alone.
    fn load(&mut self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError>;

    /// Holds objects, in one go: waiting for other brokers to let go of them, or passing over (`None`) those
    /// that others hold. To wait is only allowed before anything is held.
    fn hold(&mut self, wanted: &[Wanted<'_>], _wait: bool) -> Result<Vec<Option<Held>>, StoreError> {
        let load = |wanted: &Wanted<'_>| {
            let object = self.load(wanted.id)?.map_or(HeldObject::Absent, HeldObject::Stored);
            Ok(Some(Held { object, is_behind: false }))
        };
        wanted.iter().map(load).collect()
    }

    /// The time of the database, where several brokers have but that one in common.
    fn clock(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }

    /// Gives an object that was never stored its number.
    fn create(&mut self, id: &ObjectId) -> Result<Row, StoreError>;

    /// Puts a block of keys of the object, oldest first, in the table of older keys.
    fn spill_keys(&mut self, row: Row, keys: &[SpilledKey]) -> Result<(), StoreError>;

    /// All keys of the object in that table, oldest first.
    fn older_keys(&mut self, row: Row) -> Result<Vec<SpilledKey>, StoreError>;

    /// For each of these objects, in one go: its keys in that table that came after a place in the log, oldest
    /// first.
    fn newer_keys(&mut self, of: &[(Row, u64)]) -> Result<Vec<Vec<SpilledKey>>, StoreError> {
        let mut newer = |(row, after): &(Row, u64)| {
            let keys = self.older_keys(*row)?.into_iter();
            Ok(keys.filter(|(_, seq)| seq > after).collect())
        };
        of.iter().map(&mut newer).collect()
    }

    /// Appends an event to the log; answers its place.
    fn append(&mut self, event: &EventWrite<'_>) -> Result<u64, StoreError>;

    /// Reads an event of the log.
    fn event(&mut self, seq: u64) -> Result<Option<StoredEvent>, StoreError>;

    /// Writes the state of an object.
    fn write(&mut self, object: &ObjectWrite<'_>) -> Result<(), StoreError>;

    /// The pages that lie beside an object's state, as they were committed last. Only of an object that is held.
    fn pages(&mut self, row: Row) -> Result<Vec<StoredPage>, StoreError>;

    /// Writes a page beside an object's state, or takes it away.
    fn write_page(&mut self, row: Row, number: u64, page: Option<&[u8]>) -> Result<(), StoreError>;

    /// Stores a notice for a later batch.
    fn push_inbox(&mut self, to: &ObjectId, by: &[u8], body: &[u8]) -> Result<(), StoreError>;

    /// Takes the oldest stored notices out, in order; not those whose object another broker holds.
    fn take_inbox(&mut self, limit: usize) -> Result<Vec<InboxNotice>, StoreError>;

    /// Takes blocks of keys out of the table whose newest event was accepted before a time; answers how many
    /// rows of the log it went through.
    fn expire_keys(&mut self, before: Timestamp, limit: usize) -> Result<usize, StoreError>;

    /// Writes a record; with `only_new`, only if there is none. Answers whether it wrote.
    fn put_record(
        &mut self,
        space: &str,
        key: &str,
        value: &[u8],
        only_new: bool,
    ) -> Result<bool, StoreError>;

    /// Removes a record; answers whether there was one.
    fn delete_record(&mut self, space: &str, key: &str) -> Result<bool, StoreError>;

    /// Makes all of it durable. When this returns, it is.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Reads of what was committed.
pub trait Reader: Send + Sync {
    /// One object.
    fn object(&self, id: &ObjectId) -> Result<Option<StoredObject>, StoreError>;

    /// The pages that lie beside an object's state now. Whoever read the state before reads its revision after:
    /// if that is the same, they belong together.
    fn pages(&self, row: Row) -> Result<Vec<StoredPage>, StoreError>;

    /// Objects of a kind, that `under` is or holds, after `after`, in the order of their ids.
    fn list(
        &self,
        kind: Kind,
        under: Option<&ObjectId>,
        after: Option<&ObjectId>,
        limit: usize,
    ) -> Result<Vec<StoredObject>, StoreError>;

    /// Events of one object, newest first, before a place in the log.
    fn history(
        &self,
        id: &ObjectId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, StoreError>;

    /// Events of all objects, oldest first, after a place in the log.
    fn events(&self, after: u64, limit: usize) -> Result<Vec<StoredEvent>, StoreError>;

    /// Objects that want a tick by a time, the earliest first.
    fn deadlines(&self, until: Timestamp, limit: usize) -> Result<Vec<(Timestamp, ObjectId)>, StoreError>;

    /// How many events each of these objects has had.
    fn revisions(&self, ids: &[ObjectId]) -> Result<Vec<u64>, StoreError> {
        ids.iter().map(|id| Ok(self.object(id)?.map_or(0, |object| object.revision))).collect()
    }

    /// The stored notices, in order.
    fn inbox(&self) -> Result<Vec<InboxNotice>, StoreError>;

    /// The end of the log.
    fn log_end(&self) -> Result<LogEnd, StoreError>;

    /// One record.
    fn record(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// The records of a space whose keys begin so, in order.
    fn records(&self, space: &str, prefix: &str, limit: usize) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
}
