//! Lines on the timeline of an object, for people.

use serde::{Deserialize, Serialize};

/// A line on the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// A stable word for programs, e.g. `operation.started`.
    pub code: String,
    /// One sentence for people.
    pub text: String,
    /// Whether it is news, a worry or a failure.
    pub level: Level,
}

/// How much a timeline entry matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// News.
    Info,
    /// Something to look at.
    Warning,
    /// A failure.
    Error,
}
