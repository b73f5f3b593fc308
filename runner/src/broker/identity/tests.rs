//! A crash at every operation of an enrolment and of two renewals: the key is on disk before it is sent, the
//! identity before it is used, and nobody is left with neither.

use std::path::Path;

use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;

use super::enrol::{PENDING, forget_pending, pending_key};
use super::*;
use crate::storage::disk::Op;
use crate::storage::disk::tests::crash::{self, Gone};

const INSTALL: &str = "ins_demo.shop.acme";

fn root() -> (Vec<u8>, Digest) {
    let keys = [1, 2, 3].map(|seed| SigningKey::ed25519_from_seed(&[seed; 32]));
    let specs = keys.each_ref().map(SigningKey::public);
    let root = Root::one_of_one("demo", specs.each_ref(), 1, i64::MAX >> 11).unwrap();
    let signed = Envelope::sign(PayloadType::Root, &root, &[&keys[0]]).unwrap();
    (signed.to_bytes(), signed.payload_digest())
}

/// What must be there after so many operations.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    ops: usize,
    /// The key that the broker may have been sent, until its identity is kept.
    pending: Option<String>,
    /// Until when the newest identity that may be in use lasts: tells them apart.
    identity: Option<i64>,
    /// The key's file is gone, for good.
    forgotten: bool,
}

fn granted(not_after_ms: i64) -> Granted {
    Granted { certificate_chain: vec![vec![7; 40]], generation: 1, epoch: 1, not_after_ms }
}

fn lived(dir: &DataDir) -> Vec<Acknowledged> {
    let (root, digest) = root();
    let mut all = vec![Acknowledged::default()];
    let mut now = Acknowledged::default();
    let mut say = |now: &Acknowledged| all.push(Acknowledged { ops: crash::count(), ..now.clone() });
    let key = pending_key(dir).unwrap();
    now.pending = Some(key.serialize_pem());
    say(&now);
    keep(dir, (INSTALL, None), &key, &granted(100), root.clone(), digest).unwrap();
    now = Acknowledged { identity: Some(100), ..Acknowledged::default() };
    say(&now);
    forget_pending(dir).unwrap();
    now.forgotten = true;
    say(&now);
    for not_after_ms in [200, 300] {
        keep(dir, (INSTALL, None), &new_key().unwrap(), &granted(not_after_ms), root.clone(), digest)
            .unwrap();
        now.identity = Some(not_after_ms);
        say(&now);
    }
    all
}

/// What is wrong with what a crash left, if anything.
fn check(to: &Path, before: &Acknowledged) -> Result<(), String> {
    let dir = DataDir::open(to).map_err(|e| e.to_string())?;
    let found = Identity::read(&dir, INSTALL, Some(root().1)).map_err(|e| e.to_string())?;
    let not_after_ms = found.as_ref().map(Identity::not_after_ms);
    if not_after_ms < before.identity {
        return Err(format!("{not_after_ms:?}, and {:?} may be in use", before.identity));
    }
    let again = pending_key(&dir).map_err(|e| format!("it cannot enrol again: {e}"))?;
    match (&before.pending, &found) {
        (Some(sent), None) if again.serialize_pem() != *sent => {
            Err("another key than the one that was sent".to_owned())
        }
        _ => Ok(()),
    }
}

/// Crashes everywhere; the first thing that is wrong afterwards, and how much was gone through.
fn crash_everywhere(ops: &[Op], acknowledged: &[Acknowledged], from: &Path) -> (Option<String>, Gone) {
    let (to, mut wrong) = (crash::fast_dir(), None);
    let gone = crash::everywhere(ops, (from, to.path()), |n, how| {
        let before = acknowledged.iter().rfind(|a| a.ops <= n).unwrap();
        let old_key = before.forgotten && to.path().join(PENDING).exists();
        let found = if old_key { Err("an old key came back".to_owned()) } else { check(to.path(), before) };
        if let Err(why) = found {
            wrong.get_or_insert(format!("{why}: {how:?} after {n} of {}", ops.len()));
        }
    });
    (wrong, gone)
}

#[test]
fn an_identity_that_crashed_anywhere_is_the_old_one_or_the_new_one() {
    let from = crash::fast_dir();
    crash::begin();
    let dir = DataDir::open(from.path()).unwrap();
    let acknowledged = lived(&dir);
    let ops = crash::end();
    let (wrong, gone) = crash_everywhere(&ops, &acknowledged, dir.root());
    assert_eq!(wrong, None);
    crash::say("identity", gone);
    assert!(gone.points > 30 && gone.images > 1_000, "{gone:?}");

    // Who forgets to wait for the disk is caught.
    for forget in [|op: &Op| matches!(op, Op::Sync(_)), |op: &Op| matches!(op, Op::SyncDir(_))] {
        let idle = |op: &Op| if forget(op) { Op::Create(dir.path("id")) } else { op.clone() };
        let forgetful: Vec<Op> = ops.iter().map(idle).collect();
        let (wrong, _) = crash_everywhere(&forgetful, &acknowledged, dir.root());
        assert!(wrong.is_some(), "a planted bug was not caught");
    }
}
