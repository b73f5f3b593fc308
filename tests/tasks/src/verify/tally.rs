//! Counts what passed and failed: the stage of the tests by its `test result:` lines, others as one.
//! What a failed test said is printed again at the end, where a reader of a long output looks.

use std::time::Duration;

/// How many lines of a failed test's panic are printed again at the end.
const FAILURE_LINES: usize = 8;
/// How many of the slowest tests are named.
const SLOWEST: usize = 10;

/// How a stage ended.
pub(crate) struct Outcome {
    pub(crate) stage: &'static str,
    pub(crate) failed: bool,
    pub(crate) took: Duration,
    pub(crate) log: String,
}

/// The sums; `close` prints the last line.
#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
    ignored: usize,
    failures: Vec<String>,
    tests: Vec<(f64, String)>,
}

impl Tally {
    /// Counts a stage and prints its line.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let tests = tests(&outcome.log);
        let (passed, failed) = match (tests.passed + tests.failed, outcome.failed) {
            (0, false) => (1, 0),
            (0, true) => (0, 1),
            // Every test passed, yet cargo failed: one target did not build.
            (_, true) if tests.failed == 0 => (tests.passed, 1),
            _ => (tests.passed, tests.failed),
        };
        self.passed += passed;
        self.failed += failed;
        self.ignored += tests.ignored;
        self.failures.extend(failures(&outcome.log));
        self.tests.extend(times(&outcome.log));
        let word = if failed == 0 { "ok" } else { "FAILED" };
        let count =
            if passed + failed > 1 { format!("{passed} passed, {failed} failed") } else { String::new() };
        println!("{word:<6} {:<9} {:>7.1} s  {count}", outcome.stage, outcome.took.as_secs_f64());
    }

    /// A part that the stage needs could not be had: that is a failure, not a silence.
    pub(crate) fn unready(&mut self, stage: &str, error: &anyhow::Error) {
        self.failed += 1;
        println!("{:<6} {stage:<9} {error:#}", "FAILED");
    }

    /// Prints what took long, and the last line; true if all went well.
    pub(crate) fn close(&mut self, parts: &str) -> bool {
        println!("{parts}");
        self.tests.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (seconds, name) in self.tests.iter().take(SLOWEST) {
            println!("{seconds:>7.1} s  {name}");
        }
        if self.ignored > 0 {
            println!("{} tests ignored", self.ignored);
        }
        for failure in &self.failures {
            println!("{failure}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tests {
    passed: usize,
    failed: usize,
    ignored: usize,
}

/// Sums up lines like `test result: ok. 4 passed; 0 failed; 1 ignored; …`.
fn tests(log: &str) -> Tests {
    let mut sum = Tests::default();
    for line in log.lines().filter_map(|line| line.trim_start().strip_prefix("test result:")) {
        sum.passed += number_before(line, " passed");
        sum.failed += number_before(line, " failed");
        sum.ignored += number_before(line, " ignored");
    }
    sum
}

/// How long each test took, from lines like `test store::keeps ... ok <1.234s>`.
fn times(log: &str) -> Vec<(f64, String)> {
    let mut program = "";
    let mut times = Vec::new();
    for line in log.lines() {
        if let Some(name) = line.strip_prefix("==== ") {
            program = name.split(':').next().unwrap_or_default();
        }
        let time = || {
            let (name, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
            let seconds = rest.rsplit_once('<')?.1.strip_suffix("s>")?.parse().ok()?;
            Some((seconds, format!("{program} {name}")))
        };
        times.extend(time());
    }
    times
}

/// What each failed test said: its name and the first lines of its panic, from the blocks that begin
/// with `---- name stdout ----`.
fn failures(log: &str) -> Vec<String> {
    let blocks = log.split("\n---- ").skip(1);
    let said = blocks.filter_map(|block| {
        let (name, output) = block.split_once(" stdout ----\n")?;
        let panic = output.lines().skip_while(|line| !line.contains("panicked at")).take(FAILURE_LINES);
        let lines: Vec<&str> = panic.take_while(|line| !line.starts_with("stack backtrace")).collect();
        Some(format!("FAILED {name}\n  {}", lines.join("\n  ")))
    });
    said.collect()
}

fn number_before(line: &str, word: &str) -> usize {
    let before = line.split(word).next().unwrap_or_default();
    let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    if before.len() == line.len() { 0 } else { digits.parse().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(failed: bool, log: &str) -> Outcome {
        Outcome { stage: "test", failed, took: Duration::ZERO, log: log.to_owned() }
    }

    #[test]
    fn result_lines_are_summed() {
        let log = "test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured\nnoise\n\
                   test result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured\n";
        assert_eq!(tests(log), Tests { passed: 14, failed: 2, ignored: 1 });
        assert_eq!(tests("nothing here"), Tests::default());
    }

    #[test]
    fn a_test_says_how_long_it_took() {
        let log = "\n==== broker/edge: 2.0 s\ntest a::b ... ok <1.234s>\ntest c - should panic ... FAILED <0.5s>\n\
                   test d ... ignored\n";
        let want = [(1.234, "broker/edge a::b".to_owned()), (0.5, "broker/edge c - should panic".to_owned())];
        assert_eq!(times(log), want);
    }

    #[test]
    fn a_failed_test_is_named_with_its_panic() {
        let log = "running 2 tests\n\nfailures:\n\n---- store::keeps stdout ----\nnoise\n\
                   thread 'store::keeps' panicked at src/store.rs:7:9:\nleft: 1\nstack backtrace:\n  0: x\n\
                   \n\nfailures:\n    store::keeps\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\n";
        let want = "FAILED store::keeps\n  thread 'store::keeps' panicked at src/store.rs:7:9:\n  left: 1";
        assert_eq!(failures(log), [want]);
        assert!(failures("test result: ok. 4 passed; 0 failed; 1 ignored").is_empty());
    }

    #[test]
    fn a_failure_always_counts() {
        for (failed, log, want) in [
            (false, "", (1, 0)),
            (true, "error[E0001]", (0, 1)),
            (true, "test result: ok. 4 passed; 0 failed; 0 ignored", (4, 1)),
            (true, "test result: FAILED. 3 passed; 2 failed; 0 ignored", (3, 2)),
        ] {
            let mut tally = Tally::default();
            tally.add(&outcome(failed, log));
            assert_eq!((tally.passed, tally.failed), want, "{log}");
            assert_eq!(tally.close("every part was there"), want.1 == 0);
        }
    }
}
