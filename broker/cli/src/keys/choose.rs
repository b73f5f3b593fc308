//! Which key signs: the one that was named, or the one of the directory that the root lets sign.

use std::path::Path;

use remit_broker::signer::{Reference, Signer, kms};
use remit_seal::document::Root;

use super::shelf::note;
use super::{KeysDir, Role};
use crate::failure::{Exit, Failure, Result};

impl KeysDir {
    /// The key that `--key` names: the name of one in the directory, a file, or one of AWS KMS.
    pub async fn named(&self, word: &str) -> Result<Signer> {
        if Reference::is_meant(word) {
            let reference = reference(word)?;
            return Ok(Signer::kms(kms::Key::ask(&reference).await?));
        }
        let path = Path::new(word);
        if path.is_file() {
            let is_note = path.extension().is_some_and(|extension| extension == "json");
            return if is_note { note(path) } else { self.load_file(path).map(Signer::file) };
        }
        match self.entries()?.iter().find(|entry| entry.name == word) {
            Some(entry) => self.open(entry),
            None => {
                let dir = self.path().display();
                Err(self.missing(&format!("there is no key `{word}`, neither as a file nor in {dir}")))
            }
        }
    }

    /// The one key of the directory that may sign releases by this root; of several, the one called `release`.
    pub fn for_releases(&self, root: &Root) -> Result<Signer> {
        let entries = self.entries()?;
        if entries.is_empty() {
            return self.load(Role::Release);
        }
        // One that is sealed and has no public half beside it is looked at only if no other will do.
        let (known, unknown): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.id().is_some());
        let fits = |id: &String| root.release.keys.contains(id);
        let fitting: Vec<_> =
            known.into_iter().filter(|entry| entry.id().is_some_and(|id| fits(&id))).collect();
        let usual = fitting.iter().find(|entry| entry.name == Role::Release.as_str());
        match (usual, &fitting[..]) {
            (Some(entry), _) | (None, [entry]) => self.open(entry),
            (None, []) => {
                for entry in unknown.iter().filter(|entry| entry.name != Role::Root.as_str()) {
                    let signer = self.open(entry)?;
                    if fits(&signer.id()) {
                        return Ok(signer);
                    }
                }
                Err(self.foreign(root))
            }
            (None, several) => {
                let names: Vec<&str> = several.iter().map(|entry| entry.name.as_str()).collect();
                let message = format!("several of your keys may sign releases: {}", names.join(", "));
                Err(Failure::usage(message, "say which: --key NAME"))
            }
        }
    }

    fn foreign(&self, root: &Root) -> Failure {
        let (org, dir) = (&root.vendor, self.path().display());
        let message = format!("the root of org `{org}` lets none of the keys in {dir} sign releases");
        let hint = "use the keys that the org was made with (--keys-dir), or let the root name one: \
                    `remit keys root rotate --add-release NAME.pub.json`";
        Failure::new(Exit::Refused, "cli.keys_foreign", message, hint)
    }
}

/// Reads the URI of a key of KMS.
pub fn reference(text: &str) -> Result<Reference> {
    text.parse().map_err(|e: remit_broker::signer::Malformed| {
        Failure::usage(e.to_string(), "like awskms:///alias/remit-release?region=eu-central-1")
    })
}

#[cfg(test)]
mod tests {
    use remit_seal::document::KeySpec;
    use remit_seal::key::SigningKey;

    use super::*;
    use crate::keys::{Algorithm, read_public};

    fn root(keys: &[&KeySpec]) -> Root {
        let other = |seed| SigningKey::ed25519_from_seed(&[seed; 32]).public();
        let mut root = Root::one_of_one("demo", [&other(1), &other(2), &other(3)], 1, 2).unwrap();
        root.release.keys = keys.iter().map(|spec| spec.id().unwrap()).collect();
        root
    }

    #[test]
    fn the_key_that_the_root_names_signs() {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeysDir::new(dir.path());
        assert_eq!(keys.for_releases(&root(&[])).unwrap_err().code, "cli.keys_missing");
        let spec = |name: &str| read_public(&keys.make(name, Algorithm::P256).unwrap().public).unwrap();
        let (release, ann, ci) = (spec("release"), spec("ann"), spec("ci"));
        let chosen = |named: &[&KeySpec]| keys.for_releases(&root(named)).map(|signer| signer.id());
        assert_eq!(chosen(&[&ci]).unwrap(), ci.id().unwrap(), "the old one is still there");
        assert_eq!(chosen(&[&ci, &release]).unwrap(), release.id().unwrap());
        let unsure = chosen(&[&ann, &ci]).unwrap_err();
        assert!(unsure.message.contains("ann, ci") && unsure.hint.contains("--key"), "{unsure:?}");
        assert_eq!(chosen(&[]).unwrap_err().code, "cli.keys_foreign");
    }
}
