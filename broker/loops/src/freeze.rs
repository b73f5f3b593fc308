//! Freezes: times in which nothing is changed, stated for an org, an app or an install.
//!
//! A parent's freezes hold for its children; it tells them. Two freezes of one object never lie over
//! each other, so that taking one away ends what people think that it ends.

use serde::{Deserialize, Serialize};

use crate::id::ObjectId;
use crate::time::Timestamp;

/// What a person states to make a freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AddFreeze {
    /// Its name, like `year-end`.
    pub name: String,
    /// The first moment of it, milliseconds since the Unix epoch; otherwise now.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// The first moment after it, milliseconds since the Unix epoch.
    pub until: Timestamp,
    /// Why, for people.
    pub reason: String,
}

/// What a person states to take one away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoveFreeze {
    /// Its name.
    pub name: String,
    /// Why, for people.
    pub reason: String,
}

/// A time in which nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Freeze {
    /// Its name, unique in the object that states it.
    pub name: String,
    /// The object that states it: the install, its app or its org.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub of: ObjectId,
    /// The first moment of it.
    pub from: Timestamp,
    /// The first moment after it.
    pub until: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// Who stated it.
    pub by: String,
}

impl Freeze {
    /// Whether a moment lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    pub(crate) fn overlaps(&self, from: Timestamp, until: Timestamp) -> bool {
        self.from < until && from < self.until
    }
}
