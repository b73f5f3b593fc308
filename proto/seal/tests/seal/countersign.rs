//! The customer's word: believed by any of their keys and by no other, on every subject there is.

use remit_seal::Digest;
use remit_seal::document::{CustomerApproval, Subject, Word};
use remit_seal::dsse::PayloadType;
use remit_seal::verify;
use serde_json::json;

use crate::world::{Key, sign};

const OWN: Key = Key::Ed(72);
const SECOND: Key = Key::Ed(73);
const OTHER: Key = Key::Ed(74);

fn made(subject: Subject, word: Word) -> CustomerApproval {
    let (install, by) = ("ins_demo.shop.acme".to_owned(), "ann".to_owned());
    CustomerApproval { install, subject, word, by, at_ms: 7, until_ms: 9 }
}

fn broken() -> CustomerApproval {
    made(Subject::Lock(Digest::of(b"a holding").hex()), Word::Approved)
}

/// What comes of it for a runner that was given these keys.
fn check(keys: &[Key], bytes: &[u8], expect: Result<&CustomerApproval, &str>) {
    let specs: Vec<_> = keys.iter().map(|key| key.signing().public()).collect();
    let answer = verify::customer_approval(&specs, bytes);
    match (&answer, expect) {
        (Ok(found), Ok(wanted)) => {
            assert_eq!((found.get(), found.signers()), (wanted, 1));
            assert_eq!(found.digest(), Digest::of(&serde_json::to_vec(wanted).unwrap()));
        }
        (Err(refusal), Err(code)) => assert_eq!(refusal.code(), code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_of_the_customers_keys_is_enough() {
    let word = broken();
    for (keys, by) in [(&[OWN, SECOND][..], OWN), (&[OWN, SECOND], SECOND), (&[SECOND], SECOND)] {
        check(keys, &sign(PayloadType::Approval, &word, &[by]), Ok(&word));
    }
    check(&[OWN], &sign(PayloadType::Approval, &word, &[OTHER, OWN]), Ok(&word));
}

#[test]
fn nobody_elses_word_counts() {
    let word = broken();
    check(&[OWN, SECOND], &sign(PayloadType::Approval, &word, &[OTHER]), Err("seal.threshold"));
    check(&[], &sign(PayloadType::Approval, &word, &[OWN]), Err("seal.threshold"));
    check(&[OWN], &sign(PayloadType::Checkpoint, &word, &[OWN]), Err("seal.payload_type"));
    let signed = String::from_utf8(sign(PayloadType::Approval, &word, &[OTHER])).unwrap();
    let renamed = signed.replace(&OTHER.signing().id(), &SECOND.signing().id());
    for keys in [&[SECOND][..], &[OWN, SECOND], &[SECOND, OWN]] {
        check(keys, renamed.as_bytes(), Err("seal.signature_invalid"));
    }
}

#[test]
fn each_subject_is_itself_and_no_other_is_one() {
    let text = || "x".to_owned();
    let subjects =
        [Subject::Plan(text()), Subject::Job(text()), Subject::Operation(text()), Subject::Lock(text())];
    for (subject, name) in subjects.into_iter().zip(["plan", "job", "operation", "lock"]) {
        for (word, said) in [(Word::Approved, "approved"), (Word::Denied, "denied")] {
            let made = made(subject.clone(), word);
            let json = json!({
                "install": "ins_demo.shop.acme", "subject": {name: "x"}, "word": said,
                "by": "ann", "at_ms": 7, "until_ms": 9,
            });
            assert_eq!(serde_json::to_value(&made).unwrap(), json);
            check(&[OWN], &sign(PayloadType::Approval, &made, &[OWN]), Ok(&made));
        }
    }
    let mut json = serde_json::to_value(broken()).unwrap();
    json["subject"] = json!({"locks": "x"});
    check(&[OWN], &sign(PayloadType::Approval, &json, &[OWN]), Err("seal.document_invalid"));
    json["subject"] = json!({"lock": "x", "job": "x"});
    check(&[OWN], &sign(PayloadType::Approval, &json, &[OWN]), Err("seal.document_invalid"));
}
