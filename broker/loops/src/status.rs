//! An object in a word, and the operations and steps that it is at, as people and programs see them.

use serde::{Deserialize, Serialize};

use crate::job::{Action, Outcome};
use crate::plan::Asking;
use crate::release::ReleaseRef;
use crate::time::Timestamp;

/// How an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// A stable word, e.g. `active`, `provisioning`, `held`, `deleted`.
    pub word: String,
    /// One sentence.
    pub description: String,
    /// Since when it has been so.
    pub since: Timestamp,
}

/// An operation that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationView {
    /// Its number in the object, from 1.
    pub number: u64,
    /// Its kind: `deploy`, `teardown`, `heal`, `drift check`.
    pub kind: String,
    /// The release it works by, if any.
    pub release: Option<ReleaseRef>,
    /// Who asked.
    pub by: String,
    /// When it began.
    pub since: Timestamp,
    /// Its graph.
    pub steps: Vec<StepView>,
    /// One digest for all plans that wait for an approval, where several do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_plans: Option<String>,
}

/// One step of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    /// The component it is about.
    pub component: String,
    /// What it does.
    pub action: Action,
    /// The components whose steps come first.
    pub needs: Vec<String>,
    /// `waiting`, `ready`, `planning`, `approval`, `running`, `probing`, `mending`, `stopping`, `succeeded`, `failed`, `skipped` or `cancelled`.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// Why it was skipped, how it failed, what came of it.
    pub note: String,
    /// Which try is running or was the last; 0 before the first.
    pub attempt: u32,
    /// The plan that waits for somebody's yes, and whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<Asking>,
}

/// An operation that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueuedView {
    /// Its number.
    pub number: u64,
    /// Its place, from 1.
    pub position: u32,
    /// `work` or `read`.
    pub lane: String,
    /// Its kind.
    pub kind: String,
    /// Who asked.
    pub by: String,
    /// When it was asked for.
    pub since: Timestamp,
    /// What it waits for.
    pub waits_for: String,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastOperation {
    /// Its number.
    pub number: u64,
    /// Its kind.
    pub kind: String,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
}
