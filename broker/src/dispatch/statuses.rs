//! Statuses that were signed lately: one serves every runner of its org for some minutes.
//!
//! Otherwise a revocation would cost one signature for each runner at the same moment, and a KMS gives out
//! some hundreds in a second.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use remit_seal::document::Status;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// How long one is handed out. A runner asks for another every hour.
const REUSE_FOR_MS: i64 = 10 * 60_000;
/// Orgs in the cache; it is emptied when it is full.
const ORGS_MAX: usize = 10_000;

/// The newest status of each org.
#[derive(Default)]
pub(super) struct Statuses {
    by_org: Mutex<HashMap<String, Arc<Turn<Option<Kept>>>>>,
}

/// A status as it was signed.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) document: Status,
    /// The ids of the keys that signed it.
    pub(super) keys: Vec<String>,
    pub(super) bytes: Vec<u8>,
}

impl Statuses {
    /// The org's turn: who holds it signs, the others wait and find it signed.
    pub(super) async fn turn(&self, org: &str) -> OwnedMutexGuard<Option<Kept>> {
        let turn = {
            let mut by_org = self.by_org.lock().unwrap_or_else(PoisonError::into_inner);
            if by_org.len() >= ORGS_MAX && !by_org.contains_key(org) {
                by_org.clear();
            }
            by_org.entry(org.to_owned()).or_default().clone()
        };
        turn.lock_owned().await
    }
}

impl Kept {
    /// Whether it says what this one says, later than `since_ms`, lately, and signed by all of these.
    pub(super) fn serves(&self, wanted: &Status, since_ms: i64, keys: &[String]) -> bool {
        let Status { vendor, root_version, time_ms: _, expires_ms: _, floors, revoked } = &self.document;
        let age_ms = wanted.time_ms.saturating_sub(self.document.time_ms);
        (0..REUSE_FOR_MS).contains(&age_ms)
            && self.document.time_ms >= since_ms
            && (vendor, *root_version, floors, revoked)
                == (&wanted.vendor, wanted.root_version, &wanted.floors, &wanted.revoked)
            && self.keys == keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(time_ms: i64) -> Status {
        Status {
            vendor: "demo".into(),
            root_version: 3,
            time_ms,
            expires_ms: time_ms + 1_000_000,
            floors: [("shop/stable".to_owned(), 4)].into(),
            revoked: vec!["a".into()],
        }
    }

    #[test]
    fn a_status_serves_while_it_says_the_same() {
        let kept = Kept { document: status(5_000), keys: vec!["k".into()], bytes: vec![] };
        let check = |spoil: fn(&mut Status), since_ms, key: &str| {
            let mut wanted = status(6_000);
            spoil(&mut wanted);
            kept.serves(&wanted, since_ms, &[key.to_owned()])
        };
        assert!(check(|_| (), 5_000, "k"));
        assert!(check(|s| s.time_ms = 5_000 + REUSE_FOR_MS - 1, 0, "k"));
        assert!(!check(|_| (), 5_001, "k"), "the org's word is newer");
        assert!(!check(|_| (), 0, "l"), "another key signs now");
        for spoil in [
            |s: &mut Status| s.time_ms = 4_999,
            |s: &mut Status| s.time_ms = 5_000 + REUSE_FOR_MS,
            |s: &mut Status| s.root_version = 4,
            |s: &mut Status| s.vendor = "rival".into(),
            |s: &mut Status| s.revoked.clear(),
            |s: &mut Status| s.floors.clear(),
        ] {
            assert!(!check(spoil, 0, "k"));
        }
    }
}
