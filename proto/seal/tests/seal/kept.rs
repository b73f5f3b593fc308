//! What was verified earlier and kept may be worth nothing later, or beside something else.

use remit_seal::document::Root;
use remit_seal::dsse::PayloadType;
use remit_seal::verify;

use crate::world::{DAY, DISPATCH, Key, NOW, RELEASE, ROOT, payload_digest, sign, world};

#[test]
fn a_kept_root_stops_proving_anything_when_it_expires() {
    let mut world = world();
    world.root.expires_ms = NOW + 1;
    let signed = world.signed();
    let root = verify::root(&signed.root, Some(&signed.pin), NOW).unwrap();
    assert!(verify::release(&root, &signed.release, NOW).is_ok());
    assert!(verify::job(&root, &signed.job, &world.context()).is_ok());
    world.now_ms = NOW + 1;
    let release = verify::release(&root, &signed.release, world.now_ms);
    assert_eq!(release.unwrap_err().code(), "seal.root_expired");
    let job = verify::job(&root, &signed.job, &world.context());
    assert_eq!(job.unwrap_err().code(), "seal.root_expired");
}

#[test]
fn a_kept_release_binds_nothing_when_it_has_expired() {
    let mut world = world();
    world.release.expires_ms = NOW + 1;
    let signed = world.signed();
    let root = verify::root(&signed.root, Some(&signed.pin), NOW).unwrap();
    let release = verify::release(&root, &signed.release, NOW).unwrap();
    let job = verify::job(&root, &signed.job, &world.context()).unwrap();
    assert!(verify::bind(&root, job.clone(), &release, &world.context()).is_ok());
    world.now_ms = NOW + 1;
    let bound = verify::bind(&root, job, &release, &world.context());
    assert_eq!(bound.unwrap_err().code(), "seal.release_expired");
}

#[test]
fn a_job_is_not_bound_to_another_vendors_release() {
    let mut world = world();
    let keys = [ROOT, RELEASE, Key::Ed(50)].map(|key| key.signing().public());
    let other = Root::one_of_one("other", keys.each_ref(), NOW - DAY, NOW + DAY).unwrap();
    let other = verify::root(&sign(PayloadType::Root, &other, &[ROOT]), None, NOW).unwrap();
    world.release.vendor = "other".to_owned();
    let bytes = sign(PayloadType::Release, &world.release, &[RELEASE]);
    let release = verify::release(&other, &bytes, NOW).unwrap();
    world.job.release = payload_digest(&bytes, PayloadType::Release);
    let job = sign(PayloadType::Job, &world.job, &[DISPATCH]);
    let own = verify::root(&sign(PayloadType::Root, &world.root, &[ROOT]), None, NOW).unwrap();
    let job = verify::job(&own, &job, &world.context()).unwrap();
    let bound = verify::bind(&own, job, &release, &world.context());
    assert_eq!(bound.unwrap_err().code(), "seal.release_audience");
}
