//! sha256 digests, written `sha256:` and 64 hexadecimal digits.
use serde::{Deserialize, Serialize};

/// A sha256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these bytes.
    pub fn of(_bytes: &[u8]) -> Self {
        todo!()
    }
    /// The bare bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// From bare bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// 64 hexadecimal digits, without the prefix.
    pub fn hex(&self) -> String {
        todo!()
    }
}
impl std::fmt::Display for Digest {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl std::str::FromStr for Digest {
    type Err = crate::Refusal;
    fn from_str(_s: &str) -> Result<Self, crate::Refusal> {
        todo!()
    }
}
