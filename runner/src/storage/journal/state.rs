//! What the journal's records amount to: the marks that only rise, and the attempts in hand.

use std::collections::{BTreeMap, VecDeque};

use remit_seal::Digest;
use remit_seal::document::{BreakGlass, Class, KeySpec};
use remit_seal::verify::COMPONENTS_MAX;
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;
use super::record::{Accepted, Consented, Entry, Permitted, Process, Record, Reference, Task, Used};
use crate::outcome::{Attempt, Outcome};

/// How many finished attempts are remembered, to know them when they are offered again.
const FINISHED_MAX: usize = 256;

/// How many attempts that were refused for good are remembered: apart, so that no number of them
/// makes a finished one forgotten.
const REFUSED_MAX: usize = 256;

/// How many components are remembered with the release that made them: those of two releases.
const MADE_MAX: usize = 2 * COMPONENTS_MAX;

/// How many plans that removed something are remembered one by one.
const REMOVED_MAX: usize = 256;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The fold of all records.
#[derive(Clone, Debug)]
pub struct State {
    /// Whose journal it is; `None` while it is empty.
    pub install: Option<String>,
    /// What checkpoints are signed with.
    pub key: Option<KeySpec>,
    /// The policy that was kept to last.
    pub policy: Option<Reference>,
    /// Whether the customer's halt is on record, and no end of it.
    pub halted: bool,
    /// The greatest sequence number that was accepted.
    pub seq_high: u64,
    /// The greatest fence that was accepted.
    pub fence_high: u64,
    /// The newest releases that ran here, by channel.
    pub ran: BTreeMap<String, Ran>,
    /// The release that made each component what it is: its payload's digest, hexadecimal.
    pub made: BTreeMap<String, String>,
    /// The channel that the customer pinned.
    pub channel: Option<String>,
    /// The rollback permit by which a job last went back to an older release.
    pub permit: Option<Permitted>,
    /// Attempts that were accepted and whose outcome the broker has not acknowledged.
    pub open: BTreeMap<Attempt, Open>,
    /// How many records there are.
    pub records: u64,
    /// The digest of the last one.
    pub head: Digest,
    /// Who of the vendor last let a job pass the vendor's own rules.
    pub break_glass: Option<BreakGlass>,
    /// Why the last append failed, while it is so.
    pub trouble: Option<String>,
    /// What is used up, deployed and counted.
    pub ledger: Ledger,
    finished: VecDeque<Attempt>,
    refused: VecDeque<Attempt>,
    /// When plans were let through that remove something, and how much.
    removed: VecDeque<Removed>,
}

/// How much a plan removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    /// When it was let through.
    pub at_ms: i64,
    /// How many resources it deletes or replaces.
    pub count: u32,
}

/// The newest release of a channel that ran here: that made or changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// Its counter.
    pub counter: u64,
    /// The lowest counter that it lets the install go back to without a permit.
    pub back_to: u64,
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
    /// The newest releases that ran here, by channel.
    pub ran: BTreeMap<String, Ran>,
    /// The release that made each component what it is.
    pub made: BTreeMap<String, String>,
    /// The channel that the customer pinned.
    pub channel: Option<String>,
    /// The rollback permit that was used last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit: Option<Permitted>,
    /// The attempts in hand.
    pub open: Vec<Open>,
    /// Attempts that are over, oldest first.
    pub finished: Vec<Attempt>,
    /// Attempts that were refused for good, oldest first.
    pub refused: Vec<Attempt>,
    /// The policy that was kept to last.
    #[serde(default)]
    pub policy: Option<Reference>,
    /// Whether the customer had halted the runner.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub halted: bool,
    /// What plans removed, oldest first.
    #[serde(default)]
    pub removed: Vec<Removed>,
    /// Who of the vendor last let a job pass the vendor's own rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// What is used up, deployed and counted.
    #[serde(default)]
    pub ledger: Ledger,
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
    /// What the customer approved of it, on its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consents: Vec<Consented>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            install: None,
            key: None,
            policy: None,
            halted: false,
            seq_high: 0,
            fence_high: 0,
            ran: BTreeMap::new(),
            made: BTreeMap::new(),
            channel: None,
            permit: None,
            open: BTreeMap::new(),
            records: 0,
            head: Digest::of(b""),
            break_glass: None,
            trouble: None,
            ledger: Ledger::default(),
            finished: VecDeque::new(),
            refused: VecDeque::new(),
            removed: VecDeque::new(),
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
            Entry::Policy(policy) => self.policy = Some(policy.clone()),
            Entry::Halted { .. } => self.halted = true,
            Entry::Resumed { .. } => self.halted = false,
            Entry::Channel { name } => self.channel = Some(name.clone()),
            Entry::Planned(planned) => self.remove(record.at_ms, planned.plan.delete + planned.plan.replace),
            Entry::Held { .. } => {}
            // What was refused may be a stranger's word; that it is final is said by an ending.
            Entry::Refused { .. } => {}
            Entry::Approved { attempt, consent } => {
                self.change(attempt, |open| open.consents.push(consent.clone()));
            }
            Entry::MarksReset { word, at_ms, .. } => self.reset_marks(word, *at_ms, record.at_ms),
            Entry::Begun { attempt } => self.begin(attempt),
            Entry::Process(process) => {
                self.change(&process.attempt, |open| open.processes.push(process.clone()));
            }
            Entry::Ended { attempt, outcome, approvals } => {
                self.end(attempt, outcome, approvals, record.at_ms);
            }
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
            ran: self.ran.clone(),
            made: self.made.clone(),
            channel: self.channel.clone(),
            permit: self.permit.clone(),
            open: self.open.values().cloned().collect(),
            finished: self.finished.iter().cloned().collect(),
            refused: self.refused.iter().cloned().collect(),
            policy: self.policy.clone(),
            halted: self.halted,
            removed: self.removed.iter().copied().collect(),
            break_glass: self.break_glass.clone(),
            ledger: self.ledger.clone(),
        }
    }

    fn restore(&mut self, from: &Snapshot) {
        self.install = Some(from.install.clone());
        self.key.clone_from(&from.key);
        (self.seq_high, self.fence_high) = (from.seq_high, from.fence_high);
        self.ran.clone_from(&from.ran);
        self.made.clone_from(&from.made);
        self.channel.clone_from(&from.channel);
        self.permit.clone_from(&from.permit);
        self.open = from.open.iter().map(|open| (open.accepted.attempt.clone(), open.clone())).collect();
        self.finished = from.finished.iter().cloned().collect();
        self.refused = from.refused.iter().cloned().collect();
        self.policy.clone_from(&from.policy);
        self.halted = from.halted;
        self.removed = from.removed.iter().copied().collect();
        self.break_glass.clone_from(&from.break_glass);
        self.ledger.clone_from(&from.ledger);
    }

    /// The newest entry takes in what no longer has room, so that nothing is counted too little.
    fn remove(&mut self, at_ms: i64, count: u32) {
        if count == 0 {
            return;
        }
        let mut count = count;
        if self.removed.len() == REMOVED_MAX
            && let Some(oldest) = self.removed.pop_front()
            && oldest.at_ms > at_ms - DAY_MS
        {
            count = count.saturating_add(oldest.count);
        }
        self.removed.push_back(Removed { at_ms, count });
    }

    /// How many resources the plans since then were to delete or replace.
    pub fn removed_since(&self, since_ms: i64) -> u32 {
        let counted = self.removed.iter().filter(|removed| removed.at_ms > since_ms);
        counted.fold(0, |sum, removed| sum.saturating_add(removed.count))
    }

    fn accept(&mut self, accepted: &Accepted) {
        self.seq_high = self.seq_high.max(accepted.counted.seq);
        if accepted.break_glass.is_some() {
            self.break_glass.clone_from(&accepted.break_glass);
        }
        self.fence_high = self.fence_high.max(accepted.attempt.fence);
        if accepted.permit.is_some() {
            self.permit.clone_from(&accepted.permit);
        }
        self.ledger.marks.accept(accepted);
        let (accepted, consents) = (accepted.clone(), vec![accepted.consent.clone()]);
        let attempt = accepted.attempt.clone();
        let (begun, processes, outcome) = (false, Vec::new(), None);
        let open = Open { accepted, begun, processes, outcome, consents };
        self.open.insert(attempt, open);
    }

    fn begin(&mut self, attempt: &Attempt) {
        let Some(open) = self.open.get_mut(attempt) else { return };
        open.begun = true;
        let task = &open.accepted.task;
        if task.operation == "deploy" && !task.rehearsal && !task.kind.is_empty() {
            self.ledger.deployed(&open.accepted);
        }
        self.run(attempt);
    }

    /// What the customer approved of it ends with its success, and with nothing else.
    fn end(&mut self, attempt: &Attempt, outcome: &Outcome, approvals: &[Used], at_ms: i64) {
        let Some(open) = self.open.get_mut(attempt) else {
            return remember(&mut self.refused, attempt, REFUSED_MAX);
        };
        open.outcome = Some(outcome.clone());
        if !matches!(outcome, Outcome::Succeeded(_)) {
            return;
        }
        let relied = open.consents.iter().flat_map(|consent| &consent.approvals);
        let used: Vec<Used> = relied.chain(approvals).cloned().collect();
        self.ledger.spend(&used, at_ms);
        let task = &open.accepted.task;
        if task.class == Class::Destroy {
            self.made.remove(&task.component);
        }
        if task.operation == "destroy" && !task.rehearsal {
            self.ledger.removed(&task.component);
        }
    }

    fn reset_marks(&mut self, word: &Used, reset_ms: i64, at_ms: i64) {
        (self.seq_high, self.fence_high) = (0, 0);
        self.ledger.marks.reset(reset_ms);
        self.ledger.spend(std::slice::from_ref(word), at_ms);
    }

    /// Whether a word of the customer's is used up for this attempt: something has succeeded by it, or another
    /// attempt is in hand that relies on it.
    pub fn is_used_up(&self, word: &str, attempt: &Attempt) -> bool {
        let relies = |open: &Open| {
            open.outcome.is_none()
                && open.consents.iter().flat_map(|consent| &consent.approvals).any(|used| used.word == word)
        };
        self.ledger.is_spent(word) || self.open.iter().any(|(other, open)| other != attempt && relies(open))
    }

    /// An attempt begins: if it makes or changes anything, its release has run here. An older one takes the
    /// newest's place only by a permit.
    fn run(&mut self, attempt: &Attempt) {
        let Some(Open { accepted, .. }) = self.open.get(attempt) else { return };
        let Accepted { channel, release_counter, rollback_floor, task, release, permit, .. } = accepted;
        let Task { class, component, .. } = task;
        if *class <= Class::Plan {
            return;
        }
        let now = Ran { counter: *release_counter, back_to: *rollback_floor };
        let is_newest = self.ran.get(channel).is_none_or(|ran| ran.counter <= now.counter);
        if is_newest || permit.is_some() {
            self.ran.insert(channel.clone(), now);
        }
        // A component that has no room here must keep to the newest release: no more is believed for it.
        if *class == Class::Change && (self.made.len() < MADE_MAX || self.made.contains_key(component)) {
            self.made.insert(component.clone(), release.clone());
        }
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
