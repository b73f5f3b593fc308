//! Keys that sign for the vendor's side: one in a file, or one that never leaves AWS KMS.
//!
//! The broker signs jobs and statuses with them, the CLI roots and releases. What is signed is always the
//! message of a container, never a digest that somebody else has made.

mod aws;
pub mod kms;
mod reference;

use std::sync::Arc;

use remit_seal::document::KeySpec;
use remit_seal::dsse::Envelope;
use remit_seal::key::SigningKey;

pub use reference::{Malformed, Reference};

/// A key that can sign.
#[derive(Clone, Debug)]
pub enum Signer {
    /// One that was read from a file.
    File(Arc<SigningKey>),
    /// One that signs in AWS KMS.
    Kms(Arc<kms::Key>),
}

/// Why something was not signed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The container takes no more signatures.
    #[error(transparent)]
    Refused(#[from] remit_seal::Refusal),
    /// The key of KMS does not sign.
    #[error(transparent)]
    Kms(#[from] kms::Error),
}

impl Signer {
    /// One that was read from a file.
    pub fn file(key: SigningKey) -> Self {
        Self::File(Arc::new(key))
    }

    /// One of AWS KMS.
    pub fn kms(key: kms::Key) -> Self {
        Self::Kms(Arc::new(key))
    }

    /// The key's id: sha256 of its SubjectPublicKeyInfo, hexadecimal.
    pub fn id(&self) -> String {
        match self {
            Signer::File(key) => key.id(),
            Signer::Kms(key) => key.id().to_owned(),
        }
    }

    /// The public half, as it stands in a root.
    pub fn public(&self) -> KeySpec {
        match self {
            Signer::File(key) => key.public(),
            Signer::Kms(key) => key.public().clone(),
        }
    }

    /// Adds this key's signature to a container, in place of an earlier one by it.
    pub async fn countersign(&self, envelope: &mut Envelope) -> Result<(), Error> {
        match self {
            Signer::File(key) => envelope.countersign(key)?,
            Signer::Kms(key) => {
                let signature = key.sign(&envelope.message()).await?;
                envelope.attach(signature)?;
            }
        }
        Ok(())
    }
}
