//! What the journal remembers of approvals that are used up, of the kinds of what was deployed, and of the numbers
//! that were accepted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::record::{Accepted, Used};

/// How many words of the customer's are remembered as used up; those that end soonest make room.
const SPENT_MAX: usize = 4096;
/// How many components' kinds are remembered: more than a release has components.
const KINDS_MAX: usize = 1024;
/// How many keys' numbers are remembered; those of the lowest numbers make room.
const KEYS_MAX: usize = 256;

/// All of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Words of the customer's that ended with a success, by their digests, and until when they would have counted.
    spent: BTreeMap<String, i64>,
    /// What a component's last deploy was, by the component.
    kinds: BTreeMap<String, String>,
    /// The numbers.
    pub marks: Marks,
}

impl Ledger {
    /// These words have ended.
    pub fn spend(&mut self, used: &[Used], at_ms: i64) {
        self.spent.retain(|_, until_ms| *until_ms > at_ms);
        self.spent.extend(used.iter().map(|used| (used.word.clone(), used.until_ms)));
        while self.spent.len() > SPENT_MAX {
            let soonest = self.spent.iter().min_by_key(|(_, until_ms)| **until_ms);
            let Some(word) = soonest.map(|(word, _)| word.clone()) else { return };
            self.spent.remove(&word);
        }
    }

    /// Whether a word has ended with a success.
    pub fn is_spent(&self, word: &str) -> bool {
        self.spent.contains_key(word)
    }

    /// A deploy of a component of this kind has begun.
    pub(super) fn deployed(&mut self, accepted: &Accepted) {
        if self.kinds.len() < KINDS_MAX || self.kinds.contains_key(&accepted.task.component) {
            self.kinds.insert(accepted.task.component.clone(), accepted.task.kind.clone());
        }
    }

    /// A component is removed.
    pub(super) fn removed(&mut self, component: &str) {
        self.kinds.remove(component);
    }

    /// What a component's last deploy was.
    pub fn kind(&self, component: &str) -> Option<&str> {
        self.kinds.get(component).map(String::as_str)
    }
}

/// The greatest numbers that were accepted. Sequence numbers are counted for each dispatch key, so that those of a
/// key that is gone hold up nobody; fences since a moment, which only a new root or the customer makes later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    seqs: BTreeMap<String, u64>,
    fence: u64,
    /// Since when fences are counted, as it was when the greatest of them was accepted.
    since_ms: i64,
    /// The customer had them counted anew then; what was signed before is not accepted any more.
    pub reset_ms: i64,
}

impl Marks {
    /// A job with these was accepted.
    pub fn accept(&mut self, accepted: &Accepted) {
        let keys =
            if accepted.counted.keys.is_empty() { &[String::new()][..] } else { &accepted.counted.keys };
        for key in keys {
            let high = self.seqs.entry(key.clone()).or_default();
            *high = (*high).max(accepted.counted.seq);
        }
        while self.seqs.len() > KEYS_MAX {
            let lowest = self.seqs.iter().min_by_key(|(_, seq)| **seq).map(|(key, _)| key.clone());
            let Some(key) = lowest else { return };
            self.seqs.remove(&key);
        }
        let fence = accepted.attempt.fence;
        self.fence = if accepted.counted.since_ms > self.since_ms { fence } else { self.fence.max(fence) };
        self.since_ms = self.since_ms.max(accepted.counted.since_ms);
    }

    /// The customer has them counted anew from this moment on.
    pub(super) fn reset(&mut self, at_ms: i64) {
        let reset_ms = at_ms.max(self.reset_ms.saturating_add(1));
        *self = Self { reset_ms, ..Self::default() };
    }

    /// The greatest sequence number under a root with these dispatch keys; 0 for none.
    pub fn seq_high<'a>(&self, mut keys: impl Iterator<Item = &'a String>) -> u64 {
        let nobodys = self.seqs.get("").copied();
        let of_keys = keys.by_ref().filter_map(|key| self.seqs.get(key).copied());
        of_keys.chain(nobodys).max().unwrap_or(0)
    }

    /// The greatest fence since then; 0 for none.
    pub fn fence_high(&self, since_ms: i64) -> u64 {
        if since_ms > self.since_ms { 0 } else { self.fence }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Attempt;
    use crate::storage::journal::{Consented, Counted, Task};

    fn accepted(key: &str, seq: u64, since_ms: i64) -> Accepted {
        Accepted {
            attempt: Attempt { job: "job_a".to_owned(), attempt: 1, fence: seq },
            counted: Counted { seq, keys: vec![key.to_owned()], since_ms },
            envelope: String::new(),
            release: String::new(),
            release_counter: 1,
            channel: "stable".to_owned(),
            rollback_floor: 1,
            task: Task {
                component: "network".to_owned(),
                kind: "script".to_owned(),
                operation: "deploy".to_owned(),
                class: remit_seal::document::Class::Change,
                rehearsal: false,
            },
            policy: None,
            break_glass: None,
            permit: None,
            consent: Consented::default(),
        }
    }

    fn high(marks: &Marks, keys: &[&str]) -> u64 {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        marks.seq_high(keys.iter())
    }

    #[test]
    fn the_numbers_of_a_key_that_is_gone_hold_up_nobody() {
        let mut marks = Marks::default();
        marks.accept(&accepted("old", 1 << 50, 1));
        marks.accept(&accepted("kept", 7, 1));
        assert_eq!(high(&marks, &["old", "kept"]), 1 << 50);
        assert_eq!((high(&marks, &["kept"]), high(&marks, &["kept", "new"])), (7, 7));
        assert_eq!(high(&marks, &["new"]), 0);
        assert_eq!((marks.fence_high(1), marks.fence_high(0), marks.fence_high(2)), (1 << 50, 1 << 50, 0));
        marks.accept(&accepted("kept", 8, 2));
        assert_eq!((marks.fence_high(2), marks.fence_high(1)), (8, 8));
    }

    #[test]
    fn the_customer_has_them_counted_anew() {
        let mut marks = Marks::default();
        marks.accept(&accepted("a", 9, 0));
        marks.reset(5);
        assert_eq!((high(&marks, &["a"]), marks.fence_high(0), marks.reset_ms), (0, 0, 5));
        marks.reset(3);
        assert_eq!(marks.reset_ms, 6, "each time is later than the one before");
    }

    #[test]
    fn what_is_used_up_is_remembered_until_it_would_have_ended() {
        let mut ledger = Ledger::default();
        let used = |word: &str, until_ms| Used { word: word.to_owned(), until_ms };
        ledger.spend(&[used("a", 10), used("b", 20)], 1);
        assert!(ledger.is_spent("a") && ledger.is_spent("b") && !ledger.is_spent("c"));
        ledger.spend(&[], 15);
        assert!(!ledger.is_spent("a") && ledger.is_spent("b"));
        let many: Vec<Used> = (0..SPENT_MAX).map(|n| used(&n.to_string(), 30)).collect();
        ledger.spend(&many, 15);
        assert!(!ledger.is_spent("b") && ledger.is_spent("0"), "the one that ends soonest made room");
    }
}
