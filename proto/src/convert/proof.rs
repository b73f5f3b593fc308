//! What a runner shows of AWS's word for it, and the nonce that makes it good once.

use super::token::Token;
use super::{WireError, bounded, install_id, non_empty, within};
use crate::caller::{Nonce, Region};
use crate::{limit, v1};

/// A runner is about to enrol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The install's id.
    pub install: String,
}

impl TryFrom<v1::BeginEnrollRequest> for Beginning {
    type Error = WireError;

    fn try_from(wire: v1::BeginEnrollRequest) -> Result<Self, WireError> {
        Ok(Self { install: install_id("install", wire.install)? })
    }
}

impl From<Beginning> for v1::BeginEnrollRequest {
    fn from(Beginning { install }: Beginning) -> Self {
        Self { install }
    }
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// The nonce.
    pub nonce: Nonce,
    /// For so long it is good, in milliseconds.
    pub valid_ms: u32,
    /// The broker's clock.
    pub now_ms: i64,
}

impl TryFrom<v1::BeginEnrollResponse> for Begun {
    type Error = WireError;

    fn try_from(wire: v1::BeginEnrollResponse) -> Result<Self, WireError> {
        let valid_ms = within("valid_ms", wire.valid_ms, 1, limit::NONCE_MAX_MS)?;
        Ok(Self { nonce: bytes_32("nonce", &wire.nonce)?, valid_ms, now_ms: wire.now_ms })
    }
}

impl From<Begun> for v1::BeginEnrollResponse {
    fn from(Begun { nonce, valid_ms, now_ms }: Begun) -> Self {
        Self { nonce: nonce.to_vec(), valid_ms, now_ms }
    }
}

/// A signature over `sts:GetCallerIdentity`; `caller` says of what request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsProof {
    /// The nonce.
    pub nonce: Nonce,
    /// The region whose STS is asked.
    pub region: Region,
    /// The access key's id: 16 to 128 letters and digits.
    pub access_key_id: String,
    /// When it was signed, seconds since the Unix epoch.
    pub signed_s: i64,
    /// The session's token, for keys that have one.
    pub session_token: Option<Token>,
    /// The signature, HMAC-SHA-256.
    pub signature: [u8; 32],
}

impl TryFrom<v1::AwsProof> for AwsProof {
    type Error = WireError;

    fn try_from(wire: v1::AwsProof) -> Result<Self, WireError> {
        let token = Token::new(wire.session_token);
        check_session_token(token.expose())?;
        let region = Region::new(&wire.region)
            .ok_or(WireError::Malformed { field: "aws.region", expected: "an AWS region's name" })?;
        Ok(Self {
            nonce: bytes_32("aws.nonce", &wire.nonce)?,
            region,
            access_key_id: access_key_id(wire.access_key_id)?,
            signed_s: wire.signed_s,
            session_token: Some(token).filter(|token| !token.expose().is_empty()),
            signature: bytes_32("aws.signature", &wire.signature)?,
        })
    }
}

impl From<AwsProof> for v1::AwsProof {
    fn from(of: AwsProof) -> Self {
        Self {
            nonce: of.nonce.to_vec(),
            region: of.region.as_str().to_owned(),
            access_key_id: of.access_key_id,
            signed_s: of.signed_s,
            session_token: of.session_token.map(|token| token.expose().to_owned()).unwrap_or_default(),
            signature: of.signature.to_vec(),
        }
    }
}

/// It becomes part of a header.
fn access_key_id(text: String) -> Result<String, WireError> {
    let field = "aws.access_key_id";
    non_empty(field, &text)?;
    let text = bounded(field, text, limit::ACCESS_KEY_ID_LEN_MAX)?;
    if text.len() >= 16 && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(text);
    }
    Err(WireError::Malformed { field, expected: "16 to 128 letters and digits" })
}

/// It becomes a header; never shown, so never quoted.
fn check_session_token(text: &str) -> Result<(), WireError> {
    let field = "aws.session_token";
    if text.len() > limit::SESSION_TOKEN_LEN_MAX {
        return Err(WireError::TooLong { field, max: limit::SESSION_TOKEN_LEN_MAX });
    }
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err(WireError::Malformed { field, expected: "a session's token" })
}

fn bytes_32(field: &'static str, bytes: &[u8]) -> Result<[u8; 32], WireError> {
    if bytes.is_empty() {
        return Err(WireError::Missing { field });
    }
    bytes.try_into().map_err(|_| WireError::Malformed { field, expected: "32 bytes" })
}
