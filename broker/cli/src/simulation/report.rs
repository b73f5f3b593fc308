//! What a simulation found: how long installs took, what failed, who waited for what, and how it went over
//! time.

use std::collections::BTreeMap;

use remit_loops::job::FailureClass;
use serde::{Deserialize, Serialize};

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
    /// When the last of them was on the release, if all are.
    #[serde(default)]
    pub over_ms: Option<i64>,
    /// How many were not on it yet when the wave was through: it had left them waiting, or they had failed.
    #[serde(default)]
    pub left: u32,
    /// How many of its installs were how, over time.
    #[serde(default)]
    pub series: Vec<Series>,
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
    /// Which group; empty where there is but one.
    #[serde(default)]
    pub who: String,
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
