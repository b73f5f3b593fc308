//! A broker's word on chains: believed by the dispatch role of a root, or by one key that the verifier names.

use super::checkpoint::check_signed;
use super::{RoleName, Verified, signed};
use crate::document::{AuditCheckpoint, KeySpec, Root, Seen};
use crate::dsse::{Envelope, PayloadType};
use crate::{Refusal, strict};

/// What a broker has seen of receipts, signed by the dispatch role of this root.
pub fn seen(root: &Verified<Root>, bytes: &[u8]) -> Result<Verified<Seen>, Refusal> {
    signed(root.get(), RoleName::Dispatch, PayloadType::Seen, bytes)
}

/// The same, signed by this key: for whoever has no root at hand.
pub fn seen_by(key: &KeySpec, bytes: &[u8]) -> Result<Verified<Seen>, Refusal> {
    by_key(key, PayloadType::Seen, bytes)
}

/// A place in a broker's audit log, signed by this key.
pub fn audit_checkpoint(key: &KeySpec, bytes: &[u8]) -> Result<Verified<AuditCheckpoint>, Refusal> {
    by_key(key, PayloadType::Audit, bytes)
}

fn by_key<T: serde::de::DeserializeOwned>(
    key: &KeySpec,
    kind: PayloadType,
    bytes: &[u8],
) -> Result<Verified<T>, Refusal> {
    let envelope = Envelope::parse(bytes, kind)?;
    let signers = check_signed(key, "dispatch", &envelope)?;
    let document = strict::from_slice(&envelope.payload)?;
    Ok(Verified { document, digest: envelope.payload_digest(), signers })
}
