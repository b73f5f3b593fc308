//! What went wrong, as a person at a terminal or a program reads it, and the exit code it means.

use std::fmt;

use serde::Serialize;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something on this machine: a file, a program.
    Local = 1,
    /// The command line or the product's file is wrong; nothing was sent.
    Usage = 2,
    /// The broker, or a check before it, said no.
    Refused = 3,
    /// There is no such thing.
    NotFound = 4,
    /// The broker cannot be reached, or not now.
    Unavailable = 5,
    /// It was accepted and then failed, was cancelled, or waits for a person.
    Failed = 6,
}

/// The exit codes, for `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  something on this machine is in the way (a file, a program)
  2  the command line or remit.toml is wrong; nothing was sent
  3  refused: by the broker, or by a check before it was asked
  4  no such thing
  5  the broker cannot be reached, or not now: try again
  6  accepted, but the operation failed, was cancelled or waits for a person";

/// A failure with all that is said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// A stable code with a section in `docs/errors/`.
    pub code: String,
    /// What is the matter.
    pub message: String,
    /// What to do next; may be empty.
    pub hint: String,
    /// How the program ends.
    #[serde(skip)]
    pub exit: Exit,
    /// More of it, where there is more.
    #[serde(flatten)]
    pub more: Option<Box<More>>,
}

/// What a failure may hold beside its message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct More {
    /// What is shown instead of code and message, where a picture says it better.
    #[serde(skip)]
    pub picture: String,
    /// The same for programs.
    pub details: serde_json::Value,
}

impl Failure {
    /// A failure.
    pub fn new(exit: Exit, code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: hint.into(), exit, more: None }
    }

    /// A mistake on the command line.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "cli.usage", message, hint)
    }

    /// A file that could not be read or written.
    pub fn file(what: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let message = format!("cannot {what} {}: {error}", path.display());
        Self::new(Exit::Local, "cli.file", message, "check the path and its permissions")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.code, self.message)
    }
}

impl std::error::Error for Failure {}

/// What a step of the program gives.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// An error and all that it stems from, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}
