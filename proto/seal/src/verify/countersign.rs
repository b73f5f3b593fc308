//! The customer's own words: signed by one of the keys that the customer gave the runner.

use super::Verified;
use super::checkpoint::check_signed;
use super::name::is_name;
use crate::customer::{CustomerApproval, Every, Releases, Subject, Word};
use crate::document::KeySpec;
use crate::dsse::{Envelope, PayloadType};
use crate::{Refusal, strict};

/// The longest name of who said it, in bytes.
pub const CUSTOMER_BY_LEN_MAX: usize = 128;
/// The longest text that says what it is about, in bytes.
pub const CUSTOMER_WHAT_LEN_MAX: usize = 512;

/// A word that any of these keys signed. Time and install are the caller's to look at.
pub fn customer_approval(keys: &[KeySpec], bytes: &[u8]) -> Result<Verified<CustomerApproval>, Refusal> {
    let envelope = Envelope::parse(bytes, PayloadType::Approval)?;
    let mut answer = Err(Refusal::Threshold { role: "customer", have: 0, need: 1 });
    for key in keys {
        match check_signed(key, "customer", &envelope) {
            Ok(signers) => {
                answer = Ok(signers);
                break;
            }
            // Another key may have signed it; that one of theirs is false is worth more than that it is not there.
            Err(refusal @ Refusal::SignatureInvalid { .. }) => answer = Err(refusal),
            Err(Refusal::Threshold { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    let signers = answer?;
    let document: CustomerApproval = strict::from_slice(&envelope.payload)?;
    check_form(&document)?;
    Ok(Verified { document, digest: envelope.payload_digest(), signers })
}

fn check_form(said: &CustomerApproval) -> Result<(), Refusal> {
    let unsound = |detail| Err(Refusal::CustomerWordInvalid(detail));
    let is_line = |text: &str, max| text.len() <= max && !text.chars().any(char::is_control);
    if said.by.is_empty() || !is_line(&said.by, CUSTOMER_BY_LEN_MAX) {
        return unsound("who says it is empty, longer than 128 bytes, or holds control characters");
    }
    if !is_line(&said.what, CUSTOMER_WHAT_LEN_MAX) {
        return unsound("what it is about is longer than 512 bytes, or holds control characters");
    }
    if said.until_ms <= said.at_ms {
        return unsound("it ends before it begins");
    }
    let fits = match (&said.subject, said.word) {
        (Subject::Content(_) | Subject::Every(_), Word::Approved | Word::Denied)
        | (Subject::Lock(_) | Subject::Marks, Word::Approved)
        | (Subject::Word(_), Word::Revoked) => true,
        (Subject::Content(_) | Subject::Every(_), Word::Revoked)
        | (Subject::Lock(_) | Subject::Marks, Word::Denied | Word::Revoked)
        | (Subject::Word(_), Word::Approved | Word::Denied) => false,
    };
    if !fits {
        return unsound("jobs are approved or denied, locks and marks approved, earlier words revoked");
    }
    match &said.subject {
        Subject::Every(every) if !is_sound(every) => unsound("the jobs that it is of are not named rightly"),
        Subject::Content(_) | Subject::Every(_) | Subject::Lock(_) | Subject::Word(_) | Subject::Marks => {
            Ok(())
        }
    }
}

fn is_sound(Every { operation, component, releases }: &Every) -> bool {
    is_name(operation)
        && component.as_deref().is_none_or(is_name)
        && releases.is_none_or(|Releases { from, to }| from <= to)
}
