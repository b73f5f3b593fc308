//! Break glass: a job that somebody let pass the vendor's own rules, and says so.

use serde::{Deserialize, Serialize};

/// Who broke the glass of the install, why, and until when. It passes the vendor's rules only: windows,
/// freezes, approvals of the vendor's people. Nothing of the customer's is passed by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// Who, for people: the name of a token.
    pub by: String,
    /// Why, for people.
    pub reason: String,
    /// After this no job may start by it.
    pub until_ms: i64,
}
