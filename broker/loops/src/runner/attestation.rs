//! Where an install's runner must be: an account of AWS, by AWS's own word and not by the runner's.
//!
//! The proof of a role stands alone; the proof of an account alone goes with a one-time token, as anybody in
//! the account could give it.

use serde::{Deserialize, Serialize};

use super::Runner;
use super::message::{Attestation, Place};
use crate::event::{Effect, Event, record_at};
use crate::rejected::{Rejected, RejectedCode};
use crate::time::Timestamp;
use crate::timeline::Level;

/// How many nonces are remembered: each was shown with a good proof, within the minute that it is good.
const NONCES_MAX: usize = 16;

/// What somebody shows who wants to be the install's runner.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// sha256 of the one-time token, hexadecimal.
    pub token_sha256: Option<&'a str>,
    /// sha256 of the public key that is to be certified, hexadecimal.
    pub spki_sha256: &'a str,
    /// AWS's word.
    pub proof: Option<&'a Attestation>,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token is out.
    #[error("no token is out for this install: it was used already, or never made")]
    NoToken,
    /// Another token.
    #[error("that is not this install's token")]
    WrongToken,
    /// Too late.
    #[error("the token has expired; make a new one")]
    TokenExpired,
    /// A proof, but no token beside it.
    #[error(
        "the proof alone does not suffice here: no role is declared, or the identity was taken away; show a one-time token, too"
    )]
    TokenNeeded,
    /// A token, but no proof beside it.
    #[error("this install is declared to be in an AWS account, and the proof of that is missing")]
    ProofMissing,
    /// Another account than the declared one, or none is declared.
    #[error("the install is not declared to be in this account")]
    Account,
    /// Another region.
    #[error("the install is declared to be in another region of this account")]
    Region,
    /// Another role, or none.
    #[error("the install is declared to have another role in this account")]
    Role,
    /// Shown before, or too late.
    #[error("the nonce was used already, or its time is over; begin again")]
    NonceUsed,
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Rejected::new(RejectedCode::Invalid, refusal.to_string())
    }
}

/// What decides who is let in, beside the one-time token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Admission {
    place: Option<Place>,
    /// Those of the last minute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    nonces: Vec<Used>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Used {
    nonce: String,
    until: Timestamp,
}

impl Admission {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn proof_refusal(&self, at: Timestamp, place: &Place, proof: &Attestation) -> Option<Refusal> {
        let Place { account, region, role } = place;
        let live = || self.nonces.iter().filter(move |used| used.until > at);
        if proof.account != *account {
            return Some(Refusal::Account);
        }
        if proof.region != *region {
            return Some(Refusal::Region);
        }
        if role.is_some() && proof.role != *role {
            return Some(Refusal::Role);
        }
        let is_used = live().any(|used| used.nonce == proof.nonce) || live().count() >= NONCES_MAX;
        (is_used || proof.until <= at).then_some(Refusal::NonceUsed)
    }

    /// From now on this nonce is no good.
    pub(super) fn use_up(&mut self, at: Timestamp, proof: &Attestation) {
        self.nonces.retain(|used| used.until > at);
        self.nonces.push(Used { nonce: proof.nonce.clone(), until: proof.until });
    }
}

impl Runner {
    /// Where it must prove to be, if that was declared.
    pub fn place(&self) -> Option<&Place> {
        self.admission.place.as_ref()
    }

    /// Whether nobody is let in without a one-time token.
    pub fn needs_token(&self) -> bool {
        let by_role = self.place().is_some_and(|place| place.role.is_some());
        // Who had its identity taken away may still have the role.
        let was_revoked =
            self.revoked_for.is_some() || matches!(self.presence, super::message::Presence::Revoked { .. });
        !by_role || was_revoked
    }

    /// Why this claim does not make somebody the install's runner, if it does not.
    pub fn refusal(&self, at: Timestamp, claim: &Claim<'_>) -> Option<Refusal> {
        match (self.place(), claim.proof) {
            (None, None) => self.token_refusal(at, claim),
            (Some(_), None) => self.token_refusal(at, claim).or(Some(Refusal::ProofMissing)),
            (None, Some(_)) => Some(Refusal::Account),
            (Some(place), Some(proof)) => {
                let refusal = self.admission.proof_refusal(at, place, proof);
                refusal.or_else(|| self.token_refusal(at, claim).filter(|_| self.needs_token()))
            }
        }
    }

    fn token_refusal(&self, at: Timestamp, claim: &Claim<'_>) -> Option<Refusal> {
        if self.is_again(claim) {
            return None;
        }
        match (claim.token_sha256, &self.token) {
            (None, _) => Some(Refusal::TokenNeeded),
            (Some(_), None) => Some(Refusal::NoToken),
            (Some(shown), Some(token)) if token.sha256 != shown => Some(Refusal::WrongToken),
            (Some(_), Some(token)) if token.expires <= at => Some(Refusal::TokenExpired),
            (Some(_), Some(_)) => None,
        }
    }

    /// Whether it is the very runner that enrolled last, which never got the answer.
    pub(super) fn is_again(&self, claim: &Claim<'_>) -> bool {
        let same_token = claim.token_sha256.is_some() && self.enrolled_with.as_deref() == claim.token_sha256;
        let by_proof = claim.proof.is_some() && !self.needs_token();
        self.generation() != 0
            && self.spki_sha256.as_deref() == Some(claim.spki_sha256)
            && (same_token || by_proof)
    }

    pub(super) fn declare(
        &mut self,
        event: &Event,
        place: Option<&Place>,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        place.map_or(Ok(()), Place::check)?;
        let what = place.map_or("it may be anywhere".to_owned(), |place| format!("it must be in {place}"));
        let text = format!("{} declared that {what}: {reason}", event.by);
        let mut effects = vec![record_at(Level::Warning, "runner.declared", text)];
        if self.place() != place {
            self.admission.place = place.cloned();
            effects.extend(self.expect_another(event.at));
        }
        Ok(effects)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_aws_could_have_is_a_place() {
        let place = |account: &str, region: &str, role: Option<&str>| Place {
            account: account.to_owned(),
            region: region.to_owned(),
            role: role.map(str::to_owned),
        };
        let good = place("123456789012", "eu-central-1", Some("remit-runner"));
        assert!(good.check().is_ok());
        assert!(Place { role: None, ..good }.check().is_ok());
        for bad in [
            place("12345678901", "eu-central-1", None),
            place("1234-5678-9012", "eu-central-1", None),
            place("123456789012", "eu-central", None),
            place("123456789012", "eu--1", None),
            place("123456789012", "eu-central-1.evil.example", None),
            place("123456789012", "eu-central-1", Some("")),
            place("123456789012", "eu-central-1", Some("path/role")),
            place("123456789012", "eu-central-1", Some("arn:aws:iam::123456789012:role/x")),
        ] {
            assert_eq!(bad.check().unwrap_err().code, RejectedCode::Invalid, "{bad:?}");
        }
    }
}
