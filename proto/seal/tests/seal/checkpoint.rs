//! Checkpoints: believed by the one key that is asked for, and by no other.

use remit_seal::Digest;
use remit_seal::document::Checkpoint;
use remit_seal::dsse::PayloadType;
use remit_seal::verify;

use crate::world::{Key, sign};

const OWN: Key = Key::Ed(70);
const OTHER: Key = Key::Ed(71);

fn made() -> Checkpoint {
    let install = "ins_demo.shop.acme".to_owned();
    Checkpoint { install, segment: 2, records: 40, head: Digest::of(b"last"), at_ms: 7 }
}

fn check(bytes: &[u8], expect: &str) {
    let answer = verify::checkpoint(&OWN.signing().public(), bytes);
    let code = answer.as_ref().map_or_else(|refusal| refusal.code(), |_| "ok");
    assert_eq!(code, expect);
    if let Ok(checkpoint) = answer {
        assert_eq!(*checkpoint.get(), made());
        assert_eq!(checkpoint.digest(), Digest::of(&serde_json::to_vec(&made()).unwrap()));
    }
}

#[test]
fn a_checkpoint_is_believed_by_its_key_alone() {
    check(&sign(PayloadType::Checkpoint, &made(), &[OWN]), "ok");
    check(&sign(PayloadType::Checkpoint, &made(), &[OTHER, OWN]), "ok");
    check(&sign(PayloadType::Checkpoint, &made(), &[OTHER]), "seal.threshold");
    check(&sign(PayloadType::Job, &made(), &[OWN]), "seal.payload_type");
    check(&sign(PayloadType::Checkpoint, &"x", &[OWN]), "seal.document_invalid");
    let signed = String::from_utf8(sign(PayloadType::Checkpoint, &made(), &[OTHER])).unwrap();
    let renamed = signed.replace(&OTHER.signing().id(), &OWN.signing().id());
    check(renamed.as_bytes(), "seal.signature_invalid");
}

#[test]
fn a_large_checkpoint_is_not_read() {
    let bytes = vec![b' '; PayloadType::Checkpoint.size_max() + 1];
    check(&bytes, "seal.too_large");
}
