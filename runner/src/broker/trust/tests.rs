//! The way from the pinned root to the newest, over restarts and damage.

use remit_seal::document::{Role, Status};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;

use super::*;

mod crashes;

const HOUR: i64 = 3_600_000;

fn key(seed: u8) -> SigningKey {
    SigningKey::ed25519_from_seed(&[seed; 32])
}

/// A root of this version whose root role is this one key.
fn root(version: u64, root: u8) -> Root {
    let keys = [key(root), key(20), key(30)].map(|key| key.public());
    let now = now_ms();
    Root { version, ..Root::one_of_one("demo", keys.each_ref(), now - HOUR, now + HOUR).unwrap() }
}

fn sign(root: &Root, by: &[u8]) -> Vec<u8> {
    let keys: Vec<SigningKey> = by.iter().map(|seed| key(*seed)).collect();
    Envelope::sign(PayloadType::Root, root, &keys.iter().collect::<Vec<_>>()).unwrap().to_bytes()
}

fn status(root_version: u64, revoked: &[String]) -> Vec<u8> {
    let time_ms = now_ms();
    let status = Status {
        vendor: "demo".to_owned(),
        root_version,
        time_ms,
        expires_ms: time_ms + HOUR,
        floors: [("shop/stable".to_owned(), 4)].into(),
        revoked: revoked.to_vec(),
    };
    Envelope::sign(PayloadType::Status, &status, &[&key(30)]).unwrap().to_bytes()
}

struct Bench {
    temp: tempfile::TempDir,
    first: Verified<Root>,
}

impl Bench {
    fn new() -> Self {
        let bytes = sign(&root(1, 10), &[10]);
        let first = verify::root(&bytes, None, now_ms()).unwrap();
        Self { temp: tempfile::tempdir().unwrap(), first }
    }

    fn open(&self) -> Result<Trust, Error> {
        Trust::walk(&DataDir::open(self.temp.path()).unwrap(), &self.first)
    }
}

#[test]
fn what_was_learnt_is_known_after_a_restart() {
    let bench = Bench::new();
    let trust = bench.open().unwrap();
    assert_eq!(trust.marks(), (1, 0));
    trust.take_root(&sign(&root(2, 11), &[10, 11])).unwrap();
    trust.take_root(&sign(&root(3, 11), &[11])).unwrap();
    let stranger = key(99).id();
    trust.take_status(&status(3, std::slice::from_ref(&stranger))).unwrap();
    let (marks, digest) = (trust.marks(), trust.root_digest());
    let again = bench.open().unwrap();
    assert_eq!((again.marks(), again.root_digest()), (marks, digest));
    let view = again.view();
    assert!(view.is_fresh() && view.standing.revoked.contains(&stranger));
    assert_eq!(view.standing.floor("shop", "stable"), 4);
    // The next root is a new beginning, for good.
    again.take_root(&sign(&root(4, 11), &[11])).unwrap();
    for trust in [again, bench.open().unwrap()] {
        assert_eq!(trust.marks(), (4, 0));
        assert!(trust.view().standing.revoked.is_empty() && !trust.view().is_fresh());
    }
}

#[test]
fn roots_go_one_by_one_and_never_back() {
    let bench = Bench::new();
    let trust = bench.open().unwrap();
    let code = |root: Vec<u8>| trust.take_root(&root).map_err(|error| error.code());
    assert_eq!(code(sign(&root(3, 10), &[10])), Err("seal.root_version"));
    assert_eq!(code(sign(&root(2, 11), &[11])), Err("seal.threshold"));
    assert_eq!(code(sign(&root(2, 11), &[10])), Err("seal.threshold"));
    assert_eq!(code(sign(&root(2, 11), &[10, 11])), Ok(()));
    assert_eq!(code(sign(&root(2, 10), &[10])), Err("seal.threshold"));
    assert_eq!(code(sign(&root(1, 11), &[11])), Err("seal.root_version"));
    assert_eq!(trust.take_status(&status(1, &[])).unwrap_err().code(), "seal.status_root");
    assert_eq!(trust.marks(), (2, 0));
}

#[test]
fn a_root_that_was_taken_away_from_the_disk_is_noticed() {
    let bench = Bench::new();
    let trust = bench.open().unwrap();
    trust.take_root(&sign(&root(2, 11), &[10, 11])).unwrap();
    trust.take_status(&status(2, &[])).unwrap();
    let file = bench.temp.path().join("trust/root.2.json");
    let kept = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(bench.open().unwrap_err().code(), "runner.trust_damaged");
    std::fs::write(&file, &kept[..9]).unwrap();
    assert_eq!(bench.open().unwrap_err().code(), "seal.json_syntax");
    std::fs::write(&file, &kept).unwrap();
    assert_eq!(bench.open().unwrap().marks().0, 2);
    std::fs::write(bench.temp.path().join("trust/standing.json"), b"{}").unwrap();
    assert_eq!(bench.open().unwrap_err().code(), "runner.trust_damaged");
}

#[test]
fn a_vendor_whose_first_root_has_expired_is_still_followed() {
    let mut bench = Bench::new();
    let mut old = root(1, 10);
    (old.created_ms, old.expires_ms) = (0, 1);
    let bytes = sign(&old, &[10]);
    let digest = Envelope::parse(&bytes, PayloadType::Root).unwrap().payload_digest();
    bench.first = verify::first_root(&bytes, &digest).unwrap();
    let trust = bench.open().unwrap();
    trust.take_root(&sign(&root(2, 10), &[10])).unwrap();
    trust.take_status(&status(2, &[])).unwrap();
    let other = root(2, 10);
    assert_eq!(trust.view().root.get().root, Role { keys: other.root.keys, threshold: 1 });
}
