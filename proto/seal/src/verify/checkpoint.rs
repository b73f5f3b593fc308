//! Checkpoints of receipts: signed by one key that the verifier names, of no role of the vendor's root.

use std::collections::BTreeSet;

use super::Verified;
use crate::document::{Checkpoint, KeySpec};
use crate::dsse::{Envelope, PayloadType};
use crate::key::PublicKey;
use crate::{Refusal, strict};

/// A checkpoint signed by this key, whatever others signed it too.
pub fn checkpoint(key: &KeySpec, bytes: &[u8]) -> Result<Verified<Checkpoint>, Refusal> {
    let envelope = Envelope::parse(bytes, PayloadType::Checkpoint)?;
    let signers = check_signed(key, "runner", &envelope)?;
    let document = strict::from_slice(&envelope.payload)?;
    Ok(Verified { document, digest: envelope.payload_digest(), signers })
}

/// The id of this key, which stands in no root, if it signed.
pub(super) fn check_signed(
    key: &KeySpec,
    role: &'static str,
    envelope: &Envelope,
) -> Result<BTreeSet<String>, Refusal> {
    let key = PublicKey::from_spec(key)?;
    let message = envelope.message();
    let mut own = envelope.signatures.iter().filter(|signature| signature.keyid == key.id()).peekable();
    if own.peek().is_none() {
        return Err(Refusal::Threshold { role, have: 0, need: 1 });
    }
    if own.any(|signature| key.verifies(&message, &signature.sig)) {
        return Ok([key.id().to_owned()].into());
    }
    Err(Refusal::SignatureInvalid { role })
}
