//! What a simulation found: how long installs took, what failed, who waited for what, and how it went over
//! time.

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::app::{RolloutView, Wave, WaveView};
use remit_loops::event::{Entry, Level};
use remit_loops::job::FailureClass;
use remit_loops::{Kind, ObjectId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Group, Plan};

/// How many points a series has at most.
const POINTS_MAX: i64 = 120;

/// What a simulation found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How many installs there were.
    pub installs: u32,
    /// The seed of its luck.
    pub seed: u64,
    /// How long it was, on its own clock, milliseconds.
    pub took_ms: i64,
    /// How many events the loops were given.
    pub events: u64,
    /// The first deploy, then the update.
    pub phases: Vec<Phase>,
    /// How many installs waited for a person at the end.
    pub held: u32,
    /// How many attempts failed, by class.
    pub failures: BTreeMap<FailureClass, u64>,
    /// How many attempts failed, by component.
    pub failed_components: BTreeMap<String, u64>,
    /// Who waited for what, the longest in all first.
    pub waited: Vec<Waited>,
    /// How many installs were how, over time.
    pub series: Vec<Series>,
    /// When it began, milliseconds since the Unix epoch.
    #[serde(default)]
    pub began: i64,
    /// The update by group, where there are several.
    #[serde(default)]
    pub groups: Vec<GroupDone>,
    /// The rollout, if there was one.
    #[serde(default)]
    pub rollout: Option<RolloutDone>,
}

/// The update of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDone {
    /// Its name.
    pub name: String,
    /// Its policy, in a line.
    pub policy: String,
    /// How many installs it has.
    pub installs: u32,
    /// How many are on the second release.
    pub done: u32,
    /// How many wait for a person at the end.
    pub held: u32,
    /// Half of them were on it so long after it came out, milliseconds.
    pub p50_ms: i64,
    /// The slowest that got there.
    pub max_ms: i64,
}

/// How a rollout went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutDone {
    /// `going`, `baking`, `halted`, `done` or `aborted`.
    pub state: String,
    /// One sentence.
    pub description: String,
    /// How many installs failed, at the end.
    pub failed: u32,
    /// How many may.
    pub failures_max: u32,
    /// How often it halted.
    pub halts: u32,
    /// Its waves.
    pub waves: Vec<WaveDone>,
}

/// How a wave went. Times are milliseconds from the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveDone {
    /// Its name.
    pub name: String,
    /// How many installs it has.
    pub installs: u32,
    /// When the first of them was told.
    pub began_ms: Option<i64>,
    /// When it was through.
    pub through_ms: Option<i64>,
    /// How long it was to be watched then.
    pub bake_ms: i64,
    /// How many are on the release.
    pub done: u32,
    /// How many wait.
    pub waiting: u32,
    /// How many failed.
    pub failed: u32,
    /// How many were never told.
    pub ahead: u32,
}

/// One release over all installs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// The release's version.
    pub version: String,
    /// How many installs are on it.
    pub done: u32,
    /// Half of them needed no longer, from its coming out, milliseconds.
    pub p50_ms: i64,
    /// Nine of ten needed no longer.
    pub p90_ms: i64,
    /// The slowest.
    pub max_ms: i64,
}

/// A wait of many installs for one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waited {
    /// For what.
    pub what: String,
    /// How often.
    pub times: u64,
    /// In all, milliseconds.
    pub total_ms: i64,
    /// The longest, milliseconds.
    pub longest_ms: i64,
}

/// How an install is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Its first deploy is under way.
    Provisioning,
    /// It is on the first release.
    Active,
    /// It knows of the second and waits for its window, a freeze or somebody's word.
    Waiting,
    /// It is on its way to the second.
    Updating,
    /// It is on the second.
    Updated,
    /// It waits for a person.
    Held,
}

/// How many installs were how, at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// When, milliseconds from the beginning.
    pub at_ms: i64,
    /// By how they were.
    pub counts: BTreeMap<State, u32>,
}

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
    waited: BTreeMap<String, Waited>,
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
                    self.waits(what, now.since_ms(since));
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
                    self.waits("a person, to look at what failed and try it again", waited);
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
            self.waits("its wave to come", now.since_ms(self.update_at));
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

    fn waits(&mut self, what: &str, ms: i64) {
        let waited = self.waited.entry(what.to_owned()).or_insert_with(|| Waited {
            what: what.to_owned(),
            times: 0,
            total_ms: 0,
            longest_ms: 0,
        });
        waited.times += 1;
        waited.total_ms += ms;
        waited.longest_ms = waited.longest_ms.max(ms);
    }

    pub(super) fn report(
        mut self,
        plan: &Plan,
        end: Timestamp,
        events: u64,
        rollout: Option<Box<RolloutView>>,
    ) -> Report {
        let held: Vec<i64> =
            self.pasts.values().filter_map(|p| p.held_since).map(|since| end.since_ms(since)).collect();
        for ms in &held {
            self.waits("a person, who never came", *ms);
        }
        let open: Vec<_> = self.pasts.values().filter_map(|past| past.waits).collect();
        for (what, since) in open {
            self.waits(what, end.since_ms(since));
        }
        let mut waited: Vec<Waited> = self.waited.values().cloned().collect();
        waited.sort_by_key(|w| std::cmp::Reverse(w.total_ms));
        let begins = [self.begins, self.update_at];
        let phases = (0..2).map(|n| self.phase(n, &plan.releases[n].version, begins[n])).collect();
        Report {
            installs: plan.fleet.installs(),
            seed: plan.seed,
            took_ms: end.since_ms(self.begins),
            events,
            phases,
            held: u32::try_from(held.len()).unwrap_or(u32::MAX),
            failures: self.failures.clone(),
            failed_components: self.components.clone(),
            waited,
            series: self.series(end),
            began: self.begins.0,
            groups: plan.fleet.groups.iter().map(|group| self.group(group)).collect(),
            rollout: rollout.map(|rollout| self.rollout(plan, &rollout)),
        }
    }

    fn of<'a>(&'a self, names: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = &'a Past> {
        self.pasts.iter().filter(move |(id, _)| names(id.name())).map(|(_, past)| past)
    }

    fn group(&self, group: &Group) -> GroupDone {
        let names: BTreeSet<String> = (0..group.installs).map(|n| group.install(n)).collect();
        let pasts: Vec<&Past> = self.of(|name| names.contains(name)).collect();
        let done = pasts.iter().filter_map(|past| Some(past.done[1]?.since_ms(self.update_at)));
        let mut took: Vec<i64> = done.collect();
        took.sort_unstable();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        GroupDone {
            name: group.name.clone(),
            policy: group.policy.to_string(),
            installs: group.installs,
            done: count(took.len()),
            held: count(pasts.iter().filter(|past| past.held_since.is_some()).count()),
            p50_ms: took.get(took.len().div_ceil(2).saturating_sub(1)).copied().unwrap_or(0),
            max_ms: took.last().copied().unwrap_or(0),
        }
    }

    fn rollout(&self, plan: &Plan, view: &RolloutView) -> RolloutDone {
        let planned = plan.fleet.rollout.iter().flat_map(|rollout| &rollout.waves);
        let wave = |(wave, planned): (&WaveView, &Wave)| {
            let names: BTreeSet<&str> = planned.installs.iter().map(String::as_str).collect();
            let began = self.of(|name| names.contains(name)).filter_map(|past| past.told).min();
            WaveDone {
                name: wave.name.clone(),
                installs: wave.installs,
                began_ms: began.map(|at| at.since_ms(self.begins)),
                through_ms: self.through.get(&wave.name).map(|at| at.since_ms(self.begins)),
                bake_ms: planned.bake_ms,
                done: wave.done,
                waiting: wave.waiting,
                failed: wave.failed,
                ahead: wave.ahead,
            }
        };
        RolloutDone {
            state: view.state.clone(),
            description: view.description.clone(),
            failed: view.failed,
            failures_max: view.failures_max,
            halts: self.halts,
            waves: view.waves.iter().zip(planned).map(wave).collect(),
        }
    }

    fn phase(&self, number: usize, version: &str, begin: Timestamp) -> Phase {
        let mut took: Vec<i64> =
            self.pasts.values().filter_map(|p| p.done[number]).map(|at| at.since_ms(begin)).collect();
        took.sort_unstable();
        let at = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1));
        Phase {
            version: version.to_owned(),
            done: u32::try_from(took.len()).unwrap_or(u32::MAX),
            p50_ms: at(50).copied().unwrap_or(0),
            p90_ms: at(90).copied().unwrap_or(0),
            max_ms: took.last().copied().unwrap_or(0),
        }
    }

    /// Points at which something changes, not spread evenly over days in which nothing does.
    fn series(&self, end: Timestamp) -> Vec<Series> {
        let mut changes: Vec<Timestamp> =
            self.pasts.values().flat_map(|p| p.states.iter().map(|(at, _)| *at)).collect();
        changes.push(end);
        changes.sort_unstable();
        let points = usize::try_from(POINTS_MAX).unwrap_or(1);
        let last = changes.len() - 1;
        let mut times: Vec<Timestamp> = (0..=points).map(|n| changes[last * n / points]).collect();
        times.dedup();
        let point = |at: Timestamp| {
            let mut counts = BTreeMap::new();
            for state in self.pasts.values().filter_map(|p| p.at(at)) {
                *counts.entry(state).or_default() += 1;
            }
            Series { at_ms: at.since_ms(self.begins), counts }
        };
        times.into_iter().map(point).collect()
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
