//! Remediation rules: what a release says is to be done about a failed step, how often, and how soon again.
//!
//! A rule never does more than a person could: try a step again, plan it anew, run a command that the signed
//! release declares. Each has a budget and a cool-down, and all that it does is on the timeline.

use remit_seal::verify::RULE_RETRY_MAX_MS;
use serde::{Deserialize, Serialize};

use crate::job::{Action, Failure, FailureClass};
use crate::time::Timestamp;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rule {
    /// Its name, unique in the release.
    pub name: String,
    /// The failures that it is for.
    pub on: Match,
    /// What it does, in this order.
    pub actions: Vec<Remedy>,
    /// How often.
    pub budget: Budget,
    /// The shortest time between two uses, milliseconds; it counts from when it acts.
    pub cool_down_ms: i64,
}

/// Which failures a rule is for: all of these must fit, an empty list fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RuleMatch))]
pub struct Match {
    /// Their classes.
    pub classes: Vec<FailureClass>,
    /// Their codes; one that ends with `*` stands for all that begin like it.
    pub codes: Vec<String>,
    /// The components.
    pub components: Vec<String>,
    /// What was being done.
    pub operations: Vec<Action>,
}

/// One thing that a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Says something on the timeline, and so to webhooks.
    Notify {
        /// What, for people.
        text: String,
    },
    /// Runs a command that the failed component declares.
    Run {
        /// Its name.
        command: String,
    },
    /// Waits, and lets the step be tried again; each further time in an operation it waits twice as long.
    Retry {
        /// How long it waits the first time, milliseconds.
        after_ms: i64,
    },
    /// Lets the step be planned anew before it is tried again.
    RePlan {},
    /// Lets the step be tried again from its beginning at once.
    ReApply {},
    /// Leaves it to a person.
    Hold {},
}

/// How often a rule may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RuleBudget))]
pub struct Budget {
    /// So many times in an install, and so many times at most for one step of one operation;
    pub times: u32,
    /// within so long, milliseconds.
    pub per_ms: i64,
}

/// One use of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RuleUse))]
pub struct Use {
    /// When it acts, or acted.
    pub at: Timestamp,
    /// On which component.
    pub component: String,
    /// Of which operation.
    pub operation: u64,
    /// The code of the failure.
    pub code: String,
}

/// A rule of an install, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = RuleView))]
pub struct View {
    /// The rule.
    pub rule: Rule,
    /// Its newest uses, the oldest first.
    pub uses: Vec<Use>,
    /// The components whose failed steps it has taken on now.
    pub acting: Vec<String>,
}

impl Match {
    pub(crate) fn fits(&self, component: &str, action: Action, failure: &Failure) -> bool {
        let code = |pattern: &String| match pattern.strip_suffix('*') {
            Some(begin) => failure.code.starts_with(begin),
            None => failure.code == *pattern,
        };
        (self.classes.is_empty() || self.classes.contains(&failure.class))
            && (self.codes.is_empty() || self.codes.iter().any(code))
            && (self.components.is_empty() || self.components.iter().any(|name| name == component))
            && (self.operations.is_empty() || self.operations.contains(&action))
    }
}

impl Remedy {
    /// How long it waits before it is done, the so-manieth time in an operation, from 0.
    pub(crate) fn wait_ms(&self, before: u32) -> i64 {
        match self {
            Remedy::Retry { after_ms } => {
                after_ms.saturating_mul(1_i64 << before.min(20)).min(RULE_RETRY_MAX_MS.max(*after_ms))
            }
            Remedy::Notify { .. }
            | Remedy::Run { .. }
            | Remedy::RePlan {}
            | Remedy::ReApply {}
            | Remedy::Hold {} => 0,
        }
    }

    /// What it does, in words.
    pub fn words(&self) -> String {
        match self {
            Remedy::Notify { .. } => "tell people".to_owned(),
            Remedy::Run { command } => format!("run `{command}`"),
            Remedy::Retry { after_ms } => format!("try again after {} s", after_ms / 1_000),
            Remedy::RePlan {} => "plan anew".to_owned(),
            Remedy::ReApply {} => "try again from the beginning".to_owned(),
            Remedy::Hold {} => "hold for a person".to_owned(),
        }
    }
}

impl Rule {
    /// How often it was used of late, for this step or in this install, whichever is more.
    pub fn used(&self, uses: &[Use], at: Timestamp, step: Option<(&str, u64)>) -> u32 {
        let late = uses.iter().filter(|u| u.at.0 > at.0.saturating_sub(self.budget.per_ms)).count();
        let of_step = |u: &&Use| step == Some((u.component.as_str(), u.operation));
        let of_step = uses.iter().filter(of_step).count();
        u32::try_from(late.max(of_step)).unwrap_or(u32::MAX)
    }

    /// The first time from then on at which it has cooled down from each of these, the earliest first.
    pub(crate) fn cooled(&self, acts: &[Timestamp], from: Timestamp) -> Timestamp {
        let is_hot = |time: Timestamp, act: &Timestamp| (time.0 - act.0).abs() < self.cool_down_ms;
        acts.iter()
            .fold(from, |time, act| if is_hot(time, act) { act.plus_ms(self.cool_down_ms) } else { time })
    }

    /// Whether it asks for nothing but a person.
    pub(crate) fn only_holds(&self) -> bool {
        self.actions == [Remedy::Hold {}]
    }
}

/// A rule that has taken a failed step on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remediation {
    /// Its name.
    pub(crate) rule: String,
    /// The failure.
    pub(crate) failure: Failure,
    /// Which of its actions comes next, or runs.
    pub(crate) next: usize,
    /// When that is to be done.
    pub(crate) due: Timestamp,
    /// Its command runs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) runs: bool,
    /// Its command is due, and waits for a window or the end of a freeze.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) held: bool,
    /// How often it may act after this.
    pub(crate) left: u32,
    /// How often it had acted on this step before.
    pub(crate) before: u32,
}
