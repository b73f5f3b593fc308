//! What the customer approved or denied: documents signed with a key that only the customer has, put into
//! the data directory or sent to the status API. The broker has no say in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use remit_seal::document::{CustomerApproval, KeySpec, Subject, Word};
use remit_seal::{Digest, Refusal, verify};

use crate::error::{Coded, now_ms};
use crate::storage::data_dir::{DataDir, read_bounded, remove_file, write_atomic};

/// The folder of the data directory.
pub const FOLDER: &str = "approvals";
const FILE_LEN_MAX: u64 = 16 * 1024;
/// How many are kept; the oldest make room.
const KEPT_MAX: usize = 1000;

/// Why an approval is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runner knows no key of the customer's.
    #[error("this runner was given no key of the customer's")]
    NoKey,
    /// It is not one, or not signed by the customer.
    #[error("the approval is not believed")]
    Refused(#[source] Refusal),
    /// It is for another install.
    #[error("the approval is for {found}, not for {wanted}")]
    Foreign {
        /// For whom it is.
        found: String,
        /// Whose runner this is.
        wanted: String,
    },
    /// Its time is over.
    #[error("the approval ended at {0} ms")]
    Over(i64),
    /// The disk did not take it.
    #[error("the approval cannot be kept in {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::NoKey => "runner.customer_key_missing",
            Error::Refused(refusal) => refusal.code(),
            Error::Foreign { .. } => "runner.approval_foreign",
            Error::Over(_) => "runner.approval_over",
            Error::Io { .. } => "runner.data_dir_io",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::NoKey => {
                "make one with `remit-runner customer-key`, and start the runner with --customer-key FILE.pub"
                    .to_owned()
            }
            Error::Refused(_) => {
                "sign it with the key whose public half the runner was started with (--customer-key)"
                    .to_owned()
            }
            Error::Foreign { .. } => "sign it anew for this install".to_owned(),
            Error::Over(_) => "sign it anew, with a later --until".to_owned(),
            Error::Io { .. } => "check the data directory and its disk".to_owned(),
        }
    }
}

/// The customer's word, as far as this runner has it.
#[derive(Clone, Debug)]
pub struct Approvals {
    dir: PathBuf,
    keys: Vec<KeySpec>,
    install: String,
}

impl Approvals {
    /// Those in this data directory that one of these keys signed.
    pub fn new(dir: &DataDir, keys: Vec<KeySpec>, install: String) -> Self {
        Self { dir: dir.path(FOLDER), keys, install }
    }

    /// Whether there is a key that could approve anything.
    pub fn has_key(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The customer's newest word on any of these, while it counts.
    pub fn word(&self, subjects: &[Subject]) -> Option<CustomerApproval> {
        newest(&self.words(), subjects).cloned()
    }

    /// All words of the customer's that count now.
    pub fn words(&self) -> Vec<CustomerApproval> {
        if self.keys.is_empty() {
            return Vec::new();
        }
        let all = files(&self.dir).unwrap_or_default().into_iter().filter_map(|path| {
            let bytes = read_bounded(&path, FILE_LEN_MAX).ok().flatten()?;
            self.believe(&bytes).ok()
        });
        all.collect()
    }

    /// Takes one in, if it is the customer's and counts.
    pub fn take(&self, bytes: &[u8]) -> Result<CustomerApproval, Error> {
        let approval = self.believe(bytes)?;
        keep(&self.dir, bytes)?;
        Ok(approval)
    }

    fn believe(&self, bytes: &[u8]) -> Result<CustomerApproval, Error> {
        if self.keys.is_empty() {
            return Err(Error::NoKey);
        }
        let approval = verify::customer_approval(&self.keys, bytes).map_err(Error::Refused)?.get().clone();
        if approval.install != self.install {
            return Err(Error::Foreign { found: approval.install, wanted: self.install.clone() });
        }
        if approval.until_ms <= now_ms() {
            return Err(Error::Over(approval.until_ms));
        }
        Ok(approval)
    }
}

/// The newest word on any of these.
pub fn newest<'a>(words: &'a [CustomerApproval], subjects: &[Subject]) -> Option<&'a CustomerApproval> {
    words.iter().filter(|word| subjects.contains(&word.subject)).max_by_key(|word| word.at_ms)
}

/// Puts a signed approval where the runner looks for it.
pub fn keep(dir: &Path, bytes: &[u8]) -> Result<PathBuf, Error> {
    let io = |source| Error::Io { path: dir.to_owned(), source };
    crate::storage::data_dir::make_dir(dir).map_err(io)?;
    let path = dir.join(format!("{:013}-{}.json", now_ms(), &Digest::of(bytes).hex()[..16]));
    write_atomic(&path, bytes).map_err(io)?;
    let mut kept = files(dir).map_err(io)?;
    for old in kept.drain(..kept.len().saturating_sub(KEPT_MAX)) {
        remove_file(&old).map_err(io)?;
    }
    Ok(path)
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether this word lets it go on.
pub fn approves(word: &CustomerApproval) -> bool {
    word.word == Word::Approved
}
