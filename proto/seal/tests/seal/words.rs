//! What people and other programs are shown: words that stand in files, messages and names of folders.

use remit_seal::document::{ComponentKind, FailureClass, RuleAction, RuleClass};
use remit_seal::dsse::PayloadType;
use remit_seal::{Digest, Refusal, verify};

use crate::world::{DISPATCH, Key, NOW, RELEASE, ROOT, STRANGER, World, run, world};

#[test]
fn kinds_and_types_have_their_words() {
    for kind in ComponentKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
    }
    let types = [
        (PayloadType::Root, "root", "trust root", 64),
        (PayloadType::Release, "release", "release", 256),
        (PayloadType::Job, "job", "job", 64),
        (PayloadType::Status, "status", "status", 64),
        (PayloadType::Checkpoint, "checkpoint", "checkpoint", 4),
        (PayloadType::Approval, "approval", "approval", 4),
        (PayloadType::Audit, "audit", "audit checkpoint", 4),
        (PayloadType::Seen, "seen", "receipt for receipts", 4),
        (PayloadType::Permit, "permit", "rollback permit", 4),
    ];
    for (kind, name, words, kib) in types {
        assert_eq!(kind.as_str(), format!("application/vnd.remit.{name}.v1+json"));
        assert_eq!((kind.to_string(), kind.size_max()), (words.to_owned(), kib * 1024));
    }
}

#[test]
fn a_digest_is_shown_as_it_is_written_and_a_key_without_its_secret() {
    let digest = Digest::of(b"abc");
    let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((digest.to_string(), digest.hex()), (format!("sha256:{hex}"), hex.to_owned()));
    assert_eq!(format!("{digest:?}"), format!("sha256:{hex}"));
    assert_eq!(hex::encode(digest.as_bytes()), hex);
    for key in [ROOT, RELEASE] {
        assert_eq!(format!("{:?}", key.signing()), format!("SigningKey({}, secret)", key.id()));
    }
}

fn refusal(spoil: impl FnOnce(&mut World)) -> Refusal {
    let mut world = world();
    spoil(&mut world);
    run(&world.signed(), &world.context()).unwrap_err()
}

#[test]
fn a_refusal_names_the_role_whose_signatures_are_wanting() {
    for (refusal, role) in [
        (refusal(|w| w.root_signers = vec![STRANGER]), "root"),
        (refusal(|w| w.release_signers = vec![STRANGER]), "release"),
        (refusal(|w| w.job_signers = vec![STRANGER]), "dispatch"),
    ] {
        assert_eq!(refusal, Refusal::Threshold { role, have: 0, need: 1 });
    }
    let text = refusal(|w| w.job_signers = vec![Key::Ed(90)]).to_string();
    assert!(text.contains("dispatch"), "{text}");
}

#[test]
fn how_many_signed_is_told_of_each_document() {
    let mut world = world();
    for key in [Key::Ed(91), Key::Ed(92)] {
        for role in [&mut world.root.root, &mut world.root.release] {
            role.keys.push(key.id());
        }
        world.root.keys.insert(key.id(), key.signing().public());
    }
    world.root_signers.extend([Key::Ed(91), Key::Ed(92), STRANGER]);
    world.release_signers.extend([Key::Ed(91), STRANGER]);
    let signed = world.signed();
    let root = verify::root(&signed.root, Some(&signed.pin), NOW).unwrap();
    let release = verify::release(&root, &signed.release, NOW).unwrap();
    let job = verify::job(&root, &signed.job, &world.context()).unwrap();
    assert_eq!((root.signers(), release.signers(), job.signers()), (3, 2, 1));
    assert_eq!(world.root.dispatch.keys, [DISPATCH.id()]);
    world.root.version = 2;
    let next = world.signed();
    assert_eq!(verify::next_root(&root, &next.root).unwrap().signers(), 3);
}

#[test]
fn what_ends_a_rule_ends_it() {
    let go_on = [RuleAction::Notify("x".to_owned()), RuleAction::Run("x".to_owned())];
    let end = [RuleAction::Retry(1_000), RuleAction::RePlan, RuleAction::ReApply, RuleAction::Hold];
    assert!(!go_on.iter().any(RuleAction::ends) && end.iter().all(RuleAction::ends));
}

#[test]
fn what_a_document_does_not_say_is_not_written() {
    let world = world();
    let keys = |json: serde_json::Value| json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let release = serde_json::to_value(&world.release).unwrap();
    let component = keys(release["components"][0].clone());
    let job = serde_json::to_value(&world.job).unwrap();
    let audience = keys(job["audience"].clone());
    let root = keys(serde_json::to_value(&world.root).unwrap());
    let written = [keys(release), component, keys(job), audience, root].concat();
    for name in
        ["notes", "healing", "escapes", "rehearsal", "plan", "approvals", "account", "region", "destroy"]
    {
        assert!(!written.iter().any(|key| key == name), "{name}");
    }
}

#[test]
fn a_rule_is_for_a_class_of_failure_or_for_what_was_refused() {
    for (class, word) in
        [(RuleClass::Refused, "refused"), (RuleClass::Failed(FailureClass::Interference), "interference")]
    {
        assert_eq!(serde_json::to_value(class).unwrap(), word);
        assert_eq!(serde_json::from_value::<RuleClass>(word.into()).unwrap(), class);
    }
    for word in ["Bug", "failed", "unspecified", ""] {
        assert!(serde_json::from_value::<RuleClass>(word.into()).is_err(), "{word}");
    }
}
