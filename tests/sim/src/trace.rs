//! The event log of a run: a digest of everything, and the last lines for whoever reads a violation.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many lines are kept.
const LINES_MAX: usize = 60;

pub(crate) struct Trace {
    hasher: DefaultHasher,
    last: VecDeque<String>,
    print: bool,
    pub(crate) lines: u64,
}

impl Trace {
    pub(crate) fn new(print: bool) -> Self {
        Self { hasher: DefaultHasher::new(), last: VecDeque::new(), print, lines: 0 }
    }

    pub(crate) fn line(&mut self, now_ms: i64, text: &str) {
        let line = format!("{:>10}.{:03} {text}", now_ms / 1_000, now_ms % 1_000);
        line.hash(&mut self.hasher);
        self.lines += 1;
        if self.print {
            println!("{line}");
        }
        if self.last.len() == LINES_MAX {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    pub(crate) fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.last.into()
    }
}
