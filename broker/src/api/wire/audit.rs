//! The audit log, as it crosses the API.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DispatchKey;
use crate::audit::{Block, Entry};

/// An entry and the block that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditEntry {
    /// The block's number.
    pub block: u64,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// `GET /v1/audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// The newest first.
    pub entries: Vec<AuditEntry>,
    /// To be given as `before` for older ones; there may be none of yours among them.
    pub next: Option<u64>,
}

/// `GET /v1/audit/blocks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditBlocks {
    /// Where the log stands, signed: a DSSE envelope in JSON.
    pub checkpoint: String,
    /// The keys that this broker signs with.
    pub keys: Vec<DispatchKey>,
    /// Where older blocks are kept no more: the place before the first that is, signed.
    pub base: Option<String>,
    /// Blocks, oldest first; an empty list only where there are no more.
    pub blocks: Vec<Block>,
}
