//! The customer's own word on what a vendor wants to do.

use serde::{Deserialize, Serialize};

/// An approval or a denial, signed with a key that only the customer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerApproval {
    /// The install's id.
    pub install: String,
    /// What it is about.
    pub subject: Subject,
    /// What the customer says.
    pub word: Word,
    /// Who, for people.
    pub by: String,
    /// When it was signed.
    pub at_ms: i64,
    /// After this it counts no more.
    pub until_ms: i64,
}

/// What is approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Subject {
    /// One saved plan, by the sha256 of its file, hexadecimal.
    Plan(String),
    /// One job, every attempt of it.
    Job(String),
    /// Every job of this operation.
    Operation(String),
    /// One holding of a component's lock, by its sha256, hexadecimal: whoever holds it so is gone for good.
    Lock(String),
}

/// What the customer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Go on.
    Approved,
    /// Do not.
    Denied,
}
