//! A broker's word on chains: a place in its own audit log, and what it has seen of a runner's receipts.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// A place in a broker's audit log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditPlace {
    /// Which log: made up when it was begun.
    pub chain: String,
    /// How many blocks there were.
    pub block: u64,
    /// How many entries they held.
    pub entries: u64,
    /// The digest of the last block, which proves all before it.
    pub head: Digest,
}

/// A place in a broker's audit log, signed with its dispatch key. Whoever holds one can prove later that
/// the log was changed before that place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditCheckpoint {
    /// Where.
    pub place: AuditPlace,
    /// When it was signed, by the broker's clock.
    pub at_ms: i64,
}

/// A broker's receipt for a runner's receipts, signed with its dispatch key: it was told of this place in
/// the runner's chain, and wrote that down in that place of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The install's id.
    pub install: String,
    /// The install's epoch.
    pub epoch: u64,
    /// The runner's generation.
    pub generation: u64,
    /// How many receipts it was told of.
    pub records: u64,
    /// The digest of the last of them.
    pub head: Digest,
    /// Where it stands in the broker's audit log.
    pub audit: AuditPlace,
    /// When it was signed, by the broker's clock.
    pub at_ms: i64,
}
