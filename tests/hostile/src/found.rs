//! What came of the tries.

use std::collections::BTreeMap;

/// How many breaches are told.
const BREACHES_MAX: usize = 10;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) tries: u64,
    pub(crate) begun: u64,
    pub(crate) honest: u64,
    pub(crate) honest_refused: u64,
    pub(crate) refused: BTreeMap<&'static str, u64>,
    pub(crate) breaches: Vec<String>,
}

impl Found {
    /// Something that must not be came through, or not.
    pub(crate) fn tried(&mut self, answer: Option<&'static str>, what: impl FnOnce() -> String) {
        self.tries += 1;
        match answer {
            Some(code) => *self.refused.entry(code).or_default() += 1,
            None => {
                self.begun += 1;
                if self.breaches.len() < BREACHES_MAX {
                    self.breaches.push(what());
                }
            }
        }
    }

    /// Something that must come through did, or not.
    pub(crate) fn begins(&mut self, answer: Option<&'static str>, what: impl FnOnce(&str) -> String) {
        self.honest += 1;
        let Some(code) = answer else { return };
        self.honest_refused += 1;
        if self.breaches.len() < BREACHES_MAX {
            self.breaches.push(what(code));
        }
    }

    pub(crate) fn add(&mut self, other: Found) {
        self.tries += other.tries;
        self.begun += other.begun;
        self.honest += other.honest;
        self.honest_refused += other.honest_refused;
        self.breaches.extend(other.breaches);
        self.breaches.truncate(BREACHES_MAX);
        for (code, count) in other.refused {
            *self.refused.entry(code).or_default() += count;
        }
    }
}
