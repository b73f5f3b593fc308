//! What a plan would do, in words that no tool has for itself: a policy is asked about them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// What a plan would do, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanFacts {
    /// Made.
    pub create: u32,
    /// Changed in place.
    pub update: u32,
    /// Removed.
    pub delete: u32,
    /// Removed and made anew.
    pub replace: u32,
    /// Changes of who may do what.
    pub iam: u32,
    /// Changes that let the internet in.
    pub public: u32,
    /// The types of what is removed or replaced.
    pub removes: BTreeSet<String>,
    /// The types of all that is changed.
    pub changes: BTreeSet<String>,
}

/// What was planned, and the digest of the saved plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedPlan {
    /// Counted.
    pub facts: PlanFacts,
    /// Of the file that is applied and of nothing else, hexadecimal.
    pub digest: String,
}
