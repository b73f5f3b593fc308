//! Statuses: who may say them, what they take away, and that they give nothing.

use remit_seal::document::{Root, Status};
use remit_seal::dsse::PayloadType;
use remit_seal::verify::{self, STATUS_LIFE_MAX_MS, Standing, Verified};

use crate::world::{DAY, DISPATCH, Key, NOW, RELEASE, ROOT, STRANGER, payload_digest, run, sign, world};

const NEXT_DISPATCH: Key = Key::P256(60);

fn trusted(version: u64, now_ms: i64) -> Verified<Root> {
    let mut root = world().root;
    root.keys.insert(NEXT_DISPATCH.id(), NEXT_DISPATCH.signing().public());
    root.dispatch.keys.push(NEXT_DISPATCH.id());
    root.version = version;
    let bytes = sign(PayloadType::Root, &root, &[ROOT]);
    verify::root(&bytes, Some(&payload_digest(&bytes, PayloadType::Root)), now_ms).unwrap()
}

fn said() -> Status {
    Status {
        vendor: "demo".to_owned(),
        root_version: 2,
        time_ms: NOW,
        expires_ms: NOW + STATUS_LIFE_MAX_MS,
        floors: [("shop/stable".to_owned(), 5)].into(),
        revoked: vec![NEXT_DISPATCH.id()],
    }
}

fn verified(status: &Status) -> Verified<Status> {
    verify::status(&trusted(2, NOW), &sign(PayloadType::Status, status, &[DISPATCH]), NOW).unwrap()
}

fn learnt(status: &Status) -> Standing {
    let mut standing = Standing::default().under(trusted(2, NOW).get());
    standing.learn(&verified(status)).unwrap();
    standing
}

#[test]
fn a_status_is_believed_only_of_the_dispatch_key_and_in_its_time() {
    type Row = (&'static str, Key, fn(&mut Status), &'static str);
    let lines = |count: usize| (0..count).map(|n| (format!("shop/c{n}"), 1)).collect();
    let rows: &[Row] = &[
        ("good", DISPATCH, |_| {}, "ok"),
        ("by the next key", NEXT_DISPATCH, |_| {}, "ok"),
        ("by the release key", RELEASE, |_| {}, "seal.threshold"),
        ("by the root key", ROOT, |_| {}, "seal.threshold"),
        ("by a stranger", STRANGER, |_| {}, "seal.threshold"),
        ("of another vendor", DISPATCH, |s| s.vendor = "other".to_owned(), "seal.vendor"),
        ("of an older root", DISPATCH, |s| s.root_version = 1, "seal.status_root"),
        ("of a newer root", DISPATCH, |s| s.root_version = 3, "seal.status_root"),
        ("for a moment", DISPATCH, |s| s.expires_ms = s.time_ms, "seal.status_invalid"),
        ("for too long", DISPATCH, |s| s.expires_ms += 1, "seal.status_invalid"),
        ("to its last moment", DISPATCH, |s| shift(s, 1 - STATUS_LIFE_MAX_MS), "ok"),
        ("expired", DISPATCH, |s| shift(s, -STATUS_LIFE_MAX_MS), "seal.status_expired"),
        ("from a clock ahead", DISPATCH, |s| shift(s, 30 * DAY), "ok"),
        ("from after its root", DISPATCH, |s| shift(s, 365 * DAY), "seal.status_invalid"),
        ("just before the root's end", DISPATCH, |s| shift(s, 365 * DAY - 1), "ok"),
        (
            "from before its root",
            DISPATCH,
            |s| (shift(s, -DAY - 1), s.expires_ms = NOW + 1).0,
            "seal.status_invalid",
        ),
        (
            "a floor of nothing",
            DISPATCH,
            |s| _ = s.floors.insert("shop".to_owned(), 1),
            "seal.status_invalid",
        ),
        (
            "a floor of a bad app",
            DISPATCH,
            |s| _ = s.floors.insert("S/x".to_owned(), 1),
            "seal.status_invalid",
        ),
        (
            "a floor of a bad line",
            DISPATCH,
            |s| _ = s.floors.insert("s/x/y".to_owned(), 1),
            "seal.status_invalid",
        ),
        ("a key that is no id", DISPATCH, |s| s.revoked.push("k".to_owned()), "seal.status_invalid"),
        ("64 keys", DISPATCH, |s| s.revoked = vec![ROOT.id(); 64], "ok"),
        ("65 keys", DISPATCH, |s| s.revoked = vec![ROOT.id(); 65], "seal.status_invalid"),
    ];
    let root = trusted(2, NOW);
    let code = |status: &Status, by: Key| {
        let found = verify::status(&root, &sign(PayloadType::Status, status, &[by]), NOW);
        found.map_or_else(|refusal| refusal.code(), |_| "ok")
    };
    for (name, by, spoil, expect) in rows {
        let mut status = said();
        spoil(&mut status);
        assert_eq!(code(&status, *by), *expect, "{name}");
    }
    let with_lines = |count| Status { floors: lines(count), ..said() };
    assert_eq!(code(&with_lines(512), DISPATCH), "ok");
    assert_eq!(code(&with_lines(513), DISPATCH), "seal.status_invalid");
}

fn shift(status: &mut Status, by_ms: i64) {
    (status.time_ms, status.expires_ms) = (status.time_ms + by_ms, status.expires_ms + by_ms);
}

#[test]
fn a_status_of_a_root_that_expired_is_not_believed() {
    let root = trusted(2, NOW);
    let mut status = said();
    shift(&mut status, 365 * DAY - 1);
    let bytes = sign(PayloadType::Status, &status, &[DISPATCH]);
    assert!(verify::status(&root, &bytes, NOW + 365 * DAY - 1).is_ok());
    let late = verify::status(&root, &bytes, NOW + 365 * DAY);
    assert_eq!(late.unwrap_err().code(), "seal.root_expired");
}

#[test]
fn under_one_root_nothing_is_unlearnt() {
    let mut standing = learnt(&said());
    let mut later = said();
    shift(&mut later, 1);
    later.revoked.clear();
    later.floors = [("shop/stable".to_owned(), 3), ("shop/beta".to_owned(), 7)].into();
    standing.learn(&verified(&later)).unwrap();
    assert!(standing.revoked.contains(&NEXT_DISPATCH.id()));
    let floors = [("stable", 5), ("beta", 7), ("nightly", 0)];
    assert_eq!(floors.map(|(channel, _)| standing.floor("shop", channel)), floors.map(|(_, floor)| floor));
    assert_eq!(standing.floor("other", "stable"), 0);
    let before = standing.clone();
    assert_eq!(standing.learn(&verified(&said())).unwrap_err().code(), "seal.status_old");
    assert_eq!(standing, before, "a refused status changes nothing");
    standing.learn(&verified(&later)).unwrap();
}

#[test]
fn a_clock_that_is_set_back_makes_nothing_young_again() {
    let standing = learnt(&said());
    assert_eq!(standing.now_ms(NOW - DAY), NOW);
    assert_eq!(standing.now_ms(NOW + 1), NOW + 1);
    assert!(standing.is_fresh(NOW + STATUS_LIFE_MAX_MS - 1));
    assert!(!standing.is_fresh(NOW + STATUS_LIFE_MAX_MS));
    assert!(!Standing::default().is_fresh(0));
}

#[test]
fn a_revoked_key_signs_nothing_any_more_and_a_root_key_cannot_be_revoked() {
    let mut world = world();
    world.root = trusted(2, NOW).get().clone();
    world.job_signers = vec![NEXT_DISPATCH];
    let signed = world.signed();
    run(&signed, &world.context()).unwrap();
    let all = [ROOT, RELEASE, NEXT_DISPATCH].map(Key::id).to_vec();
    let standing = learnt(&Status { revoked: all, ..said() });
    let root = verify::root(&signed.root, None, NOW).unwrap();
    let restricted = standing.restrict(&root);
    let job = verify::job(&restricted, &signed.job, &world.context());
    assert_eq!(job.unwrap_err().code(), "seal.key_revoked");
    let release = verify::release(&restricted, &signed.release, NOW);
    assert_eq!(release.unwrap_err().code(), "seal.key_revoked");
    assert_eq!(restricted.get().root, root.get().root);
    assert_eq!(restricted.digest(), root.digest());
    let next = Root { version: 3, ..root.get().clone() };
    verify::next_root(&restricted, &sign(PayloadType::Root, &next, &[ROOT])).unwrap();
}

#[test]
fn the_next_root_ends_what_a_false_status_spoilt() {
    let mut false_one = said();
    shift(&mut false_one, 300 * DAY);
    false_one.floors = [("shop/stable".to_owned(), 1 << 50)].into();
    let standing = learnt(&false_one);
    assert_eq!(standing.now_ms(NOW), NOW + 300 * DAY);
    let third = trusted(3, NOW);
    assert_eq!(standing.restrict(&third).get(), third.get(), "it is of another root");
    let after = standing.clone().under(third.get());
    assert_eq!((after.now_ms(NOW), after.floor("shop", "stable"), after.root_version), (NOW, 0, 3));
    assert!(after.revoked.is_empty());
    assert_eq!(standing.clone().under(trusted(2, NOW).get()), standing);
    let mut after = after;
    assert_eq!(after.learn(&verified(&said())).unwrap_err().code(), "seal.status_root");
}
