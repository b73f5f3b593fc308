//! What the engine counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of [`Metrics::batch_sizes`]; the last one holds the rest.
pub const BATCH_BUCKETS: [usize; 8] = [1, 4, 16, 64, 256, 1_024, 4_096, usize::MAX];

/// Figures of the engine since its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Submissions stored.
    pub accepted: u64,
    /// Submissions whose key was seen before.
    pub duplicates: u64,
    /// Submissions that a loop refused.
    pub rejected: u64,
    /// Submissions refused because too much was waiting.
    pub busy: u64,
    /// Notices between loops stored.
    pub notices: u64,
    /// Notices that the loop they went to refused; each is on its timeline.
    pub notices_refused: u64,
    /// Notices that went to the inbox: their commit was full, or another broker held their object.
    pub notices_deferred: u64,
    /// Batches run again because another broker was faster.
    pub conflicts: u64,
    /// Ticks given.
    pub ticks: u64,
    /// Commits.
    pub commits: u64,
    /// Time spent in commits, microseconds.
    pub commit_us: u64,
    /// Commits by how many items they held: the upper bounds are [`BATCH_BUCKETS`].
    pub batch_sizes: [u64; BATCH_BUCKETS.len()],
    /// Events that wait to be stored now.
    pub queue_depth: usize,
    /// Objects somebody watches now.
    pub watched: usize,
}

/// The counters behind [`Metrics`].
#[derive(Default)]
pub(super) struct Counters {
    pub(super) accepted: AtomicU64,
    pub(super) duplicates: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) busy: AtomicU64,
    pub(super) notices: AtomicU64,
    pub(super) notices_refused: AtomicU64,
    pub(super) notices_deferred: AtomicU64,
    pub(super) conflicts: AtomicU64,
    pub(super) ticks: AtomicU64,
    commits: AtomicU64,
    commit_us: AtomicU64,
    batch_sizes: [AtomicU64; BATCH_BUCKETS.len()],
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn committed(&self, items: usize, took: Duration) {
        count(&self.commits);
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit_us.fetch_add(us, Ordering::Relaxed);
        let bucket = BATCH_BUCKETS.partition_point(|bound| *bound < items);
        count(&self.batch_sizes[bucket]);
    }

    pub(super) fn read(&self, queue_depth: usize, watched: usize) -> Metrics {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            accepted: get(&self.accepted),
            duplicates: get(&self.duplicates),
            rejected: get(&self.rejected),
            busy: get(&self.busy),
            notices: get(&self.notices),
            notices_refused: get(&self.notices_refused),
            notices_deferred: get(&self.notices_deferred),
            conflicts: get(&self.conflicts),
            ticks: get(&self.ticks),
            commits: get(&self.commits),
            commit_us: get(&self.commit_us),
            batch_sizes: std::array::from_fn(|i| get(&self.batch_sizes[i])),
            queue_depth,
            watched,
        }
    }
}
