//! The container: DSSE v1 over exact bytes, as JSON.
//!
//! What is signed is the PAE of the payload's type and bytes, so a signature under one type
//! is worth nothing under another. Nothing is canonicalised: the bytes verified are the
//! bytes parsed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::key::SigningKey;
use crate::refusal::clip;
use crate::{Digest, Refusal, strict};

pub use crate::payload::PayloadType;

/// The most signatures a container may hold.
pub const SIGNATURES_MAX: usize = 8;

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

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Container {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<Signed>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Reads a container of at most the cap of this type, and of this type. Strict JSON.
    pub fn parse(bytes: &[u8], expect: PayloadType) -> Result<Self, Refusal> {
        check_size(bytes, expect)?;
        let container: Container = strict::from_slice(bytes).map_err(|refusal| match refusal {
            Refusal::DocumentInvalid { detail } => Refusal::ContainerInvalid { detail },
            other => other,
        })?;
        check_count(container.signatures.len())?;
        if container.payload_type != expect.as_str() {
            let found = clip(&container.payload_type);
            return Err(Refusal::PayloadType { expected: expect.as_str(), found });
        }
        Ok(Self {
            payload_type: container.payload_type,
            payload: decode(&container.payload, "payload")?,
            signatures: container.signatures.into_iter().map(Signature::read).collect::<Result<_, _>>()?,
        })
    }

    /// Signs a document (serialised to JSON once; those bytes are the payload). What its
    /// own verifier would refuse for its size or its JSON is not signed.
    pub fn sign<T: Serialize>(
        kind: PayloadType,
        document: &T,
        keys: &[&SigningKey],
    ) -> Result<Self, Refusal> {
        check_count(keys.len())?;
        let mut envelope = Self::unsigned(kind, document)?;
        for key in keys {
            envelope.countersign(key)?;
        }
        check_size(&envelope.to_bytes(), kind)?;
        Ok(envelope)
    }

    /// A document that nobody has signed yet, for keys that are not in this process.
    pub fn unsigned<T: Serialize>(kind: PayloadType, document: &T) -> Result<Self, Refusal> {
        let payload = serde_json::to_vec(document)
            .map_err(|e| Refusal::DocumentInvalid { detail: clip(&e.to_string()) })?;
        strict::check(&payload).map_err(Refusal::Json)?;
        let envelope = Self { payload_type: kind.as_str().to_owned(), payload, signatures: Vec::new() };
        check_size(&envelope.to_bytes(), kind)?;
        Ok(envelope)
    }

    /// Adds this key's signature, in place of an earlier one by it.
    pub fn countersign(&mut self, key: &SigningKey) -> Result<(), Refusal> {
        let sig = key.sign(&self.message());
        self.attach(Signature { sig, keyid: key.id() })
    }

    /// Adds a signature that was made elsewhere over `message`, in place of an earlier one by its key.
    pub fn attach(&mut self, signature: Signature) -> Result<(), Refusal> {
        self.signatures.retain(|kept| kept.keyid != signature.keyid);
        check_count(self.signatures.len() + 1)?;
        self.signatures.push(signature);
        Ok(())
    }

    /// The container as JSON bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let container = Container {
            payload_type: self.payload_type.clone(),
            payload: STANDARD.encode(&self.payload),
            signatures: self.signatures.iter().map(Signature::write).collect(),
        };
        serde_json::to_vec(&container).expect("a struct of texts is always JSON")
    }

    /// The digest of the payload: how other documents name this one.
    pub fn payload_digest(&self) -> Digest {
        Digest::of(&self.payload)
    }

    /// The bytes that are signed: DSSE's pre-authentication encoding.
    pub fn message(&self) -> Vec<u8> {
        let (kind, payload) = (&self.payload_type, &self.payload);
        let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
        message.extend_from_slice(payload);
        message
    }
}

impl Signature {
    fn read(signed: Signed) -> Result<Self, Refusal> {
        Ok(Self { sig: decode(&signed.sig, "signature")?, keyid: signed.keyid })
    }

    fn write(&self) -> Signed {
        Signed { keyid: self.keyid.clone(), sig: STANDARD.encode(&self.sig) }
    }
}

fn decode(text: &str, what: &str) -> Result<Vec<u8>, Refusal> {
    let refuse = |_| Refusal::ContainerInvalid { detail: format!("its {what} is not standard base64") };
    STANDARD.decode(text).map_err(refuse)
}

fn check_size(bytes: &[u8], kind: PayloadType) -> Result<(), Refusal> {
    let (size, max) = (bytes.len(), kind.size_max());
    if size > max { Err(Refusal::TooLarge { kind, size, max }) } else { Ok(()) }
}

fn check_count(count: usize) -> Result<(), Refusal> {
    if count == 0 || count > SIGNATURES_MAX {
        return Err(Refusal::SignatureCount { count, max: SIGNATURES_MAX });
    }
    Ok(())
}
