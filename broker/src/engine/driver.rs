//! The engine without its thread: whoever holds the driver says when a batch is run.
//!
//! The same code as the committer's thread runs, for simulations and for benches of one batch.

use std::sync::Arc;

use remit_loops::{ObjectId, Timestamp};

use crate::engine::committer::{Committer, EndGuard};
use crate::engine::{Snapshot, snapshot};
use crate::store::{Reader, StoreError};

/// Runs an engine's batches, one a call. Dropped, the engine has ended as if its process were killed.
pub struct Driver {
    committer: Committer,
    reader: Arc<dyn Reader>,
    _guard: EndGuard,
}

impl Driver {
    pub(super) fn new(committer: Committer, reader: Arc<dyn Reader>, guard: EndGuard) -> Self {
        Self { committer, reader, _guard: guard }
    }

    /// Does what waits now as one batch and lets out what it decided; false if nothing was done:
    /// nothing waits, or the store has failed.
    pub fn turn(&mut self) -> bool {
        self.committer.turn()
    }

    /// When the next object wants a tick; a turn at that time gives it one.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.committer.next_deadline()
    }

    /// An object as it was committed last, known or not; as [`crate::engine::Engine::query`], without a
    /// runtime.
    pub fn object(&self, id: &ObjectId) -> Result<Option<Snapshot>, StoreError> {
        self.reader.object(id)?.map(|stored| snapshot(&stored, &*self.reader)).transpose()
    }
}
