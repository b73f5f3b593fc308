//! The time that events get: never before the newest event, whatever the system's clock does.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use remit_loops::Timestamp;

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum ClockSource {
    /// The system's clock.
    #[default]
    System,
    /// A number that a test moves, milliseconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl ClockSource {
    fn read(&self) -> i64 {
        match self {
            ClockSource::System => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
            }
            ClockSource::Manual(at) => at.load(Ordering::Acquire),
        }
    }
}

/// The engine's clock.
pub(super) struct Clock {
    source: ClockSource,
    /// How far the source is behind the clock that brokers share, milliseconds.
    behind: AtomicI64,
    last: AtomicI64,
}

impl Clock {
    /// Goes on after the newest event of the log.
    pub(super) fn new(source: ClockSource, last: Timestamp) -> Self {
        Self { source, behind: AtomicI64::new(0), last: AtomicI64::new(last.0) }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.read().max(self.last.load(Ordering::Acquire)))
    }

    fn read(&self) -> i64 {
        self.source.read().saturating_add(self.behind.load(Ordering::Acquire))
    }

    /// The time for the events of one batch, by the clock that brokers share.
    pub(super) fn follow(&self, theirs: Timestamp) -> Timestamp {
        self.behind.store(theirs.0.saturating_sub(self.source.read()), Ordering::Release);
        self.stamp()
    }

    /// The time for the events of one batch.
    pub(super) fn stamp(&self) -> Timestamp {
        let now = self.read();
        Timestamp(self.last.fetch_max(now, Ordering::AcqRel).max(now))
    }

    /// How long the committer may sleep before it looks at the clock again.
    pub(super) fn sleep_ms_max(&self) -> i64 {
        match self.source {
            ClockSource::System => 1_000,
            ClockSource::Manual(_) => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_back_does_not_take_events_back() {
        let source = Arc::new(AtomicI64::new(1_000));
        let clock = Clock::new(ClockSource::Manual(source.clone()), Timestamp(1_500));
        assert_eq!(clock.stamp(), Timestamp(1_500));
        source.store(2_000, Ordering::Release);
        assert_eq!(clock.stamp(), Timestamp(2_000));
        source.store(1_700, Ordering::Release);
        assert_eq!((clock.now(), clock.stamp()), (Timestamp(2_000), Timestamp(2_000)));
    }

    #[test]
    fn the_shared_clock_counts_however_wrong_the_own_one_is() {
        let source = Arc::new(AtomicI64::new(9_000));
        let clock = Clock::new(ClockSource::Manual(source.clone()), Timestamp(0));
        assert_eq!(clock.follow(Timestamp(1_000)), Timestamp(1_000));
        source.store(9_500, Ordering::Release);
        assert_eq!(clock.now(), Timestamp(1_500));
        assert_eq!(clock.follow(Timestamp(1_400)), Timestamp(1_400));
        assert_eq!(clock.follow(Timestamp(1_300)), Timestamp(1_400), "not even that goes back");
    }
}
