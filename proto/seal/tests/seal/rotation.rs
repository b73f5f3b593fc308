//! How one root follows another: N to N+1 only, by the thresholds of both.

use remit_seal::document::{Role, Root};
use remit_seal::dsse::PayloadType;
use remit_seal::verify::{ROOT_HOPS_MAX, next_root, root, root_chain};

use crate::world::{DAY, DISPATCH, Key, NOW, RELEASE, ROOT, STRANGER, sign};

const A: Key = ROOT;
const B: Key = Key::P256(31);
const C: Key = Key::Ed(32);
const D: Key = Key::Ed(33);

/// A root whose root role is 2 of these.
fn two_of(keys: &[Key], version: u64) -> Root {
    let specs = [ROOT, RELEASE, DISPATCH].map(|key| key.signing().public());
    let mut root = Root::one_of_one("demo", specs.each_ref(), NOW - DAY, NOW + DAY).unwrap();
    root.version = version;
    for key in keys {
        root.keys.insert(key.id(), key.signing().public());
    }
    root.root = Role { keys: keys.iter().map(|key| key.id()).collect(), threshold: 2 };
    root
}

#[test]
fn a_root_follows_another_only_by_both_thresholds() {
    type Row = (&'static str, &'static [Key], fn(&mut Root), &'static str);
    let rows: &[Row] = &[
        ("same keys", &[A, B], |_| {}, "ok"),
        ("other two of the same keys", &[B, C], |_| {}, "ok"),
        ("a key replaced", &[A, B], |r| *r = two_of(&[A, B, D], 2), "ok"),
        (
            "all keys replaced, all sign",
            &[A, B, C, D, Key::Ed(34)],
            |r| *r = two_of(&[D, Key::Ed(34)], 2),
            "ok",
        ),
        (
            "all keys replaced, only new sign",
            &[D, Key::Ed(34)],
            |r| *r = two_of(&[D, Key::Ed(34)], 2),
            "seal.threshold",
        ),
        (
            "all keys replaced, only old sign",
            &[A, B],
            |r| *r = two_of(&[D, Key::Ed(34)], 2),
            "seal.threshold",
        ),
        (
            "one of old, two of new",
            &[A, D, Key::Ed(34)],
            |r| *r = two_of(&[D, Key::Ed(34)], 2),
            "seal.threshold",
        ),
        ("two of old, one of new", &[A, B, D], |r| *r = two_of(&[D, Key::Ed(34)], 2), "seal.threshold"),
        ("one key", &[A], |_| {}, "seal.threshold"),
        ("one key and a stranger", &[A, STRANGER], |_| {}, "seal.threshold"),
        ("the other roles' keys", &[A, RELEASE, DISPATCH], |_| {}, "seal.threshold"),
        ("threshold lowered by one key", &[A], |r| r.root.threshold = 1, "seal.threshold"),
        ("threshold lowered by two keys", &[A, B], |r| r.root.threshold = 1, "ok"),
        ("threshold raised, too few", &[A, B], |r| r.root.threshold = 3, "seal.threshold"),
        ("threshold raised", &[A, B, C], |r| r.root.threshold = 3, "ok"),
        ("the same version", &[A, B], |r| r.version = 1, "seal.root_version"),
        ("a version left out", &[A, B], |r| r.version = 3, "seal.root_version"),
        ("an older version", &[A, B], |r| r.version = 0, "seal.root_invalid"),
        ("the last version there can be", &[A, B], |r| r.version = (1 << 53) - 1, "seal.root_version"),
        ("another vendor", &[A, B], |r| r.vendor = "other".to_owned(), "seal.vendor"),
        ("expired, on the way to a newer one", &[A, B], |r| r.expires_ms = NOW - 1, "ok"),
        ("unsound", &[A, B], |r| r.dispatch.threshold = 9, "seal.root_invalid"),
    ];
    let first = sign(PayloadType::Root, &two_of(&[A, B, C], 1), &[A, B]);
    let trusted = root(&first, None, NOW).unwrap();
    for (name, signers, spoil, code) in rows {
        let mut next = two_of(&[A, B, C], 2);
        spoil(&mut next);
        let bytes = sign(PayloadType::Root, &next, signers);
        let found = next_root(&trusted, &bytes);
        assert_eq!(found.as_ref().map_or_else(|refusal| refusal.code(), |_| "ok"), *code, "{name}");
        if let Ok(found) = found {
            assert_eq!(*found.get(), next, "{name}");
        }
    }
}

#[test]
fn a_chain_is_followed_to_its_end_and_only_the_end_must_not_have_expired() {
    let at = |version, expires_ms| {
        let mut root = two_of(&[A, B], version);
        (root.created_ms, root.expires_ms) = (0, expires_ms);
        sign(PayloadType::Root, &root, &[A, B])
    };
    let (one, two, three, late) = (at(1, 5), at(2, 6), at(3, NOW + 1), at(3, NOW));
    let code = |hops: &[&[u8]]| match root_chain(&one, None, hops, NOW) {
        Ok(root) => root.get().version.to_string(),
        Err(refusal) => refusal.code().to_owned(),
    };
    assert_eq!(code(&[&two, &three]), "3");
    assert_eq!(code(&[&two, &late]), "seal.root_expired");
    assert_eq!(code(&[&two]), "seal.root_expired");
    assert_eq!(code(&[]), "seal.root_expired");
    assert_eq!(code(&[&three]), "seal.root_version");
    assert_eq!(code(&[&two, &two]), "seal.root_version");
    assert_eq!(code(&[&three, &two]), "seal.root_version");
    assert_eq!(code(&vec![two.as_slice(); ROOT_HOPS_MAX + 1]), "seal.root_invalid");
}

#[test]
fn a_second_signature_can_be_added_later() {
    let mut envelope =
        remit_seal::dsse::Envelope::sign(PayloadType::Root, &two_of(&[A, B], 1), &[&A.signing()]).unwrap();
    assert_eq!(root(&envelope.to_bytes(), None, NOW).unwrap_err().code(), "seal.threshold");
    envelope.countersign(&A.signing()).unwrap();
    assert_eq!(root(&envelope.to_bytes(), None, NOW).unwrap_err().code(), "seal.threshold");
    envelope.countersign(&B.signing()).unwrap();
    assert!(root(&envelope.to_bytes(), None, NOW).is_ok());
    for seed in 40..46 {
        envelope.countersign(&Key::Ed(seed).signing()).unwrap();
    }
    let ninth = envelope.countersign(&Key::Ed(46).signing());
    assert_eq!(ninth.unwrap_err().code(), "seal.signature_count");
}

#[test]
fn as_many_roots_are_followed_as_may_be() {
    let mut roots: Vec<Vec<u8>> = Vec::new();
    let mut root = two_of(&[A], 1);
    root.root.threshold = 1;
    for version in 1..=ROOT_HOPS_MAX as u64 + 2 {
        root.version = version;
        roots.push(sign(PayloadType::Root, &root, &[A]));
    }
    let hops: Vec<&[u8]> = roots[1..].iter().map(Vec::as_slice).collect();
    let newest = root_chain(&roots[0], None, &hops[..ROOT_HOPS_MAX], NOW).unwrap();
    assert_eq!(newest.get().version, ROOT_HOPS_MAX as u64 + 1);
    assert_eq!(root_chain(&roots[0], None, &hops, NOW).unwrap_err().code(), "seal.root_invalid");
}

#[test]
fn what_no_runner_would_follow_is_known_before_it_is_signed() {
    let mut root = two_of(&[A, B], 2);
    assert_eq!(root.check(), Ok(()));
    root.dispatch.keys = vec![A.id()];
    assert_eq!(root.check().unwrap_err().code(), "seal.root_invalid");
}
