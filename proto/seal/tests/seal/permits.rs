//! Rollback permits: who may sign one, for how long it counts, and which way back it opens.

use remit_seal::document::{DestroyRule, PermitScope, Release, RollbackPermit, Root};
use remit_seal::dsse::PayloadType;
use remit_seal::verify::{self, PERMIT_LIFE_MAX_MS, PERMIT_REASON_LEN_MAX, Verified};
use serde_json::json;

use crate::world::{DAY, DISPATCH, Key, NOW, RELEASE, ROOT, STRANGER, payload_digest, sign, world};

const SECOND: Key = Key::Ed(5);

pub(crate) fn permit() -> RollbackPermit {
    RollbackPermit {
        vendor: "demo".to_owned(),
        app: "shop".to_owned(),
        channel: "stable".to_owned(),
        scope: PermitScope::Channel,
        from: 6,
        to: 5,
        reason: "1.5.0 loses orders".to_owned(),
        created_ms: NOW,
        until_ms: NOW + DAY,
    }
}

fn root(change: impl Fn(&mut Root)) -> Verified<Root> {
    let mut root = world().root;
    root.keys.insert(SECOND.id(), SECOND.signing().public());
    root.release.keys.push(SECOND.id());
    change(&mut root);
    let bytes = sign(PayloadType::Root, &root, &[ROOT]);
    verify::root(&bytes, Some(&payload_digest(&bytes, PayloadType::Root)), NOW).unwrap()
}

fn answer(root: &Verified<Root>, permit: &RollbackPermit, keys: &[Key], now_ms: i64) -> &'static str {
    let bytes = sign(PayloadType::Permit, permit, keys);
    match verify::permit(root, &bytes, now_ms) {
        Ok(found) => {
            assert_eq!((found.get(), found.signers()), (permit, keys.len()));
            assert_eq!(found.digest(), payload_digest(&bytes, PayloadType::Permit));
            "ok"
        }
        Err(refusal) => refusal.code(),
    }
}

#[test]
fn a_permit_is_signed_as_what_destroys_is() {
    let plain = root(|_| ());
    let ruled = root(|root| root.destroy = Some(DestroyRule { threshold: 2 }));
    for (keys, alone, by_two) in [
        (&[RELEASE][..], "ok", "seal.threshold"),
        (&[SECOND], "ok", "seal.threshold"),
        (&[RELEASE, SECOND], "ok", "ok"),
        (&[ROOT], "ok", "ok"),
        (&[DISPATCH], "seal.threshold", "seal.threshold"),
        (&[STRANGER], "seal.threshold", "seal.threshold"),
    ] {
        let found = [&plain, &ruled].map(|root| answer(root, &permit(), keys, NOW));
        assert_eq!(found, [alone, by_two], "{:?}", keys.iter().map(|key| key.id()).collect::<Vec<_>>());
    }
    let same = root(|root| root.destroy = Some(DestroyRule { threshold: 1 }));
    assert_eq!(answer(&same, &permit(), &[SECOND], NOW), "ok");
}

#[test]
fn a_permit_says_one_way_back_and_for_how_long() {
    type Row = (&'static str, fn(&mut RollbackPermit), &'static str);
    let rows: &[Row] = &[
        ("good", |_| {}, "ok"),
        ("one install", |p| p.scope = PermitScope::Install("acme".to_owned()), "ok"),
        ("no install", |p| p.scope = PermitScope::Install("../x".to_owned()), "seal.name"),
        ("another vendor", |p| p.vendor = "other".to_owned(), "seal.vendor"),
        ("no app", |p| p.app = "A".to_owned(), "seal.name"),
        ("no channel", |p| p.channel = String::new(), "seal.name"),
        ("to nowhere", |p| p.to = 0, "seal.permit_invalid"),
        ("to the first", |p| p.to = 1, "ok"),
        ("to where it is", |p| p.to = 6, "seal.permit_invalid"),
        ("forwards", |p| p.to = 7, "seal.permit_invalid"),
        ("no reason", |p| p.reason = String::new(), "seal.permit_invalid"),
        ("the longest reason", |p| p.reason = "x".repeat(PERMIT_REASON_LEN_MAX), "ok"),
        ("a longer reason", |p| p.reason = "x".repeat(PERMIT_REASON_LEN_MAX + 1), "seal.permit_invalid"),
        ("two lines", |p| p.reason = "a\nb".to_owned(), "seal.permit_invalid"),
        ("for the longest", |p| p.until_ms = NOW + PERMIT_LIFE_MAX_MS, "ok"),
        ("for longer", |p| p.until_ms = NOW + PERMIT_LIFE_MAX_MS + 1, "seal.permit_invalid"),
        ("for no time", |p| p.until_ms = NOW, "seal.permit_invalid"),
        ("for a moment", |p| (p.created_ms, p.until_ms) = (NOW, NOW + 1), "ok"),
        ("over", |p| (p.created_ms, p.until_ms) = (NOW - 1, NOW), "seal.permit_over"),
    ];
    let root = root(|_| ());
    for (name, spoil, expect) in rows {
        let mut permit = permit();
        spoil(&mut permit);
        assert_eq!(answer(&root, &permit, &[RELEASE], NOW), *expect, "{name}");
    }
    assert_eq!(answer(&root, &permit(), &[RELEASE], world().root.expires_ms), "seal.root_expired");
}

#[test]
fn a_permit_opens_the_way_that_it_names_and_no_other() {
    let release = |change: fn(&mut Release)| {
        let mut release = world().release;
        change(&mut release);
        release
    };
    let own = release(|_| ());
    let of_acme = RollbackPermit { scope: PermitScope::Install("acme".to_owned()), ..permit() };
    assert!(permit().allows(&own, "acme", 6) && permit().allows(&own, "beta", 5));
    assert!(of_acme.allows(&own, "acme", 6) && !of_acme.allows(&own, "beta", 6));
    assert!(!permit().allows(&own, "acme", 7), "from a newer one than it names");
    let others: [fn(&mut Release); 5] = [
        |r| r.counter = 4,
        |r| r.counter = 6,
        |r| r.channel = "beta".to_owned(),
        |r| r.app = "other".to_owned(),
        |r| r.vendor = "other".to_owned(),
    ];
    for other in others {
        assert!(!permit().allows(&release(other), "acme", 6));
    }
}

#[test]
fn a_permit_is_written_as_its_page_says() {
    let mut json = json!({
        "vendor": "demo", "app": "shop", "channel": "stable", "scope": "channel", "from": 6, "to": 5,
        "reason": "1.5.0 loses orders", "created_ms": NOW, "until_ms": NOW + DAY,
    });
    assert_eq!(serde_json::to_value(permit()).unwrap(), json);
    json["scope"] = json!({ "install": "acme" });
    let of_acme = RollbackPermit { scope: PermitScope::Install("acme".to_owned()), ..permit() };
    assert_eq!(serde_json::to_value(of_acme).unwrap(), json);
    let root = root(|_| ());
    let code = |json: &serde_json::Value| {
        verify::permit(&root, &sign(PayloadType::Permit, json, &[RELEASE]), NOW).map_err(|e| e.code())
    };
    assert!(code(&json).is_ok());
    json["more"] = json!(1);
    assert_eq!(code(&json).unwrap_err(), "seal.document_invalid");
    json.as_object_mut().unwrap().retain(|key, _| key != "more" && key != "scope");
    assert_eq!(code(&json).unwrap_err(), "seal.document_invalid", "it does not say for whom");
    let release = sign(PayloadType::Release, &permit(), &[RELEASE]);
    assert_eq!(verify::permit(&root, &release, NOW).unwrap_err().code(), "seal.payload_type");
}
