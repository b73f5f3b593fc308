//! What other brokers change in the shared database, told to whoever watches here.
//!
//! Word from broker to broker is a hint and can get lost; looking at the revisions of what is watched,
//! every two seconds, is the truth.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use remit_loops::ObjectId;

use crate::engine::shared::Shared;
use crate::store::{Heard, Peers, Reader, StoreError};

/// How long one wait for word lasts.
const LISTEN: Duration = Duration::from_millis(500);
/// How often revisions are compared.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many objects one look asks for at once.
const PAGE: usize = 1_000;

/// Follows what the other brokers do, on a thread of its own.
pub(super) struct Follower {
    peers: Arc<dyn Peers>,
    shared: Arc<Shared>,
    reader: Arc<dyn Reader>,
    revisions: HashMap<ObjectId, u64>,
}

impl Follower {
    pub(super) fn new(peers: Arc<dyn Peers>, shared: &Arc<Shared>, reader: Arc<dyn Reader>) -> Self {
        Self { peers, shared: shared.clone(), reader, revisions: HashMap::new() }
    }

    /// Follows until the engine has ended.
    pub(super) fn run(mut self) {
        let mut looked = Instant::now();
        while !*self.shared.ended.borrow() {
            let Heard { changed, everything } = self.peers.listen(LISTEN);
            self.shared.watchers.fire(changed.iter());
            if everything {
                self.shared.watchers.fire_all();
            }
            if looked.elapsed() >= LOOK_EVERY {
                looked = Instant::now();
                if let Err(error) = self.look() {
                    tracing::debug!(%error, "could not look for what other brokers changed");
                }
            }
        }
    }

    /// Wakes the watchers of what has changed since the last look.
    fn look(&mut self) -> Result<(), StoreError> {
        let watched = self.shared.watchers.ids();
        let mut revisions = HashMap::with_capacity(watched.len());
        for ids in watched.chunks(PAGE) {
            let found = self.reader.revisions(ids)?;
            revisions.extend(ids.iter().cloned().zip(found));
        }
        let before = std::mem::replace(&mut self.revisions, revisions);
        let changed = self.revisions.iter().filter(|(id, now)| before.get(*id).is_some_and(|b| b != *now));
        self.shared.watchers.fire(changed.map(|(id, _)| id));
        Ok(())
    }
}
