//! What an org is asked, and how much it may hold. Data only.

use serde::{Deserialize, Serialize};

use crate::freeze::{AddFreeze, RemoveFreeze};

/// What an org can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signal {
    /// Make it.
    Create {},
    /// Start nothing new in it until it is resumed.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// Go on.
    Resume {},
    /// Change how much it may hold; only the broker's operator may. What is there already stays.
    SetQuotas {
        /// The most apps.
        #[serde(default)]
        apps: Option<u32>,
        /// The most installs of one app.
        #[serde(default)]
        installs_per_app: Option<u32>,
        /// How many of its signals are taken a turn while other orgs wait, 1 to 100.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weight: Option<u32>,
    },
    /// What is new in it is a sandbox from now on, or no longer; what is there stays as it is.
    SetSandbox {
        /// Whether it is to be.
        on: bool,
    },
    /// Change nothing in a time: in no install below it. What runs when it begins is finished.
    Freeze(AddFreeze),
    /// Take a freeze away.
    Unfreeze(RemoveFreeze),
    /// Remove it, once nothing is left in it.
    Delete {},
}

/// How much an org may hold. The edge refuses what would be more, before it is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quotas {
    /// The most apps.
    pub apps: u32,
    /// The most installs of one app.
    pub installs_per_app: u32,
    /// How many of its signals are taken a turn while other orgs wait.
    #[serde(default = "weight_default", skip_serializing_if = "is_weight_default")]
    pub weight: u32,
}

pub(crate) fn weight_default() -> u32 {
    1
}

pub(crate) fn is_weight_default(weight: &u32) -> bool {
    *weight == weight_default()
}

impl Default for Quotas {
    fn default() -> Self {
        Self { apps: 100, installs_per_app: 10_000, weight: weight_default() }
    }
}
