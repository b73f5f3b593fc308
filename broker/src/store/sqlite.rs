//! The embedded store: SQLite, write-ahead log, every commit on disk before it returns.
//!
//! One connection writes, others read, and one more copies the write-ahead log back into the
//! database beside them. A lock file keeps a second broker out.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::store::{Reader, Store, StoreError, Transaction};

mod checkpoint;
mod reader;
mod rows;
mod schema;
mod transaction;

use checkpoint::Checkpointer;
use reader::SqliteReader;
use transaction::SqliteTransaction;

/// How long a statement waits for somebody else's lock on the database, e.g. a backup tool's.
const BUSY_MS: u64 = 10_000;
/// Memory for pages of the writing connection, KiB.
const WRITER_CACHE_KIB: i64 = 128 << 10;
/// Memory for pages of each reading connection, KiB.
const READER_CACHE_KIB: i64 = 4 << 10;
/// Prepared statements that a connection keeps.
const STATEMENTS_MAX: usize = 32;

/// An open database, held by this broker alone.
pub struct SqliteStore {
    connection: Connection,
    checkpointer: Checkpointer,
    reader: Arc<SqliteReader>,
    // Let go last: after it another broker may open the database.
    _lock: File,
}

impl SqliteStore {
    /// Opens or makes the database; fails with `store.locked` while another broker has it.
    pub fn open(path: &Path) -> Result<Box<dyn Store>, StoreError> {
        let lock = lock(path)?;
        let connection = connect(path, OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
        let mode: String = connection.pragma_update_and_check(None, "journal_mode", "wal", |r| r.get(0))?;
        if mode != "wal" {
            return Err(open_error(path, format!("no write-ahead log is possible there (got `{mode}`)")));
        }
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.pragma_update(None, "journal_size_limit", checkpoint::WAL_KEPT_BYTES)?;
        schema::migrate(&connection)?;
        let left = beside(path, "-wal").metadata().map_or(0, |wal| wal.len());
        let checkpointer = Checkpointer::start(connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?, left)?;
        let reader = Arc::new(SqliteReader::new(path.to_owned()));
        Ok(Box::new(Self { connection, checkpointer, reader, _lock: lock }))
    }
}

impl Store for SqliteStore {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        self.checkpointer.before_batch(&self.connection)?;
        Ok(Box::new(SqliteTransaction::begin(&self.connection, &self.checkpointer)?))
    }

    fn reader(&self) -> Arc<dyn Reader> {
        self.reader.clone()
    }
}

/// Writes a copy of a database as it is at this moment, while a broker may be at work on it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let connection = connect(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let name = to.to_str().ok_or_else(|| open_error(to, "its name is not UTF-8".to_owned()))?;
    connection.execute("VACUUM INTO ?1", [name])?;
    let written = File::open(to).and_then(|file| file.sync_all());
    written.map_err(|error| open_error(to, error.to_string()))
}

/// Opens a database that no broker has, checks its pages, and reads it.
pub(crate) fn open_copy(path: &Path) -> Result<Arc<dyn Reader>, StoreError> {
    let _lock = lock(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    schema::migrate(&connection)?;
    let answer: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if answer != "ok" {
        return Err(StoreError::Corrupt(format!("{}: {answer}", path.display())));
    }
    Ok(Arc::new(SqliteReader::new(path.to_owned())))
}

/// Gives a database that nobody has open another name, on the same file system.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), StoreError> {
    let connection = connect(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| StoreError::from(error))?;
    let renamed = std::fs::rename(from, to).and_then(|()| std::fs::remove_file(beside(from, ".lock")));
    renamed.map_err(|error| open_error(to, error.to_string()))
}

/// The file beside the database whose name goes on like this.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = beside(path, ".lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(|error| open_error(&lock_path, error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.display().to_string() }),
        Err(TryLockError::Error(error)) => Err(open_error(&lock_path, error.to_string())),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| open_error(path, e.to_string()))?;
    connection.busy_timeout(Duration::from_millis(BUSY_MS))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(connection)
}

fn open_error(path: &Path, reason: String) -> StoreError {
    StoreError::Open { path: path.display().to_string(), reason }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::Full(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
            Some(_) | None => StoreError::Failed(text),
        }
    }
}
