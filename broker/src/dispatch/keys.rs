//! The broker's dispatch keys: one, and while keys change the next one too.
//!
//! Each is a file of the data directory, with the key in it or with where it is in AWS KMS.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use remit_loops::Timestamp;
use remit_seal::Refusal;
use remit_seal::document::KeySpec;
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use zeroize::Zeroizing;

use super::Error;
use super::gate::{Gate, Trouble};
use super::statuses::Statuses;
use crate::private_file;
use crate::signer::{Reference, Signer, kms};

const CURRENT: &str = "dispatch.key";
const NEXT: &str = "dispatch.next.key";
/// How old a dispatch key should become: 30 days.
const CHANGE_AFTER_MS: i64 = 30 * 24 * 3_600_000;
/// What another broker did to the files counts after so long.
const READ_EVERY: Duration = Duration::from_secs(5);

/// The keys that the broker signs envelopes with: one, and while keys change the next one too.
///
/// While there are two, everything is signed by both, so that a runner may know either of them.
pub(crate) struct DispatchKeys {
    directory: PathBuf,
    /// Where the next key comes from, if it is not to be a file.
    source: Option<Reference>,
    held: RwLock<Held>,
    pub(super) gate: Gate,
    pub(super) statuses: Statuses,
}

impl std::fmt::Debug for DispatchKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DispatchKeys({:?})", self.ids())
    }
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct DispatchKey {
    /// What signs.
    pub(crate) signer: Signer,
    /// When it was made, or taken into use here.
    pub(crate) made: Timestamp,
}

struct Held {
    keys: Vec<Arc<DispatchKey>>,
    read: Instant,
}

impl DispatchKeys {
    /// The keys of this directory. The first is made at the first start: in a file, or it is this one of KMS.
    pub(crate) async fn open(directory: &Path, source: Option<Reference>) -> Result<Self, Error> {
        if load(&directory.join(CURRENT))?.is_none() {
            let key = ask(source.as_ref()).await?;
            make(&directory.join(CURRENT), key.as_ref())?;
        }
        let held = RwLock::new(Held { keys: read(directory, &[])?, read: Instant::now() });
        let (gate, statuses) = (Gate::default(), Statuses::default());
        let keys = Self { directory: directory.to_owned(), source, held, gate, statuses };
        keys.tell_start();
        Ok(keys)
    }

    /// What an operator should know who has just said where keys are to be.
    fn tell_start(&self) {
        let in_kms = |key: &Arc<DispatchKey>| matches!(key.signer, Signer::Kms(_));
        let keys = self.keys();
        if let Some(source) = &self.source
            && !keys.iter().any(in_kms)
        {
            tracing::info!(%source, "the dispatch key is in a file still: `remit keys dispatch rotate` makes the one of KMS the next");
        }
        for key in keys {
            if let Signer::Kms(kms) = &key.signer {
                tracing::info!(key = key.id(), kms = %kms.reference(), "a dispatch key is in AWS KMS");
            }
        }
    }

    /// The keys, the current one first. Another broker with this directory may have changed them.
    pub(crate) fn keys(&self) -> Vec<Arc<DispatchKey>> {
        let known = {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            if held.read.elapsed() < READ_EVERY {
                return held.keys.clone();
            }
            held.keys.clone()
        };
        let found = read(&self.directory, &known);
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.read = Instant::now();
        match found {
            Ok(keys) => held.keys = keys,
            Err(error) => {
                tracing::error!(%error, "the dispatch keys cannot be read; going on with those known");
            }
        }
        held.keys.clone()
    }

    /// The public halves, as they stand in a root, the current one first.
    pub(crate) fn public(&self) -> Vec<KeySpec> {
        self.keys().iter().map(|key| key.signer.public()).collect()
    }

    /// The keys' ids, the current one first.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.keys().iter().map(|key| key.id()).collect()
    }

    /// Why nothing is signed now, if that is so.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.gate.trouble()
    }

    /// How old the oldest is.
    pub(crate) fn age_ms(&self, now: Timestamp) -> i64 {
        let ages = self.keys().into_iter().map(|key| now.0.saturating_sub(key.made.0).max(0));
        ages.max().unwrap_or_default()
    }

    /// Adds what is counted here to the broker's figures.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let (calls, took) = (self.gate.calls.clone(), self.gate.took.clone());
        registry.register("dispatch_kms_calls", "Signatures asked of KMS, by how that ended", calls);
        registry.register("dispatch_kms_seconds", "How long KMS took to sign", took);
    }

    /// Makes the next key; answers whether there was none yet. One of KMS must sign before it counts: from
    /// then on nothing is signed without it.
    pub(crate) async fn make_next(&self) -> Result<bool, Error> {
        let path = self.directory.join(NEXT);
        let is_new = load(&path)?.is_none();
        if is_new {
            let key = ask(self.source.as_ref()).await?;
            if let Some(key) = &key
                && self.ids().iter().any(|id| id == key.id())
            {
                return Err(Error::Same { reference: key.reference().to_string() });
            }
            make(&path, key.as_ref())?;
        }
        self.read_again()?;
        Ok(is_new)
    }

    /// Gives the current key up for the next one, or the next one up; answers whether it was one of two.
    pub(crate) fn retire(&self, id: &str) -> Result<bool, Error> {
        let (current, next) = (self.directory.join(CURRENT), self.directory.join(NEXT));
        let keys = read(&self.directory, &self.keys())?;
        let done = match &keys[..] {
            [first, _] if first.id() == id => std::fs::rename(&next, &current),
            [_, second] if second.id() == id => std::fs::remove_file(&next),
            _ => return Ok(false),
        };
        let file = next.display().to_string();
        done.and_then(|()| std::fs::File::open(&self.directory)?.sync_all())
            .map_err(|source| Error::File { file, source })?;
        self.read_again()?;
        Ok(true)
    }

    fn read_again(&self) -> Result<(), Error> {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let keys = read(&self.directory, &held.keys)?;
        *held = Held { keys, read: Instant::now() };
        Ok(())
    }

    /// A document, signed by every key.
    pub(super) async fn signed<T: serde::Serialize>(
        &self,
        kind: PayloadType,
        document: &T,
        now: Timestamp,
    ) -> Result<Vec<u8>, Error> {
        let mut envelope = Envelope::unsigned(kind, document)?;
        for key in self.keys() {
            match &key.signer {
                Signer::File(file) => envelope.countersign(file)?,
                Signer::Kms(kms) => {
                    let signature = self.gate.pass(now, kms.sign(&envelope.message())).await?;
                    envelope.attach(signature)?;
                }
            }
        }
        let bytes = envelope.to_bytes();
        let (size, max) = (bytes.len(), kind.size_max());
        if size > max { Err(Refusal::TooLarge { kind, size, max }.into()) } else { Ok(bytes) }
    }
}

impl DispatchKey {
    /// When it should have been changed for another.
    pub(crate) fn due(&self) -> Timestamp {
        self.made.plus_ms(CHANGE_AFTER_MS)
    }

    /// Its id.
    pub(crate) fn id(&self) -> String {
        self.signer.id()
    }
}

/// Those in the files. One that is known already stays the one it is, with its connections.
fn read(directory: &Path, known: &[Arc<DispatchKey>]) -> Result<Vec<Arc<DispatchKey>>, Error> {
    let keys = [load(&directory.join(CURRENT))?, load(&directory.join(NEXT))?];
    let same = |key: DispatchKey| {
        let mut held = known.iter().filter(|held| held.id() == key.id() && held.made == key.made);
        held.next().cloned().unwrap_or_else(|| Arc::new(key))
    };
    Ok(keys.into_iter().flatten().map(same).collect())
}

fn load(path: &Path) -> Result<Option<DispatchKey>, Error> {
    let file = || path.display().to_string();
    let failed = |source| Error::File { file: file(), source };
    let text = private_file::read(path).map_err(failed)?;
    let Some(text) = text.map(Zeroizing::new) else { return Ok(None) };
    let made = std::fs::metadata(path).and_then(|found| found.modified()).map_err(failed)?;
    let signer = if kms::is_written(&text) {
        Signer::kms(kms::Key::read(&text).map_err(|detail| Error::Written { file: file(), detail })?)
    } else {
        Signer::file(SigningKey::from_pem(&text).map_err(|source| Error::Key { file: file(), source })?)
    };
    Ok(Some(DispatchKey { signer, made: timestamp(made) }))
}

fn timestamp(time: std::time::SystemTime) -> Timestamp {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// The key of KMS that is to be taken into use: it has shown that it signs.
async fn ask(source: Option<&Reference>) -> Result<Option<kms::Key>, Error> {
    let Some(reference) = source else { return Ok(None) };
    let key = kms::Key::ask(reference).await?;
    key.prove().await?;
    Ok(Some(key))
}

/// Writes where this key is, or a new one.
fn make(path: &Path, of_kms: Option<&kms::Key>) -> Result<(), Error> {
    let text = match of_kms {
        Some(key) => Zeroizing::new(key.written()),
        None => {
            let mut seed = Zeroizing::new([0u8; 32]);
            getrandom::fill(seed.as_mut()).map_err(Error::Randomness)?;
            SigningKey::ed25519_from_seed(&seed).to_pem()
        }
    };
    let written = private_file::write(path, text.as_bytes());
    written.map_err(|source| Error::File { file: path.display().to_string(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_change_with_an_overlap() {
        let dir = tempfile::tempdir().unwrap();
        let keys = DispatchKeys::open(dir.path(), None).await.unwrap();
        let [first] = &keys.ids()[..] else { panic!("one to begin with") };
        assert!(!keys.retire(first).unwrap(), "the only one is not given up");
        assert!(keys.make_next().await.unwrap() && !keys.make_next().await.unwrap());
        let both = keys.ids();
        assert_eq!((both.len(), &both[0]), (2, first));
        assert_eq!(DispatchKeys::open(dir.path(), None).await.unwrap().ids(), both);
        assert!(!keys.retire("another").unwrap());
        assert!(keys.retire(first).unwrap());
        assert_eq!(keys.ids(), both[1..]);
        assert_eq!(DispatchKeys::open(dir.path(), None).await.unwrap().ids(), both[1..]);
        keys.make_next().await.unwrap();
        let next = keys.ids()[1].clone();
        assert!(keys.retire(&next).unwrap(), "a change of mind");
        assert_eq!(keys.ids(), both[1..]);
    }
}
