//! The customer's own word: believed by any of the keys that the customer gave, and by no other.

use remit_seal::Digest;
use remit_seal::customer::{CustomerApproval, Subject, Word};
use remit_seal::document::KeySpec;
use remit_seal::dsse::PayloadType;
use remit_seal::verify::customer_approval;

use crate::world::{DISPATCH, Key, NOW, STRANGER, sign};

const ANN: Key = Key::Ed(80);
const BOB: Key = Key::P256(81);

fn word() -> CustomerApproval {
    CustomerApproval {
        install: "ins_demo.shop.acme".to_owned(),
        subject: Subject::Content(Digest::of(b"what was shown")),
        word: Word::Denied,
        what: "destroy of `network` by release 1.4.0".to_owned(),
        by: "ann".to_owned(),
        at_ms: NOW,
        until_ms: NOW + 1,
    }
}

fn check(keys: &[Key], bytes: &[u8], expect: &str) {
    let keys: Vec<KeySpec> = keys.iter().map(|key| key.signing().public()).collect();
    let answer = customer_approval(&keys, bytes);
    assert_eq!(answer.as_ref().map_or_else(|refusal| refusal.code(), |_| "ok"), expect);
    if let Ok(believed) = answer {
        assert_eq!((believed.get(), believed.signers()), (&word(), 1));
        assert_eq!(believed.digest(), Digest::of(&serde_json::to_vec(&word()).unwrap()));
    }
}

#[test]
fn a_word_is_believed_by_any_key_of_the_customers_and_by_no_other() {
    let by = |keys: &[Key]| sign(PayloadType::Approval, &word(), keys);
    check(&[ANN], &by(&[ANN]), "ok");
    check(&[ANN, BOB], &by(&[ANN]), "ok");
    check(&[ANN, BOB], &by(&[BOB]), "ok");
    check(&[ANN, BOB], &by(&[STRANGER, BOB]), "ok");
    check(&[ANN, BOB], &by(&[STRANGER]), "seal.threshold");
    check(&[ANN, BOB], &by(&[DISPATCH]), "seal.threshold");
    check(&[], &by(&[ANN]), "seal.threshold");
    check(&[ANN], &sign(PayloadType::Job, &word(), &[ANN]), "seal.payload_type");
    check(&[ANN], &sign(PayloadType::Approval, &"yes", &[ANN]), "seal.document_invalid");
    check(&[ANN], &vec![b' '; PayloadType::Approval.size_max() + 1], "seal.too_large");
}

#[test]
fn a_false_signature_is_named_wherever_it_stands_and_hides_no_good_one() {
    let forged = |real: Key, claimed: Key, more: &[Key]| {
        let signed = sign(PayloadType::Approval, &word(), &[&[real], more].concat());
        String::from_utf8(signed).unwrap().replace(&real.id(), &claimed.id()).into_bytes()
    };
    check(&[ANN, BOB], &forged(STRANGER, ANN, &[]), "seal.signature_invalid");
    check(&[ANN, BOB], &forged(STRANGER, BOB, &[]), "seal.signature_invalid");
    check(&[BOB, ANN], &forged(STRANGER, BOB, &[]), "seal.signature_invalid");
    check(&[ANN, BOB], &forged(STRANGER, ANN, &[BOB]), "ok");
    check(&[ANN, BOB], &forged(STRANGER, BOB, &[ANN]), "ok");
}

#[test]
fn a_key_that_is_none_is_not_passed_over() {
    let mut broken = ANN.signing().public();
    broken.spki.insert(0, 'A');
    let bytes = sign(PayloadType::Approval, &word(), &[BOB]);
    let answer = customer_approval(&[broken, BOB.signing().public()], &bytes);
    assert_eq!(answer.unwrap_err().code(), "seal.key_invalid");
}
