//! Approvals are of content: what is approved, and then changed, is not approved. The truth is what scripts wrote.

use remit_proto::convert::Outcome;
use remit_seal::Digest;
use remit_seal::document::{BreakGlass, Class, ComponentKind, Job, Release, Value};

use crate::bench::{Bench, wait};
use crate::product::{Made, now, pack, part, release, script};
use crate::remit::{bench, run, say, shown, told};

fn touch(bench: &Bench, name: &str) -> String {
    format!("touch {}", bench.site(name).display())
}

/// A script whose deploy writes one file and whose destroy another.
fn hello(bench: &Bench) -> Made {
    script("hello", &touch(bench, "hello-ran"))
}

fn database(bench: &Bench) -> Made {
    let files = [("deploy.sh", "true".to_owned()), ("destroy.sh", touch(bench, "database-destroyed"))];
    let files = files.each_ref().map(|(name, text)| (*name, text.as_str()));
    let mut db = part("db", ComponentKind::Script, pack(&files));
    db.command("deploy", &["sh", "deploy.sh"]);
    db.command("destroy", &["sh", "destroy.sh"]);
    db
}

/// It was held, is not offered any more, and nothing of it was begun.
fn stays_held(bench: &Bench, job: &Job) {
    bench.broker.shared.change(|held| held.offers.clear());
    assert!(
        !bench.broker.shared.held().started.iter().any(|a| (&a.job, a.attempt) == (&job.job, job.attempt))
    );
}

/// Offers it and waits until the customer is asked; the digest that the vendor is told.
fn asks(bench: &Bench, job: &Job, part: &str) -> String {
    bench.broker.shared.change(|held| held.progress.clear());
    bench.broker.offer(job);
    shown(&told(bench, part))
}

fn succeeds(bench: &Bench, job: &str) {
    match bench.outcome(job) {
        Outcome::Succeeded(_) => {}
        other => panic!("{other:?}"),
    }
}

fn reported(bench: &Bench, count: usize) {
    wait("the report on record", || (bench.journal().matches("\"reported\"").count() >= count).then_some(()));
}

/// SECURITY S1: the same id, another component, destroyed.
#[test]
fn an_approval_of_one_job_destroys_nothing_else_under_its_id() {
    let mut bench = bench(remit_runner::policy::DEFAULT);
    let (hello, db) = (hello(&bench), database(&bench));
    let (release, digest) = bench.broker.publish(&[&hello, &db]);
    let runner = bench.runner();
    let honest = bench.broker.job(&release, digest, "hello", "deploy");
    let approved = asks(&bench, &honest, "deploy of `hello`");
    bench.broker.shared.change(|held| held.offers.clear());
    say(&bench, "approve", &approved);

    // The customer's approval lies there, and the attacker changes what comes under the id, field by field.
    type Change = fn(&mut Job);
    let changes: [(&str, Change); 4] = [
        ("destroy of `db`", |job| {
            (job.component, job.operation, job.class) =
                ("db".to_owned(), "destroy".to_owned(), Class::Destroy);
        }),
        ("deploy of `db`", |job| job.component = "db".to_owned()),
        ("size=\"huge\"", |job| drop(job.inputs.insert("size".to_owned(), Value::String("huge".to_owned())))),
        ("by a broken glass", |job| {
            let (by, reason, until_ms) = ("mallory".to_owned(), "x".to_owned(), now() + 600_000);
            job.break_glass = Some(BreakGlass { by, reason, until_ms });
        }),
    ];
    for (attempt, (words, change)) in (2..).zip(changes) {
        let mut job = bench.broker.job(&release, digest, "hello", "deploy");
        (job.job, job.attempt) = (honest.job.clone(), attempt);
        change(&mut job);
        assert_ne!(asks(&bench, &job, words), approved);
        stays_held(&bench, &job);
    }
    let newer = Release { counter: 4, version: "1.1.0".to_owned(), ..release.clone() };
    let newer_digest = bench.broker.publish_release(&newer, &[]);
    let mut job = bench.broker.job(&newer, newer_digest, "hello", "deploy");
    (job.job, job.attempt) = (honest.job.clone(), 9);
    assert_ne!(asks(&bench, &job, "by release 1.1.0"), approved);
    stays_held(&bench, &job);
    assert!(!bench.site("database-destroyed").exists() && !bench.site("hello-ran").exists());

    // What was approved runs, whatever it is called; once.
    let mut again = bench.broker.job(&release, digest, "hello", "deploy");
    again.job.push_str(".renamed");
    bench.broker.offer(&again);
    succeeds(&bench, &again.job);
    assert!(bench.site("hello-ran").exists() && !bench.site("database-destroyed").exists());
    drop(runner);
    assert!(bench.verify());
}

/// SECURITY S1: an approval is good for retries, ends with its first success, and does not come back.
#[test]
fn an_approval_ends_with_its_first_success_over_restarts_and_copies() {
    let mut bench = bench(remit_runner::policy::DEFAULT);
    let ran = bench.site("ran");
    // It fails the first time.
    let text = format!("test -e {0} && echo again >> {0} || {{ touch {0}; exit 75; }}", ran.display());
    let flaky = script("flaky", &text);
    let (release, digest) = bench.broker.publish(&[&flaky]);
    let runner = bench.runner();
    let job = bench.broker.job(&release, digest, "flaky", "deploy");
    let approved = asks(&bench, &job, "deploy of `flaky`");
    say(&bench, "approve", &approved);
    // Approved twice is not approved for two.
    say(&bench, "approve", &approved);
    let folder = bench.data.join("approvals");
    let kept: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    let kept: Vec<_> = kept.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    assert!(!kept.is_empty());
    assert!(matches!(bench.outcome(&job.job), Outcome::Failed(_)));
    let retry = bench.broker.job(&release, digest, "flaky", "deploy");
    bench.broker.offer(&retry);
    succeeds(&bench, &retry.job);
    reported(&bench, 2);
    wait("the files of what has ended", || {
        std::fs::read_dir(&folder).unwrap().next().is_none().then_some(())
    });
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "again\n");

    // Put back, it has ended all the same; and after the process has.
    for (path, bytes) in &kept {
        std::fs::write(path, bytes).unwrap();
    }
    let third = bench.broker.job(&release, digest, "flaky", "deploy");
    assert_eq!(asks(&bench, &third, "deploy of `flaky`"), approved);
    stays_held(&bench, &third);
    runner.kill();
    let _runner = bench.runner();
    let fourth = bench.broker.job(&release, digest, "flaky", "deploy");
    assert_eq!(asks(&bench, &fourth, "deploy of `flaky`"), approved);
    stays_held(&bench, &fourth);
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "again\n");
    // A new one counts.
    say(&bench, "approve", &approved);
    let fifth = bench.broker.job(&release, digest, "flaky", "deploy");
    bench.broker.offer(&fifth);
    succeeds(&bench, &fifth.job);
    assert_eq!(std::fs::read_to_string(&ran).unwrap(), "again\nagain\n");
}

/// SECURITY S14: a denial is not undone by a wider approval; it is revoked by the customer.
#[test]
fn a_denial_wins_over_a_later_general_approval_until_it_is_revoked() {
    let mut bench = bench(remit_runner::policy::DEFAULT);
    let hello = hello(&bench);
    let (release, digest) = bench.broker.publish(&[&hello]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "hello", "deploy");
    let denied = asks(&bench, &job, "deploy of `hello`");
    say(&bench, "deny", &denied);
    let data = bench.data.to_str().unwrap().to_owned();
    let general =
        ["approve", "--every", "deploy", "--until", "1h", "--data-dir", &data, "--key", "customer.key"];
    let (exit, words) = run(&bench, &general);
    assert!(
        exit == 0 && words.contains("every deploy of every component by any release, whatever"),
        "{words}"
    );
    let is_denied = |bench: &Bench, job: &str| match bench.outcome(job) {
        Outcome::Refused { code, message } => code == "policy.denied" && message.contains("ann"),
        other => panic!("{other:?}"),
    };
    assert!(is_denied(&bench, &job.job));
    let again = bench.broker.job(&release, digest, "hello", "deploy");
    bench.broker.offer(&again);
    assert!(is_denied(&bench, &again.job) && !bench.site("hello-ran").exists());

    let (exit, words) = run(&bench, &["approvals", "list", "-o", "json", "--data-dir", &data]);
    let listed: serde_json::Value = serde_json::from_str(&words).unwrap();
    let words = listed["words"].as_array().unwrap();
    assert!(exit == 0 && words.len() == 2, "{listed}");
    let word = words.iter().find(|word| word["said"]["word"] == "denied").unwrap()["word"].as_str().unwrap();
    let revoke = ["approvals", "revoke", &word[..16], "--data-dir", &data, "--key", "customer.key"];
    let (exit, words) = run(&bench, &revoke);
    assert!(exit == 0 && words.contains("revoked: deploy of `hello`"), "{words}");
    let last = bench.broker.job(&release, digest, "hello", "deploy");
    bench.broker.offer(&last);
    succeeds(&bench, &last.job);
    assert!(bench.site("hello-ran").exists());
}

/// A thousand copies of one approval, in the folder or by way of the status API, push out no denial.
#[test]
fn copies_of_an_approval_push_out_no_denial() {
    let mut bench = bench(remit_runner::policy::DEFAULT);
    let hello = hello(&bench);
    let (release, digest) = bench.broker.publish(&[&hello]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "hello", "deploy");
    let wanted = asks(&bench, &job, "deploy of `hello`");
    bench.broker.shared.change(|held| held.offers.clear());
    say(&bench, "deny", &wanted);
    let data = bench.data.to_str().unwrap().to_owned();
    let general = ["approve", "--every", "deploy", "--data-dir", &data, "--key", "customer.key"];
    assert_eq!(run(&bench, &general).0, 0);
    let folder = bench.data.join("approvals");
    let newest = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let general = newest.map(|path| std::fs::read(path).unwrap());
    let general = general.max_by_key(Vec::len).unwrap();
    for n in 0..1_001 {
        remit_runner::policy::approval::keep(&folder, &general).unwrap();
        if n < 9 {
            std::fs::write(folder.join(format!("copy-{n}.json")), &general).unwrap();
        }
    }
    let job = bench.broker.job(&release, digest, "hello", "deploy");
    bench.broker.offer(&job);
    assert!(matches!(bench.outcome(&job.job), Outcome::Refused { code, .. } if code == "policy.denied"));
    assert!(!bench.site("hello-ran").exists());
}

/// A script that only looks, and what it looks with.
fn looking(text: &str) -> Made {
    let files = [("deploy.sh", "true"), ("drift.sh", text)];
    let mut net = part("net", ComponentKind::Script, pack(&files));
    net.command("deploy", &["sh", "deploy.sh"]);
    net.command("drift", &["sh", "drift.sh"]);
    net
}

fn offered(bench: &mut Bench, (release, digest): (&Release, Digest), operation: &str) -> Job {
    let job = bench.broker.job(release, digest, "net", operation);
    bench.broker.offer(&job);
    job
}

/// SECURITY S7: a program that only looks is approved by what it is, goes on by itself, and asks again when changed.
#[test]
fn a_program_that_looks_is_approved_by_content_and_asks_again_when_it_changes() {
    let mut bench = bench(remit_runner::policy::DEFAULT);
    let seen = bench.site("seen");
    let looks = looking("echo looked");
    let (first, digest) = bench.broker.publish(&[&looks]);
    let _runner = bench.runner();
    let deploy = bench.broker.job(&first, digest, "net", "deploy");
    let approved = asks(&bench, &deploy, "deploy of `net`");
    say(&bench, "approve", &approved);
    succeeds(&bench, &deploy.job);

    let look = bench.broker.job(&first, digest, "net", "drift");
    let program = asks(&bench, &look, "every run of `sh drift.sh`");
    assert!(!bench.broker.is_started(&look.job));
    say(&bench, "approve", &program);
    succeeds(&bench, &look.job);
    for _ in 0..2 {
        let again = offered(&mut bench, (&first, digest), "drift");
        succeeds(&bench, &again.job);
    }
    // The same program of a later release goes on, too.
    let later = Release { counter: 4, version: "1.1.0".to_owned(), ..first.clone() };
    let later_digest = bench.broker.publish_release(&later, &[]);
    let again = offered(&mut bench, (&later, later_digest), "drift");
    succeeds(&bench, &again.job);

    // Another one asks, and has not run.
    let text = format!("echo PWNED > {}; touch pwned", seen.display());
    let changed = looking(&text);
    let mut newer = release(&[&changed]);
    (newer.counter, newer.version) = (5, "1.2.0".to_owned());
    let newer_digest = bench.broker.publish_release(&newer, &[&changed]);
    let look = bench.broker.job(&newer, newer_digest, "net", "drift");
    let other = asks(&bench, &look, "every run of `sh drift.sh`");
    assert!(other != program && !bench.broker.is_started(&look.job) && !seen.exists());

    // Even approved it only looks: it may write nowhere, though --allow-write names the place.
    say(&bench, "approve", &other);
    bench.outcome(&look.job);
    let has_landlock =
        std::fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|l| l.contains("landlock"));
    let is_kept_in = bench.broker.log(&look.job).contains("ermission denied");
    assert!(!has_landlock || is_kept_in, "{}", bench.broker.log(&look.job));
    assert!(!seen.exists() || !has_landlock);
}

/// SECURITY S7: another kind is a change, and needs a deploy first.
#[test]
fn a_component_of_another_kind_is_deployed_first() {
    let mut bench = bench(remit_runner::policy::DEMO);
    let module = "resource \"terraform_data\" \"thing\" {\n  input = \"x\"\n}\n";
    let net = part("net", ComponentKind::Terraform, pack(&[("main.tf", module)]));
    let (first, digest) = bench.broker.publish(&[&net]);
    let _runner = bench.runner();
    let deploy = offered(&mut bench, (&first, digest), "deploy");
    succeeds(&bench, &deploy.job);
    let looks = looking("true");
    let mut newer = release(&[&looks]);
    newer.counter = 4;
    let newer_digest = bench.broker.publish_release(&newer, &[&looks]);
    for operation in ["drift", "destroy"] {
        let job = offered(&mut bench, (&newer, newer_digest), operation);
        match bench.outcome(&job.job) {
            Outcome::Refused { code, .. } => assert_eq!(code, "runner.kind_changed"),
            other => panic!("{operation}: {other:?}"),
        }
    }
    for operation in ["deploy", "drift"] {
        let job = offered(&mut bench, (&newer, newer_digest), operation);
        succeeds(&bench, &job.job);
    }
}
