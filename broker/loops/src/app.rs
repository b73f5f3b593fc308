//! The event loop of an app.
use crate::event::{Effect, Event, Rejected, Waiting};
use crate::id::ObjectId;
use crate::view::View;
use serde::{Deserialize, Serialize};

/// What an app can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signal {
    /// Make it.
    Create {},
    /// A new release, verified by the edge.
    Publish {
        /// The release.
        release: crate::release::Release,
    },
    /// Start nothing new in its installs until it is resumed.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// Go on.
    Resume {},
    /// Remove it, once no install of it is left.
    Delete {},
}

/// An app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    id: ObjectId,
}
impl App {
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
