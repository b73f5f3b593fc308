//! Bad luck: kill -9, a broker that is away, tools that fail, hang or are killed, a full disk.

use remit_proto::convert::{FailureClass, Outcome};
use remit_seal::document::{Source, ValueType};

use crate::bench::{Bench, alive, read, wait};
use crate::product::script;

/// A script that leaves a child of its own in a session of its own, and sleeps.
fn sleeper(bench: &Bench) -> String {
    format!(
        "setsid sleep 86401 & sleep 86402 & echo begun; echo run >> {}; sleep 86400",
        bench.site("runs").display()
    )
}

fn failure(outcome: &Outcome) -> (FailureClass, &str) {
    match outcome {
        Outcome::Failed(failure) => (failure.class, &failure.code),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_killed_runner_ends_what_is_left_before_anything_else() {
    let mut bench = Bench::new();
    let slow = script("slow", &sleeper(&bench));
    let (release, digest) = bench.broker.publish(&[&slow]);
    let runner = bench.runner();
    let job = bench.broker.job(&release, digest, "slow", "deploy");
    let id = bench.broker.offer(&job);
    wait("the script to run", || read(&bench.site("runs")).contains("run").then_some(()));
    let mark = format!("REMIT_ATTEMPT={id}.1");
    wait("all three processes", || (alive(&mark).len() >= 4).then_some(()));
    runner.kill();
    assert!(alive(&mark).len() >= 4, "what it left behind lives");
    let _runner = bench.runner();
    let outcome = bench.outcome(&id);
    assert_eq!(failure(&outcome), (FailureClass::Transient, "runner.restarted"));
    assert!(alive(&mark).is_empty(), "{:?}", alive(&mark));
    // The new attempt: another try, fence and number, the same job.
    let mut again = bench.broker.job(&release, digest, "slow", "deploy");
    again.job.clone_from(&id);
    again.attempt = 2;
    bench.broker.offer(&again);
    wait("the second run", || (read(&bench.site("runs")).lines().count() == 2).then_some(()));
    bench.broker.stop(&id, "enough");
    let last = wait("the second outcome", || bench.broker.outcomes(&id).get(1).cloned());
    assert!(matches!(last, Outcome::Cancelled { .. }), "{last:?}");
    assert!(alive(&format!("REMIT_ATTEMPT={id}.")).is_empty());
    assert!(bench.verify());
}

#[test]
fn a_cancel_ends_the_whole_tree_at_once() {
    let mut bench = Bench::new();
    let slow = script("slow", &sleeper(&bench));
    let (release, digest) = bench.broker.publish(&[&slow]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "slow", "deploy");
    let id = bench.broker.offer(&job);
    wait("the script to run", || bench.broker.log(&id).contains("begun").then_some(()));
    bench.broker.stop(&id, "the vendor changed their mind");
    match bench.outcome(&id) {
        Outcome::Cancelled { message } => assert!(message.contains("changed their mind"), "{message}"),
        other => panic!("{other:?}"),
    }
    assert!(alive(&format!("REMIT_ATTEMPT={id}.1")).is_empty());
}

#[test]
fn a_timeout_ends_grandchildren_that_ignore_signals() {
    let mut bench = Bench::new();
    let stubborn = script(
        "stubborn",
        "(trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM INT; sleep 86403' & sleep 86404) & trap '' TERM; echo begun; while true; do sleep 1; done",
    )
    .longest(1_000);
    let (release, digest) = bench.broker.publish(&[&stubborn]);
    let _runner = bench.runner();
    let job = bench.broker.job(&release, digest, "stubborn", "deploy");
    let id = bench.broker.offer(&job);
    let outcome = bench.outcome(&id);
    assert_eq!(failure(&outcome), (FailureClass::Timeout, "executor.timeout"));
    assert!(alive(&format!("REMIT_ATTEMPT={id}.1")).is_empty());
}

#[test]
fn a_broker_that_is_away_does_not_stop_what_was_begun() {
    let mut bench = Bench::new();
    let slow = script(
        "slow",
        "echo begun; while [ ! -e \"$REMIT_STATE_DIR/go\" ]; do sleep 0.05; done; echo finished; echo '{\"a\":7}' > $REMIT_OUTPUTS_FILE",
    )
    .output("a", ValueType::Integer, false);
    let (release, digest) = bench.broker.publish(&[&slow]);
    let runner = bench.runner();
    let job = bench.broker.job(&release, digest, "slow", "deploy");
    let id = bench.broker.offer(&job);
    wait("the script to run", || bench.broker.log(&id).contains("begun").then_some(()));
    bench.broker.down();
    std::fs::write(bench.data.join("state/slow/go"), "").unwrap();
    wait("the ending on record", || bench.journal().contains("\"ended\"").then_some(()));
    wait("the runner to see it", || (runner.ask("GET", "/readyz").0 == 503).then_some(()));
    // Not even a restart of the runner loses it.
    runner.kill();
    let _runner = bench.runner();
    bench.broker.up();
    match bench.outcome(&id) {
        Outcome::Succeeded(success) => assert_eq!(success.outputs.len(), 1),
        other => panic!("{other:?}"),
    }
    assert!(bench.broker.log(&id).contains("finished"));
    assert_eq!(bench.broker.outcomes(&id).len(), 1);
}

#[test]
fn scripts_say_how_they_failed() {
    let mut bench = Bench::new();
    let cases = [
        ("transient", "exit 75", FailureClass::Transient, "executor.tool_failed"),
        ("permission", "exit 77", FailureClass::Permission, "executor.tool_failed"),
        ("conflict", "exit 69", FailureClass::Conflict, "executor.tool_failed"),
        ("words", "echo 'AccessDenied: no' >&2; exit 1", FailureClass::Permission, "tool.aws_access_denied"),
        ("absent", "no-such-program-at-all", FailureClass::Bug, "tool.command_missing"),
        (
            "pull",
            "echo 'manifest for acme/web:9 not found' >&2; exit 1",
            FailureClass::Bug,
            "tool.registry_unknown",
        ),
        ("bug", "echo oops; exit 3", FailureClass::Bug, "executor.tool_failed"),
        ("killed", "kill -9 $$", FailureClass::Interference, "executor.killed"),
        ("missing", "", FailureClass::Bug, "executor.tool_missing"),
        ("nothing", "true", FailureClass::Bug, "executor.output_missing"),
        ("wrong", "echo '{\"a\":\"text\"}' > $REMIT_OUTPUTS_FILE", FailureClass::Bug, "executor.output_type"),
        ("nonsense", "echo '{' > $REMIT_OUTPUTS_FILE", FailureClass::Bug, "executor.outputs_invalid"),
        ("unset", "true", FailureClass::Bug, "runner.output_missing"),
    ];
    let mut made: Vec<_> = cases
        .iter()
        .map(|(name, text, ..)| script(name, text).output("a", ValueType::Integer, false))
        .collect();
    made[8].command("deploy", &["no-such-program-anywhere"]);
    let last = made.pop().unwrap();
    let of = crate::product::output_ref("bug", "a");
    made.push(last.input("x", Source::Output(of)));
    let (release, digest) = bench.broker.publish(&made.iter().collect::<Vec<_>>());
    let _runner = bench.runner();
    for (name, _, class, code) in cases {
        let job = bench.broker.job(&release, digest, name, "deploy");
        let job = bench.broker.offer(&job);
        let outcome = bench.outcome(&job);
        assert_eq!(failure(&outcome), (class, code), "{name}: {outcome:?}");
    }
}

#[test]
fn a_full_disk_refuses_before_anything_begins_and_is_got_over() {
    let mut bench = Bench::new();
    let disk = bench.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |args: &[&str]| {
        std::process::Command::new(args[0]).args(&args[1..]).arg(&disk).status().is_ok_and(|s| s.success())
    };
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs"]) {
        println!("SKIPPED: full disk, a small file system cannot be mounted here");
        return;
    }
    struct Unmount(std::path::PathBuf);
    impl Drop for Unmount {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        }
    }
    let _unmount = Unmount(disk.clone());
    bench.data = disk.join("data");
    let witness = script("witness", &format!("touch {}", bench.site("ran").display()));
    let (release, digest) = bench.broker.publish(&[&witness]);
    let runner = bench.runner();
    // Let it take the release in first, so that the journal is what fails.
    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let id = bench.broker.offer(&job);
    assert!(matches!(bench.outcome(&id), Outcome::Succeeded(_)));
    std::fs::remove_file(bench.site("ran")).unwrap();
    std::fs::remove_file(bench.data.join("journal/ballast")).unwrap();
    let filled = std::fs::write(disk.join("fill"), vec![1; 8 << 20]);
    assert!(filled.is_err(), "the disk is full");
    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let id = bench.broker.offer(&job);
    match bench.outcome(&id) {
        Outcome::Refused { code, .. } => assert_eq!(code, "journal.write_failed"),
        other => panic!("{other:?}"),
    }
    assert!(!bench.site("ran").exists());
    let (status, words) = runner.ask("GET", "/readyz");
    assert!(status == 503 && words.contains("journal.write_failed"), "{words}");
    std::fs::remove_file(disk.join("fill")).unwrap();
    let job = bench.broker.job(&release, digest, "witness", "deploy");
    let id = bench.broker.offer(&job);
    assert!(matches!(bench.outcome(&id), Outcome::Succeeded(_)));
    assert!(bench.site("ran").exists() && bench.verify());
}
