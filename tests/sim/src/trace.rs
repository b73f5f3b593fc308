//! The event log of a run: a digest of everything, and the last lines for whoever reads a violation.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many lines are kept.
const LINES_MAX: usize = 60;

pub(crate) struct Trace {
    hasher: DefaultHasher,
    lines: VecDeque<String>,
    print: bool,
    pub(crate) events: u64,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Self {
        Self { hasher: DefaultHasher::new(), lines: VecDeque::new(), print, events: 0 }
    }

    pub(crate) fn line(&mut self, now_ms: i64, text: &str) {
        let line = format!("{:>10}.{:03} {text}", now_ms / 1_000, now_ms % 1_000);
        line.hash(&mut self.hasher);
        self.events += 1;
        if self.print {
            println!("{line}");
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(crate) fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}
