//! Keys that change while a runner runs: new roots, statuses, and what they end.

use remit_proto::convert::Outcome;
use remit_seal::document::{Job, Release, Root, Status};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use remit_seal::{Digest, strict};

use crate::bench::{Bench, wait};
use crate::broker::Broker;
use crate::product::{Made, now, script};

fn next_key() -> SigningKey {
    SigningKey::ed25519_from_seed(&[40; 32])
}

/// The next root: with another dispatch key in place of the one before.
fn second_root(broker: &Broker) -> (Root, Vec<u8>) {
    let first = Envelope::parse(&broker.shared.root, PayloadType::Root).unwrap();
    let mut root: Root = strict::from_slice(&first.payload).unwrap();
    root.version = 2;
    root.dispatch.keys = vec![next_key().id()];
    root.keys.insert(next_key().id(), next_key().public());
    let bytes = broker.vendor.sign_root(&root);
    (root, bytes)
}

/// A status, and its time.
fn status(root_version: u64, by: &SigningKey, floor: u64, revoked: Vec<String>) -> (i64, Vec<u8>) {
    let (time_ms, floors) = (now(), [("shop/stable".to_owned(), floor)].into());
    let expires_ms = time_ms + 3_600_000;
    let vendor = "demo".to_owned();
    let status = Status { vendor, root_version, time_ms, expires_ms, floors, revoked };
    (time_ms, Envelope::sign(PayloadType::Status, &status, &[by]).unwrap().to_bytes())
}

fn quiet() -> Made {
    script("quiet", "true")
}

fn outcome_by(bench: &Bench, job: &Job, by: &SigningKey) -> String {
    let envelope = Envelope::sign(PayloadType::Job, job, &[by]).unwrap().to_bytes();
    let job = bench.broker.offer_bytes(job, envelope);
    match bench.outcome(&job) {
        Outcome::Refused { code, .. } => code,
        Outcome::Succeeded(_) => "ok".to_owned(),
        other => panic!("{other:?}"),
    }
}

fn job(bench: &mut Bench, (release, digest): &(Release, Digest), operation: &str) -> Job {
    bench.broker.job(release, *digest, "quiet", operation)
}

#[test]
fn a_runner_follows_its_vendor_to_new_keys_and_forgets_nothing_over_a_restart() {
    let mut bench = Bench::new();
    let published = bench.broker.publish(&[&quiet()]);
    let runner = bench.runner();
    let (old, new) = (SigningKey::from_pem(&bench.broker.vendor.dispatch_key.to_pem()).unwrap(), next_key());
    let ask = job(&mut bench, &published, "deploy");
    assert_eq!(outcome_by(&bench, &ask, &old), "ok");
    let ask = job(&mut bench, &published, "deploy");
    assert_eq!(outcome_by(&bench, &ask, &new), "seal.threshold", "nobody has named that key yet");
    let (_, root) = second_root(&bench.broker);
    bench.broker.shared.change(|held| (held.roots, held.news) = (vec![(2, root)], Some((2, 0))));
    wait("the runner to take the new root", || {
        (runner.get("/v1/status")["trust"]["root_version"] == 2).then_some(())
    });
    let ask = job(&mut bench, &published, "deploy");
    assert_eq!(outcome_by(&bench, &ask, &old), "seal.key_revoked");
    let ask = job(&mut bench, &published, "deploy");
    assert_eq!(outcome_by(&bench, &ask, &new), "ok");
    runner.kill();
    let runner = bench.runner();
    assert_eq!(runner.get("/v1/status")["trust"]["root_version"], 2);
    let ask = job(&mut bench, &published, "deploy");
    assert_eq!(outcome_by(&bench, &ask, &old), "seal.key_revoked");
}

#[test]
fn a_status_ends_a_key_and_old_releases_and_is_kept() {
    let mut bench = Bench::new();
    let published = bench.broker.publish(&[&quiet()]);
    let counter = published.0.counter;
    let runner = bench.runner();
    let by = SigningKey::from_pem(&bench.broker.vendor.dispatch_key.to_pem()).unwrap();
    let tell = |bench: &Bench, (time, status): (i64, Vec<u8>)| {
        bench.broker.shared.change(|held| (held.status, held.news) = (Some(status), Some((1, time))));
    };
    tell(&bench, status(1, &by, counter + 1, vec![]));
    let floor = || runner.get("/v1/status")["trust"]["floors"]["shop/stable"].as_u64();
    wait("the floor", || (floor() == Some(counter + 1)).then_some(()));
    let ask = job(&mut bench, &published, "deploy");
    assert_eq!(outcome_by(&bench, &ask, &by), "seal.rollback");
    bench.broker.shared.change(|held| held.news = None);
    runner.kill();
    let _runner = bench.runner();
    let ask = job(&mut bench, &published, "deploy");
    assert_eq!(outcome_by(&bench, &ask, &by), "seal.rollback");
    tell(&bench, status(1, &by, 0, vec![by.id()]));
    wait("the last word of the key", || {
        let ask = job(&mut bench, &published, "deploy");
        (outcome_by(&bench, &ask, &by) == "seal.key_revoked").then_some(())
    });
}

#[test]
fn what_an_expired_release_made_can_still_be_destroyed_while_the_vendor_is_heard() {
    let mut bench = Bench::new();
    let mut release = crate::product::release(&[&quiet()]);
    (release.created_ms, release.expires_ms) = (now() - 2_000, now() - 1_000);
    let digest = bench.broker.publish_release(&release, &[&quiet()]);
    let published = (release, digest);
    let runner = bench.runner();
    let by = SigningKey::from_pem(&bench.broker.vendor.dispatch_key.to_pem()).unwrap();
    for operation in ["deploy", "destroy"] {
        let ask = job(&mut bench, &published, operation);
        assert_eq!(outcome_by(&bench, &ask, &by), "seal.release_expired", "{operation}");
    }
    let (_, status) = status(1, &by, 0, vec![]);
    bench.broker.shared.change(|held| (held.status, held.news) = (Some(status), Some((1, 1))));
    wait("a fresh status", || (runner.get("/v1/status")["trust"]["status_fresh"] == true).then_some(()));
    for (operation, expect) in [("deploy", "seal.release_expired"), ("destroy", "ok")] {
        let ask = job(&mut bench, &published, operation);
        assert_eq!(outcome_by(&bench, &ask, &by), expect, "{operation}");
    }
}
