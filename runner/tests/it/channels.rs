//! A release is for an install: of the channel that its customer pinned, and not older than what ran here,
//! unless the vendor permits to go back.

use std::process::Command;

use remit_proto::convert::Outcome;
use remit_seal::Digest;
use remit_seal::document::{Job, PermitScope, Release, RollbackPermit};

use crate::bench::Bench;
use crate::product::{Made, now, release, script};

type Published = (Release, Digest);

fn published(bench: &mut Bench, parts: &[&Made], channel: &str, counter: u64) -> Published {
    let mut release = release(parts);
    (release.channel, release.counter) = (channel.to_owned(), counter);
    release.version = format!("{counter}.0.0");
    // What `release create` signs unless the vendor says otherwise.
    release.rollback_floor = counter;
    let digest = bench.broker.publish_release(&release, parts);
    (release, digest)
}

fn job(bench: &mut Bench, (release, digest): &Published, component: &str, operation: &str) -> Job {
    bench.broker.job(release, *digest, component, operation)
}

fn answer(bench: &Bench, job: &Job) -> String {
    let id = bench.broker.offer(job);
    match bench.outcome(&id) {
        Outcome::Refused { code, .. } => code,
        Outcome::Succeeded(_) => "ok".to_owned(),
        other => panic!("{other:?}"),
    }
}

fn run(bench: &mut Bench, release: &Published, component: &str, operation: &str) -> String {
    let job = job(bench, release, component, operation);
    answer(bench, &job)
}

fn all(name: &str) -> Made {
    let mut part = script(name, "true");
    for operation in ["destroy", "drift"] {
        part.command(operation, &["sh", "deploy.sh"]);
    }
    part
}

fn set_channel(bench: &Bench, channel: &str) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remit-runner"));
    let output = command.args(["channel", "set", channel, "--data-dir"]).arg(&bench.data).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_release_of_another_channel_runs_when_the_customer_says_so_and_not_before() {
    let mut bench = Bench::new();
    let (one, two) = (all("one"), all("two"));
    let stable = published(&mut bench, &[&one, &two], "stable", 3);
    let dev = published(&mut bench, &[&one, &two], "dev", 4);
    let runner = bench.runner();
    assert_eq!(run(&mut bench, &stable, "one", "deploy"), "ok");
    assert_eq!(run(&mut bench, &dev, "one", "deploy"), "seal.release_audience");
    let mut to_dev = job(&mut bench, &dev, "one", "deploy");
    to_dev.audience.channel = "dev".to_owned();
    assert_eq!(answer(&bench, &to_dev), "seal.audience", "the broker does not choose the channel");

    set_channel(&bench, "dev");
    let mut to_dev = job(&mut bench, &dev, "two", "deploy");
    to_dev.audience.channel = "dev".to_owned();
    assert_eq!(answer(&bench, &to_dev), "ok");
    let (mut by_stable, mut remove) =
        (job(&mut bench, &stable, "two", "deploy"), job(&mut bench, &stable, "one", "destroy"));
    for job in [&mut by_stable, &mut remove] {
        job.audience.channel = "dev".to_owned();
    }
    assert_eq!(answer(&bench, &by_stable), "seal.release_audience");
    // What made a component may still remove it: nobody is left with what they cannot get rid of.
    assert_eq!(answer(&bench, &remove), "ok");
    let (_, status) = runner.ask("GET", "/v1/status");
    assert!(status.contains(r#""channel":"dev""#), "{status}");
    assert!(bench.journal().contains(r#""channel":{"name":"stable"}"#));
    assert!(bench.journal().contains(r#""channel":{"name":"dev"}"#) && bench.verify());
}

#[test]
fn what_was_pinned_outlives_the_flag_and_no_word_of_the_broker_changes_it() {
    let mut bench = Bench::new();
    let one = all("one");
    let beta = published(&mut bench, &[&one], "beta", 1);
    bench.args = vec!["--channel".to_owned(), "beta".to_owned()];
    let runner = bench.runner();
    let mut first = job(&mut bench, &beta, "one", "deploy");
    first.audience.channel = "beta".to_owned();
    assert_eq!(answer(&bench, &first), "ok");
    let told = bench.broker.shared.held.lock().unwrap().info.clone().unwrap();
    assert_eq!(told.channel, "beta", "the broker knows it, so that jobs name it");
    runner.kill();
    bench.args = vec!["--channel".to_owned(), "stable".to_owned()];
    let _runner = bench.runner();
    assert_eq!(run(&mut bench, &beta, "one", "deploy"), "seal.audience");
    bench.args = vec!["--channel".to_owned(), "../x".to_owned()];
    assert!(bench.complaint().1.contains("runner.config_invalid"));
}

fn permit(from: u64, to: u64) -> RollbackPermit {
    RollbackPermit {
        vendor: "demo".to_owned(),
        app: "shop".to_owned(),
        channel: "stable".to_owned(),
        scope: PermitScope::Channel,
        from,
        to,
        reason: "9.0.0 loses orders".to_owned(),
        created_ms: now() - 1_000,
        until_ms: now() + 3_600_000,
    }
}

fn bring(bench: &mut Bench, permit: &RollbackPermit) {
    let signed = bench.broker.vendor.sign_permit(permit);
    bench.broker.shared.change(|held| held.permits = vec![signed]);
}

#[test]
fn going_back_needs_a_permit_and_the_customer_sees_it() {
    let mut bench = Bench::new();
    let one = all("one");
    let (old, new) =
        (published(&mut bench, &[&one], "stable", 3), published(&mut bench, &[&one], "stable", 9));
    let runner = bench.runner();
    assert_eq!(run(&mut bench, &old, "one", "deploy"), "ok");
    assert_eq!(run(&mut bench, &new, "one", "deploy"), "ok");
    assert_eq!(run(&mut bench, &old, "one", "deploy"), "seal.rollback");
    assert_eq!(run(&mut bench, &old, "one", "destroy"), "seal.rollback", "not to destroy by it either");
    runner.kill();
    let runner = bench.runner();
    let elsewhere = RollbackPermit { scope: PermitScope::Install("beta".to_owned()), ..permit(9, 3) };
    for useless in [permit(8, 3), permit(9, 4), elsewhere] {
        bring(&mut bench, &useless);
        assert_eq!(run(&mut bench, &old, "one", "deploy"), "seal.rollback", "{useless:?}");
    }
    bring(&mut bench, &permit(9, 3));
    assert_eq!(run(&mut bench, &old, "one", "deploy"), "ok");
    let (_, status) = runner.ask("GET", "/v1/status");
    assert!(status.contains("9.0.0 loses orders") && bench.journal().contains("9.0.0 loses orders"));
    // It has gone back: without another permit it goes forward only.
    bench.broker.shared.change(|held| held.permits.clear());
    assert_eq!(run(&mut bench, &old, "one", "deploy"), "ok");
    assert_eq!(run(&mut bench, &new, "one", "deploy"), "ok");
    assert_eq!(run(&mut bench, &old, "one", "deploy"), "seal.rollback");
    assert!(bench.verify());
}

#[test]
fn what_made_a_component_may_look_after_it_while_others_go_on() {
    let mut bench = Bench::new();
    let (one, two) = (all("one"), all("two"));
    let old = published(&mut bench, &[&one, &two], "stable", 3);
    let new = published(&mut bench, &[&one, &two], "stable", 9);
    let _runner = bench.runner();
    for component in ["one", "two"] {
        assert_eq!(run(&mut bench, &old, component, "deploy"), "ok");
    }
    // A look by a newer release changes nothing, and so bars nothing.
    assert_eq!(run(&mut bench, &new, "one", "drift"), "ok");
    assert_eq!(run(&mut bench, &old, "one", "deploy"), "ok");
    assert_eq!(run(&mut bench, &new, "one", "deploy"), "ok");
    assert_eq!(run(&mut bench, &old, "one", "drift"), "seal.rollback");
    for operation in ["drift", "deploy", "destroy"] {
        assert_eq!(run(&mut bench, &old, "two", operation), "ok", "{operation}");
    }
    assert_eq!(run(&mut bench, &old, "two", "deploy"), "seal.rollback", "it is gone, and so is its release");
}
