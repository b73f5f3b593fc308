//! The shortest story that still ends badly: fewer installs, less time, fewer misfortunes.

use std::collections::BTreeSet;

use crate::luck::Struck;
use crate::scenario::{HOUR_MS, Outcome, Scenario};

/// How many runs one search may take.
const RUNS_MAX: usize = 300;

/// A scenario that breaks the same promise, as small as it was found.
pub(crate) struct Shrunk {
    pub(crate) scenario: Scenario,
    pub(crate) outcome: Outcome,
    pub(crate) runs: usize,
}

struct Search {
    /// The promise: the first word of the violation.
    promise: String,
    best: Scenario,
    outcome: Outcome,
    runs: usize,
}

/// The promise that a violation breaks.
fn promise(violation: &str) -> String {
    violation.split_whitespace().next().unwrap_or_default().to_owned()
}

/// Searches for the smallest scenario that breaks what this one breaks; none if it breaks nothing.
pub(crate) fn shrink(scenario: &Scenario) -> Option<Shrunk> {
    let outcome = scenario.run();
    let promise = promise(outcome.violation.as_ref()?);
    let keep = Some(outcome.struck.iter().copied().collect());
    let best = Scenario { keep, ..scenario.clone() };
    let mut search = Search { promise, best, outcome, runs: 1 };
    search.fewer_installs(scenario.installs as usize);
    search.less_time();
    search.fewer_misfortunes();
    search.fewer_installs(scenario.installs as usize);
    search.less_time();
    let Search { best, outcome, runs, .. } = search;
    Some(Shrunk { scenario: best, outcome, runs })
}

impl Search {
    /// Whether it still ends so; then it is the best one so far.
    fn try_it(&mut self, scenario: Scenario) -> bool {
        if self.runs >= RUNS_MAX {
            return false;
        }
        self.runs += 1;
        let outcome = scenario.run();
        let is_same = outcome.violation.as_ref().is_some_and(|v| promise(v) == self.promise);
        if is_same {
            let struck = outcome.struck.iter().copied().collect();
            self.best = Scenario { keep: Some(struck), ..scenario };
            self.outcome = outcome;
        }
        is_same
    }

    fn fewer_installs(&mut self, installs: usize) {
        for install in 0..installs {
            if !self.best.without.contains(&install) && self.best.without.len() + 1 < installs {
                let mut without = self.best.without.clone();
                without.insert(install);
                self.try_it(Scenario { without, ..self.best.clone() });
            }
        }
    }

    fn less_time(&mut self) {
        // Nothing after the violation counts; a violation at rest may need less bad luck before.
        let end_ms = (self.outcome.simulated_ms / 60_000 + 1) * 60_000;
        if end_ms < self.best.length_ms {
            self.try_it(Scenario { length_ms: end_ms, ..self.best.clone() });
        }
        for divisor in [8, 4, 2] {
            let length_ms = (self.best.length_ms / divisor).max(HOUR_MS / 60);
            if length_ms < self.best.length_ms && self.try_it(Scenario { length_ms, ..self.best.clone() }) {
                return;
            }
        }
    }

    /// Delta debugging: leaves out ever smaller parts of what struck.
    fn fewer_misfortunes(&mut self) {
        let mut parts = 2;
        loop {
            let struck: Vec<Struck> = self.best.keep.iter().flatten().copied().collect();
            if struck.is_empty() || self.runs >= RUNS_MAX {
                return;
            }
            let size = struck.len().div_ceil(parts);
            let without = |part: &[Struck]| -> BTreeSet<Struck> {
                struck.iter().filter(|one| !part.contains(one)).copied().collect()
            };
            let smaller = struck.chunks(size).any(|part| {
                let keep = Some(without(part));
                self.try_it(Scenario { keep, ..self.best.clone() })
            });
            match (smaller, size) {
                (true, _) => parts = parts.saturating_sub(1).max(2),
                (false, 1) => return,
                (false, _) => parts = (parts * 2).min(struck.len()),
            }
        }
    }
}

/// The command that shows it again.
pub(crate) fn command(scenario: &Scenario) -> String {
    let list = |items: Vec<String>| items.join(",");
    let mut words = vec![format!(
        "cargo sim --seed {} --installs {} --minutes {} --trace",
        scenario.seed,
        scenario.installs,
        scenario.length_ms / 60_000
    )];
    if let Some(bug) = scenario.bug {
        words.push(format!("--bug {}", bug.name()));
    }
    if !scenario.without.is_empty() {
        words.push(format!("--without {}", list(scenario.without.iter().map(usize::to_string).collect())));
    }
    if let Some(keep) = &scenario.keep {
        let keep = list(keep.iter().map(Struck::to_string).collect());
        words.push(format!("--only {}", if keep.is_empty() { "nothing".to_owned() } else { keep }));
    }
    words.join(" ")
}
