//! A runner as the protocol wants it: journal before effect, start only when confirmed,
//! say how it ended until somebody has heard it.

use std::collections::BTreeMap;

use remit_loops::job::{AttemptId, Outcome};
use remit_loops::runner::JobSpec;

/// Names an attempt with its fence: what the journal is keyed by.
pub(crate) type Key = (AttemptId, u64);

/// How far an attempt is, on the runner's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a few dozen at a time: a box would only cost")]
pub(crate) enum State {
    Accepted,
    /// The component's lock is held, and nothing runs yet.
    Begun,
    Running {
        pid: u64,
    },
    Ended {
        outcome: Outcome,
        reported: bool,
    },
}

impl State {
    fn has_lock(&self) -> bool {
        matches!(self, State::Begun | State::Running { .. })
    }
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
    /// Its place among the install's hosts.
    pub(crate) host: usize,
    /// Whether its process is there.
    pub(crate) up: bool,
    /// Whether its host is there; a terminated host runs nothing.
    pub(crate) host_up: bool,
    /// What its process calls its start.
    pub(crate) boot: u64,
    pub(crate) journal: BTreeMap<Key, Entry>,
    pub(crate) seq_high: u64,
    pub(crate) fence_high: u64,
    /// The greatest fence that held each component's lock.
    pub(crate) fences: BTreeMap<String, u64>,
    /// When it was heard of last.
    pub(crate) heard_ms: i64,
    /// It asks for work, since nobody has told it that its identity is void.
    pub(crate) asks: bool,
    /// Its process is stopped until then.
    pub(crate) paused_until_ms: i64,
    /// Its disk takes nothing until then.
    pub(crate) full_until_ms: i64,
    /// How far its clock is off, milliseconds.
    pub(crate) skew_ms: i64,
}

impl Runner {
    pub(crate) fn new(install: usize, generation: u64, host: usize, now_ms: i64) -> Self {
        Self {
            install,
            generation,
            host,
            up: true,
            host_up: true,
            boot: 1,
            journal: BTreeMap::new(),
            seq_high: 0,
            fence_high: 0,
            fences: BTreeMap::new(),
            heard_ms: now_ms,
            asks: true,
            paused_until_ms: 0,
            full_until_ms: 0,
            skew_ms: 0,
        }
    }

    /// Whether its process is there to do anything.
    pub(crate) fn works(&self) -> bool {
        self.up && self.host_up
    }

    /// How many attempts it has that are not over.
    pub(crate) fn busy(&self) -> usize {
        self.journal.values().filter(|e| !matches!(e.state, State::Ended { .. })).count()
    }

    /// Whether another attempt of the same component has begun and is not over: the component's lock.
    pub(crate) fn is_locked(&self, key: &Key) -> bool {
        let Some(entry) = self.journal.get(key) else { return false };
        let same = |e: &Entry| e.spec.component == entry.spec.component && e.state.has_lock();
        self.journal.iter().any(|(other, e)| other != key && same(e))
    }

    /// Puts an end on record, once. Of those that were reported only the last are remembered.
    pub(crate) fn end(&mut self, key: &Key, outcome: Outcome) {
        if let Some(entry) = self.journal.get_mut(key)
            && !matches!(entry.state, State::Ended { .. })
        {
            entry.state = State::Ended { outcome, reported: false };
        }
        let reported = |e: &Entry| matches!(e.state, State::Ended { reported: true, .. });
        while self.journal.values().filter(|e| reported(e)).count() > FINISHED_MAX {
            let oldest = self.journal.iter().filter(|(_, e)| reported(e)).min_by_key(|(key, _)| key.1);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { break };
            self.journal.remove(&oldest);
        }
    }
}

/// How many reported attempts are remembered.
const FINISHED_MAX: usize = 256;
