//! The customer's own word on what a vendor wants to do.

mod content;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

pub use content::{Content, Program};

/// An approval, a denial or a revocation, signed with a key that only the customer has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerApproval {
    /// The install's id.
    pub install: String,
    /// What it is about.
    pub subject: Subject,
    /// What the customer says.
    pub word: Word,
    /// The subject in words, as it was shown to whoever signed. Nothing is decided by it.
    pub what: String,
    /// Who, for people.
    pub by: String,
    /// When it was signed.
    pub at_ms: i64,
    /// After this it counts no more.
    pub until_ms: i64,
}

/// What is approved, denied or revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Subject {
    /// The content of a job, good for its retries until one has succeeded; or a program of the vendor's, good for
    /// every run of it. By its digest.
    Content(Digest),
    /// Every job of an operation, whatever its content is.
    Every(Every),
    /// One holding of a component's lock, by its sha256, hexadecimal: whoever holds it so is gone for good.
    Lock(String),
    /// An earlier word of the customer's, by the digest of its payload: it counts no more.
    Word(Digest),
    /// The sequence numbers and fences that were accepted: they are counted anew.
    Marks,
}

/// Many jobs at once, none of them by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Every {
    /// The operation.
    pub operation: String,
    /// The component; of every one where none is named.
    pub component: Option<String>,
    /// By which releases; by every one where none are named.
    pub releases: Option<Releases>,
}

/// Releases by their counters, both ends among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Releases {
    /// The lowest.
    pub from: u64,
    /// The highest.
    pub to: u64,
}

/// What the customer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Go on.
    Approved,
    /// Do not.
    Denied,
    /// An earlier word counts no more.
    Revoked,
}

impl Every {
    /// Whether it is of this job.
    pub fn covers(&self, operation: &str, component: &str, counter: u64) -> bool {
        self.operation == operation
            && self.component.as_ref().is_none_or(|own| own == component)
            && self.releases.is_none_or(|own| (own.from..=own.to).contains(&counter))
    }

    /// Whether every job that it is of is one of the other's, too.
    pub fn is_within(&self, other: &Every) -> bool {
        let within = |own: &Releases, of: &Releases| own.from >= of.from && own.to <= of.to;
        let releases = match (&self.releases, &other.releases) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(own), Some(of)) => within(own, of),
        };
        self.operation == other.operation
            && (other.component.is_none() || self.component == other.component)
            && releases
    }
}
