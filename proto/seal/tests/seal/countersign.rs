//! The customer's word: believed by any of their keys and by no other, on every subject there is.

use remit_seal::Digest;
use remit_seal::customer::{CustomerApproval, Every, Releases, Subject, Word};
use remit_seal::dsse::PayloadType;
use remit_seal::verify;
use serde_json::json;

use crate::world::{Key, sign};

const OWN: Key = Key::Ed(72);
const SECOND: Key = Key::Ed(73);
const OTHER: Key = Key::Ed(74);

fn made(subject: Subject, word: Word) -> CustomerApproval {
    let (install, by) = ("ins_demo.shop.acme".to_owned(), "ann".to_owned());
    CustomerApproval { install, subject, word, what: "in words".to_owned(), by, at_ms: 7, until_ms: 9 }
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

fn every() -> Every {
    let releases = Some(Releases { from: 2, to: 5 });
    Every { operation: "destroy".to_owned(), component: Some("network".to_owned()), releases }
}

#[test]
fn each_subject_has_its_words_and_no_others() {
    let digest = Digest::of(b"x");
    let json_of_every = json!({
        "every": {"operation": "destroy", "component": "network", "releases": {"from": 2, "to": 5}},
    });
    // Approved, denied, revoked.
    let rows = [
        (Subject::Content(digest), json!({"content": digest}), [true, true, false]),
        (Subject::Every(every()), json_of_every, [true, true, false]),
        (Subject::Lock(digest.hex()), json!({"lock": digest.hex()}), [true, false, false]),
        (Subject::Word(digest), json!({"word": digest}), [false, false, true]),
        (Subject::Marks, json!("marks"), [true, false, false]),
    ];
    let words = [Word::Approved, Word::Denied, Word::Revoked];
    for (subject, json, fits) in rows {
        for ((word, said), fits) in words.into_iter().zip(["approved", "denied", "revoked"]).zip(fits) {
            let made = made(subject.clone(), word);
            let json = json!({
                "install": "ins_demo.shop.acme", "subject": json, "word": said, "what": "in words",
                "by": "ann", "at_ms": 7, "until_ms": 9,
            });
            assert_eq!(serde_json::to_value(&made).unwrap(), json);
            let expect = if fits { Ok(&made) } else { Err("seal.customer_word_invalid") };
            check(&[OWN], &sign(PayloadType::Approval, &made, &[OWN]), expect);
        }
    }
    let mut json = serde_json::to_value(broken()).unwrap();
    // A job by its id, and a plan by its own, were subjects once: they name no content.
    for subject in [json!({"job": "x"}), json!({"plan": digest.hex()}), json!({"lock": "x", "word": digest})]
    {
        json["subject"] = subject;
        check(&[OWN], &sign(PayloadType::Approval, &json, &[OWN]), Err("seal.document_invalid"));
    }
}

#[test]
fn a_word_that_contradicts_itself_is_refused() {
    type Change = fn(&mut CustomerApproval);
    let change = |every: Every| CustomerApproval {
        subject: Subject::Every(every),
        ..made(Subject::Marks, Word::Approved)
    };
    let good: [Change; 3] = [|w| w.by = "b".repeat(128), |w| w.what = "w".repeat(512), |w| w.what.clear()];
    for spoil in good {
        let mut word = broken();
        spoil(&mut word);
        check(&[OWN], &sign(PayloadType::Approval, &word, &[OWN]), Ok(&word));
    }
    let bad: [Change; 6] = [
        |w| w.by.clear(),
        |w| w.by = "b".repeat(129),
        |w| w.by = "a\nb".to_owned(),
        |w| w.what = "w".repeat(513),
        |w| w.what = "\u{1b}[2J".to_owned(),
        |w| w.until_ms = w.at_ms,
    ];
    let mut words: Vec<CustomerApproval> = bad
        .map(|spoil| {
            let mut word = broken();
            spoil(&mut word);
            word
        })
        .into();
    words.push(change(Every { operation: "Destroy".to_owned(), ..every() }));
    words.push(change(Every { component: Some("..".to_owned()), ..every() }));
    words.push(change(Every { releases: Some(Releases { from: 6, to: 5 }), ..every() }));
    for word in words {
        check(&[OWN], &sign(PayloadType::Approval, &word, &[OWN]), Err("seal.customer_word_invalid"));
    }
}

#[test]
fn many_jobs_at_once_are_told_apart_from_others() {
    let of = |component: Option<&str>, releases: Option<(u64, u64)>| Every {
        operation: "destroy".to_owned(),
        component: component.map(str::to_owned),
        releases: releases.map(|(from, to)| Releases { from, to }),
    };
    let all = of(None, None);
    assert!(all.covers("destroy", "network", 1) && !all.covers("deploy", "network", 1));
    assert!(every().covers("destroy", "network", 2) && every().covers("destroy", "network", 5));
    assert!(!every().covers("destroy", "web", 2));
    assert!(!every().covers("destroy", "network", 1) && !every().covers("destroy", "network", 6));
    let rows = [
        (every(), all.clone(), true),
        (all.clone(), every(), false),
        (every(), every(), true),
        (every(), of(Some("network"), None), true),
        (every(), of(None, Some((1, 6))), true),
        (every(), of(Some("web"), None), false),
        (every(), of(None, Some((3, 6))), false),
        (every(), of(None, Some((1, 4))), false),
        (of(Some("network"), None), every(), false),
        (every(), Every { operation: "deploy".to_owned(), ..all }, false),
    ];
    for (own, other, expect) in rows {
        assert_eq!(own.is_within(&other), expect, "{own:?} {other:?}");
    }
}
