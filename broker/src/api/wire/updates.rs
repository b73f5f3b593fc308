//! What crosses the API about updates: what waits for an install, and who would change by a release.

use remit_loops::install::{NextWindow, Offer, Preview, UpdatesView};
use remit_loops::release::changes::ComponentChange;
use remit_loops::{ObjectId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/objects/{install}/updates`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Updates {
    /// When the install is changed, and what waits for that.
    pub updates: UpdatesView,
    /// The release that it is on.
    pub version: Option<String>,
    /// The next times that its window is open, if it has one.
    pub windows: Vec<NextWindow>,
    /// The releases that wait, with what they would change.
    pub waiting: Vec<WaitingRelease>,
}

/// A release that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingRelease {
    /// The release, and what was said about it.
    #[serde(flatten)]
    pub offer: Offer,
    /// The vendor's notes, as they were signed.
    pub notes: String,
    /// What it would change here, by component; empty when its app no longer remembers it.
    pub changes: Vec<ComponentChange>,
}

/// `GET /v1/objects/{app}/preview`: who would change by a release, when, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewPage {
    /// The release.
    pub version: String,
    /// When this was worked out.
    pub at: Timestamp,
    /// The installs of this page, by id.
    pub installs: Vec<PreviewItem>,
    /// Where the next page begins, if there is one.
    #[schema(value_type = Option<String>)]
    pub next: Option<ObjectId>,
}

/// What would become of one install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewItem {
    /// The install.
    #[schema(value_type = String)]
    pub install: ObjectId,
    /// Its update policy, in a line.
    pub policy: String,
    /// The release that it is on.
    pub version: Option<String>,
    /// When, and what.
    #[serde(flatten)]
    pub preview: Preview,
}
