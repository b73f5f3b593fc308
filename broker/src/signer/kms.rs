//! A key of AWS KMS: asked for its public half once, and for a signature each time.
//!
//! What is written down of it is where it is and its public half: no secret. Each signature is checked by
//! that public half before it is used, so that a wrong key, or a KMS that is none, is found out here.

mod error;

use aws_sdk_kms::Client;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyUsageType, MessageType, SigningAlgorithmSpec};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_seal::document::{Algorithm, KeySpec};
use remit_seal::dsse::Signature;
use remit_seal::key::PublicKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

pub use error::{Error, Fault};

use super::{Reference, aws};

/// The form of what is written down.
const VERSION: u32 = 1;
const GET_PUBLIC_KEY: &str = "kms:GetPublicKey";
const SIGN: &str = "kms:Sign";
/// Signed to see whether a key signs. No document begins like it: theirs begin with `DSSEv1`.
const PROBE: &[u8] = b"remit: does this key sign?";

/// A key of AWS KMS. The client is made with the first call.
#[derive(Debug)]
pub struct Key {
    reference: Reference,
    public: KeySpec,
    verifying: PublicKey,
    client: OnceCell<Client>,
}

/// A key as it lies in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    kms: String,
    public: KeySpec,
}

/// Whether the text of a key's file says where it is in KMS, in place of holding it.
pub fn is_written(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

impl Key {
    /// Asks KMS for the public half. Fails where the key is none that Remit can sign with.
    pub async fn ask(reference: &Reference) -> Result<Self, Error> {
        // On the heap: the SDK's futures are large, and whoever waits for one would carry it about.
        let (client, region) = Box::pin(aws::client(reference)).await?;
        let call = Box::pin(client.get_public_key().key_id(reference.key()).send());
        let answer = call.await.map_err(|e| Error::of(reference, GET_PUBLIC_KEY, &e))?;
        let unsuitable = |why: &str| Error::new(Fault::Unsuitable, reference, why);
        if answer.key_usage != Some(KeyUsageType::SignVerify) {
            return Err(unsuitable("its usage is not SIGN_VERIFY"));
        }
        let der = answer.public_key.ok_or_else(|| unsuitable("KMS does not tell its public half"))?;
        let public = KeySpec { algorithm: Algorithm::EcdsaP256Sha256, spki: STANDARD.encode(der) };
        let verifying =
            PublicKey::from_spec(&public).map_err(|_| unsuitable("it is not of ECC_NIST_P256"))?;
        let reference = reference.resolved(answer.key_id.as_deref(), &region);
        Ok(Self { reference, public, verifying, client: OnceCell::new_with(Some(client)) })
    }

    /// Reads what `written` gave.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn read(text: &str) -> Result<Self, String> {
        let Written { version, kms, public } = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if version != VERSION {
            return Err(format!("it is of version {version}, this program knows {VERSION}"));
        }
        let reference = kms.parse().map_err(|e: super::reference::Malformed| e.to_string())?;
        if public.algorithm != Algorithm::EcdsaP256Sha256 {
            return Err("its algorithm is not ecdsa-p256-sha256".to_owned());
        }
        let verifying = PublicKey::from_spec(&public).map_err(|e| e.to_string())?;
        Ok(Self { reference, public, verifying, client: OnceCell::new() })
    }

    /// Where it is and its public half, as the text of a file.
    pub fn written(&self) -> String {
        let (kms, public) = (self.reference.to_string(), self.public.clone());
        let written = Written { version: VERSION, kms, public };
        serde_json::to_string_pretty(&written).expect("texts and a number are always JSON")
    }

    /// Where it is.
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Its id: sha256 of its SubjectPublicKeyInfo, hexadecimal.
    pub fn id(&self) -> &str {
        self.verifying.id()
    }

    /// The public half.
    pub fn public(&self) -> &KeySpec {
        &self.public
    }

    /// Signs a message, whose digest is made here, and checks the answer.
    pub async fn sign(&self, message: &[u8]) -> Result<Signature, Error> {
        let digest = Blob::new(Sha256::digest(message).to_vec());
        let call = self.client().await?.sign().key_id(self.reference.key());
        let call = call.message(digest).message_type(MessageType::Digest);
        let answer = Box::pin(call.signing_algorithm(SigningAlgorithmSpec::EcdsaSha256).send()).await;
        let answer = answer.map_err(|e| Error::of(&self.reference, SIGN, &e))?;
        let wrong = |why: &str| Error::new(Fault::Signature, &self.reference, why);
        let der = answer.signature.ok_or_else(|| wrong("KMS answered without a signature"))?;
        let signature = p256::ecdsa::Signature::from_der(der.as_ref());
        let sig = signature.map_err(|_| wrong("what KMS answered is no signature of P-256"))?.to_vec();
        if !self.verifying.verifies(message, &sig) {
            return Err(wrong("the signature is not one of this message by the key that is written down"));
        }
        Ok(Signature { keyid: self.id().to_owned(), sig })
    }

    /// Finds out whether it signs now.
    pub async fn prove(&self) -> Result<(), Error> {
        self.sign(PROBE).await.map(drop)
    }

    async fn client(&self) -> Result<&Client, Error> {
        self.client.get_or_try_init(async || Ok(Box::pin(aws::client(&self.reference)).await?.0)).await
    }
}

#[cfg(test)]
mod tests {
    use remit_seal::key::SigningKey;

    use super::*;

    fn written(version: u32, kms: &str, public: &KeySpec) -> String {
        serde_json::json!({ "version": version, "kms": kms, "public": public }).to_string()
    }

    #[test]
    fn what_is_written_down_is_read_again() {
        let public = SigningKey::p256_from_seed(&[2; 32]).unwrap().public();
        let text = written(1, "awskms:///alias/a?region=eu-west-1", &public);
        assert!(is_written(&text) && !is_written("-----BEGIN PRIVATE KEY-----"));
        let key = Key::read(&text).unwrap();
        assert_eq!((key.public(), key.id()), (&public, public.id().unwrap().as_str()));
        assert_eq!(Key::read(&key.written()).unwrap().reference(), key.reference());
    }

    #[test]
    fn what_is_wrong_with_a_written_key_is_named() {
        let public = SigningKey::p256_from_seed(&[2; 32]).unwrap().public();
        let ed25519 = SigningKey::ed25519_from_seed(&[2; 32]).public();
        let broken = KeySpec { spki: "AAAA".to_owned(), ..public.clone() };
        for (text, word) in [
            ("{".to_owned(), "EOF"),
            (written(2, "awskms:///alias/a", &public), "version 2"),
            (written(1, "alias/a", &public), "awskms://"),
            (written(1, "awskms:///alias/a", &ed25519), "algorithm"),
            (written(1, "awskms:///alias/a", &broken), "SubjectPublicKeyInfo"),
            (written(1, "awskms:///alias/a", &public).replace("kms\"", "key\""), "unknown field"),
        ] {
            let error = Key::read(&text).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    /// Half of all signatures by KMS have the larger s, which the verifier takes as well.
    #[test]
    fn either_half_of_s_is_taken() {
        use p256::ecdsa::signature::Signer as _;
        let secret = p256::ecdsa::SigningKey::from_slice(&[2; 32]).unwrap();
        let public = SigningKey::p256_from_seed(&[2; 32]).unwrap().public();
        let key = PublicKey::from_spec(&public).unwrap();
        let signature: p256::ecdsa::Signature = secret.sign(b"m");
        let (r, s) = signature.split_scalars();
        let other = p256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
        assert_ne!(signature, other);
        for signature in [signature, other] {
            let der = p256::ecdsa::Signature::from_der(signature.to_der().as_bytes()).unwrap();
            assert!(key.verifies(b"m", &der.to_vec()));
        }
    }
}
