//! Copies the write-ahead log back into the database, beside the writer, and keeps it bounded.
//!
//! The bulk of a checkpoint runs on a thread and a connection of its own while commits go on. What
//! came in meanwhile is little: the writer copies it between two batches, and the log starts anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::store::StoreError;

/// SQLite's page size, the unit in which the log grows.
pub(super) const PAGE_BYTES: u64 = 4_096;
/// A log of this size is copied back beside the writer.
const WAL_COPY_BYTES: u64 = 48 << 20;
/// A log of this size stops the writer until it is copied back: its hard bound.
const WAL_STOP_BYTES: u64 = 256 << 20;
/// How much of the log's file is kept for re-use when it starts anew.
pub(super) const WAL_KEPT_BYTES: u64 = 64 << 20;

/// What the writer and the copying thread share.
#[derive(Default)]
struct Shared {
    /// About how long the log is; never less than it really is.
    log_bytes: AtomicU64,
    /// The thread has copied almost all; the writer should finish it.
    almost_done: AtomicBool,
    /// The thread is at it.
    at_it: AtomicBool,
}

/// The writer's end of it.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    /// Starts the copying thread; the log already has so many bytes.
    pub(super) fn start(connection: Connection, log_bytes: u64) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared { log_bytes: AtomicU64::new(log_bytes), ..Shared::default() });
        let (wake, woken) = sync_channel(1);
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("checkpointer".into())
            .spawn(move || copy_when_woken(&connection, &theirs, &woken))
            .map_err(|error| StoreError::Failed(error.to_string()))?;
        Ok(Self { shared, wake: Some(wake), thread: Some(thread) })
    }

    /// The writer has committed about so many bytes.
    pub(super) fn wrote(&self, bytes: u64) {
        let bytes = bytes + PAGE_BYTES;
        let log = self.shared.log_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if log >= WAL_COPY_BYTES
            && !self.shared.almost_done.load(Ordering::Acquire)
            && !self.shared.at_it.swap(true, Ordering::AcqRel)
            && let Some(wake) = &self.wake
        {
            // The channel holds one: a full one means that the thread is about to wake anyway.
            let _ = wake.try_send(());
        }
    }

    /// Between two batches: finishes what the thread has almost done.
    pub(super) fn before_batch(&self, writer: &Connection) -> Result<(), StoreError> {
        let full = self.shared.log_bytes.load(Ordering::Relaxed) >= WAL_STOP_BYTES;
        if !full && !self.shared.almost_done.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let mode = if full { "RESTART" } else { "PASSIVE" };
        let copied = checkpoint(writer, mode)?;
        if copied.is_whole() {
            self.shared.log_bytes.store(0, Ordering::Relaxed);
        }
        tracing::debug!(?copied, mode, "finished a checkpoint");
        Ok(())
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.wake.take();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpointing thread panicked");
        }
    }
}

fn copy_when_woken(connection: &Connection, shared: &Shared, woken: &Receiver<()>) {
    while woken.recv().is_ok() {
        // The second pass copies what came in during the first: it leaves the writer next to nothing.
        for _ in 0..2 {
            if let Err(error) = checkpoint(connection, "PASSIVE") {
                tracing::warn!(%error, "a checkpoint failed; it is tried again");
            }
        }
        shared.almost_done.store(true, Ordering::Release);
        shared.at_it.store(false, Ordering::Release);
    }
}

/// How far a checkpoint got, in pages.
#[derive(Debug)]
struct Copied {
    log: i64,
    copied: i64,
}

impl Copied {
    fn is_whole(&self) -> bool {
        self.log == self.copied
    }
}

fn checkpoint(connection: &Connection, mode: &str) -> Result<Copied, StoreError> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    let read = |row: &rusqlite::Row<'_>| Ok(Copied { log: row.get(1)?, copied: row.get(2)? });
    Ok(connection.prepare_cached(&sql)?.query_row([], read)?)
}
