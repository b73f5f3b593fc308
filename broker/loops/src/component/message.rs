//! What a component is asked by people and by its install, and what it asks of the runner. Data only.

use serde::{Deserialize, Serialize};

use crate::break_glass::BreakGlass;
use crate::drift::Word;
use crate::health::UNHEALTHY;
use crate::job::{Action, AttemptId, Failure, Mode, Outcome};
use crate::plan::Stage;
use crate::release::ReleaseRef;
use crate::runner::message::Boot;
use crate::scenario::Play;
use crate::time::Timestamp;
use crate::values::Values;

/// What a component can be asked. Changes come by its install's operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signal {
    /// Do not wait for the back-off: try again now.
    RetryNow {},
}

/// What an install asks of a component: one step of one operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The operation's number in the install.
    pub operation: u64,
    /// The install's epoch.
    pub epoch: u64,
    /// What to do.
    pub action: Action,
    /// The kind of the component, as the executors of a runner are named; empty in what was stored before it was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Real or rehearsed.
    pub mode: Mode,
    /// By which release.
    pub release: ReleaseRef,
    /// The digest of the component's artefact in it.
    pub digest: String,
    /// Inputs of broker authority, as JSON texts by name.
    pub inputs: Values,
    /// How long one attempt may run, milliseconds.
    pub longest_run_ms: i64,
    /// For a deploy: the digest of all that goes into it, hexadecimal, where that is known.
    #[serde(default)]
    pub input_digest: Option<String>,
    /// What its attempts pretend, where a scenario says so; only ever of a rehearsed task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub play: Option<Play>,
    /// It begins before this time or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin_by: Option<Timestamp>,
    /// How much of the action.
    #[serde(default, skip_serializing_if = "Stage::is_whole")]
    pub stage: Stage,
    /// To look, or to adopt: somebody's word that what is there is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<Word>,
    /// To run: which command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// It looks, as the end of a change: nothing else is done with the component meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gate: bool,
    /// Somebody lets it pass the vendor's own rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glass: Option<BreakGlass>,
}

impl Task {
    /// Whether it may change the customer's world.
    pub(crate) fn mutates(&self) -> bool {
        self.action.makes() && self.stage != Stage::Plan
    }

    /// Whether it has the component for itself.
    pub(crate) fn is_work(&self) -> bool {
        self.action.mutates() || self.gate
    }

    /// Whether a failure of it may end by itself. What a probe says of its component is no such failure.
    pub(crate) fn is_retryable(&self, failure: &Failure) -> bool {
        failure.class.is_retryable() && failure.code != UNHEALTHY
    }
}

/// What a component is told by its install and by the runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToComponent {
    /// Install to component: do this.
    Do(Task),
    /// Install to component: stop doing what you do for this operation.
    Stop {
        /// The operation.
        operation: u64,
        /// Why, for people.
        reason: String,
    },
    /// Runner to component: it began.
    JobStarted(AttemptId),
    /// Runner to component: its terminal word.
    JobEnded {
        /// The attempt.
        attempt: AttemptId,
        /// How it ended.
        outcome: Outcome,
        /// The start of the runner that ran it, if one did.
        #[serde(default)]
        ran_by: Option<Boot>,
    },
}
