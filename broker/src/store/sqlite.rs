//! The embedded store: SQLite, write-ahead log, every commit on disk before it returns.

use std::path::Path;

use crate::store::{Store, StoreError};

/// An open database, held by this broker alone.
pub struct SqliteStore {}

impl SqliteStore {
    /// Opens or makes the database; fails with `store.locked` while another broker has it.
    pub fn open(_path: &Path) -> Result<Box<dyn Store>, StoreError> {
        todo!()
    }
}
