//! Runs the programs of the tests, several at once: most of them wait for processes, disks and deadlines of their own.
//! Each runs where cargo would run it, with what cargo would tell it, and says how long each of its tests took.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::House;
use crate::stage::{Call, Running};
use crate::tally::Outcome;

/// How many of these programs run at once, on as many cores or more. Each has as many threads as there are cores.
const AT_ONCE_MAX: usize = 4;

/// Compiles all that tests are and run.
pub(crate) fn compile() -> Call {
    Call::cargo(["test", "--workspace", "--no-run"])
}

/// One program of tests.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    /// The folder of its package below the workspace, and its target.
    name: String,
    package: PathBuf,
    file: PathBuf,
}

/// How a program ended.
struct Ended {
    log: String,
    failure: Option<String>,
    took: Duration,
}

pub(crate) fn run(house: &House, stage: Running<'_>) -> Result<Outcome> {
    if let Some(reason) =
        compile().args(["--message-format=json-render-diagnostics"]).run(house, stage.log())?
    {
        return stage.end(Some(&reason));
    }
    let directory = house.target.join("verify");
    let said = std::fs::read_to_string(directory.join("test.log"))?;
    let mut programs = programs(&said, &house.root);
    // What took longest the last time begins first; without a last time, what comes last in the workspace: the journeys.
    let before = seconds(&std::fs::read_to_string(directory.join("test.seconds")).unwrap_or_default());
    programs.reverse();
    programs.sort_by_key(|program| std::cmp::Reverse(before.get(&program.name).copied().unwrap_or(u64::MAX)));
    let ended = run_all(house, programs)?;
    let mut log = stage.log();
    let mut times = String::new();
    let mut failed = Vec::new();
    for (name, end) in &ended {
        writeln!(log, "\n==== {name}: {:.1} s\n{}", end.took.as_secs_f64(), end.log)?;
        writeln!(times, "{} {name}", end.took.as_millis())?;
        failed.extend(end.failure.as_ref().map(|reason| format!("{name}: {reason}")));
    }
    std::fs::write(directory.join("test.seconds"), times)?;
    let reason = failed.join("; ");
    stage.end(if failed.is_empty() { None } else { Some(&reason) })
}

/// Every program to its end, whatever becomes of the others.
fn run_all(house: &House, programs: Vec<Program>) -> Result<BTreeMap<String, Ended>> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let waiting = Mutex::new(programs.into_iter());
    let ended = Mutex::new(BTreeMap::new());
    let work = || -> Result<()> {
        loop {
            let Some(program) = lock(&waiting).next() else { return Ok(()) };
            let end = program.run(house)?;
            lock(&ended).insert(program.name, end);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores.min(AT_ONCE_MAX)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker hands its errors on"))
    })?;
    Ok(ended.into_inner().unwrap_or_else(PoisonError::into_inner))
}

impl Program {
    fn run(&self, house: &House) -> Result<Ended> {
        let path = house.target.join("verify").join(format!("test.{}.log", self.name.replace('/', ".")));
        let log = File::create(&path).context("the log of a test program")?;
        let began = std::time::Instant::now();
        let call = Call::new(&self.file)
            // The seconds of each test are libtest's own, which it says to those only who ask for what may change.
            .args(["-Zunstable-options", "--report-time"])
            .env("RUSTC_BOOTSTRAP", "1")
            // Built just now: the tests need not ask cargo again, each by itself, whether they are.
            .env("REMIT_PROGRAMS", house.target.join("debug"))
            .env("CARGO_MANIFEST_DIR", &self.package)
            .within(&self.package);
        let failure = call.run(house, &log)?;
        let log = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        Ok(Ended { log, failure, took: began.elapsed() })
    }
}

/// The programs that cargo's messages tell of, one message a line.
fn programs(messages: &str, root: &Path) -> Vec<Program> {
    let of_tests = messages.lines().filter(|line| {
        let profile = line.split_once("\"profile\":{").and_then(|(_, rest)| rest.split_once('}'));
        profile.is_some_and(|(profile, _)| profile.contains("\"test\":true"))
    });
    let program = |line: &str| {
        let package = Path::new(text(line, "manifest_path")?).parent()?.to_owned();
        let file = PathBuf::from(text(line, "executable")?);
        let target = line.split_once("\"target\":{")?.1;
        let kind = if target.starts_with("\"kind\":[\"test\"]") { "" } else { "src " };
        let folder = package.strip_prefix(root).ok()?.display();
        Some(Program { name: format!("{folder}/{kind}{}", text(target, "name")?), package, file })
    };
    of_tests.filter_map(program).collect()
}

/// A text of a message, which has no escapes in what is asked for here.
fn text<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":\""))?;
    Some(rest.split_once('"')?.0)
}

/// How long each program took the last time, in milliseconds.
fn seconds(text: &str) -> BTreeMap<String, u64> {
    let of_line = |line: &str| {
        let (ms, name) = line.split_once(' ')?;
        Some((name.to_owned(), ms.parse().ok()?))
    };
    text.lines().filter_map(of_line).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_tests_are_told_from_others() {
        let message = |kind: &str, name: &str, test: bool, executable: &str| {
            format!(
                "{{\"reason\":\"compiler-artifact\",\"manifest_path\":\"/w/broker/Cargo.toml\",\"target\":{{\"kind\":\
                 [\"{kind}\"],\"name\":\"{name}\",\"test\":true}},\"profile\":{{\"opt_level\":\"0\",\"test\":{test}}},\
                 \"executable\":{executable}}}"
            )
        };
        let log = [
            message("lib", "remit_broker", true, "\"/t/remit_broker-1\""),
            message("bin", "remit-broker", false, "\"/t/remit-broker\""),
            message("test", "edge", true, "\"/t/edge-2\""),
            message("lib", "remit_broker", false, "null"),
            "noise".to_owned(),
        ];
        let program = |name: &str, file: &str| Program {
            name: name.to_owned(),
            package: "/w/broker".into(),
            file: file.into(),
        };
        let want =
            [program("broker/src remit_broker", "/t/remit_broker-1"), program("broker/edge", "/t/edge-2")];
        assert_eq!(programs(&log.join("\n"), Path::new("/w")), want);
        assert_eq!(seconds("1200 broker/edge\nnoise\n"), BTreeMap::from([("broker/edge".to_owned(), 1200)]));
    }
}
