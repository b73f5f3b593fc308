//! A runner as the protocol wants it: journal before effect, start only when confirmed,
//! say how it ended until somebody has heard it.

use std::collections::BTreeMap;

use remit_loops::job::{AttemptId, JobSpec, Outcome};

/// Names an attempt with its fence: what the journal is keyed by.
pub(crate) type Key = (AttemptId, u64);

/// How far an attempt is, on the runner's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Accepted,
    Begun { pid: u64 },
    Ended { outcome: Outcome, reported: bool },
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) spec: JobSpec,
    pub(crate) seq: u64,
    pub(crate) state: State,
}

/// One runner: a host with a disk. A replaced host is another runner with an empty disk.
pub(crate) struct Runner {
    pub(crate) install: usize,
    pub(crate) generation: u64,
    /// Whether its process is there.
    pub(crate) up: bool,
    /// Whether its host is there; a terminated host runs nothing.
    pub(crate) host_up: bool,
    pub(crate) journal: BTreeMap<Key, Entry>,
    pub(crate) seq_high: u64,
    /// When it was heard of last.
    pub(crate) heard_ms: i64,
}

impl Runner {
    pub(crate) fn new(install: usize, generation: u64, now_ms: i64) -> Self {
        let journal = BTreeMap::new();
        Self { install, generation, up: true, host_up: true, journal, seq_high: 0, heard_ms: now_ms }
    }

    /// How many attempts it has that are not over.
    pub(crate) fn busy(&self) -> usize {
        self.journal.values().filter(|e| !matches!(e.state, State::Ended { .. })).count()
    }

    /// Whether another attempt of the same component has begun and is not over: the component's lock.
    pub(crate) fn is_locked(&self, key: &Key) -> bool {
        let Some(entry) = self.journal.get(key) else { return false };
        self.journal.iter().any(|(other, e)| {
            other != key && e.spec.component == entry.spec.component && matches!(e.state, State::Begun { .. })
        })
    }

    pub(crate) fn end(&mut self, key: &Key, outcome: Outcome) {
        if let Some(entry) = self.journal.get_mut(key)
            && !matches!(entry.state, State::Ended { .. })
        {
            entry.state = State::Ended { outcome, reported: false };
        }
    }
}
