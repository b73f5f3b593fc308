//! The container: DSSE v1 over exact bytes.
use crate::key::SigningKey;
use crate::{Digest, Refusal};

/// The types of payload, matched exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadType {
    /// A trust root.
    Root,
    /// A release.
    Release,
    /// A job.
    Job,
}

/// A parsed container; nothing in it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// What the payload claims to be.
    pub payload_type: String,
    /// The exact bytes that were signed.
    pub payload: Vec<u8>,
    /// Signatures by key id (hexadecimal), not verified.
    pub signatures: Vec<Signature>,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The id of the key.
    pub keyid: String,
    /// The raw signature.
    pub sig: Vec<u8>,
}

impl Envelope {
    /// Reads a container of at most the cap of this type. Strict JSON.
    pub fn parse(_bytes: &[u8], _expect: PayloadType) -> Result<Self, Refusal> {
        todo!()
    }
    /// Signs a document (serialised to JSON once; those bytes are the payload).
    pub fn sign<T: serde::Serialize>(
        _kind: PayloadType,
        _document: &T,
        _keys: &[&SigningKey],
    ) -> Result<Self, Refusal> {
        todo!()
    }
    /// The container as JSON bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }
    /// The digest of the payload: how other documents name this one.
    pub fn payload_digest(&self) -> Digest {
        todo!()
    }
}
