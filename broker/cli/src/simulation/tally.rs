//! What is counted while a simulation runs, from the timelines of its objects.

mod sums;

use std::collections::BTreeMap;

use remit_loops::job::FailureClass;
use remit_loops::timeline::{Entry, Level};
use remit_loops::{Kind, ObjectId, Timestamp};

use super::report::{State, Waited};
use super::{Group, Plan};

/// What is known of one install.
#[derive(Default)]
struct Past {
    states: Vec<(Timestamp, State)>,
    /// When it came to rest on each release.
    done: [Option<Timestamp>; 2],
    held_since: Option<Timestamp>,
    /// It waits for a time or a word, and since when.
    waits: Option<(&'static str, Timestamp)>,
    /// A rollout told it of the release.
    told: Option<Timestamp>,
    /// A step has failed: it is held as soon as nothing else of it runs.
    has_failed: bool,
}

/// What is counted on the way.
pub(super) struct Tally {
    begins: Timestamp,
    update_at: Timestamp,
    halts: u32,
    /// When each wave was through, by name.
    through: BTreeMap<String, Timestamp>,
    pasts: BTreeMap<ObjectId, Past>,
    failures: BTreeMap<FailureClass, u64>,
    components: BTreeMap<String, u64>,
    /// By group and what for.
    waited: BTreeMap<(String, &'static str), Waited>,
    /// There is more than one group.
    has_groups: bool,
}

impl Tally {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            begins: plan.fleet.begins,
            update_at: plan.fleet.begins.plus_ms(plan.update_at_ms),
            halts: 0,
            through: BTreeMap::new(),
            pasts: BTreeMap::new(),
            failures: BTreeMap::new(),
            components: BTreeMap::new(),
            waited: BTreeMap::new(),
            has_groups: plan.fleet.groups.len() > 1,
        }
    }

    /// A line of a timeline; whether the install may be held now.
    pub(super) fn record(&mut self, of: &ObjectId, now: Timestamp, entry: &Entry) -> bool {
        match (of.kind(), entry.code.as_str()) {
            (Kind::Install, _) => {}
            (Kind::App, "rollout.halted") => {
                self.halts += 1;
                return false;
            }
            (Kind::App, "rollout.wave") => {
                let name =
                    entry.text.strip_prefix("wave ").and_then(|text| text.split(" of rollout ").next());
                self.through.insert(name.unwrap_or_default().to_owned(), now);
                return false;
            }
            _ => return false,
        }
        let is_update = now >= self.update_at;
        let past = self.pasts.entry(of.clone()).or_default();
        match entry.code.as_str() {
            "update.waiting" => {
                past.waits = Some((awaited(&entry.text), now));
                past.enter(now, State::Waiting);
            }
            "operation.started" => {
                if let Some((what, since)) = past.waits.take() {
                    self.waits(of, what, now.since_ms(since));
                }
                let past = self.pasts.entry(of.clone()).or_default();
                past.enter(now, if is_update { State::Updating } else { State::Provisioning });
            }
            "operation.succeeded" => {
                past.done[usize::from(is_update)] = Some(now);
                past.enter(now, if is_update { State::Updated } else { State::Active });
            }
            "step.retried" => {
                if let Some(since) = past.held_since.take() {
                    let waited = now.since_ms(since);
                    self.waits(of, "a person, to look at what failed and try it again", waited);
                }
                let past = self.pasts.entry(of.clone()).or_default();
                past.enter(now, if is_update { State::Updating } else { State::Provisioning });
            }
            _ => {}
        }
        let past = self.pasts.entry(of.clone()).or_default();
        past.has_failed = entry.code != "step.retried" && (past.has_failed || entry.level == Level::Error);
        past.has_failed
    }

    /// A rollout tells an install of the release.
    pub(super) fn told(&mut self, of: &ObjectId, now: Timestamp) {
        let past = self.pasts.entry(of.clone()).or_default();
        if past.told.replace(now).is_none() && now > self.update_at {
            self.waits(of, "its wave to come", now.since_ms(self.update_at));
        }
    }

    /// It waits for a person from now on; whether that is news.
    pub(super) fn held(&mut self, of: &ObjectId, now: Timestamp) -> bool {
        let past = self.pasts.entry(of.clone()).or_default();
        if past.held_since.is_some() {
            return false;
        }
        past.held_since = Some(now);
        past.enter(now, State::Held);
        true
    }

    /// An attempt of a component is to fail.
    pub(super) fn failed(&mut self, component: &str, class: FailureClass) {
        *self.failures.entry(class).or_default() += 1;
        *self.components.entry(component.to_owned()).or_default() += 1;
    }

    fn waits(&mut self, of: &ObjectId, what: &'static str, ms: i64) {
        let who = if self.has_groups { Group::of(of.name()) } else { "" };
        let waited = self.waited.entry((who.to_owned(), what)).or_insert_with(|| Waited {
            who: who.to_owned(),
            what: what.to_owned(),
            times: 0,
            total_ms: 0,
            longest_ms: 0,
        });
        waited.times += 1;
        waited.total_ms += ms;
        waited.longest_ms = waited.longest_ms.max(ms);
    }
}

/// What an install waits for, by the words on its timeline.
fn awaited(words: &str) -> &'static str {
    if words.contains("opt in") {
        "somebody to opt in"
    } else if words.contains("window") {
        "its window to open"
    } else {
        "a freeze to end"
    }
}

impl Past {
    fn enter(&mut self, at: Timestamp, state: State) {
        self.states.push((at, state));
    }

    fn at(&self, at: Timestamp) -> Option<State> {
        let known = self.states.partition_point(|(since, _)| *since <= at);
        self.states.get(known.checked_sub(1)?).map(|(_, state)| *state)
    }
}
