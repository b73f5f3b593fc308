//! How an attempt ended, as it is journalled and reported.

mod differences;
mod facts;

use std::collections::BTreeMap;

use remit_proto::limit;
use remit_seal::Digest;
use remit_seal::document::Value;
use serde::{Deserialize, Serialize};

use crate::stop::Reason;

pub use differences::{Attribute, Difference, Differences};
pub use facts::{Count, PlanFacts, SavedPlan, SourceFacts};

pub use remit_proto::limit::MESSAGE_LEN_MAX;
pub use remit_seal::document::FailureClass as Class;

/// Names one attempt; every word about it carries this.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt {
    /// The job's id.
    pub job: String,
    /// The try, from 1.
    pub attempt: u32,
    /// Makes every older holder's words void.
    pub fence: u64,
}

impl Attempt {
    /// The mark that each process of this attempt carries in its environment.
    pub fn mark(&self) -> String {
        format!("{}.{}", self.job, self.attempt)
    }
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} attempt {}", self.job, self.attempt)
    }
}

/// How an attempt ended. The first terminal word is final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what it was asked.
    Succeeded(Success),
    /// It tried and could not.
    Failed(Failure),
    /// It was stopped.
    Cancelled {
        /// By whom or why.
        message: String,
    },
    /// It was not begun.
    Refused {
        /// The code of the check that refused it.
        code: String,
        /// Why.
        message: String,
    },
}

impl Outcome {
    /// One word, for metrics and screens.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Succeeded(_) => "succeeded",
            Outcome::Failed(_) => "failed",
            Outcome::Cancelled { .. } => "cancelled",
            Outcome::Refused { .. } => "refused",
        }
    }
}

/// What came of a success; nothing here is sensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Success {
    /// Outputs that may leave the account.
    pub outputs: BTreeMap<String, Value>,
    /// Things made, changed, removed, replaced.
    pub changes: Changes,
    /// For a drift check: the world differs from what was deployed.
    pub drifted: bool,
    /// One line for people.
    pub summary: String,
    /// What was planned, or done by a plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// For a destroy: how it was made sure that nothing is left, after the destroying; empty where nobody could
    /// look.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub swept: String,
    /// What differs from what was deployed.
    #[serde(default, skip_serializing_if = "Differences::is_empty")]
    pub differences: Differences,
}

/// What a plan would change, or has changed; no value of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Of the saved plan and all that goes into it.
    pub digest: Digest,
    /// What it changes.
    pub planned: Planned,
    /// The customer's remit wants the customer's approval of it.
    pub customer_approval_needed: bool,
}

/// Changes that are planned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// All of them, counted.
    pub changes: Changes,
    /// The first of them.
    pub list: Vec<PlannedChange>,
    /// How many are not in the list.
    pub more: u32,
}

impl Planned {
    /// Lists one more, or counts it as not listed; the counts are the caller's.
    pub fn push(&mut self, address: String, action: ChangeAction) {
        if self.list.len() < limit::PLAN_LIST_MAX {
            let address = cut(address, limit::ADDRESS_LEN_MAX);
            self.list.push(PlannedChange { address, action });
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// What would be done, in a line.
    pub fn summary(&self) -> String {
        let counts = self.changes.counts();
        let said: Vec<String> = counts.iter().map(|(n, word, _)| format!("{n} to {word}")).collect();
        if said.is_empty() {
            "planned: no changes".to_owned()
        } else {
            format!("planned: {}", said.join(", "))
        }
    }
}

/// One planned change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// What is changed.
    pub address: String,
    /// How.
    pub action: ChangeAction,
}

/// How something is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// Made.
    Create,
    /// Changed in place.
    Update,
    /// Removed.
    Delete,
    /// Removed and made anew.
    Replace,
    /// Taken over: it was there before.
    Import,
    /// Left where it is, and known no more.
    Forget,
    /// Known under another address.
    Move,
    /// The tool has a word for it that is not known here.
    Other,
}

impl ChangeAction {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeAction::Create => "create",
            ChangeAction::Update => "update",
            ChangeAction::Delete => "delete",
            ChangeAction::Replace => "replace",
            ChangeAction::Import => "take over",
            ChangeAction::Forget => "forget",
            ChangeAction::Move => "move",
            ChangeAction::Other => "unknown",
        }
    }
}

/// How many things were changed, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Made.
    pub create: u32,
    /// Changed in place.
    pub update: u32,
    /// Removed.
    pub delete: u32,
    /// Removed and made anew.
    pub replace: u32,
    /// Taken over: it was there before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub import: u32,
    /// Left where it is, and known no more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forget: u32,
    /// Known under another address.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moved: u32,
    /// Something that the tool has a word for which is not known here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other: u32,
    /// Outputs whose value changes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub outputs: u32,
}

/// What is not said where there is none.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Changes {
    /// Counts one.
    pub fn count(&mut self, action: ChangeAction) {
        match action {
            ChangeAction::Create => self.create += 1,
            ChangeAction::Update => self.update += 1,
            ChangeAction::Delete => self.delete += 1,
            ChangeAction::Replace => self.replace += 1,
            ChangeAction::Import => self.import += 1,
            ChangeAction::Forget => self.forget += 1,
            ChangeAction::Move => self.moved += 1,
            ChangeAction::Other => self.other += 1,
        }
    }

    /// All things that are made, changed, removed or taken over.
    pub fn total(&self) -> u32 {
        self.create + self.update + self.delete + self.replace + self.import + self.other
    }

    /// Each count that is not none, with the words for what would be and for what was done.
    fn counts(&self) -> Vec<(u32, &'static str, &'static str)> {
        let Changes { create, update, delete, replace, import, forget, moved, other, outputs } = *self;
        let all = [
            (create, "create", "created"),
            (update, "update", "updated"),
            (replace, "replace", "replaced"),
            (delete, "remove", "removed"),
            (import, "take over", "taken over"),
            (forget, "forget", "forgotten"),
            (moved, "move", "moved"),
            (other, "change in a way that is not known here", "changed in a way that is not known here"),
        ];
        let counts: Vec<_> = all.into_iter().filter(|(n, ..)| *n > 0).collect();
        // Outputs follow from the rest; alone they are what is changed.
        let alone = (outputs, "change as an output only", "changed as an output only");
        if counts.is_empty() && outputs > 0 { vec![alone] } else { counts }
    }
}

impl std::fmt::Display for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said: Vec<String> = self.counts().iter().map(|(n, _, word)| format!("{n} {word}")).collect();
        f.write_str(&if said.is_empty() { "no changes".to_owned() } else { said.join(", ") })
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What sort of failure it is.
    pub class: Class,
    /// A stable code, e.g. `executor.tool_missing`.
    pub code: String,
    /// The tool's own words, redacted.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Failure {
    /// A failure with these words; the message is cut to its bound.
    pub fn new(class: Class, code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let message = cut(message.into(), MESSAGE_LEN_MAX);
        Self { class, code: code.to_owned(), message, hint: cut(hint.into(), MESSAGE_LEN_MAX) }
    }

    /// The disk of the data directory does not take, or give, what it must.
    pub fn disk(error: &std::io::Error) -> Self {
        let hint = "make room on the disk of the runner's data directory, or mend it";
        Self::new(Class::Transient, "executor.disk", error.to_string(), hint)
    }
}

/// At most `max` bytes of a text, cut at a character, with a mark where it was cut.
pub fn cut(mut text: String, max: usize) -> String {
    const MARK: &str = " …";
    if text.len() > max {
        let mut end = max.saturating_sub(MARK.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MARK);
    }
    text
}

/// Why it was not done.
#[derive(Clone, Debug)]
pub enum Undone {
    /// It failed.
    Failed(Failure),
    /// It was stopped.
    Stopped(Reason),
    /// It was not begun: nothing was changed.
    Refused {
        /// The stable code of the check that refused it.
        code: &'static str,
        /// Why.
        message: String,
    },
}

impl From<Failure> for Undone {
    fn from(failure: Failure) -> Self {
        Undone::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let text = cut("ä".repeat(4000), MESSAGE_LEN_MAX);
        assert!(text.len() <= MESSAGE_LEN_MAX);
        assert!(text.ends_with('…'));
    }

    #[test]
    fn changes_are_said_in_words() {
        let changes = Changes { create: 2, replace: 1, ..Changes::default() };
        assert_eq!(changes.to_string(), "2 created, 1 replaced");
        assert_eq!(Changes::default().to_string(), "no changes");
    }
}
