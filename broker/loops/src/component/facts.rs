//! What is known of a component: what of it is there, and how one knows.

use serde::{Deserialize, Serialize};

use super::{Component, Current};
use crate::event::{Timestamp, Values};
use crate::job::{Action, AttemptId, ReleaseRef, Success};
use crate::plan::Stage;
use crate::runner::Boot;

/// What is known to be there, by the component's last reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Facts {
    /// Something may exist in the customer's world: from the start of the first deploy to a confirmed destroy.
    pub may_exist: bool,
    /// The last deploy that succeeded.
    pub deployed: Option<Deployed>,
    /// Outputs that are not sensitive, as JSON texts by name.
    pub outputs: Values,
    /// A difference that a drift check found and no deploy has mended since.
    pub drift: Option<Drift>,
    /// A change of it began and did not succeed: it may be anything between before and after.
    #[serde(default)]
    pub unfinished: bool,
    /// The last destroy that succeeded, as long as nothing was made since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Box<Removed>>,
    /// What made it as it is, as long as nothing has begun to change it since.
    #[serde(default)]
    pub settled: Option<Settled>,
}

/// What a finished deploy was made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Settled {
    /// The digest of all that went into it, hexadecimal.
    pub input_digest: String,
    /// The operation that made it.
    pub operation: u64,
    /// The start of the runner that made it.
    pub ran_by: Boot,
}

/// A deploy that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Deployed {
    /// By which release.
    pub release: ReleaseRef,
    /// The digest of the component's artefact.
    pub digest: String,
    /// When.
    pub at: Timestamp,
}

/// A destroy that succeeded: the receipt for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Removed {
    /// When.
    pub at: Timestamp,
    /// The attempt that did it.
    pub attempt: AttemptId,
    /// How it was made sure that nothing is left; empty where nobody could look.
    pub swept: String,
}

/// A difference between the world and what was deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Drift {
    /// When it was found.
    pub found: Timestamp,
    /// What differs, in a line.
    pub summary: String,
}

impl Component {
    /// Takes note of what a success says.
    pub(super) fn learn(
        &mut self,
        at: Timestamp,
        current: &Current,
        success: &Success,
        ran_by: Option<&Boot>,
    ) {
        let task = &current.task;
        if task.stage == Stage::Plan {
            return;
        }
        self.since = at;
        match task.action {
            Action::Deploy => {
                let (release, digest) = (task.release.clone(), task.digest.clone());
                let settled = |(input_digest, ran_by): (&String, &Boot)| Settled {
                    input_digest: input_digest.clone(),
                    operation: task.operation,
                    ran_by: ran_by.clone(),
                };
                self.facts = Facts {
                    may_exist: true,
                    deployed: Some(Deployed { release, digest, at }),
                    outputs: success.outputs.clone(),
                    drift: None,
                    unfinished: false,
                    removed: None,
                    settled: task.input_digest.as_ref().zip(ran_by).map(settled),
                };
            }
            Action::Destroy => {
                let removed = Removed { at, attempt: current.id.clone(), swept: success.swept.clone() };
                self.facts = Facts { removed: Some(Box::new(removed)), ..Facts::default() };
            }
            Action::Drift if success.drifted => {
                self.facts.drift = Some(Drift { found: at, summary: success.summary.clone() });
            }
            Action::Drift => self.facts.drift = None,
        }
    }
}
