//! No number bricks a runner: one that leaps is refused, those of a key that is gone end with it, and the customer
//! has them counted anew.

use remit_proto::convert::Outcome;
use remit_seal::document::{Job, Release, Root};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use remit_seal::verify::MARK_FIRST_MAX;
use remit_seal::{Digest, strict};

use crate::bench::{Bench, wait};
use crate::product::{now, script};
use crate::remit::{bench, run};

const GREATEST: u64 = 9_007_199_254_740_991;

fn outcome_by(bench: &Bench, job: &Job, by: &SigningKey) -> String {
    let envelope = Envelope::sign(PayloadType::Job, job, &[by]).unwrap().to_bytes();
    let job = bench.broker.offer_bytes(job, envelope);
    match bench.outcome(&job) {
        Outcome::Refused { code, .. } => code,
        Outcome::Succeeded(_) => "ok".to_owned(),
        other => panic!("{other:?}"),
    }
}

fn numbered(bench: &mut Bench, (release, digest): &(Release, Digest), number: u64) -> Job {
    let job = bench.broker.job(release, *digest, "quiet", "deploy");
    Job { seq: number, fence: number, ..job }
}

fn stolen(bench: &Bench) -> SigningKey {
    SigningKey::from_pem(&bench.broker.vendor.dispatch_key.to_pem()).unwrap()
}

/// SECURITY S8, as it was found.
#[test]
fn the_greatest_number_is_refused_and_the_honest_broker_goes_on() {
    let mut bench = bench(remit_runner::policy::DEMO);
    let published = bench.broker.publish(&[&script("quiet", "true")]);
    let runner = bench.runner();
    let by = stolen(&bench);
    for (number, expect) in
        [(5, "ok"), (GREATEST, "seal.mark_leap"), (6 + (1 << 20), "seal.mark_leap"), (6, "ok")]
    {
        let job = numbered(&mut bench, &published, number);
        assert_eq!(outcome_by(&bench, &job, &by), expect, "{number}");
    }
    let fence = Job { seq: 7, ..numbered(&mut bench, &published, GREATEST) };
    assert_eq!(outcome_by(&bench, &fence, &by), "seal.mark_leap");
    assert_eq!(runner.get("/v1/status")["journal"]["seq_high"], 6);
}

/// A runner that knew of no number was given the greatest that it takes; the vendor takes the stolen key away.
#[test]
fn the_numbers_of_a_stolen_key_end_with_the_root_that_names_it() {
    let mut bench = bench(remit_runner::policy::DEMO);
    let published = bench.broker.publish(&[&script("quiet", "true")]);
    let runner = bench.runner();
    let (old, new) = (stolen(&bench), SigningKey::ed25519_from_seed(&[40; 32]));
    let job = numbered(&mut bench, &published, MARK_FIRST_MAX);
    assert_eq!(outcome_by(&bench, &job, &old), "ok");
    let job = numbered(&mut bench, &published, 9);
    assert_eq!(outcome_by(&bench, &job, &old), "seal.replayed");

    let first = Envelope::parse(&bench.broker.shared.root, PayloadType::Root).unwrap();
    let mut root: Root = strict::from_slice(&first.payload).unwrap();
    (root.version, root.created_ms) = (2, now());
    root.dispatch.keys = vec![new.id()];
    root.keys.insert(new.id(), new.public());
    let root = bench.broker.vendor.sign_root(&root);
    bench.broker.shared.change(|held| (held.roots, held.news) = (vec![(2, root)], Some((2, 0))));
    wait("the runner to take the new root", || {
        (runner.get("/v1/status")["trust"]["root_version"] == 2).then_some(())
    });
    // The honest broker counts on from where it was; the lock and the journal take its numbers.
    for number in [9, 10] {
        let job = numbered(&mut bench, &published, number);
        assert_eq!(outcome_by(&bench, &job, &new), "ok");
    }
    let job = numbered(&mut bench, &published, 10);
    assert_eq!(outcome_by(&bench, &job, &new), "seal.replayed");
    runner.kill();
    let _runner = bench.runner();
    for (number, expect) in [(10, "seal.replayed"), (11, "ok")] {
        let job = numbered(&mut bench, &published, number);
        assert_eq!(outcome_by(&bench, &job, &new), expect);
    }
}

/// Until there is a new root, the customer has the numbers counted anew; what was signed before is not taken.
#[test]
fn the_customer_has_the_numbers_counted_anew() {
    let mut bench = bench(remit_runner::policy::DEMO);
    let published = bench.broker.publish(&[&script("quiet", "true")]);
    let runner = bench.runner();
    let by = stolen(&bench);
    let first = numbered(&mut bench, &published, MARK_FIRST_MAX);
    assert_eq!(outcome_by(&bench, &first, &by), "ok");
    let data = bench.data.to_str().unwrap().to_owned();
    let (exit, words) = run(&bench, &["marks", "reset", "--data-dir", &data, "--key", "customer.key"]);
    assert_eq!(exit, 0, "{words}");
    wait("the numbers to be counted anew", || {
        (runner.get("/v1/status")["journal"]["seq_high"] == 0).then_some(())
    });
    // What was signed before waits, and is not begun a second time.
    let replayed = Job { job: format!("{}.again", first.job), ..first };
    bench.broker.offer(&replayed);
    wait("the words of the wait", || {
        let progress = bench.broker.shared.held().progress.clone();
        progress.iter().any(|line| line.contains("counted anew")).then_some(())
    });
    assert!(!bench.broker.is_started(&replayed.job));
    bench.broker.shared.change(|held| held.offers.clear());
    // Signed later: this machine's clock need not be waited for.
    let at_ms = runner.get("/v1/status")["journal"]["marks_reset_ms"].as_i64().unwrap();
    let later = Job { issued_ms: at_ms + 60_001, ..numbered(&mut bench, &published, 12) };
    wait("its time to come within a minute", || (now() > at_ms + 500).then_some(()));
    assert_eq!(outcome_by(&bench, &later, &by), "ok");
    // The same word counts once.
    runner.kill();
    let runner = bench.runner();
    assert_eq!(runner.get("/v1/status")["journal"]["seq_high"], 12);
    assert!(bench.verify());
}
