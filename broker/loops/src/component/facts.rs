//! What is known of a component: what of it is there, and how one knows.

use serde::{Deserialize, Serialize};

use crate::drift::{Accepted, Details, Word};
use crate::job::{AttemptId, Success};
use crate::release::ReleaseRef;
use crate::runner::message::Boot;
use crate::time::Timestamp;
use crate::values::Values;

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
    /// A difference that somebody accepted: it counts as drift no more, as long as it is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Box<Accepted>>,
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
    /// What differs.
    #[serde(default, skip_serializing_if = "Details::is_empty")]
    pub details: Box<Details>,
}

impl Facts {
    /// A look at the world has ended well.
    pub(super) fn looked(&mut self, at: Timestamp, success: &Success) {
        if !success.drifted {
            (self.drift, self.accepted) = (None, None);
            return;
        }
        let details = &success.differences;
        let is_accepted =
            |a: &Accepted| !details.fingerprint.is_empty() && a.details.fingerprint == details.fingerprint;
        if self.accepted.as_deref().is_some_and(is_accepted) {
            self.drift = None;
            return;
        }
        self.accepted = None;
        let (summary, details) = (success.summary.clone(), details.clone());
        self.drift = Some(Drift { found: at, summary, details });
    }

    /// Somebody accepts what is there; what differs from the code all the same is written down with it.
    pub(super) fn adopted(&mut self, at: Timestamp, word: &Word, success: &Success) {
        if !success.outputs.is_empty() {
            self.outputs.clone_from(&success.outputs);
        }
        if !success.drifted || success.differences.fingerprint.is_empty() {
            return self.looked(at, success);
        }
        let Word { by, reason } = word.clone();
        let (summary, details) = (success.summary.clone(), (*success.differences).clone());
        self.drift = None;
        self.accepted = Some(Box::new(Accepted { by, at, reason, summary, details }));
    }
}
