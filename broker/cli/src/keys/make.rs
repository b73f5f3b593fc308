//! Keys that are made, and keys of AWS KMS that are taken note of. Nothing is ever written over.

use std::path::{Path, PathBuf};

use remit_broker::signer::{Reference, kms};
use remit_seal::document::KeySpec;
use remit_seal::key::SigningKey;
use zeroize::Zeroizing;

use super::{Algorithm, KeysDir, Role, make_private_dir, pem, write_private};
use crate::failure::{Exit, Failure, Result};

/// A key that was made, or taken note of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Made {
    /// Its id.
    pub id: String,
    /// The private half, or where it is.
    pub file: PathBuf,
    /// The public half.
    pub public: PathBuf,
    /// Where it is in AWS KMS, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms: Option<String>,
}

impl KeysDir {
    /// Makes a root and a release key; the release key may be one of KMS.
    pub async fn init(&self, release: Option<&Reference>) -> Result<()> {
        for role in Role::ALL {
            self.check_free(role.as_str())?;
        }
        // Asked first: if KMS says no, nothing was begun.
        let release = match release {
            Some(reference) => Some(kms::Key::ask(reference).await?),
            None => None,
        };
        make_private_dir(self.path())?;
        self.write_new(Role::Root.as_str(), Algorithm::Ed25519)?;
        match release {
            Some(key) => self.write_note(Role::Release.as_str(), &key)?,
            None => self.write_new(Role::Release.as_str(), Algorithm::Ed25519)?,
        };
        Ok(())
    }

    /// Makes one key and writes its public half beside it.
    pub fn make(&self, name: &str, algorithm: Algorithm) -> Result<Made> {
        self.check_name(name)?;
        make_private_dir(self.path())?;
        self.write_new(name, algorithm)
    }

    /// Takes note of a key of KMS, and writes its public half beside that.
    pub async fn note(&self, name: &str, reference: &Reference) -> Result<Made> {
        self.check_name(name)?;
        let key = kms::Key::ask(reference).await?;
        make_private_dir(self.path())?;
        self.write_note(name, &key)
    }

    fn check_name(&self, name: &str) -> Result<()> {
        if !remit_seal::verify::is_name(name) {
            let hint = "use 1 to 40 of a-z, 0-9 and -, beginning with a letter";
            return Err(Failure::usage(format!("`{}` is no name for a key", name.escape_debug()), hint));
        }
        self.check_free(name)
    }

    fn check_free(&self, name: &str) -> Result<()> {
        let taken = [self.pem_file(name), self.note_file(name)].into_iter().find(|file| file.exists());
        let Some(file) = taken else { return Ok(()) };
        let hint = "keys are never written over: choose another name or --keys-dir, or move the old one away";
        let message = format!("there is a key `{name}` already: {}", file.display());
        Err(Failure::new(Exit::Refused, "cli.keys_exist", message, hint))
    }

    fn write_new(&self, name: &str, algorithm: Algorithm) -> Result<Made> {
        let key = new_key(algorithm)?;
        let (file, public) = (self.pem_file(name), self.public_file(name));
        write_private(&file, pem::write(&key, self.passphrase())?.as_bytes())?;
        write_public(&public, &key.public())?;
        Ok(Made { id: key.id(), file, public, kms: None })
    }

    fn write_note(&self, name: &str, key: &kms::Key) -> Result<Made> {
        let (file, public) = (self.note_file(name), self.public_file(name));
        write_private(&file, key.written().as_bytes())?;
        write_public(&public, key.public())?;
        Ok(Made { id: key.id().to_owned(), file, public, kms: Some(key.reference().to_string()) })
    }
}

fn write_public(file: &Path, spec: &KeySpec) -> Result<()> {
    let json = serde_json::to_vec_pretty(spec).expect("a key's public half is two texts");
    std::fs::write(file, json).map_err(|e| Failure::file("write", file, &e))
}

fn new_key(algorithm: Algorithm) -> Result<SigningKey> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|e| {
        let message = format!("the system gives no randomness: {e}");
        Failure::new(Exit::Local, "cli.randomness", message, "try again later")
    })?;
    match algorithm {
        Algorithm::Ed25519 => Ok(SigningKey::ed25519_from_seed(&seed)),
        Algorithm::P256 => Ok(SigningKey::p256_from_seed(&seed)?),
    }
}
