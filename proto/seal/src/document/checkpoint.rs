//! A runner's word on its own receipts: so many there were, and the last had this digest.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A place in a runner's chain of receipts, signed with the key that the runner keeps for it. Whoever
/// holds one can prove later that the chain was changed before that place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The install's id.
    pub install: String,
    /// The file of the journal that holds the last of them.
    pub segment: u32,
    /// How many receipts there were.
    pub records: u64,
    /// The digest of the last of them, which proves all before it.
    pub head: Digest,
    /// When it was signed, by the runner's clock.
    pub at_ms: i64,
}
