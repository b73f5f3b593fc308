//! What a release says is to be done by itself: how often drift is looked for, and what is done about
//! failed steps.
//!
//! It is for the broker, which does it; a runner keeps to it in nothing, and does only what jobs ask that
//! the release allows anyway.

use serde::{Deserialize, Serialize};

use super::FailureClass;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healing {
    /// How often drift is looked for, and what then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftSchedule>,
    /// What is done about failed steps; the first that fits acts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
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

/// What is done about the failures that fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name, unique in the release.
    pub name: String,
    /// The failures that it is for.
    pub on: RuleMatch,
    /// What it does, in this order.
    pub actions: Vec<RuleAction>,
    /// How often it may act in an install within `per_ms`.
    pub times: u32,
    /// Within how long.
    pub per_ms: i64,
    /// The shortest time between two uses.
    pub cool_down_ms: i64,
}

/// Which failures a rule is for: all of these must fit, an empty list fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleMatch {
    /// Their classes.
    pub classes: Vec<RuleClass>,
    /// Their codes; one that ends with `*` stands for all that begin like it.
    pub codes: Vec<String>,
    /// The components.
    pub components: Vec<String>,
    /// What was being done: `deploy`, `destroy` or `health`.
    pub operations: Vec<RuleOperation>,
}

/// A class of failure that a rule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleClass {
    /// The runner would not begin it.
    Refused,
    /// It was begun, and failed so.
    #[serde(untagged)]
    Failed(FailureClass),
}

/// What was being done when a rule is for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOperation {
    /// A component was made or changed.
    Deploy,
    /// A component was removed.
    Destroy,
    /// It was looked whether a component does its work.
    Health,
}

/// One thing that a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RuleAction {
    /// Tells people this.
    Notify(String),
    /// Runs this command of the failed component.
    Run(String),
    /// Waits so long, milliseconds, and lets the step be tried again; twice as long each further time.
    Retry(i64),
    /// Lets the step be planned anew.
    RePlan,
    /// Lets the step be tried again from its beginning at once.
    ReApply,
    /// Leaves it to a person.
    Hold,
}

impl RuleAction {
    /// Whether nothing that a rule does comes after it.
    pub fn ends(&self) -> bool {
        match self {
            RuleAction::Retry(_) | RuleAction::RePlan | RuleAction::ReApply | RuleAction::Hold => true,
            RuleAction::Notify(_) | RuleAction::Run(_) => false,
        }
    }
}
