//! The customer's own approvals: signed by one of the keys that the customer gave the runner.

use super::Verified;
use super::checkpoint::check_signed;
use crate::document::{CustomerApproval, KeySpec};
use crate::dsse::{Envelope, PayloadType};
use crate::{Refusal, strict};

/// An approval that any of these keys signed. Time and install are the caller's to look at.
pub fn customer_approval(keys: &[KeySpec], bytes: &[u8]) -> Result<Verified<CustomerApproval>, Refusal> {
    let envelope = Envelope::parse(bytes, PayloadType::Approval)?;
    let mut answer = Err(Refusal::Threshold { role: "customer", have: 0, need: 1 });
    for key in keys {
        match check_signed(key, "customer", &envelope) {
            Ok(()) => {
                answer = Ok(());
                break;
            }
            // Another key may have signed it; that one of theirs is false is worth more than that it is not there.
            Err(refusal @ Refusal::SignatureInvalid { .. }) => answer = Err(refusal),
            Err(Refusal::Threshold { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    answer?;
    let document = strict::from_slice(&envelope.payload)?;
    Ok(Verified { document, digest: envelope.payload_digest(), signers: 1 })
}
