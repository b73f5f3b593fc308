//! What must never begin: forged, late, repeated, misaddressed, unbound; and hostile archives.

use remit_proto::convert::Outcome;
use remit_seal::Digest;
use remit_seal::document::{Class, ComponentKind, Job, Release, Value};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;

use crate::bench::Bench;
use crate::product::{Made, now, pack, part, release, script};

/// A component that leaves a mark outside when it is ever run.
fn witness(bench: &Bench) -> Made {
    script("witness", &format!("touch {}", bench.site("ran").display()))
}

fn refusal(bench: &Bench, job: &str) -> String {
    match bench.outcome(job) {
        Outcome::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn envelopes_that_fail_a_check_are_refused_and_nothing_begins() {
    type Change = fn(&mut Job);
    let cases: [(&str, Change); 11] = [
        ("seal.expired", |job| {
            job.issued_ms = now() - 1_000_000;
            job.not_before_ms = now() - 1_000_000;
            job.not_after_ms = now() - 400_000;
        }),
        ("seal.not_yet", |job| {
            job.not_before_ms = now() + 200_000;
            job.not_after_ms = now() + 300_000;
        }),
        ("seal.audience", |job| job.audience.install = "other".to_owned()),
        ("seal.generation", |job| job.audience.generation = 2),
        ("seal.epoch", |job| job.audience.epoch = 2),
        ("seal.counter_mismatch", |job| job.release_counter = 4),
        ("seal.class_mismatch", |job| job.class = Class::Read),
        ("seal.operation_unknown", |job| job.operation = "wipe".to_owned()),
        ("seal.component_unknown", |job| job.component = "other".to_owned()),
        ("seal.input_authority", |job| {
            job.inputs.insert("secret".to_owned(), Value::String("mine".to_owned()));
        }),
        ("seal.input_text", |job| {
            job.inputs.insert("size".to_owned(), Value::String("$(touch x)".to_owned()));
        }),
    ];
    let mut bench = Bench::new();
    let witness = witness(&bench);
    let (release, digest) = bench.broker.publish(&[&witness]);
    let runner = bench.runner();
    for (code, change) in cases {
        let mut job = bench.broker.job(&release, digest, "witness", "deploy");
        change(&mut job);
        let job = bench.broker.offer(&job);
        assert_eq!(refusal(&bench, &job), code);
        assert!(!bench.broker.is_started(&job));
    }
    assert!(!bench.site("ran").exists());
    assert!(!bench.journal().contains("\"begun\""));
    let (_, metrics) = runner.ask("GET", "/metrics");
    assert!(metrics.contains(r#"envelopes_refused_total{code="seal.expired"} 1"#), "{metrics}");
    // The same runner still does what it should.
    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let job = bench.broker.offer(&job);
    assert!(matches!(bench.outcome(&job), Outcome::Succeeded(_)));
    assert!(bench.site("ran").exists() && bench.verify());
}

#[test]
fn forged_and_repeated_envelopes_are_refused() {
    let mut bench = Bench::new();
    let witness = witness(&bench);
    let (release, digest) = bench.broker.publish(&[&witness]);
    let runner = bench.runner();
    let thief = SigningKey::ed25519_from_seed(&[9; 32]);
    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let by_thief = Envelope::sign(PayloadType::Job, &job, &[&thief]).unwrap().to_bytes();
    let id = bench.broker.offer_bytes(&job, by_thief);
    assert_eq!(refusal(&bench, &id), "seal.threshold");

    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let mut changed = Envelope::sign(PayloadType::Job, &job, &[&bench.broker.vendor.dispatch_key]).unwrap();
    let text = String::from_utf8(changed.payload.clone()).unwrap();
    changed.payload = text.replace("60000", "60001").into_bytes();
    let id = bench.broker.offer_bytes(&job, changed.to_bytes());
    assert_eq!(refusal(&bench, &id), "seal.signature_invalid");

    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let id = bench.broker.offer_bytes(&job, b"{}".to_vec());
    assert!(refusal(&bench, &id).starts_with("seal."));
    assert!(!bench.site("ran").exists());

    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let id = bench.broker.offer(&job);
    bench.outcome(&id);
    std::fs::remove_file(bench.site("ran")).unwrap();
    // A poll that was begun while it was in hand says so until it ends: begin a new one.
    crate::bench::wait("the report on record", || bench.journal().contains("\"reported\"").then_some(()));
    for path in ["/v1/pause", "/v1/resume"] {
        assert_eq!(runner.ask("POST", path).0, 200);
    }
    // The very same envelope, under its own name: its outcome is told again, nothing runs.
    bench.broker.offer(&job);
    crate::bench::wait("the outcome once more", || (bench.broker.outcomes(&id).len() >= 2).then_some(()));
    // Under another name: the name is not what was signed; and a new name with an old number.
    let envelope = Envelope::sign(PayloadType::Job, &job, &[&bench.broker.vendor.dispatch_key]).unwrap();
    let mut renamed = job.clone();
    renamed.job.push_str(".x");
    let id = bench.broker.offer_bytes(&renamed, envelope.to_bytes());
    assert_eq!(refusal(&bench, &id), "seal.replayed");
    let id = bench.broker.offer(&renamed);
    assert_eq!(refusal(&bench, &id), "seal.replayed");
    let mut mixed = bench.broker.job(&release, digest, "witness", "deploy");
    let envelope = Envelope::sign(PayloadType::Job, &mixed, &[&bench.broker.vendor.dispatch_key]).unwrap();
    mixed.attempt = 2;
    let id = bench.broker.offer_bytes(&mixed, envelope.to_bytes());
    assert_eq!(refusal(&bench, &id), "runner.lease_mismatch");
    assert!(!bench.site("ran").exists());
}

#[test]
fn what_was_refused_once_is_never_begun_and_forgery_ends_nothing() {
    let mut bench = Bench::new();
    let witness = witness(&bench);
    let (release, digest) = bench.broker.publish(&[&witness]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let mut late = job.clone();
    (late.issued_ms, late.not_before_ms) = (now() - 1_000_000, now() - 1_000_000);
    late.not_after_ms = now() - 400_000;
    let id = bench.broker.offer(&late);
    assert_eq!(refusal(&bench, &id), "seal.expired");
    // Signed anew under the same name: were it begun, the first refusal could still arrive and end it.
    bench.broker.offer(&job);
    crate::bench::wait("the refusal once more", || (bench.broker.outcomes(&id).len() >= 2).then_some(()));
    let told = bench.broker.outcomes(&id);
    assert!(
        told.iter().all(|o| matches!(o, Outcome::Refused { code, .. } if code == "seal.expired")),
        "{told:?}"
    );
    assert!(!bench.site("ran").exists() && !bench.broker.is_started(&id));

    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let thief = SigningKey::ed25519_from_seed(&[9; 32]);
    let by_thief = Envelope::sign(PayloadType::Job, &job, &[&thief]).unwrap().to_bytes();
    let id = bench.broker.offer_bytes(&job, by_thief);
    assert_eq!(refusal(&bench, &id), "seal.threshold");
    bench.broker.offer(&job);
    crate::bench::wait("the attempt to run", || bench.site("ran").exists().then_some(()));
}

#[test]
fn releases_that_go_back_or_are_not_the_vendors_are_refused() {
    let mut bench = Bench::new();
    let witness = witness(&bench);
    let runner = bench.runner();
    let run = |bench: &mut Bench, release: &Release, digest: Digest| {
        let job = bench.broker.job(release, digest, "witness", "deploy");
        let job = bench.broker.offer(&job);
        match bench.outcome(&job) {
            Outcome::Refused { code, .. } => code,
            other => format!("{other:?}").split('(').next().unwrap().to_owned(),
        }
    };
    let mut newer = release(&[&witness]);
    newer.counter = 9;
    newer.rollback_floor = 8;
    let newer_digest = bench.broker.publish_release(&newer, &[&witness]);
    assert_eq!(run(&mut bench, &newer, newer_digest), "Succeeded");
    let (older, digest) = bench.broker.publish(&[&witness]);
    assert_eq!(run(&mut bench, &older, digest), "seal.rollback");
    // The floor is in the journal: it outlives the process.
    runner.kill();
    let _runner = bench.runner();
    assert_eq!(run(&mut bench, &older, digest), "seal.rollback");

    let thief = SigningKey::ed25519_from_seed(&[9; 32]);
    let forged = Envelope::sign(PayloadType::Release, &newer, &[&thief]).unwrap();
    bench.broker.shared.change(|held| held.blobs.insert(newer_digest, forged.to_bytes()));
    std::fs::remove_dir_all(bench.data.join("cache/releases")).unwrap();
    std::fs::create_dir(bench.data.join("cache/releases")).unwrap();
    assert_eq!(run(&mut bench, &newer, newer_digest), "seal.threshold");
    assert_eq!(run(&mut bench, &newer, Digest::of(b"unknown")), "runner.artifact_unavailable");
}

#[test]
fn hostile_archives_and_swapped_artefacts_run_nothing() {
    let mut bench = Bench::new();
    let link = {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "deploy.sh", "/etc/passwd").unwrap();
        zstd::encode_all(&tar.into_inner().unwrap()[..], 3).unwrap()
    };
    let zeros = "\0".repeat(80 << 20);
    let mut bad_link = part("link", ComponentKind::Script, link);
    let mut bomb = part("bomb", ComponentKind::Script, pack(&[("zeros", &zeros)]));
    let mut swapped = script("swapped", "touch ran");
    for made in [&mut bad_link, &mut bomb, &mut swapped] {
        made.command("deploy", &["sh", "deploy.sh"]);
    }
    let (release, digest) = bench.broker.publish(&[&bad_link, &bomb, &swapped]);
    let other = pack(&[("deploy.sh", "echo another thing")]);
    bench.broker.shared.change(|held| held.blobs.insert(swapped.component.digest, other));
    let _runner = bench.runner();
    for (name, wanted) in [
        ("link", "runner.archive_kind"),
        ("bomb", "runner.archive_too_large"),
        ("swapped", "runner.artifact_mismatch"),
    ] {
        let job = bench.broker.job(&release, digest, name, "deploy");
        let job = bench.broker.offer(&job);
        match bench.outcome(&job) {
            Outcome::Failed(failure) => assert_eq!(failure.code, wanted),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn kinds_that_are_not_really_run_yet_are_refused() {
    let mut bench = Bench::new();
    let web = part("web", ComponentKind::Helm, pack(&[("Chart.yaml", "name: web")]));
    let (release, digest) = bench.broker.publish(&[&web]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "web", "deploy");
    let job = bench.broker.offer(&job);
    assert_eq!(refusal(&bench, &job), "executor.kind_unsupported");
}

#[test]
fn a_root_that_is_not_the_pinned_one_and_a_used_token_are_refused() {
    let mut bench = Bench::new();
    let right = std::mem::replace(&mut bench.broker.root_digest, Digest::of(b"another root"));
    let (exit, words) = bench.complaint();
    assert!(exit == 1 && words.contains("error[seal.root_pin]"), "{words}");
    assert!(!bench.data.join("identity.json").exists());
    bench.broker.root_digest = right;
    // The fake broker counts the token as used now, as a real one would.
    let (exit, words) = bench.complaint();
    assert!(exit == 1 && words.contains("error[runner.enroll_refused]"), "{words}");
    assert!(!words.contains("remit_once_"), "the token is never shown: {words}");
    std::fs::write(bench.path("token"), "\n").unwrap();
    let (_, words) = bench.complaint();
    assert!(words.contains("error[runner.token_unreadable]"), "{words}");
}
