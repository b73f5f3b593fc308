//! Keys: Ed25519 and P-256, with ids that the verifier recomputes.
use crate::Refusal;
use crate::document::KeySpec;

/// A private key. Never printed, wiped when dropped.
pub struct SigningKey {}
impl SigningKey {
    /// A new Ed25519 key from 32 bytes of good randomness.
    pub fn ed25519_from_seed(_seed: &[u8; 32]) -> Self {
        todo!()
    }
    /// A new P-256 key from 32 bytes of good randomness (refused in the negligible case of a bad scalar).
    pub fn p256_from_seed(_seed: &[u8; 32]) -> Result<Self, Refusal> {
        todo!()
    }
    /// From PKCS#8 PEM, either algorithm.
    pub fn from_pem(_pem: &str) -> Result<Self, Refusal> {
        todo!()
    }
    /// To PKCS#8 PEM.
    pub fn to_pem(&self) -> String {
        todo!()
    }
    /// The public half, as it stands in a root.
    pub fn public(&self) -> KeySpec {
        todo!()
    }
    /// The key's id: sha256 of the SubjectPublicKeyInfo, hexadecimal.
    pub fn id(&self) -> String {
        todo!()
    }
}
