//! The first signal drains, the second forces; one runner to a directory; bad settings.

use remit_proto::convert::Outcome;
use remit_seal::Digest;
use remit_seal::document::Release;
use rustix::process::Signal;

use crate::bench::{Bench, Runner, alive, wait};
use crate::product::script;

/// A runner that was told to drain while its script `slow` runs.
struct Draining {
    bench: Bench,
    runner: Runner,
    release: Release,
    digest: Digest,
    id: String,
}

impl Draining {
    fn while_it_runs(slow: &str) -> Self {
        let mut bench = Bench::new();
        let (release, digest) = bench.broker.publish(&[&script("slow", slow)]);
        let runner = bench.runner();
        let job = bench.broker.job(&release, digest, "slow", "deploy");
        let id = bench.broker.offer(&job);
        wait("the script to run", || bench.broker.log(&id).contains("begun").then_some(()));
        runner.signal(Signal::TERM);
        wait("draining", || (runner.get("/v1/status")["mode"] == "draining").then_some(()));
        Self { bench, runner, release, digest, id }
    }
}

#[test]
fn the_first_signal_finishes_what_is_in_hand() {
    let slow = "echo begun; while [ ! -e \"$REMIT_STATE_DIR/go\" ]; do sleep 0.05; done";
    let Draining { mut bench, mut runner, release, digest, id } = Draining::while_it_runs(slow);
    let next = bench.broker.job(&release, digest, "slow", "destroy");
    let next = bench.broker.offer(&next);
    std::fs::write(bench.data.join("state/slow/go"), "").unwrap();
    assert_eq!(runner.exit(), 0);
    assert!(matches!(bench.outcome(&id), Outcome::Succeeded(_)));
    assert!(!bench.broker.is_started(&next));
}

#[test]
fn the_second_signal_ends_everything_at_once() {
    let slow = "trap '' TERM INT; setsid sleep 86405 & echo begun; sleep 86406";
    let Draining { bench, mut runner, id, .. } = Draining::while_it_runs(slow);
    runner.signal(Signal::INT);
    assert_eq!(runner.exit(), 75);
    assert!(alive(&format!("REMIT_ATTEMPT={id}.1")).is_empty());
    match bench.outcome(&id) {
        Outcome::Failed(failure) => assert_eq!(failure.code, "runner.forced"),
        other => panic!("{other:?}"),
    }
    assert!(bench.verify());
}

#[test]
fn a_second_runner_a_foreign_directory_and_a_changed_journal_are_refused() {
    let mut bench = Bench::new();
    let runner = bench.runner();
    let (exit, words) = bench.complaint();
    assert!(exit == 1 && words.contains("error[runner.data_dir_locked]"), "{words}");
    runner.kill();
    "ins_demo.shop.other".clone_into(&mut bench.install);
    let (exit, words) = bench.complaint();
    assert!(exit == 1 && words.contains("error[journal.foreign]"), "{words}");
    crate::broker::INSTALL.clone_into(&mut bench.install);
    let path = bench.data.join("journal/000001.log");
    let text = bench.journal().replace("ins_demo", "ins_dem0");
    std::fs::write(&path, text + "\n").unwrap();
    let (exit, words) = bench.complaint();
    assert!(exit == 1 && words.contains("error[journal.corrupt]"), "{words}");
    assert!(!bench.verify());
}

#[test]
fn bad_settings_end_before_anything_starts() {
    let mut bench = Bench::new();
    bench.args = ["--capacity", "0"].map(str::to_owned).to_vec();
    let (exit, words) = bench.complaint();
    assert!(exit == 64 && words.contains("error[runner.config_invalid]"), "{words}");
    assert!(!bench.data.exists());
}
