//! Who may ask a runner and halt it, what of that is on record, and the runner as process 1 of a container.

use std::process::Command;

use remit_proto::convert::Outcome;
use remit_seal::document::ComponentKind;

use crate::bench::{Bench, ask, wait};
use crate::product::{pack, part};

#[test]
fn only_who_reads_the_runners_files_asks_it_and_only_the_customer_ends_a_halt() {
    let bench = Bench::new();
    let runner = bench.runner();
    for path in ["/readyz", "/metrics", "/v1/status", "/v1/jobs", "/v1/receipts", "/v1/checkpoint"] {
        assert_eq!(ask(&runner.addr, "", "GET", path).0, 401, "{path}");
        assert_eq!(ask(&runner.addr, "wrong", "GET", path).0, 401, "{path}");
    }
    for path in ["/v1/pause", "/v1/resume", "/v1/halt", "/v1/approvals"] {
        assert_eq!(ask(&runner.addr, "", "POST", path).0, 401, "{path}");
    }
    assert_eq!(ask(&runner.addr, "", "GET", "/livez").0, 200);
    let metrics = crate::bench::read(&bench.data.join("metrics.token"));
    assert_eq!(ask(&runner.addr, &metrics, "GET", "/metrics").0, 200);
    assert_eq!(ask(&runner.addr, &metrics, "GET", "/v1/status").0, 401);
    let customer = |word: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_remit-runner"));
        command.args([word, "--data-dir"]).arg(&bench.data).env("USER", "ada");
        assert!(command.output().unwrap().status.success(), "{word}");
    };
    customer("halt");
    wait("the halt", || (runner.get("/v1/status")["mode"] == "halted").then_some(()));
    assert_eq!(runner.ask("POST", "/v1/resume").0, 409);
    assert!(bench.data.join("halted").exists());
    assert_eq!(runner.get("/v1/status")["mode"], "halted");
    customer("resume");
    wait("the end of it", || (runner.get("/v1/status")["mode"] == "running").then_some(()));
    let journal = bench.journal();
    for word in [r#""halted":{"by":"ada"#, r#""resumed":{"by":"ada"#] {
        assert_eq!(journal.matches(word).count(), 1, "{word}: {journal}");
    }
    assert!(!bench.data.join("resumed").exists());
    customer("status");
}

#[test]
fn a_job_has_nothing_open_that_the_runner_was_started_with() {
    let mut bench = Bench::new();
    let secret = bench.path("held-open");
    std::fs::write(&secret, "the customer's own notes").unwrap();
    bench.within = ["sh", "-c", "exec 7<\"$0\"; exec \"$@\""].map(str::to_owned).to_vec();
    bench.within.push(secret.display().to_string());
    let _runner = bench.runner();
    let mut script =
        part("hostile", ComponentKind::Script, pack(&[("deploy.sh", "cat <&7; ls -l /proc/self/fd")]));
    script.command("deploy", &["sh", "deploy.sh"]);
    let (release, digest) = bench.broker.publish(&[&script]);
    let job = bench.broker.job(&release, digest, "hostile", "deploy");
    let job = bench.broker.offer(&job);
    let outcome = bench.outcome(&job);
    let log = wait("the log", || Some(bench.broker.log(&job)).filter(|log| log.contains("/proc/")));
    assert!(!log.contains("own notes") && !log.contains("held-open"), "{outcome:?}: {log}");
}

/// The children of a process that have ended and were not waited for.
fn defunct(parent: i32) -> usize {
    let stat = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let is_one = |pid: &i32| {
        let text = stat(*pid);
        let fields: Vec<&str> =
            text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        fields.first() == Some(&"Z") && fields.get(1) == Some(&parent.to_string().as_str())
    };
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(is_one).count()
}

fn child_of(parent: u32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[test]
fn as_process_1_it_waits_for_the_orphans_of_jobs_and_hands_signals_on() {
    let mut bench = Bench::new();
    bench.within = ["unshare", "--pid", "--fork", "--mount-proc"].map(str::to_owned).to_vec();
    let mut runner = bench.runner();
    let first = child_of(runner.child.id()).expect("process 1 of the namespace");
    let orphans = "for i in 1 2 3 4 5; do (sleep 0 & setsid sleep 0 &) ; done; echo made them";
    let mut script = part("orphans", ComponentKind::Script, pack(&[("deploy.sh", orphans)]));
    script.command("deploy", &["sh", "deploy.sh"]);
    let (release, digest) = bench.broker.publish(&[&script]);
    let job = bench.broker.job(&release, digest, "orphans", "deploy");
    let job = bench.broker.offer(&job);
    assert!(matches!(bench.outcome(&job), Outcome::Succeeded(_)));
    wait("no orphan to be left", || (defunct(first) == 0).then_some(()));
    let own = child_of(u32::try_from(first).unwrap()).expect("the runner below process 1");
    wait("none below the runner", || (defunct(own) == 0).then_some(()));
    let pid = rustix::process::Pid::from_raw(first).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(runner.exit(), 0, "the signal was handed on, and its end is the runner's");
}
