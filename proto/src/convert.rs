//! Validated types for everything that crosses the wire, and the way there and back.
//!
//! Reading is strict: a missing field, an unknown value of an enum, anything over its limit
//! is an error with a code (`wire.…`), never a default. Writing is total where it can be:
//! texts for people are cut to their limit, so that no report is lost for its length.

mod differences;
mod identity;
mod lease;
mod plan;
mod proof;
mod report;
mod token;
mod trust;

use crate::limit;

pub use crate::caller::Nonce;

pub use differences::{Attribute, Difference, Differences};
pub use identity::{ArtifactChunk, ArtifactRequest, Enrolment, Identity, Renewal, RunnerInfo};
pub use lease::{
    AttemptRef, Lease, LeaseAnswer, LeasePhase, LeaseRequest, RenewLease, Stop, StopReason, Verdict,
};
pub use plan::{ChangeAction, ChangeCounts, Plan, PlanAnswer, PlanReply, PlannedChange};
pub use proof::{AwsProof, Beginning, Begun};
pub use remit_seal::document::FailureClass;
pub use report::{Completion, Failure, LogChunk, Outcome, Progress, SignedPlace, Success};
pub use token::Token;
pub use trust::{Trust, TrustRequest};

/// A message that is not of the protocol. `code()` is stable and has a heading in `docs/errors/wire.md`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A field that must be there is not.
    #[error("`{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// An enum's zero, which nobody means.
    #[error("`{field}` is unspecified")]
    Unspecified {
        /// The field.
        field: &'static str,
    },
    /// A value of an enum that this version does not know.
    #[error(
        "`{field}` has the value {value}, which this version does not know: bring both sides to the same version"
    )]
    UnknownValue {
        /// The field.
        field: &'static str,
        /// The value.
        value: i32,
    },
    /// Longer than allowed.
    #[error("`{field}` is longer than {max} bytes")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The limit.
        max: usize,
    },
    /// More than allowed.
    #[error("`{field}` has more than {max} entries")]
    TooMany {
        /// The field.
        field: &'static str,
        /// The limit.
        max: usize,
    },
    /// A number outside what is allowed.
    #[error("`{field}` is not between {min} and {max}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// The least allowed.
        min: u64,
        /// The greatest allowed.
        max: u64,
    },
    /// Not of the form that the field has.
    #[error("`{field}` is not {expected}")]
    Malformed {
        /// The field.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

impl WireError {
    /// The stable code, e.g. `wire.missing`.
    pub fn code(&self) -> &'static str {
        match self {
            WireError::Missing { .. } => "wire.missing",
            WireError::Unspecified { .. } => "wire.unspecified",
            WireError::UnknownValue { .. } => "wire.unknown_value",
            WireError::TooLong { .. } => "wire.too_long",
            WireError::TooMany { .. } => "wire.too_many",
            WireError::OutOfRange { .. } => "wire.out_of_range",
            WireError::Malformed { .. } => "wire.malformed",
        }
    }
}

/// At most `max` bytes of a text, cut at a character, with a mark where it was cut.
pub fn cut(text: &str, max: usize) -> String {
    const MARK: &str = " …";
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max.saturating_sub(MARK.len())).rev().find(|at| text.is_char_boundary(*at));
    format!("{}{MARK}", &text[..end.unwrap_or(0)])
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or(WireError::Missing { field })
}

fn non_empty<'a>(field: &'static str, text: &'a str) -> Result<&'a str, WireError> {
    if text.is_empty() { Err(WireError::Missing { field }) } else { Ok(text) }
}

fn bounded(field: &'static str, text: String, max: usize) -> Result<String, WireError> {
    if text.len() > max { Err(WireError::TooLong { field, max }) } else { Ok(text) }
}

fn bounded_bytes(field: &'static str, bytes: Vec<u8>, max: usize) -> Result<Vec<u8>, WireError> {
    if bytes.is_empty() {
        return Err(WireError::Missing { field });
    }
    if bytes.len() > max { Err(WireError::TooLong { field, max }) } else { Ok(bytes) }
}

fn at_most(field: &'static str, count: usize, max: usize) -> Result<(), WireError> {
    if count > max { Err(WireError::TooMany { field, max }) } else { Ok(()) }
}

fn within<N: PartialOrd + Into<u64>>(field: &'static str, number: N, min: N, max: N) -> Result<N, WireError> {
    if (&min..=&max).contains(&&number) {
        return Ok(number);
    }
    Err(WireError::OutOfRange { field, min: min.into(), max: max.into() })
}

fn positive(field: &'static str, number: u64) -> Result<u64, WireError> {
    if number > 0 { Ok(number) } else { Err(WireError::OutOfRange { field, min: 1, max: u64::MAX }) }
}

/// A short text of letters, digits and a few marks, such as a version.
fn word(field: &'static str, text: String) -> Result<String, WireError> {
    non_empty(field, &text)?;
    let text = bounded(field, text, limit::WORD_LEN_MAX)?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+');
    if text.bytes().all(allowed) {
        return Ok(text);
    }
    Err(WireError::Malformed { field, expected: "letters, digits, `.`, `-`, `_` and `+`" })
}

/// A stable code: lower-case words joined by a dot.
fn code(field: &'static str, text: String) -> Result<String, WireError> {
    non_empty(field, &text)?;
    let text = bounded(field, text, limit::CODE_LEN_MAX)?;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_');
    if text.contains('.') && text.bytes().all(allowed) {
        return Ok(text);
    }
    Err(WireError::Malformed { field, expected: "a code such as `area.what`" })
}

/// A bare name, such as a channel's.
fn name(field: &'static str, text: String) -> Result<String, WireError> {
    non_empty(field, &text)?;
    if remit_seal::verify::is_name(&text) {
        return Ok(text);
    }
    Err(WireError::Malformed { field, expected: "a name of a-z, 0-9 and `-`" })
}

/// The id of an install: `ins_` and three names.
fn install_id(field: &'static str, text: String) -> Result<String, WireError> {
    non_empty(field, &text)?;
    let text = bounded(field, text, limit::ID_LEN_MAX)?;
    match remit_seal::document::Audience::of_install(&text, 1, 1) {
        Ok(_) => Ok(text),
        Err(_) => {
            Err(WireError::Malformed { field, expected: "the id of an install, `ins_org.app.install`" })
        }
    }
}
