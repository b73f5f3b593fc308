//! What lies in a keys directory: `NAME.pem`, a key; `NAME.kms.json`, where a key is in AWS KMS;
//! `NAME.pub.json`, the public half of either.

use std::path::PathBuf;

use remit_broker::signer::{Signer, kms};
use remit_seal::document::KeySpec;

use super::{KeysDir, Role, pem, read_private, read_public};
use crate::failure::{Exit, Failure, Result};

const PEM: &str = ".pem";
const NOTE: &str = ".kms.json";

/// A key of the directory.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is called.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// Where it is.
    pub place: Place,
}

/// Where a key is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In its file, or in KMS: it can sign.
    Here(Signer),
    /// In its file under a passphrase. Its public half, if that lies beside it.
    Sealed(Option<KeySpec>),
}

impl Entry {
    /// The public half, if it is known without a passphrase.
    pub fn public(&self) -> Option<KeySpec> {
        match &self.place {
            Place::Here(signer) => Some(signer.public()),
            Place::Sealed(public) => public.clone(),
        }
    }

    /// The id, if it is known without a passphrase.
    pub fn id(&self) -> Option<String> {
        self.public().and_then(|spec| spec.id().ok())
    }

    /// Where it is in KMS, if it is there.
    pub fn kms(&self) -> Option<String> {
        match &self.place {
            Place::Here(Signer::Kms(key)) => Some(key.reference().to_string()),
            Place::Here(Signer::File(_)) | Place::Sealed(_) => None,
        }
    }
}

impl KeysDir {
    pub(super) fn pem_file(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}{PEM}"))
    }

    pub(super) fn note_file(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}{NOTE}"))
    }

    pub(super) fn public_file(&self, name: &str) -> PathBuf {
        self.path().join(format!("{name}.pub.json"))
    }

    /// Every key in the directory, by name.
    pub fn entries(&self) -> Result<Vec<Entry>> {
        let found = match std::fs::read_dir(self.path()) {
            Ok(found) => found,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(Failure::file("read", self.path(), &e)),
        };
        let mut names = Vec::new();
        for entry in found {
            let name = entry.map_err(|e| Failure::file("read", self.path(), &e))?.file_name();
            names.extend(name.to_str().map(str::to_owned));
        }
        names.sort();
        names.iter().filter_map(|file| self.entry(file).transpose()).collect()
    }

    /// The key in this file of the directory, if it is one of a key.
    fn entry(&self, file_name: &str) -> Result<Option<Entry>> {
        let file = self.path().join(file_name);
        if let Some(name) = file_name.strip_suffix(NOTE) {
            let place = Place::Here(note(&file)?);
            return Ok(Some(Entry { name: name.to_owned(), file, place }));
        }
        let Some(name) = file_name.strip_suffix(PEM) else { return Ok(None) };
        let text = read_private(&file)?;
        let public = self.public_file(name);
        let place = if !pem::is_sealed(&text) {
            Place::Here(Signer::file(pem::read(&file, &text, None)?))
        } else if public.exists() {
            Place::Sealed(Some(read_public(&public)?))
        } else {
            Place::Sealed(None)
        };
        Ok(Some(Entry { name: name.to_owned(), file, place }))
    }

    /// What signs; one under a passphrase is opened.
    pub fn open(&self, entry: &Entry) -> Result<Signer> {
        match &entry.place {
            Place::Here(signer) => Ok(signer.clone()),
            Place::Sealed(_) => self.load_file(&entry.file).map(Signer::file),
        }
    }

    /// The key of a role by its usual name.
    pub fn load(&self, role: Role) -> Result<Signer> {
        let name = role.as_str();
        match self.entries()?.iter().find(|entry| entry.name == name) {
            Some(entry) => self.open(entry),
            None => Err(self.missing(&format!("there is no {name} key at {}", self.file(role).display()))),
        }
    }

    pub(super) fn missing(&self, message: &str) -> Failure {
        let hint = "make keys with `remit keys init`, or say where they are with --keys-dir";
        Failure::new(Exit::NotFound, "cli.keys_missing", message, hint)
    }
}

/// The key of KMS that a note is about.
pub(super) fn note(file: &std::path::Path) -> Result<Signer> {
    let text = std::fs::read_to_string(file).map_err(|e| Failure::file("read", file, &e))?;
    kms::Key::read(&text).map(Signer::kms).map_err(|why| {
        let message = format!("{} does not say which key of AWS KMS it is: {why}", file.display());
        let hint = "take note of the key anew: `remit keys make NAME --kms URI`";
        Failure::new(Exit::Local, "cli.keys_unreadable", message, hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Algorithm;

    #[test]
    fn what_is_in_a_directory_is_known_without_opening_it() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeysDir::new(dir.path());
        let plain = keys.make("ann", Algorithm::P256).unwrap();
        let word = dir.path().join("word");
        std::fs::write(&word, "five words and more of it\n").unwrap();
        let sealing = keys.clone().with_passphrase(Some(&word)).unwrap();
        let sealed = sealing.make("bea", Algorithm::Ed25519).unwrap();
        let noted = serde_json::json!({
            "version": 1,
            "kms": "awskms:///alias/release?region=eu-west-1",
            "public": read_public(&plain.public).unwrap(),
        });
        std::fs::write(dir.path().join("ci.kms.json"), noted.to_string()).unwrap();
        let entries = keys.entries().unwrap();
        let found: Vec<_> = entries.iter().map(|e| (e.name.as_str(), e.id().unwrap(), e.kms())).collect();
        let kms = Some("awskms:///alias/release?region=eu-west-1".to_owned());
        assert_eq!(
            found,
            [("ann", plain.id.clone(), None), ("bea", sealed.id.clone(), None), ("ci", plain.id, kms)]
        );
        assert_eq!(keys.open(&entries[1]).unwrap_err().code, "cli.keys_passphrase");
        assert_eq!(sealing.open(&entries[1]).unwrap().id(), sealed.id);
        assert_eq!(keys.make("ci", Algorithm::P256).unwrap_err().code, "cli.keys_exist");
        std::fs::write(dir.path().join("ci.kms.json"), "{}").unwrap();
        assert_eq!(keys.entries().unwrap_err().code, "cli.keys_unreadable");
    }
}
