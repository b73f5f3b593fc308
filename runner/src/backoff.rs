//! Waiting longer after each failure, with jitter so that a fleet does not come back at once.

use std::time::Duration;

/// Grows from `base` to `max`, with full jitter over the upper half.
#[derive(Clone, Debug)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// One that begins at `base` and never waits longer than `max`.
    pub fn new(base: Duration, max: Duration) -> Self {
        Self { base, max, failures: 0 }
    }

    /// For calls to the broker: 200 ms to 15 s.
    pub fn broker() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(15))
    }

    /// It worked: begin anew.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let whole = self.base.saturating_mul(1 << self.failures.min(16)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        let half = whole / 2;
        half + half.mul_f64(random_fraction())
    }

    /// Waits.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.next_wait()).await;
    }
}

fn random_fraction() -> f64 {
    let mut bytes = [0u8; 4];
    // Without randomness only the jitter is lost.
    if getrandom::fill(&mut bytes).is_err() {
        return 1.0;
    }
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        let waits: Vec<Duration> = (0..10).map(|_| backoff.next_wait()).collect();
        assert!(waits[0] >= Duration::from_millis(50) && waits[0] <= Duration::from_millis(100));
        assert!(waits[9] >= Duration::from_secs(1) && waits[9] <= Duration::from_secs(2));
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }
}
