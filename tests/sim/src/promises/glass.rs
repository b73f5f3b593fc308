//! Broken glass as people broke it: what passes by it is begun while it lasts, and says so to the customer.

use remit_loops::Timestamp;
use remit_loops::break_glass::BreakGlass;

/// The glasses that were broken of one install since it was made.
#[derive(Clone, Default)]
pub(super) struct Glasses(Vec<Broken>);

#[derive(Clone)]
struct Broken {
    glass: BreakGlass,
    /// When somebody ended it before its time, or broke it anew.
    ended: Option<Timestamp>,
}

impl Glasses {
    /// Somebody breaks it for so long, at that time.
    pub(super) fn broken(&mut self, by: &str, reason: &str, since: Timestamp, for_ms: i64) {
        self.mended(since);
        let (by, reason, until) = (by.to_owned(), reason.to_owned(), since.plus_ms(for_ms));
        self.0.push(Broken { glass: BreakGlass { by, reason, since, until }, ended: None });
    }

    /// Somebody ends it.
    pub(super) fn mended(&mut self, at: Timestamp) {
        self.0.iter_mut().for_each(|broken| {
            broken.ended.get_or_insert(at);
        });
    }

    /// Whether one covers what may start at that time. What was under way since before somebody ended it may
    /// be tried again as long as it would have lasted.
    pub(super) fn cover(&self, started: Timestamp, known: Timestamp) -> bool {
        let covers = |Broken { glass, ended }: &Broken| {
            let in_time = glass.since <= started && started < glass.until;
            in_time && ended.is_none_or(|ended| known <= ended)
        };
        self.0.iter().any(covers)
    }

    /// What is wrong with what a job says to the customer of a broken glass.
    pub(super) fn said(&self, said: &BreakGlass) -> Option<String> {
        let is_it = |broken: &Broken| broken.glass == *said;
        (!self.0.iter().any(is_it)).then(|| {
            format!("glass said to be broken by {} until {}, and nobody broke that", said.by, said.until.0)
        })
    }
}
