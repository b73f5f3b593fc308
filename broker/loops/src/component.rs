//! The event loop of one component of one install: its attempts, retries and facts.
use crate::event::{Effect, Event, Rejected, Timestamp, Values, Waiting};
use crate::id::ObjectId;
use crate::job::{Action, Mode, ReleaseRef};
use crate::view::View;
use serde::{Deserialize, Serialize};

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
}

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

/// A difference between the world and what was deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Drift {
    /// When it was found.
    pub found: Timestamp,
    /// What differs, in a line.
    pub summary: String,
}

/// A component of an install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    id: ObjectId,
}
impl Component {
    pub(crate) fn new(id: ObjectId) -> Self {
        Self { id }
    }
    pub(crate) fn apply(&mut self, _e: &Event) -> Result<Vec<Effect>, Rejected> {
        todo!()
    }
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        todo!()
    }
    pub(crate) fn why(&self) -> Vec<Waiting> {
        todo!()
    }
    pub(crate) fn view(&self) -> View {
        todo!()
    }
    pub(crate) fn is_known(&self) -> bool {
        todo!()
    }
}
