//! What a rehearsed job is to pretend: a typed, bounded part of a job in sandbox mode, and of no other.
//!
//! It reaches no tool: the rehearsal executor waits so long, and answers so.

use serde::{Deserialize, Serialize};

use super::FailureClass;

/// The longest text in it, in bytes.
pub const REHEARSAL_TEXT_LEN_MAX: usize = 1_024;
/// The longest time that it may take: a day.
pub const REHEARSAL_TAKES_MAX_MS: i64 = 24 * 3_600_000;

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
    pub class: FailureClass,
    /// A tool's words; may be empty.
    pub message: String,
    /// Its code, if not the one that its words stand for.
    pub code: Option<String>,
    /// What to do about it, if not what its words stand for.
    pub hint: Option<String>,
}

impl Rehearsal {
    /// Whether it keeps to its bounds.
    pub fn is_bounded(&self) -> bool {
        let fails = self.fails.iter();
        let texts = fails.flat_map(|f| [Some(&f.message), f.code.as_ref(), f.hint.as_ref()]);
        let mut texts = texts.chain([self.drift.as_ref()]).flatten();
        texts.all(|text| text.len() <= REHEARSAL_TEXT_LEN_MAX)
            && self.takes_ms.is_none_or(|ms| (0..=REHEARSAL_TAKES_MAX_MS).contains(&ms))
    }
}
