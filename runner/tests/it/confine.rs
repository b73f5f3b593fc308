//! A hostile script, approved by mistake: what it tries, and that it is stopped.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use remit_proto::convert::Outcome;
use remit_seal::document::{ComponentKind, ValueType};

use crate::bench::{Bench, Runner, alive, wait};
use crate::broker::INSTALL;
use crate::product::{Made, pack, part};

/// Set for the test that runs itself again in a network of its own.
const OWN_NETWORK: &str = "REMIT_TEST_OWN_NETWORK";
const METADATA: &str = "169.254.169.254";

fn bash(name: &str, text: &str) -> Made {
    let mut made = part(name, ComponentKind::Script, pack(&[("deploy.sh", text)]));
    made.command("deploy", &["bash", "deploy.sh"]);
    made
}

/// Deploys a script; how it ended and what it said.
fn run(bench: &mut Bench, text: &str) -> (Outcome, String) {
    let script = bash("hostile", text);
    let (release, digest) = bench.broker.publish(&[&script]);
    let job = bench.broker.job(&release, digest, "hostile", "deploy");
    let job = bench.broker.offer(&job);
    let outcome = bench.outcome(&job);
    let log = wait("the log", || Some(bench.broker.log(&job)).filter(|log| !log.is_empty()));
    (outcome, log)
}

/// What the kernel can do of it; none where it can do nothing.
struct Kernel {
    keeps_signals_in: bool,
    closes_ports: bool,
}

fn kernel(runner: &Runner) -> Option<Kernel> {
    let view = runner.get("/v1/status")["confinement"].clone();
    if view["files"] == "none" {
        println!("SKIPPED: this kernel has no Landlock");
        return None;
    }
    assert_eq!(view["data_dir_out_of_reach"], true, "{view}");
    let (keeps_signals_in, closes_ports) = (view["signals_kept_in"] == true, view["status_api"] == "denied");
    if !keeps_signals_in || !closes_ports {
        println!("SKIPPED in part: this kernel's Landlock is older: {view}");
    }
    Some(Kernel { keeps_signals_in, closes_ports })
}

fn kept_by(runner: &Runner) -> String {
    runner.get("/v1/status")["confinement"]["processes"]["kept_by"].as_str().unwrap().to_owned()
}

#[test]
fn a_job_reads_and_changes_nothing_of_the_runner_and_of_others() {
    let mut bench = Bench::new();
    let neighbour = tempfile::tempdir().unwrap();
    std::fs::write(neighbour.path().join("state"), "another install's").unwrap();
    bench.env.push(("REMIT_TEST_ONLY".to_owned(), "of-the-runner-alone".to_owned()));
    let runner = bench.runner();
    let Some(kernel) = kernel(&runner) else { return };
    let text = r#"
        reach() { if "$@" > /dev/null 2>&1; then echo "REACHED: $*"; else echo "stopped: $*"; fi; }
        reach cat DATA/identity.json
        reach cat DATA/id
        reach cat DATA/journal/000001.log
        reach cat DATA/journal/key.pem
        reach ls DATA
        reach ls DATA/outputs
        reach cat INPUTS
        reach cat NEIGHBOUR/state
        reach cat /etc/shadow
        reach ls /root
        reach cat /proc/PID/environ
        reach cat /proc/PID/root/etc/shadow
        reach readlink /proc/PID/fd/1
        reach touch DATA/halted
        reach touch DATA/approvals/x.json
        reach touch /tmp/remit-test-hostile
        reach touch /etc/remit-test-hostile
        reach ln INPUTS "$TMPDIR/inputs"
        reach kill -0 PID
        reach kill -STOP PID
        reach bash -c 'exec 3<>/dev/tcp/127.0.0.1/PORT'
        reach dd if=/proc/kcore bs=1 count=1
        reach mknod "$TMPDIR/memory" c 1 1
        reach chroot / true
        reach mount -t tmpfs none "$TMPDIR"
        echo own > "$TMPDIR/own" && echo own > own && echo own > "$REMIT_STATE_DIR/own" && cat "$TMPDIR/own" > /dev/null && echo "own places work"
    "#
    .replace("DATA", bench.data.to_str().unwrap())
    .replace("INPUTS", bench.path("inputs.toml").to_str().unwrap())
    .replace("NEIGHBOUR", neighbour.path().to_str().unwrap())
    .replace("PID", &runner.child.id().to_string())
    .replace("PORT", runner.addr.rsplit(':').next().unwrap());
    let is_kept = |line: &&str| {
        (kernel.keeps_signals_in || !line.contains("reach kill "))
            && (kernel.closes_ports || !line.contains("/dev/tcp/"))
    };
    let text: Vec<&str> = text.lines().filter(is_kept).collect();
    let tries = text.iter().filter(|line| line.trim().starts_with("reach ")).count();
    assert!(tries >= 22, "{text:?}");
    let (outcome, log) = run(&mut bench, &text.join("\n"));
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}\n{log}");
    assert_eq!(log.matches("stopped: ").count(), tries, "{log}");
    assert!(!log.contains("REACHED") && log.contains("own places work"), "{log}");
}

#[test]
fn a_child_with_another_environment_and_session_is_ended_with_the_rest() {
    let mut bench = Bench::new();
    let runner = bench.runner();
    if kept_by(&runner) == "process group" {
        println!("SKIPPED: this user may make no cgroup here");
        return;
    }
    let seconds = format!("7654{}", runner.child.id());
    let text = format!(
        "env -i setsid sh -c 'trap \"\" TERM INT HUP; sleep {seconds} & setsid sleep {seconds} & wait' > /dev/null 2>&1 &
         until cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' ' | grep -q '[s]leep {seconds}'; do :; done; echo begun; exit 0"
    );
    let (outcome, log) = run(&mut bench, &text);
    assert!(log.contains("begun"), "{log}");
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    assert_eq!(alive(&seconds), Vec::<i32>::new(), "a child escaped");
    let id = std::fs::read_to_string(bench.data.join("id")).unwrap();
    let left = std::fs::read_dir("/sys/fs/cgroup/unified").into_iter().flatten().flatten();
    let left: Vec<_> = left.filter(|dir| dir.file_name() == *format!("remit-{}", id.trim())).collect();
    assert!(left.is_empty(), "a cgroup was left: {left:?}");
}

#[test]
fn a_runner_that_was_killed_ends_such_a_child_at_its_next_start() {
    let mut bench = Bench::new();
    let runner = bench.runner();
    if kept_by(&runner) == "process group" {
        println!("SKIPPED: this user may make no cgroup here");
        return;
    }
    let seconds = format!("7653{}", runner.child.id());
    let script = bash("hostile", &format!("env -i setsid sleep {seconds} & sleep {seconds}"));
    let (release, digest) = bench.broker.publish(&[&script]);
    let job = bench.broker.job(&release, digest, "hostile", "deploy");
    let job = bench.broker.offer(&job);
    wait("both children", || (alive(&seconds).len() >= 2).then_some(()));
    runner.kill();
    assert!(!alive(&seconds).is_empty());
    let _again = bench.runner();
    bench.outcome(&job);
    assert_eq!(alive(&seconds), Vec::<i32>::new(), "a child escaped");
}

#[test]
fn a_fork_bomb_and_a_flood_of_bytes_meet_their_bounds() {
    let mut bench = Bench::new();
    bench.args.extend(["--job-processes=40", "--job-file-mib=1"].map(str::to_owned));
    let runner = bench.runner();
    let (_, log) = run(
        &mut bench,
        "dd if=/dev/zero of=\"$TMPDIR/big\" bs=65536 count=64; stat -c 'size %s' \"$TMPDIR/big\"",
    );
    assert!(log.contains("size 1048576"), "{log}");
    let confinement = runner.get("/v1/status")["confinement"].clone();
    if confinement["processes"]["counted_by"] != "cgroup" {
        println!("SKIPPED: no cgroup counts processes here");
        return;
    }
    let seconds = format!("7652{}", runner.child.id());
    let text = format!("for i in $(seq 200); do sleep {seconds} & done; echo made them all");
    let (outcome, log) = run(&mut bench, &text);
    assert!(!log.contains("made them all") || log.contains("fork"), "{outcome:?}\n{log}");
    assert_eq!(alive(&seconds), Vec::<i32>::new());
    assert_eq!(runner.ask("GET", "/livez").0, 200);
}

#[test]
fn what_would_give_away_the_data_directory_is_refused() {
    let mut bench = Bench::new();
    bench.args.extend(["--allow-read".to_owned(), bench.data.join("state").display().to_string()]);
    let (exit, words) = bench.complaint();
    assert!(exit == 1 && words.contains("runner.confinement_exposes"), "{exit}: {words}");
}

/// The runner reads what a job gives: a link there would lead it to what the job may not read.
#[test]
fn a_job_cannot_have_the_runner_read_for_it() {
    let mut bench = Bench::new();
    let _runner = bench.runner();
    let identity = bench.data.join("identity.json").display().to_string();
    for trick in [format!("ln -s {identity}"), "mkfifo".to_owned()] {
        let script = bash("hostile", &format!("{trick} \"$REMIT_OUTPUTS_FILE\" && echo done it")).output(
            "key",
            ValueType::String,
            false,
        );
        let (release, digest) = bench.broker.publish(&[&script]);
        let job = bench.broker.job(&release, digest, "hostile", "deploy");
        let job = bench.broker.offer(&job);
        let outcome = bench.outcome(&job);
        let Outcome::Failed(failure) = outcome else { panic!("{trick}: {outcome:?}") };
        assert_eq!(failure.code, "executor.outputs_invalid", "{trick}: {failure:?}");
        wait("the log", || bench.broker.log(&job).contains("done it").then_some(()));
    }
}

/// The cloud's metadata service, as far as a thief needs it.
fn serve(address: &str) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nthe-credentials-of-the-machine\n");
        }
    });
}

#[test]
fn the_metadata_service_is_out_of_reach_unless_granted() {
    let this = std::env::current_exe().unwrap();
    let mut again = Command::new("unshare");
    again.arg("--net").arg(this).args([
        "--exact",
        "confine::in_a_network_of_its_own",
        "--ignored",
        "--nocapture",
    ]);
    let possible = Command::new("unshare").args(["--net", "ip", "link", "set", "lo", "up"]).output();
    if !possible.is_ok_and(|out| out.status.success()) {
        println!("SKIPPED: this user may make no network namespace, or there is no `ip`");
        return;
    }
    let out = again.env(OWN_NETWORK, "1").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by the test above, in a network namespace"]
fn in_a_network_of_its_own() {
    assert!(std::env::var_os(OWN_NETWORK).is_some(), "this would bind the metadata service's address here");
    for args in [&["link", "set", "lo", "up"][..], &["addr", "add", METADATA, "dev", "lo"]] {
        assert!(Command::new("ip").args(args).status().unwrap().success());
    }
    serve(&format!("{METADATA}:80"));
    serve("127.0.0.1:8080");
    let text = r#"
        get() { bash -c "exec 3<>/dev/tcp/$1/$2; echo GET / >&3; cat <&3" 2>&1; }
        echo "metadata: $(get 169.254.169.254 80)"
        echo "elsewhere: $(get 127.0.0.1 8080)"
        perl -MSocket -e '$p = shift; socket(S, AF_INET, SOCK_STREAM, $p) && connect(S, sockaddr_in(80, inet_aton("169.254.169.254"))) && syswrite(S, "GET /\n") && print "mptcp: ", <S>' 262 2>&1
        echo "asked to stay away: $AWS_EC2_METADATA_DISABLED"
    "#;
    for granted in [false, true] {
        let mut bench = Bench::new();
        bench.args.extend(granted.then(|| "--allow-metadata".to_owned()));
        let runner = bench.runner();
        if !kernel(&runner).is_some_and(|kernel| kernel.closes_ports) {
            return;
        }
        let (_, log) = run(&mut bench, text);
        let view = runner.get("/v1/status")["confinement"]["metadata"].clone();
        assert!(
            log.matches("the-credentials-of-the-machine").count() >= if granted { 2 } else { 1 },
            "{log}"
        );
        let elsewhere = log.split("elsewhere:").nth(1).unwrap();
        assert!(elsewhere.contains("the-credentials-of-the-machine"), "jobs have a network: {log}");
        let (metadata, _) = log.split_once("elsewhere:").unwrap();
        assert_eq!(metadata.contains("the-credentials-of-the-machine"), granted, "{view}: {log}");
        assert!(!log.contains("mptcp: "), "{log}");
        assert_eq!(log.contains("asked to stay away: true"), !granted, "{log}");
    }
}

#[test]
fn two_runners_of_one_machine_keep_their_jobs_apart() {
    let (mut bench, other) = (Bench::new(), Bench::new());
    let _other = other.runner();
    let runner = bench.runner();
    if kernel(&runner).is_none() {
        return;
    }
    let text = format!("cat {}/identity.json && echo REACHED", other.data.display());
    let (outcome, log) = run(&mut bench, &text);
    assert!(matches!(outcome, Outcome::Failed(_)) && !log.contains("REACHED"), "{INSTALL}: {log}");
}
