//! What an app is asked, how an install says that an update goes, and a rollout as people see it. Data only.

use serde::{Deserialize, Serialize};

use crate::freeze::{AddFreeze, RemoveFreeze};
use crate::release::{Permit, Release, ReleaseRef};
use crate::time::Timestamp;

/// What an app can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signal {
    /// Make it.
    Create {},
    /// A new release, verified by the edge.
    Publish {
        /// The release.
        release: Release,
        /// It is out for nobody until it is promoted or rolled out.
        #[serde(default)]
        hold: bool,
    },
    /// A release that was held back is out for every install.
    Promote {
        /// Its version.
        version: String,
    },
    /// Let installs go back to a release, by a signed permit that the edge verified.
    PermitRollback {
        /// The channel.
        channel: String,
        /// The release to go back to, by its counter.
        to: u64,
        /// The permit.
        permit: Permit,
    },
    /// Write a line on its timeline.
    Remark {
        /// The line.
        text: String,
    },
    /// Bring a release to installs in waves; `remit rollout create` chooses them by their labels.
    StartRollout {
        /// Which release, to whom, in which order, and when it halts.
        plan: Plan,
    },
    /// Tell no more installs of the rollout's release; what has begun goes on.
    PauseRollout {
        /// Why, for people.
        reason: String,
    },
    /// Go on with a rollout that was paused, or that halted.
    ResumeRollout {
        /// How many installs may fail from now on, with those that did.
        #[serde(default)]
        failures_max: Option<u32>,
    },
    /// End the rollout where it is; what has begun goes on.
    AbortRollout {
        /// Why, for people.
        reason: String,
    },
    /// Start nothing new in its installs until it is resumed.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// Go on.
    Resume {},
    /// New installs of it are sandboxes from now on, or no longer; those that are there stay as they are.
    SetSandbox {
        /// Whether they are to be.
        on: bool,
    },
    /// Change nothing in a time: in no install below it. What runs when it begins is finished.
    Freeze(AddFreeze),
    /// Take a freeze away.
    Unfreeze(RemoveFreeze),
    /// Remove it, once no install of it is left.
    Delete {},
}

/// A rollout, as it is asked for. Whoever asks has chosen the installs: what was previewed is what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The release's version.
    pub version: String,
    /// One after another; the canary is the first.
    pub waves: Vec<Wave>,
    /// How many installs may fail before it halts.
    #[serde(default)]
    pub failures_max: u32,
    /// How many installs are at it at once; those that wait for a window or a person do not count.
    #[serde(default = "at_once_default")]
    pub at_once: u32,
    /// A wave is over although installs of it still wait for a window or a person.
    #[serde(default)]
    pub leaves_waiting: bool,
    /// It goes back to an older release.
    #[serde(default)]
    pub rollback: bool,
}

pub(super) fn at_once_default() -> u32 {
    100
}

/// Installs that are told together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Wave {
    /// Its name, for people: `canary`, `env=prod`.
    pub name: String,
    /// The installs, by their own names.
    pub installs: Vec<String>,
    /// How long it is watched before the next begins, milliseconds.
    #[serde(default)]
    pub bake_ms: i64,
}

/// How an update that an install was told of goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// It waits for a window, a freeze, a person or its turn.
    Waiting {
        /// For what.
        why: String,
    },
    /// Its deploy runs.
    Running {},
    /// The install is on the release.
    Done {},
    /// Its deploy failed, or is held for a person.
    Failed {
        /// How.
        why: String,
    },
    /// The install does not take it.
    Refused {
        /// Why.
        why: String,
    },
}

/// A rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RolloutView {
    /// Its number in the app.
    pub number: u64,
    /// The release.
    pub release: ReleaseRef,
    /// It goes back to an older release.
    pub rollback: bool,
    /// `going`, `baking`, `paused`, `halted`, `done` or `aborted`.
    pub state: String,
    /// One sentence.
    pub description: String,
    /// Who asked for it.
    pub by: String,
    /// When it began.
    pub began: Timestamp,
    /// Since when it has been in its state.
    pub since: Timestamp,
    /// When the next wave begins, while it bakes.
    pub next: Option<Timestamp>,
    /// How many installs failed.
    pub failed: u32,
    /// How many may.
    pub failures_max: u32,
    /// The wave that it is at, from 1.
    pub wave: u32,
    /// Its waves.
    pub waves: Vec<WaveView>,
}

/// A wave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WaveView {
    /// Its name.
    pub name: String,
    /// How many installs it has.
    pub installs: u32,
    /// How many were not told yet.
    pub ahead: u32,
    /// How many wait.
    pub waiting: u32,
    /// How many are at it.
    pub running: u32,
    /// How many are on the release.
    pub done: u32,
    /// How many failed.
    pub failed: u32,
    /// How many do not take it, or are gone.
    pub refused: u32,
    /// Who waits, failed or refused, and why; the first of each sort.
    pub named: Vec<NamedMember>,
}

/// An install that somebody should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NamedMember {
    /// The install's own name.
    pub install: String,
    /// `waiting`, `failed` or `refused`.
    pub state: String,
    /// Why.
    pub why: String,
}

/// What an install tells its app, beside what every child tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToApp {
    /// Install to app: which release has this version (the newest, if none is named)?
    ReleaseWanted {
        /// The operation that asks.
        operation: u64,
        /// The version, or the newest.
        version: Option<String>,
        /// The newest of this channel only.
        #[serde(default)]
        channel: Option<String>,
    },
    /// Install to app: this is how an update goes.
    UpdateIs {
        /// The rollout that told of it.
        rollout: u64,
        /// How it goes.
        progress: Progress,
    },
}
