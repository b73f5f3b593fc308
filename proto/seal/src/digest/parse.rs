//! How a digest is read: from its one spelling, and from no other.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use super::{Digest, PREFIX};
use crate::Refusal;

impl Digest {
    /// From 64 lower-case hexadecimal digits, without the prefix.
    pub fn from_hex(digits: &str) -> Result<Self, Refusal> {
        let mut bytes = [0; 32];
        let lower = !digits.bytes().any(|b| b.is_ascii_uppercase());
        if !lower || hex::decode_to_slice(digits, &mut bytes).is_err() {
            return Err(Refusal::DigestInvalid);
        }
        Ok(Self(bytes))
    }
}

impl FromStr for Digest {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        Self::from_hex(text.strip_prefix(PREFIX).ok_or(Refusal::DigestInvalid)?)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
