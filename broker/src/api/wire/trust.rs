//! Roots, revocations and dispatch keys as they cross the API.

use std::collections::BTreeMap;

use remit_loops::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DispatchKey;

/// `GET /v1/orgs/{org}/roots`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RootList {
    /// Oldest first.
    pub roots: Vec<RootInfo>,
}

/// One trust root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RootInfo {
    /// Its version.
    pub version: u64,
    /// sha256 of its payload, hexadecimal.
    pub sha256: String,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it holds.
    pub expires: Timestamp,
    /// The root itself: a DSSE envelope, JSON, as text.
    pub root: String,
}

/// The answer to a root that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RootPublished {
    /// Its version.
    pub version: u64,
    /// sha256 of its payload, hexadecimal.
    pub sha256: String,
    /// It was here already.
    pub duplicate: bool,
}

/// `POST /v1/orgs/{org}/trust`: takes away, for good. What is here already stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRestriction {
    /// Ids of release or dispatch keys that shall sign nothing any more, with a reason.
    #[serde(default)]
    pub revoke: BTreeMap<String, String>,
    /// The lowest release counters that may still run, by `app/channel`.
    #[serde(default)]
    pub floors: BTreeMap<String, u64>,
}

/// `GET /v1/orgs/{org}/trust`: what runners are told beside the root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Standing {
    /// Ids of keys that sign nothing any more, with the reasons.
    pub revoked: BTreeMap<String, String>,
    /// The lowest release counters that may still run, by `app/channel`.
    pub floors: BTreeMap<String, u64>,
    /// When it last changed.
    pub changed: Timestamp,
}

/// `GET /v1/dispatch-keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DispatchKeyList {
    /// The current one first; while keys change, the next one too.
    pub keys: Vec<DispatchKeyInfo>,
    /// Why nothing is signed now, if that is so: for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<SigningTrouble>,
}

/// One key that the broker signs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DispatchKeyInfo {
    /// Its id: sha256 of the SubjectPublicKeyInfo, hexadecimal.
    pub id: String,
    /// `current` or `next`.
    pub state: String,
    /// Its public half.
    pub key: DispatchKey,
    /// `file` or `kms`.
    #[serde(default)]
    pub place: String,
    /// Where it is in KMS: for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kms: Option<String>,
    /// When it was made, or taken from KMS.
    #[serde(default)]
    pub made: Option<Timestamp>,
    /// When it should have been changed for another.
    #[serde(default)]
    pub due: Option<Timestamp>,
}

/// Why the broker signs nothing now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SigningTrouble {
    /// Since when.
    pub since: Timestamp,
    /// The stable code of the last failure.
    pub code: String,
    /// Its words.
    pub message: String,
    /// What to do.
    pub hint: String,
}
