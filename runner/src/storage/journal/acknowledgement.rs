//! What the broker acknowledged of this journal: its signed word that it was told of a place, with where it wrote
//! that down in its own audit log. So the customer can show what the broker knew, and that its log was changed.
//!
//! The newest word is kept in `seen.json`; two that cannot both be true in `broker-forked.json`, for
//! `remit audit judge`.

use std::path::{Path, PathBuf};

use remit_seal::document::{KeySpec, Root, Seen};
use remit_seal::verify::{self, Verified};
use remit_seal::{Digest, Refusal};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::storage::data_dir::{read_bounded, write_atomic};

const FILE: &str = "seen.json";
const FORKED: &str = "broker-forked.json";
const FILE_LEN_MAX: u64 = 64 * 1024;

/// A signed word with the keys that verify it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// A DSSE envelope in JSON.
    signed: String,
    /// The dispatch keys of the root that it was believed by.
    keys: Vec<KeySpec>,
}

/// A word that is kept, read and believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// What it says.
    pub said: Seen,
    /// The id of the dispatch key that signed it.
    pub key: String,
    kept: Kept,
}

/// What came of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is kept.
    Kept,
    /// It contradicts the one before: the broker's audit log was changed, or set back.
    Forked,
}

/// Why a word is not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// No dispatch key of the vendor's signed it.
    #[error("the broker's acknowledgement is not believed")]
    Refused(#[from] Refusal),
    /// It is of something else.
    #[error("the broker acknowledged {said}, and was told {told}")]
    Other {
        /// What it says.
        said: String,
        /// What it was told.
        told: String,
    },
    /// The disk.
    #[error("the broker's acknowledgement cannot be kept")]
    Disk(#[from] Error),
}

/// Takes in what the broker signed of the place that it was told.
pub(super) fn take(
    dir: &Path,
    root: &Verified<Root>,
    (install, records, head): (&str, u64, Digest),
    bytes: &[u8],
) -> Result<Taken, NotKept> {
    let said = verify::seen(root, bytes)?.get().clone();
    if (said.install.as_str(), said.records, said.head) != (install, records, head) {
        let said = format!("{} of {} with head {}", said.records, said.install, said.head);
        return Err(NotKept::Other { said, told: format!("{records} of {install} with head {head}") });
    }
    let dispatch = root.get().dispatch.keys.iter();
    let keys = dispatch.filter_map(|id| root.get().keys.get(id).cloned()).collect();
    let kept = Kept { signed: String::from_utf8_lossy(bytes).into_owned(), keys };
    let before = read(dir)?;
    if let Some(before) = before.filter(|before| contradict(&before.said, &said)) {
        let evidence = serde_json::json!({ "log": { "kept": before.kept, "now": kept, "headers": [] } });
        write(dir.join(FORKED), &evidence)?;
        return Ok(Taken::Forked);
    }
    write(dir.join(FILE), &kept)?;
    Ok(Taken::Kept)
}

/// Each word stands in a later block than the one before.
fn contradict(before: &Seen, now: &Seen) -> bool {
    before.audit.chain != now.audit.chain
        || now.audit.block < before.audit.block
        || (now.audit.block == before.audit.block && now.audit.head != before.audit.head)
}

/// The newest word that is kept; believed by the keys beside it.
pub(super) fn read(dir: &Path) -> Result<Option<Acknowledged>, Error> {
    let path = dir.join(FILE);
    let read_error = |source| Error::Read { path: path.clone(), source };
    let Some(bytes) = read_bounded(&path, FILE_LEN_MAX).map_err(read_error)? else { return Ok(None) };
    let bad = |why: String| Error::Checkpoint { path: path.clone(), why };
    let kept: Kept = serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string()))?;
    let mut why = "no key is beside it".to_owned();
    for key in &kept.keys {
        match verify::seen_by(key, kept.signed.as_bytes()) {
            Ok(seen) => {
                let (said, key) = (seen.get().clone(), key.id().map_err(|e| bad(e.to_string()))?);
                return Ok(Some(Acknowledged { said, key, kept }));
            }
            Err(refusal) => why = refusal.to_string(),
        }
    }
    Err(bad(why))
}

fn write<T: Serialize>(path: PathBuf, value: &T) -> Result<(), Error> {
    let bytes = serde_json::to_vec(value).expect("texts and whole numbers are always JSON");
    write_atomic(&path, &bytes).map_err(|source| Error::Write { path, source })
}

#[cfg(test)]
pub(super) mod tests {
    use remit_seal::document::AuditPlace;
    use remit_seal::dsse::{Envelope, PayloadType};
    use remit_seal::key::SigningKey;

    use super::*;

    const INSTALL: &str = "ins_demo.shop.acme";

    pub(in super::super) struct Broker {
        dispatch: SigningKey,
        root: Verified<Root>,
    }

    pub(in super::super) fn broker() -> Broker {
        let [own, release, dispatch] = [1, 2, 3].map(|seed| SigningKey::ed25519_from_seed(&[seed; 32]));
        let keys = [own.public(), release.public(), dispatch.public()];
        let root = Root::one_of_one("demo", keys.each_ref(), 1, i64::from(i32::MAX)).unwrap();
        let signed = Envelope::sign(PayloadType::Root, &root, &[&own]).unwrap();
        let root = verify::first_root(&signed.to_bytes(), &signed.payload_digest()).unwrap();
        Broker { dispatch, root }
    }

    fn seen(records: u64, block: u64, head: &str) -> Seen {
        let head = Digest::of(format!("{block}{head}").as_bytes());
        let audit = AuditPlace { chain: "c".to_owned(), block, entries: block, head };
        Seen {
            install: INSTALL.to_owned(),
            epoch: 1,
            generation: 1,
            records,
            head: Digest::of(&records.to_be_bytes()),
            audit,
            at_ms: i64::try_from(records).unwrap(),
        }
    }

    impl Broker {
        /// Acknowledges a place in a journal.
        pub(in super::super) fn acknowledge(&self, dir: &Path, records: u64, head: Digest) {
            let said = Seen { head, ..seen(records, records, "a") };
            let bytes = Envelope::sign(PayloadType::Seen, &said, &[&self.dispatch]).unwrap().to_bytes();
            assert_eq!(take(dir, &self.root, (INSTALL, records, head), &bytes).unwrap(), Taken::Kept);
        }

        fn says(&self, records: u64, block: u64, head: &str) -> Vec<u8> {
            let said = seen(records, block, head);
            Envelope::sign(PayloadType::Seen, &said, &[&self.dispatch]).unwrap().to_bytes()
        }

        fn take(&self, dir: &Path, records: u64, bytes: &[u8]) -> Result<Taken, NotKept> {
            take(dir, &self.root, (INSTALL, records, Digest::of(&records.to_be_bytes())), bytes)
        }
    }

    #[test]
    fn the_newest_word_is_kept_and_one_that_contradicts_it_is_evidence() {
        let (dir, broker) = (tempfile::tempdir().unwrap(), broker());
        let dir = dir.path();
        assert_eq!(read(dir).unwrap(), None);
        assert_eq!(broker.take(dir, 4, &broker.says(4, 7, "a")).unwrap(), Taken::Kept);
        assert_eq!(broker.take(dir, 8, &broker.says(8, 9, "a")).unwrap(), Taken::Kept);
        let newest = read(dir).unwrap().unwrap();
        assert_eq!((newest.said.records, newest.key), (8, broker.dispatch.id()));
        assert!(!dir.join(FORKED).exists());
        for (block, head) in [(8, "a"), (9, "b")] {
            assert_eq!(broker.take(dir, 12, &broker.says(12, block, head)).unwrap(), Taken::Forked);
        }
        assert!(dir.join(FORKED).exists());
        assert_eq!(read(dir).unwrap().unwrap().said.records, 8, "what was said first is kept");
    }

    #[test]
    fn a_word_of_another_place_or_by_another_key_is_not_kept() {
        let (dir, broker) = (tempfile::tempdir().unwrap(), broker());
        let other = broker.take(dir.path(), 5, &broker.says(4, 7, "a")).unwrap_err();
        assert!(matches!(other, NotKept::Other { .. }), "{other}");
        let stranger = Broker { dispatch: SigningKey::ed25519_from_seed(&[9; 32]), ..broker };
        let refused = stranger.take(dir.path(), 4, &stranger.says(4, 7, "a")).unwrap_err();
        assert!(matches!(refused, NotKept::Refused(_)), "{refused}");
        assert_eq!(read(dir.path()).unwrap(), None);
    }
}
