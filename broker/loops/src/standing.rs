//! How a parent is, as far as its children need to know.

use serde::{Deserialize, Serialize};

/// How a parent is, as far as its children need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It does not exist (yet).
    Absent,
    /// It is well: go on.
    Active,
    /// Somebody paused it.
    Paused,
    /// It is being deleted.
    Deleting,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Standing::Absent => "absent",
            Standing::Active => "active",
            Standing::Paused => "paused",
            Standing::Deleting => "being deleted",
        })
    }
}
