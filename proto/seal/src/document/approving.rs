//! How many of the vendor's people must approve an operation, who of them, and for how long that counts.

use serde::{Deserialize, Serialize};

/// The terms of the vendor's approval. An install's own rules may ask for more, never for less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// How many different people must approve.
    pub quorum: u32,
    /// Whose approval counts, by the names of their tokens; empty for everybody who may approve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// An approval counts no longer than this.
    pub valid_ms: i64,
}
