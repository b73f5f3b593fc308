//! Jobs, attempts and their outcomes, as the loops see them.

use remit_seal::document;
use serde::{Deserialize, Serialize};

use crate::drift::Details;
use crate::id::ObjectId;
use crate::plan::{Changes, Plan};
use crate::values::Values;

/// What a job does to its component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Make the component as the release says.
    Deploy,
    /// Remove the component.
    Destroy,
    /// Compare the world with what was deployed; changes nothing.
    Drift,
    /// Take what is there for what is known to be there; changes nothing but the tool's own records.
    Adopt,
    /// Run a command that the component declares.
    Run,
    /// Look whether the component does its work; changes nothing.
    Health,
}

impl Action {
    /// The word for it, as in an envelope's `operation`.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Deploy => "deploy",
            Action::Destroy => "destroy",
            Action::Drift => "drift",
            Action::Adopt => "adopt",
            Action::Run => "run",
            Action::Health => "health",
        }
    }

    /// Whether it needs its component for itself.
    pub fn mutates(self) -> bool {
        match self {
            Action::Deploy | Action::Destroy | Action::Adopt | Action::Run => true,
            Action::Drift | Action::Health => false,
        }
    }

    /// Whether it makes or removes the component: what is planned, and can be left half done.
    pub fn makes(self) -> bool {
        match self {
            Action::Deploy | Action::Destroy => true,
            Action::Drift | Action::Adopt | Action::Run | Action::Health => false,
        }
    }
}

/// Whether an install touches the real world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The real executors.
    #[default]
    Real,
    /// The rehearsal executor in place of every real one.
    Sandbox,
}

impl Mode {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Real => "real",
            Mode::Sandbox => "sandbox",
        }
    }
}

/// Names one try at one job. An older fence's words change nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AttemptId {
    /// The job's id, e.g. `job_demo.shop.acme.network.e1.o7`.
    pub job: String,
    /// The try, from 1; in one operation no two of a component are the same.
    pub attempt: u32,
}

impl AttemptId {
    /// Whether it is of this job, or of another of the same operation.
    pub(crate) fn is_beside(&self, job: &str) -> bool {
        let operation = |job: &str| job.rsplit_once('.').map(|(operation, _)| operation.to_owned());
        operation(&self.job) == operation(job)
    }

    /// The id of the job that one operation of an install is for a component.
    pub(crate) fn job_of(component: &ObjectId, epoch: u64, operation: u64, action: Action) -> String {
        format!("job_{}.e{epoch}.o{operation}.{}", component.path(), action.as_str())
    }
}

/// How an attempt, a task or an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it was asked.
    Succeeded(Success),
    /// It tried and could not.
    Failed(Failure),
    /// It was stopped.
    Cancelled {
        /// By whom or why.
        message: String,
    },
}

/// What came of a success.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Success {
    /// Outputs that are not sensitive, as JSON texts by name.
    pub outputs: Values,
    /// Things made, changed, removed, replaced.
    pub changes: Changes,
    /// For a drift check: the world differs from what was deployed.
    pub drifted: bool,
    /// One line for people.
    pub summary: String,
    /// What was planned, or done by a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// For a destroy: how it was made sure that nothing is left; empty where nobody could look.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub swept: String,
    /// For a drift check: what differs.
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub differences: Box<Details>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Failure {
    /// What sort of failure it is.
    pub class: FailureClass,
    /// A stable code, e.g. `executor.tool_missing`.
    pub code: String,
    /// The tool's own words.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Sorts of failure, by what ends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Somebody must grant something.
    Permission,
    /// Somebody must raise a limit.
    Quota,
    /// Somebody must pay.
    Billing,
    /// Something else owns the thing.
    Conflict,
    /// Something changed or stopped it from outside.
    Interference,
    /// It may work the next time.
    Transient,
    /// It took too long.
    Timeout,
    /// The product or Remit is wrong.
    Bug,
    /// The runner would not begin it.
    Refused,
}

impl From<document::FailureClass> for FailureClass {
    fn from(class: document::FailureClass) -> Self {
        use document::FailureClass as Signed;
        match class {
            Signed::Permission => FailureClass::Permission,
            Signed::Quota => FailureClass::Quota,
            Signed::Billing => FailureClass::Billing,
            Signed::Conflict => FailureClass::Conflict,
            Signed::Interference => FailureClass::Interference,
            Signed::Transient => FailureClass::Transient,
            Signed::Timeout => FailureClass::Timeout,
            Signed::Bug => FailureClass::Bug,
        }
    }
}

impl FailureClass {
    /// The class of a failure of what was begun; none of what a runner would not begin.
    pub fn begun(self) -> Option<document::FailureClass> {
        use document::FailureClass as Signed;
        match self {
            FailureClass::Permission => Some(Signed::Permission),
            FailureClass::Quota => Some(Signed::Quota),
            FailureClass::Billing => Some(Signed::Billing),
            FailureClass::Conflict => Some(Signed::Conflict),
            FailureClass::Interference => Some(Signed::Interference),
            FailureClass::Transient => Some(Signed::Transient),
            FailureClass::Timeout => Some(Signed::Timeout),
            FailureClass::Bug => Some(Signed::Bug),
            FailureClass::Refused => None,
        }
    }

    /// Whether another try, without anybody doing anything, may end it.
    pub fn is_retryable(self) -> bool {
        match self {
            FailureClass::Transient | FailureClass::Timeout | FailureClass::Interference => true,
            FailureClass::Permission
            | FailureClass::Quota
            | FailureClass::Billing
            | FailureClass::Conflict
            | FailureClass::Bug
            | FailureClass::Refused => false,
        }
    }
}
