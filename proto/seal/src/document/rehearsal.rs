//! What a rehearsed job is to pretend: a typed, bounded part of a job in sandbox mode, and of no other.
//!
//! It reaches no tool: the rehearsal executor waits so long, and answers so.

use serde::{Deserialize, Serialize};

/// The longest text in it, in bytes.
const TEXT_LEN_MAX: usize = 1_024;
/// The longest time that it may take: a day.
const TAKES_MS_MAX: i64 = 24 * 3_600_000;

/// What one attempt is to pretend. What it does not say, the runner makes up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// How long it takes.
    pub takes_ms: Option<i64>,
    /// What it says that it changed.
    pub changes: Option<PretendedChanges>,
    /// How it ends, if not well.
    pub fails: Option<PretendedFailure>,
    /// For a drift check: what differs.
    pub drift: Option<String>,
}

/// How many things are said to be changed, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretendedChanges {
    /// Made.
    pub create: u32,
    /// Changed in place.
    pub update: u32,
    /// Removed.
    pub delete: u32,
    /// Removed and made anew.
    pub replace: u32,
}

/// A failure that is pretended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretendedFailure {
    /// Its class.
    pub class: PretendedClass,
    /// A tool's words; may be empty.
    pub message: String,
    /// Its code, if not the one that its words stand for.
    pub code: Option<String>,
    /// What to do about it, if not what its words stand for.
    pub hint: Option<String>,
}

/// Sorts of failure, by what ends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PretendedClass {
    /// Somebody must grant something.
    Permission,
    /// Somebody must raise a limit.
    Quota,
    /// Somebody must pay.
    Billing,
    /// Something else owns the thing.
    Conflict,
    /// Something changed or stopped it from outside.
    Interference,
    /// It may work the next time.
    Transient,
    /// It took too long.
    Timeout,
    /// The product is wrong.
    Bug,
}

impl Rehearsal {
    /// Whether it keeps to its bounds.
    pub fn is_bounded(&self) -> bool {
        let fails = self.fails.iter();
        let texts = fails.flat_map(|f| [Some(&f.message), f.code.as_ref(), f.hint.as_ref()]);
        let mut texts = texts.chain([self.drift.as_ref()]).flatten();
        texts.all(|text| text.len() <= TEXT_LEN_MAX)
            && self.takes_ms.is_none_or(|ms| (0..=TAKES_MS_MAX).contains(&ms))
    }
}
