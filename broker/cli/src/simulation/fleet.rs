//! The installs of a simulation: groups of them, each with its own policy and luck, and the rollout that
//! brings them the second release.

use remit_loops::Timestamp;
use remit_loops::app;
use remit_loops::freeze::AddFreeze;
use remit_loops::install::Policy;
use remit_loops::scenario::Scenario;
use remit_loops::values::Values;

/// All installs.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// In the order in which they are made.
    pub groups: Vec<Group>,
    /// Freezes of the app.
    pub freezes: Vec<AddFreeze>,
    /// How the second release reaches them; without it, it is out for everybody at once.
    pub rollout: Option<app::Plan>,
    /// How long a person needs to let a rollout go on that halted; never, without.
    pub resume_after_ms: Option<i64>,
    /// When it begins, by the clocks of the world: windows are of days and places.
    pub begins: Timestamp,
}

/// Installs that are alike.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Its name; each install's name begins with it.
    pub name: String,
    /// How many there are.
    pub installs: u32,
    /// Their labels.
    pub labels: Values,
    /// When they take a release.
    pub policy: Policy,
    /// How long it takes until somebody opts in to a release that waits; never, without.
    pub opts_in_after_ms: Option<i64>,
    /// What goes wrong, and how long things take.
    pub scenario: Scenario,
}

impl Fleet {
    /// One group, and no rollout.
    pub fn of(group: Group) -> Self {
        Self { groups: vec![group], ..Self::default() }
    }

    /// How many installs there are in all.
    pub fn installs(&self) -> u32 {
        self.groups.iter().map(|group| group.installs).sum()
    }
}

impl Group {
    /// The name of one of its installs.
    pub fn install(&self, number: u32) -> String {
        format!("{}-{number:05}", self.name)
    }

    /// The name of the group that an install of this name is of.
    pub(super) fn of(install: &str) -> &str {
        install.rsplit_once('-').map_or(install, |(group, _)| group)
    }
}
