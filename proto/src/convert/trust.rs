//! What the vendor's keys say of themselves: newer roots, and the status of the newest.

use super::{WireError, at_most, bounded_bytes, positive};
use crate::{limit, v1};

/// A runner asks for what is newer than the root that it trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustRequest {
    /// That root's version, from 1.
    pub root_version: u64,
}

impl TryFrom<v1::FetchTrustRequest> for TrustRequest {
    type Error = WireError;

    fn try_from(wire: v1::FetchTrustRequest) -> Result<Self, WireError> {
        Ok(Self { root_version: positive("root_version", wire.root_version)? })
    }
}

impl From<TrustRequest> for v1::FetchTrustRequest {
    fn from(TrustRequest { root_version }: TrustRequest) -> Self {
        Self { root_version }
    }
}

/// Signed documents as they were signed; nothing in them is verified here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The roots that follow, oldest first; there may be more.
    pub roots: Vec<Vec<u8>>,
    /// The status of the newest root, where there is no newer one.
    pub status: Option<Vec<u8>>,
}

impl TryFrom<v1::FetchTrustResponse> for Trust {
    type Error = WireError;

    fn try_from(wire: v1::FetchTrustResponse) -> Result<Self, WireError> {
        at_most("roots", wire.roots.len(), limit::ROOTS_MAX)?;
        let document = |field, bytes| bounded_bytes(field, bytes, limit::ROOT_SIZE_MAX);
        let roots = wire.roots.into_iter().map(|root| document("roots", root)).collect::<Result<_, _>>()?;
        let status = Some(wire.status).filter(|bytes| !bytes.is_empty());
        Ok(Self { roots, status: status.map(|bytes| document("status", bytes)).transpose()? })
    }
}

impl From<Trust> for v1::FetchTrustResponse {
    fn from(Trust { roots, status }: Trust) -> Self {
        Self { roots, status: status.unwrap_or_default() }
    }
}
