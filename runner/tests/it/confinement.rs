//! The suite `confinement`: a hostile program tries each way out of a job that `docs/trust.md` names. What came of it
//! is asked of the world where it can tell: listeners that got a byte or none, a file, a process.

use std::collections::BTreeSet;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::{Command, Stdio};

use remit_proto::convert::Outcome;
use remit_seal::document::ComponentKind;

use crate::bench::{Bench, wait};
use crate::product::{pack, part};

const HOSTILE: &str = include_str!("confinement/hostile.c");
const PAGE: &str = include_str!("../../../docs/trust.md");
const WAYS_MIN: usize = 45;
const CONTENT: &str = "what no job may read or change";

/// The ways that the program tries.
fn tried() -> BTreeSet<String> {
    HOSTILE
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("TRY(\"")?.split_once('"')?.0.to_owned()))
        .collect()
}

/// The ways that the page names, in the table below this line.
fn named() -> BTreeSet<String> {
    let table = PAGE.split_once("| way out | what holds it | since |").expect("the table of ways").1;
    let rows = table.trim_start().lines().skip(1).take_while(|line| line.starts_with("| "));
    let ways = rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split(','));
    ways.map(|way| way.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn the_page_names_each_way_that_is_tried_and_no_other() {
    assert_eq!(tried(), named());
    assert!(tried().len() >= WAYS_MIN, "{}", tried().len());
}

/// Compiled for this machine, without a library that it would need.
fn build(bench: &Bench) -> String {
    let (source, program) = (bench.path("hostile.c"), bench.site("hostile"));
    std::fs::write(&source, HOSTILE).unwrap();
    let built =
        Command::new("cc").args(["-static", "-O1", "-o"]).arg(&program).arg(&source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    program.display().to_string()
}

#[test]
fn a_hostile_job_finds_no_way_out() {
    let mut bench = Bench::new();
    let program = build(&bench);
    let secret = bench.path("secret");
    std::fs::write(&secret, CONTENT).unwrap();
    let before = secret.metadata().unwrap();
    let file = UnixListener::bind(bench.path("bus.sock")).unwrap();
    file.set_nonblocking(true).unwrap();
    let name = format!("remit-test-{}", std::process::id());
    let by_name = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    by_name.set_nonblocking(true).unwrap();
    let mut victim = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
    let runner = bench.runner();
    let found = runner.get("/v1/status")["confinement"].clone();
    assert_eq!(found["open"], serde_json::json!([]), "the trial at the start found a way out");
    // The runner's own port is denied as the metadata service's is.
    let status_port = runner.addr.rsplit(':').next().unwrap();
    let words = format!(
        "exec '{program}' {status_port} '{}' '{name}' '{}' {}",
        bench.path("bus.sock").display(),
        secret.display(),
        victim.id()
    );
    let mut script = part("hostile", ComponentKind::Script, pack(&[("deploy.sh", &words)]));
    script.command("deploy", &["sh", "deploy.sh"]);
    let (release, digest) = bench.broker.publish(&[&script]);
    let job = bench.broker.job(&release, digest, "hostile", "deploy");
    let job = bench.broker.offer(&job);
    let outcome = bench.outcome(&job);
    let log = wait("the log", || Some(bench.broker.log(&job)).filter(|log| log.contains("way host-name ")));
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}: {log}");
    let said: BTreeSet<String> = log
        .lines()
        .filter_map(|line| Some(line.split_once("way ")?.1.split(' ').next()?.to_owned()))
        .collect();
    assert_eq!(said, tried(), "not tried: {log}");
    let reached: Vec<&str> = log.lines().filter(|line| line.contains("REACHED")).collect();
    assert_eq!(reached, Vec::<&str>::new(), "{log}");
    assert!(victim.try_wait().unwrap().is_none(), "the victim was ended");
    victim.kill().unwrap();
    victim.wait().unwrap();
    let after = secret.metadata().unwrap();
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), CONTENT);
    assert_eq!(
        (after.permissions(), after.modified().unwrap()),
        (before.permissions(), before.modified().unwrap())
    );
    assert!(file.accept().is_err() && by_name.accept().is_err());
}
