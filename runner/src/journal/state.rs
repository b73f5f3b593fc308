//! What the journal's records amount to: the marks that only rise, and the attempts in hand.

use std::collections::{BTreeMap, VecDeque};

use remit_seal::Digest;
use remit_seal::document::KeySpec;
use serde::{Deserialize, Serialize};

use super::record::{Accepted, Entry, Process, Record};
use crate::outcome::{Attempt, Outcome};

/// How many finished attempts are remembered, to know them when they are offered again.
const FINISHED_MAX: usize = 256;

/// How many attempts that were refused for good are remembered: apart, so that no number of them
/// makes a finished one forgotten.
const REFUSED_MAX: usize = 256;

/// The fold of all records.
#[derive(Clone, Debug)]
pub struct State {
    /// Whose journal it is; `None` while it is empty.
    pub install: Option<String>,
    /// What checkpoints are signed with.
    pub key: Option<KeySpec>,
    /// The greatest sequence number that was accepted.
    pub seq_high: u64,
    /// The greatest fence that was accepted.
    pub fence_high: u64,
    /// The lowest release counter that is accepted, by channel.
    pub floors: BTreeMap<String, u64>,
    /// Attempts that were accepted and whose outcome the broker has not acknowledged.
    pub open: BTreeMap<Attempt, Open>,
    /// How many records there are.
    pub records: u64,
    /// The digest of the last one.
    pub head: Digest,
    /// Why the last append failed, while it is so.
    pub trouble: Option<String>,
    finished: VecDeque<Attempt>,
    refused: VecDeque<Attempt>,
}

/// What a later segment begins with, so that it can be read without those before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Whose journal it is.
    pub install: String,
    /// What checkpoints are signed with.
    pub key: Option<KeySpec>,
    /// The greatest sequence number that was accepted.
    pub seq_high: u64,
    /// The greatest fence that was accepted.
    pub fence_high: u64,
    /// The lowest release counter that is accepted, by channel.
    pub floors: BTreeMap<String, u64>,
    /// The attempts in hand.
    pub open: Vec<Open>,
    /// Attempts that are over, oldest first.
    pub finished: Vec<Attempt>,
    /// Attempts that were refused for good, oldest first.
    pub refused: Vec<Attempt>,
}

/// An attempt in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// What was accepted.
    pub accepted: Accepted,
    /// Whether there may have been effects.
    pub begun: bool,
    /// The tools that were started for it.
    pub processes: Vec<Process>,
    /// How it ended, if it did.
    pub outcome: Option<Outcome>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            install: None,
            key: None,
            seq_high: 0,
            fence_high: 0,
            floors: BTreeMap::new(),
            open: BTreeMap::new(),
            records: 0,
            head: Digest::of(b""),
            trouble: None,
            finished: VecDeque::new(),
            refused: VecDeque::new(),
        }
    }
}

impl State {
    /// Takes one record in.
    pub(super) fn apply(&mut self, record: &Record) {
        self.records = record.n;
        match &record.entry {
            Entry::Opened { install, .. } => self.install = Some(install.clone()),
            Entry::Keyed { key } => self.key = Some(key.clone()),
            Entry::Continued { snapshot } => self.restore(snapshot),
            Entry::Accepted(accepted) => self.accept(accepted),
            // What was refused may be a stranger's word; that it is final is said by an ending.
            Entry::Refused { .. } => {}
            Entry::Begun { attempt } => self.change(attempt, |open| open.begun = true),
            Entry::Process(process) => {
                self.change(&process.attempt, |open| open.processes.push(process.clone()));
            }
            Entry::Ended { attempt, outcome } => match self.open.get_mut(attempt) {
                Some(open) => open.outcome = Some(outcome.clone()),
                None => remember(&mut self.refused, attempt, REFUSED_MAX),
            },
            Entry::Reported { attempt, .. } => {
                self.open.remove(attempt);
                remember(&mut self.finished, attempt, FINISHED_MAX);
            }
        }
    }

    /// All of it that a later segment needs.
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot {
            install: self.install.clone().unwrap_or_default(),
            key: self.key.clone(),
            seq_high: self.seq_high,
            fence_high: self.fence_high,
            floors: self.floors.clone(),
            open: self.open.values().cloned().collect(),
            finished: self.finished.iter().cloned().collect(),
            refused: self.refused.iter().cloned().collect(),
        }
    }

    fn restore(&mut self, from: &Snapshot) {
        self.install = Some(from.install.clone());
        self.key.clone_from(&from.key);
        (self.seq_high, self.fence_high) = (from.seq_high, from.fence_high);
        self.floors.clone_from(&from.floors);
        self.open = from.open.iter().map(|open| (open.accepted.attempt.clone(), open.clone())).collect();
        self.finished = from.finished.iter().cloned().collect();
        self.refused = from.refused.iter().cloned().collect();
    }

    fn accept(&mut self, accepted: &Accepted) {
        self.seq_high = self.seq_high.max(accepted.seq);
        self.fence_high = self.fence_high.max(accepted.attempt.fence);
        let floor = self.floors.entry(accepted.channel.clone()).or_default();
        *floor = (*floor).max(accepted.rollback_floor);
        let open = Open { accepted: accepted.clone(), begun: false, processes: Vec::new(), outcome: None };
        self.open.insert(accepted.attempt.clone(), open);
    }

    fn change(&mut self, attempt: &Attempt, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.open.get_mut(attempt) {
            change(open);
        }
    }

    /// Whether this attempt is over, and was not long ago: it was carried to its end and acknowledged, or
    /// refused for good.
    pub fn is_finished(&self, attempt: &Attempt) -> bool {
        self.finished.contains(attempt) || self.refused.contains(attempt)
    }
}

/// The oldest makes room.
fn remember(attempts: &mut VecDeque<Attempt>, attempt: &Attempt, max: usize) {
    if attempts.len() == max {
        attempts.pop_front();
    }
    attempts.push_back(attempt.clone());
}
