//! What people and programs see of the locks.

use serde_json::{Value, json};

use super::record::Record;
use super::{Locks, lock};

impl Locks {
    /// Where the locks are, and who holds which, as far as this process has seen.
    pub fn view(&self) -> Value {
        let seen = lock(&self.seen);
        let held: Vec<Value> = seen.values().filter(|r| r.is_held()).map(|r| self.holder(r)).collect();
        json!({ "kind": self.place.kind(), "place": self.place.of("COMPONENT"), "held": held })
    }

    fn holder(&self, record: &Record) -> Value {
        json!({
            "component": record.component,
            "job": record.attempt.job,
            "attempt": record.attempt.attempt,
            "fence": record.attempt.fence,
            "generation": record.generation,
            "phase": record.phase,
            "since_ms": record.since_ms,
            "since": when(record.since_ms),
            "owner": record.owner.to_string(),
            "own": record.owner.process == self.me.process,
            "holding": record.holding(),
        })
    }
}

/// A moment, for people.
pub(super) fn when(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| "long ago".to_owned(), |t| t.strftime("%F %T UTC").to_string())
}
