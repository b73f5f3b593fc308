//! What a release says is to be done by itself: how often drift is looked for.
//!
//! It is for the broker, which does it; a runner keeps to it in nothing, and does only what jobs ask that
//! the release allows anyway.

use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healing {
    /// How often drift is looked for, and what then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftSchedule>,
}

impl Healing {
    /// Whether a release says nothing of it, and is written as before there was any.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How often the world is compared with what was deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftSchedule {
    /// At least once in so long.
    pub every_ms: i64,
    /// What is done about a difference.
    pub then: DriftThen,
}

/// What is done about a difference that a scheduled look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftThen {
    /// People are told.
    Report,
    /// It is mended.
    Heal,
}
