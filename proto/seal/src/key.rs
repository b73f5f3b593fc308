//! Keys: Ed25519 (strict) and ECDSA P-256 with SHA-256, with ids that the verifier recomputes.
//!
//! A signature is 64 bytes in both: R‖S for Ed25519, r‖s (fixed width, big endian, not DER)
//! for P-256. A signer that yields DER, such as a KMS, converts before it writes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::pkcs8::spki::{DecodePublicKey as _, EncodePublicKey as _};
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::pkcs8::LineEnding;
use zeroize::Zeroizing;

use crate::document::{Algorithm, KeySpec};
use crate::{Digest, Refusal};

const NOT_DER: Refusal = Refusal::KeyInvalid { detail: "its SubjectPublicKeyInfo is not of its algorithm" };

/// A private key. Never printed, wiped when dropped (both libraries wipe theirs).
pub struct SigningKey {
    secret: Secret,
    id: String,
}

enum Secret {
    Ed25519(ed25519_dalek::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl Secret {
    /// The public half's SubjectPublicKeyInfo, DER.
    fn spki(&self) -> Vec<u8> {
        let der = match self {
            Secret::Ed25519(key) => key.verifying_key().to_public_key_der(),
            Secret::P256(key) => key.verifying_key().to_public_key_der(),
        };
        der.expect("a public key has a fixed, encodable size").as_bytes().to_vec()
    }
}

impl SigningKey {
    fn new(secret: Secret) -> Self {
        let id = Digest::of(&secret.spki()).hex();
        Self { secret, id }
    }

    /// A new Ed25519 key from 32 bytes of good randomness.
    pub fn ed25519_from_seed(seed: &[u8; 32]) -> Self {
        Self::new(Secret::Ed25519(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// A new P-256 key from 32 bytes of good randomness (refused in the negligible case of a bad scalar).
    pub fn p256_from_seed(seed: &[u8; 32]) -> Result<Self, Refusal> {
        p256::ecdsa::SigningKey::from_slice(seed)
            .map(|key| Self::new(Secret::P256(key)))
            .map_err(|_| Refusal::KeyInvalid { detail: "the seed is no scalar of P-256: take another" })
    }

    /// From PKCS#8 PEM, either algorithm.
    pub fn from_pem(pem: &str) -> Result<Self, Refusal> {
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_pem(pem) {
            return Ok(Self::new(Secret::Ed25519(key)));
        }
        p256::ecdsa::SigningKey::from_pkcs8_pem(pem).map(|key| Self::new(Secret::P256(key))).map_err(|_| {
            Refusal::KeyInvalid { detail: "not a PKCS#8 PEM of an Ed25519 or P-256 private key" }
        })
    }

    /// To PKCS#8 PEM.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let pem = match &self.secret {
            // Version 1, without the public key: what every other tool reads.
            Secret::Ed25519(key) => {
                let pair = KeypairBytes { secret_key: key.to_bytes(), public_key: None };
                pair.to_pkcs8_pem(LineEnding::LF)
            }
            Secret::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
        };
        pem.expect("a key in memory has a fixed, encodable size")
    }

    /// The public half, as it stands in a root.
    pub fn public(&self) -> KeySpec {
        let algorithm = match &self.secret {
            Secret::Ed25519(_) => Algorithm::Ed25519,
            Secret::P256(_) => Algorithm::EcdsaP256Sha256,
        };
        KeySpec { algorithm, spki: STANDARD.encode(self.secret.spki()) }
    }

    /// The key's id: sha256 of the SubjectPublicKeyInfo, hexadecimal.
    pub fn id(&self) -> String {
        self.id.clone()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(key) => key.sign(message).to_vec(),
            Secret::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_vec()
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret)", self.id)
    }
}

/// A public key that was decoded and found sound.
#[derive(Clone, Debug)]
pub struct PublicKey {
    key: Verifying,
    id: String,
}

#[derive(Clone, Debug)]
enum Verifying {
    Ed25519(ed25519_dalek::VerifyingKey),
    P256(p256::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// Decodes a key. Only the one canonical encoding is accepted: another would be another
    /// id for the same key, and one key could count twice towards a threshold.
    pub fn from_spec(spec: &KeySpec) -> Result<Self, Refusal> {
        let der = STANDARD.decode(&spec.spki).map_err(|_| NOT_DER)?;
        let (key, canonical) = match spec.algorithm {
            Algorithm::Ed25519 => ed25519(&der)?,
            Algorithm::EcdsaP256Sha256 => p256(&der)?,
        };
        if canonical != der {
            return Err(Refusal::KeyInvalid { detail: "its SubjectPublicKeyInfo is not the canonical one" });
        }
        Ok(Self { key, id: Digest::of(&der).hex() })
    }

    /// The key's id: sha256 of the SubjectPublicKeyInfo, hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether this signature of this message is by this key.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Verifying::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Verifying::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

impl KeySpec {
    /// The key's id: sha256 of the SubjectPublicKeyInfo, hexadecimal.
    pub fn id(&self) -> Result<String, Refusal> {
        PublicKey::from_spec(self).map(|key| key.id)
    }
}

fn ed25519(der: &[u8]) -> Result<(Verifying, Vec<u8>), Refusal> {
    let key = ed25519_dalek::VerifyingKey::from_public_key_der(der).map_err(|_| NOT_DER)?;
    if key.is_weak() || !is_reduced(key.as_bytes()) {
        return Err(Refusal::KeyInvalid { detail: "it is a weak Ed25519 key" });
    }
    let canonical = key.to_public_key_der().map_err(|_| NOT_DER)?;
    Ok((Verifying::Ed25519(key), canonical.as_bytes().to_vec()))
}

/// Whether the y of a compressed point is below the field's prime 2^255−19; the library
/// takes larger ones too, which would be second encodings of the same points.
fn is_reduced(point: &[u8; 32]) -> bool {
    let high = point[31] & 0x7f == 0x7f && point[1..31].iter().all(|b| *b == 0xff);
    !high || point[0] < 0xed
}

fn p256(der: &[u8]) -> Result<(Verifying, Vec<u8>), Refusal> {
    let key = p256::ecdsa::VerifyingKey::from_public_key_der(der).map_err(|_| NOT_DER)?;
    let canonical = key.to_public_key_der().map_err(|_| NOT_DER)?;
    Ok((Verifying::P256(key), canonical.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_reduced_below_the_fields_prime_whatever_its_sign() {
        let point = |first: u8, second: u8, last: u8| {
            let mut point = [0xff; 32];
            (point[0], point[1], point[31]) = (first, second, last);
            point
        };
        for (point, expect) in [
            (point(0xec, 0xff, 0x7f), true),
            (point(0xec, 0xff, 0xff), true),
            (point(0xed, 0xff, 0x7f), false),
            (point(0xed, 0xff, 0xff), false),
            (point(0xff, 0xff, 0x7f), false),
            (point(0xff, 0xfe, 0x7f), true),
            (point(0xff, 0xff, 0x7e), true),
            (point(0xff, 0xff, 0x00), true),
            (point(0xff, 0xff, 0x80), true),
        ] {
            assert_eq!(is_reduced(&point), expect, "{point:02x?}");
        }
    }
}
