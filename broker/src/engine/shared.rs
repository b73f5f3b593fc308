//! What the committer and the engine's handles share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::watch;

use crate::engine::cache::Cache;
use crate::engine::clock::Clock;
use crate::engine::intake::Intake;
use crate::engine::metrics::Counters;
use crate::engine::watch::Watchers;
use crate::store::Peers;

/// What the committer and the engine's handles share.
pub(super) struct Shared {
    pub(super) intake: Intake,
    pub(super) cache: Cache,
    pub(super) watchers: Watchers,
    pub(super) counters: Counters,
    pub(super) clock: Clock,
    /// The brokers with which this one shares its database, if it does.
    pub(super) peers: Option<Arc<dyn Peers>>,
    /// The database does not answer; it is tried again.
    pub(super) store_is_away: AtomicBool,
    /// Becomes true when the committer has ended and the store is closed.
    pub(super) ended: watch::Sender<bool>,
}
