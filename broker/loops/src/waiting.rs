//! Why an object is not done yet: one reason, what it rests on, and how much it matters.

use serde::{Deserialize, Serialize};

use crate::id::ObjectId;
use crate::job::{AttemptId, Failure};
use crate::time::Timestamp;

/// One reason why an object is not done yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Waiting {
    /// A stable word for programs, e.g. `waiting.runner_offline`.
    pub code: String,
    /// One sentence for people.
    pub reason: String,
    /// Since when it has been so.
    pub since: Timestamp,
    /// The object to look at next, if it is not this one's own doing.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub on: Option<ObjectId>,
    /// What would end it.
    pub remedy: String,
    /// What it rests on, where somebody said more than this.
    #[serde(default)]
    pub evidence: Option<Evidence>,
}

/// What a reason rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// The words of the tool, or of whoever said it; empty where it is only under way.
    pub words: String,
    /// The stable code of the failure, if it was one.
    pub code: Option<String>,
    /// The attempt that it is about.
    pub attempt: Option<AttemptId>,
    /// The digest of the plan that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

impl Evidence {
    pub(crate) fn of(failure: &Failure) -> Self {
        Self { words: failure.message.clone(), code: Some(failure.code.clone()), ..Self::default() }
    }
}

/// How much a reason matters, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Something failed, and a person decides how it goes on.
    Failed,
    /// Something is not as it should be, and nothing happens about it by itself.
    Attention,
    /// It waits for somebody or something else.
    Waiting,
    /// It is being worked at, and ends by itself.
    Underway,
}

/// What waits, and nothing happens about it by itself.
const ATTENTION: [&str; 3] = ["waiting.unconfirmed", "waiting.runner_revoked", "waiting.approval"];
/// What is being worked at.
const UNDERWAY: [&str; 5] = ["waiting.step", "waiting.rule", "waiting.job", "waiting.stop", "waiting.retry"];

impl Waiting {
    /// How much it matters.
    pub fn urgency(&self) -> Urgency {
        let code = self.code.as_str();
        if code.starts_with("held.") {
            Urgency::Failed
        } else if code.starts_with("attention.") || ATTENTION.contains(&code) {
            Urgency::Attention
        } else if UNDERWAY.contains(&code) {
            Urgency::Underway
        } else {
            Urgency::Waiting
        }
    }
}
