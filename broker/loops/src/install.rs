//! The event loop of an install: the queue of operations on one running copy of an app.
use crate::event::{Effect, Event, Rejected, Values, Waiting};
use crate::id::ObjectId;
use crate::job::Mode;
use crate::view::View;
use serde::{Deserialize, Serialize};

/// What an install can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signal {
    /// Make it; it deploys the newest release as soon as its app is active and its runner is there.
    Create {
        /// Inputs of broker authority, as JSON texts by name.
        #[serde(default)]
        inputs: Values,
        /// Whether it touches the real world.
        #[serde(default)]
        mode: Mode,
        /// For grouping.
        #[serde(default)]
        labels: Values,
    },
    /// Bring it to a release.
    Deploy {
        /// The release's version, or the newest.
        #[serde(default)]
        version: Option<String>,
    },
    /// Deploy again what has drifted or failed, by the release it is on.
    Heal {},
    /// Compare the world with what was deployed; changes nothing and holds up nothing.
    CheckDrift {},
    /// Start nothing new until it is resumed; what runs goes on.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// Go on.
    Resume {},
    /// Stop an operation.
    Cancel {
        /// Its number, or the one that runs.
        #[serde(default)]
        operation: Option<u64>,
        /// Why, for people.
        reason: String,
    },
    /// Try a failed step of the held operation again, or all of them.
    Retry {
        /// The step's component, or all failed ones.
        #[serde(default)]
        component: Option<String>,
    },
    /// Go on without a failed step of the held operation.
    Skip {
        /// The step's component.
        component: String,
        /// Why, for people.
        reason: String,
    },
    /// Change inputs of broker authority; they count from the next deploy on.
    SetInputs {
        /// As JSON texts by name; others stay.
        inputs: Values,
    },
    /// Tear everything down, make sure, and only then forget it.
    Delete {},
    /// Forget it without destroying what is left; a tombstone keeps the list.
    Forget {
        /// Why, for people; on the record for good.
        reason: String,
    },
}

/// An install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    id: ObjectId,
}
impl Install {
    pub(crate) fn new(id: ObjectId) -> Self {
        Self { id }
    }
    pub(crate) fn apply(&mut self, _e: &Event) -> Result<Vec<Effect>, Rejected> {
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
