//! What a runner costs its customer: the size of the program, its memory when it idles after work, and
//! how soon after its start it asks for work. The bare limit of a start is the same program's `--version`.
//!
//! The programs are of the bench profile: a release, stripped too, but without its link-time
//! optimisation, which makes it smaller and takes minutes.

mod receipts;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use remit_tests::figure::{Figure, Options};
use remit_tests::world::{World, alive_with, programs, wait_for};

const INSTALL: &str = "ins_demo.shop.acme";
const BINARY: &str = "runner.binary_size_without_lto";
const MEMORY: &str = "runner.idle_memory";
const ENROLMENT: &str = "runner.enrolment_to_first_lease_p50";
const VERIFY: &str = "runner.verify_a_million_receipts";
const START: &str = "runner.start_to_first_lease_p50";
/// How often a start is looked at: finer than what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const START_MAX: Duration = Duration::from_secs(30);

/// The figures of this area.
pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    if [BINARY, MEMORY, START, ENROLMENT, VERIFY].iter().any(|name| options.wants(name)) {
        eprintln!("  building the programs as the benches are built; the first time takes minutes …");
        programs::path("remit-runner")?;
    }
    if options.wants(BINARY) {
        let bytes = fs::metadata(programs::path("remit-runner")?)?.len();
        figures.push(Figure::new(BINARY, bytes as f64 / f64::from(1 << 20), "MiB"));
    }
    if [MEMORY, START, ENROLMENT].iter().any(|name| options.wants(name)) {
        figures.extend(run(options)?);
    }
    if options.wants(VERIFY) {
        figures.push(receipts::verified(options)?);
    }
    Ok(figures)
}

/// A sandboxed install goes its whole way first, so that what is measured has worked.
fn run(options: &Options) -> Result<Vec<Figure>> {
    let mut world = World::start("shop")?;
    world.remit(&["keys", "init"])?;
    world.remit(&["org", "create"])?;
    world.remit(&["release", "create"])?;
    world.remit(&["install", "create", "acme", "--sandbox"])?;
    world.start_runner(INSTALL)?;
    world.until_status(INSTALL, "active")?;
    std::thread::sleep(options.scale(Duration::from_secs(10), Duration::from_secs(1)));
    let memory = resident_kib(&world)? as f64 / 1024.0;
    let mut starts = Vec::new();
    for _ in 0..options.scale(20, 3) {
        starts.push(start(&mut world, INSTALL)?);
    }
    let enrolments =
        (0..options.scale(10, 3)).map(|n| enrolment(&mut world, n)).collect::<Result<Vec<f64>>>()?;
    let bare = (0..options.scale(20, 3)).map(|_| bare_start()).collect::<Result<Vec<f64>>>()?;
    Ok(vec![
        Figure::new(MEMORY, memory, "MiB"),
        Figure::new(START, median(starts), "ms").against(median(bare)),
        Figure::new(ENROLMENT, median(enrolments), "ms"),
    ])
}

/// What the kernel counts as the runner's.
fn resident_kib(world: &World) -> Result<u64> {
    let data = world.runner_dir(INSTALL);
    let pids = alive_with(data.to_str().context("a path that is text")?);
    let [pid] = pids[..] else { bail!("not one runner but {pids:?}") };
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("a number of KiB")
}

/// Milliseconds from the start of an enrolled runner to the answer to its first poll.
pub(crate) fn start(world: &mut World, install: &str) -> Result<f64> {
    world.kill_runner(install)?;
    let data = world.runner_dir(install);
    wait_for("the end of the runner", || {
        Ok(alive_with(&data.display().to_string()).is_empty().then_some(()))
    })?;
    fs::remove_file(data.join("status.addr"))?;
    let begin = Instant::now();
    world.restart_runner(install)?;
    until_ready(world, install, begin)
}

/// Milliseconds from the start of a runner with nothing but a token to the answer to its first poll.
fn enrolment(world: &mut World, n: usize) -> Result<f64> {
    let name = format!("new-{n}");
    let install = format!("ins_demo.shop.{name}");
    world.remit(&["install", "create", &name, "--sandbox"])?;
    // The token is asked for before the process starts: by the customer, who had it with the link.
    world.expect_runner(&install)?;
    let begin = Instant::now();
    world.restart_runner(&install)?;
    let took = until_ready(world, &install, begin)?;
    world.kill_runner(&install)?;
    Ok(took)
}

/// Milliseconds until the runner says that it is ready: the broker has answered its first poll.
fn until_ready(world: &World, install: &str, begin: Instant) -> Result<f64> {
    let address = world.runner_dir(install).join("status.addr");
    let token = world.runner_dir(install).join("status.token");
    while begin.elapsed() < START_MAX {
        let known = fs::read_to_string(&address).unwrap_or_default();
        if !known.is_empty() && is_ready(known.trim(), &fs::read_to_string(&token).unwrap_or_default()) {
            return Ok(begin.elapsed().as_secs_f64() * 1e3);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("the runner was not ready in {} s: {}", START_MAX.as_secs(), world.log_of(install))
}

fn is_ready(address: &str, token: &str) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut tcp = TcpStream::connect(address)?;
        let given = format!("authorization: Bearer {token}");
        write!(tcp, "GET /readyz HTTP/1.1\r\nhost: {address}\r\n{given}\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        tcp.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn bare_start() -> Result<f64> {
    let begin = Instant::now();
    let status =
        Command::new(programs::path("remit-runner")?).arg("--version").stdout(Stdio::null()).status()?;
    ensure!(status.success(), "--version: {status}");
    Ok(begin.elapsed().as_secs_f64() * 1e3)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
