//! How fast one runner may call, and log: budgets that fill up again. An honest runner never meets the end of
//! the first and is slowed down by the second; one that floods waits, and nobody else does.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;
use remit_loops::ObjectId;
use tonic::{Code, Status};

use super::status::refuse;

/// How many calls in one go.
const CALLS_BURST: f64 = 400.0;
/// How many a second, on and on: four jobs that log as much as they may make a tenth of them.
const CALLS_PER_S: f64 = 100.0;
/// What a call costs that makes this broker sign a certificate, in calls.
pub(super) const COST_OF_CERTIFICATE: f64 = 100.0;
/// How much log in one go, bytes.
const LOG_BURST: f64 = (8 << 20) as f64;
/// How much a second, on and on: four jobs at 1 MiB each.
const LOG_PER_S: f64 = (4 << 20) as f64;
/// Log that would have to wait longer than this is refused, and sent again later.
const LOG_WAIT_MAX: Duration = Duration::from_secs(5);
/// Of how many runners it is known how fast they call; those that called last.
const RUNNERS_MAX: usize = 65_536;

/// What is left, as of a moment.
struct Budget {
    calls: f64,
    log: f64,
    at: Instant,
}

impl Budget {
    fn fill(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.calls = (self.calls + since * CALLS_PER_S).min(CALLS_BURST);
        self.log = (self.log + since * LOG_PER_S).min(LOG_BURST);
        self.at = now;
    }
}

/// What runners have called lately.
pub(super) struct Pace(Mutex<LruCache<ObjectId, Budget>>);

impl Default for Pace {
    fn default() -> Self {
        let size = NonZeroUsize::new(RUNNERS_MAX).expect("it is a constant above zero");
        Self(Mutex::new(LruCache::new(size)))
    }
}

fn too_fast(what: &str) -> Status {
    let message = format!("this runner {what} too fast; it waits a moment and goes on");
    refuse(Code::ResourceExhausted, "rpc.too_many_calls", message)
}

impl Pace {
    fn with<T>(&self, runner: &ObjectId, now: Instant, spend: impl FnOnce(&mut Budget) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = || Budget { calls: CALLS_BURST, log: LOG_BURST, at: now };
        let budget = all.get_or_insert_mut(runner.clone(), full);
        budget.fill(now);
        spend(budget)
    }

    /// Counts a call of this cost, or refuses it.
    pub(super) fn count(&self, runner: &ObjectId, cost: f64, now: Instant) -> Result<(), Status> {
        self.with(runner, now, |budget| {
            if budget.calls < cost {
                return Err(too_fast("calls"));
            }
            budget.calls -= cost;
            Ok(())
        })
    }

    /// How long so many bytes of log have to wait, if not for too long.
    pub(super) fn log(&self, runner: &ObjectId, bytes: usize, now: Instant) -> Result<Duration, Status> {
        self.with(runner, now, |budget| {
            let left = budget.log - bytes as f64;
            let wait = Duration::from_secs_f64((-left).max(0.0) / LOG_PER_S);
            if wait > LOG_WAIT_MAX {
                return Err(too_fast("logs"));
            }
            budget.log = left;
            Ok(wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runners() -> [ObjectId; 2] {
        ["run_a.b.c", "run_a.b.d"].map(|id| id.parse().unwrap())
    }

    #[test]
    fn a_flood_is_refused_and_its_neighbour_is_not() {
        let (pace, now, [flood, other]) = (Pace::default(), Instant::now(), runners());
        let taken = (0..2_000).filter(|_| pace.count(&flood, 1.0, now).is_ok()).count();
        assert_eq!(taken, 400);
        assert!(pace.count(&other, 1.0, now).is_ok());
        let later = now + Duration::from_secs(1);
        let taken = (0..2_000).filter(|_| pace.count(&flood, 1.0, later).is_ok()).count();
        assert_eq!(taken, 100);
        let calm = later + Duration::from_secs(60);
        assert!(pace.count(&flood, COST_OF_CERTIFICATE, calm).is_ok());
    }

    #[test]
    fn log_is_slowed_down_and_then_refused() {
        let (pace, now, [flood, other]) = (Pace::default(), Instant::now(), runners());
        let waits: Vec<_> = (0..64).map(|_| pace.log(&flood, 1 << 20, now).ok()).collect();
        assert!(waits[..8].iter().all(|wait| *wait == Some(Duration::ZERO)));
        assert_eq!(waits[8], Some(Duration::from_millis(250)));
        assert_eq!(waits.iter().filter(|wait| wait.is_some()).count(), 28, "five seconds of four a second");
        assert_eq!(pace.log(&other, 1 << 20, now).unwrap(), Duration::ZERO);
        assert!(pace.log(&flood, 1 << 20, now + Duration::from_secs(1)).is_ok());
    }
}
