//! A broker's word on chains: by the dispatch role of a root, or by the one key that is asked for.

use remit_seal::Digest;
use remit_seal::document::{AuditCheckpoint, AuditPlace, Seen};
use remit_seal::dsse::PayloadType;
use remit_seal::verify;

use crate::world::{DISPATCH, Key, RELEASE, sign, world};

const OWN: Key = Key::Ed(70);
const OTHER: Key = Key::Ed(71);

fn place() -> AuditPlace {
    AuditPlace { chain: "c0ffee".to_owned(), block: 4, entries: 9, head: Digest::of(b"block") }
}

fn told() -> Seen {
    Seen {
        install: "ins_demo.shop.acme".to_owned(),
        epoch: 1,
        generation: 3,
        records: 40,
        head: Digest::of(b"last"),
        audit: place(),
        at_ms: 7,
    }
}

fn point() -> AuditCheckpoint {
    AuditCheckpoint { place: place(), at_ms: 7 }
}

fn code<T>(answer: Result<T, remit_seal::Refusal>) -> &'static str {
    answer.err().map_or("ok", |refusal| refusal.code())
}

#[test]
fn what_a_broker_has_seen_is_believed_by_its_key_alone() {
    let key = OWN.signing().public();
    let by = |kind, key_of: Key| code(verify::seen_by(&key, &sign(kind, &told(), &[key_of])));
    assert_eq!(by(PayloadType::Seen, OWN), "ok");
    assert_eq!(by(PayloadType::Seen, OTHER), "seal.threshold");
    assert_eq!(by(PayloadType::Audit, OWN), "seal.payload_type");
    let good = verify::seen_by(&key, &sign(PayloadType::Seen, &told(), &[OTHER, OWN])).unwrap();
    assert_eq!((good.get(), good.signers()), (&told(), 1));
    let signed = String::from_utf8(sign(PayloadType::Seen, &told(), &[OTHER])).unwrap();
    let renamed = signed.replace(&OTHER.signing().id(), &OWN.signing().id());
    assert_eq!(code(verify::seen_by(&key, renamed.as_bytes())), "seal.signature_invalid");
}

#[test]
fn a_place_in_the_audit_log_is_believed_by_its_key_alone() {
    let key = OWN.signing().public();
    let by = |kind, key_of: Key| code(verify::audit_checkpoint(&key, &sign(kind, &point(), &[key_of])));
    assert_eq!(by(PayloadType::Audit, OWN), "ok");
    assert_eq!(by(PayloadType::Audit, OTHER), "seal.threshold");
    assert_eq!(by(PayloadType::Seen, OWN), "seal.payload_type");
    assert_eq!(
        code(verify::audit_checkpoint(&key, &sign(PayloadType::Audit, &told(), &[OWN]))),
        "seal.document_invalid"
    );
    let good = verify::audit_checkpoint(&key, &sign(PayloadType::Audit, &point(), &[OWN])).unwrap();
    assert_eq!(*good.get(), point());
}

#[test]
fn what_a_broker_has_seen_is_believed_by_the_dispatch_role() {
    let world = world();
    let signed = world.signed();
    let root = verify::first_root(&signed.root, &signed.pin).unwrap();
    let by = |keys: &[Key]| code(verify::seen(&root, &sign(PayloadType::Seen, &told(), keys)));
    assert_eq!(by(&[DISPATCH]), "ok");
    assert_eq!(by(&[RELEASE]), "seal.threshold", "the release key is not asked");
    assert_eq!(by(&[OTHER]), "seal.threshold");
}
