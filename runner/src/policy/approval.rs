//! What the customer approved, denied and revoked: documents signed with a key that only the customer has, put
//! into the data directory or sent to the status API. The broker has no say in it.
//!
//! They are kept by their content, so that no number of copies of one pushes out another.

pub mod judge;
pub mod waiting;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use remit_seal::customer::{CustomerApproval, Subject, Word};
use remit_seal::document::KeySpec;
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::{Digest, Refusal, strict, verify};

use crate::error::{Coded, now_ms};
use crate::storage::data_dir::{DataDir, make_dir, read_bounded, remove_file, write_atomic};

/// The folder of the data directory.
pub const FOLDER: &str = "approvals";
const FILE_LEN_MAX: u64 = 16 * 1024;
/// How many are kept.
const KEPT_MAX: usize = 1000;
/// How far the clock of whoever signs may be ahead of the runner's.
const AHEAD_MAX_MS: i64 = 10 * 60 * 1000;

/// Why an approval is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runner knows no key of the customer's.
    #[error("this runner was given no key of the customer's")]
    NoKey,
    /// It is not one, or not signed by the customer.
    #[error("the approval is not believed")]
    Refused(#[from] Refusal),
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
    /// It was signed by a clock that is ahead.
    #[error("the approval was signed {0} ms in the future")]
    Ahead(i64),
    /// There is no room, and nothing that may make some.
    #[error("{KEPT_MAX} words of the customer's are kept, and none of them is over")]
    Full,
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
            Error::Ahead(_) => "runner.approval_ahead",
            Error::Full => "runner.approvals_full",
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
            Error::Ahead(_) => "set the clock of the machine that signs, and sign it anew".to_owned(),
            Error::Full => "revoke what is not needed any more: `remit-runner approvals list`".to_owned(),
            Error::Io { .. } => "check the data directory and its disk".to_owned(),
        }
    }
}

/// A word of the customer's, signed by one of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Believed {
    /// What it says.
    pub said: CustomerApproval,
    /// The digest of its payload, which is what names it.
    pub digest: Digest,
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

    /// All words of the customer's that count now, the oldest first: neither over nor revoked.
    pub fn words(&self) -> Vec<Believed> {
        if self.keys.is_empty() {
            return Vec::new();
        }
        let all = files(&self.dir).unwrap_or_default().into_iter().filter_map(|path| {
            let bytes = read_bounded(&path, FILE_LEN_MAX).ok().flatten()?;
            self.believe(&bytes).ok()
        });
        in_force(all.collect())
    }

    /// Whether the customer has signed that whoever holds a lock so is gone.
    pub fn breaks(&self, holding: &str) -> Option<CustomerApproval> {
        let of_it = |word: &Believed| matches!(&word.said.subject, Subject::Lock(of) if of == holding);
        self.words().into_iter().find(of_it).map(|word| word.said)
    }

    /// The newest word by which the marks are counted anew.
    pub fn resets_marks(&self) -> Option<Believed> {
        self.words().into_iter().rfind(|word| word.said.subject == Subject::Marks)
    }

    /// Takes the files of words away that have ended. That they have is on record: one that is put back counts no
    /// more.
    pub fn forget(&self, digests: &[String]) {
        for kept in kept(&self.dir).unwrap_or_default() {
            if digests.contains(&kept.digest.hex())
                && let Err(error) = remove_file(&kept.path)
            {
                tracing::warn!(%error, path = %kept.path.display(), "an approval that has ended cannot be removed");
            }
        }
    }

    /// Takes one in, if it is the customer's and counts.
    pub fn take(&self, bytes: &[u8]) -> Result<CustomerApproval, Error> {
        let word = self.believe(bytes)?;
        keep(&self.dir, bytes)?;
        Ok(word.said)
    }

    fn believe(&self, bytes: &[u8]) -> Result<Believed, Error> {
        if self.keys.is_empty() {
            return Err(Error::NoKey);
        }
        let word = verify::customer_approval(&self.keys, bytes)?;
        let said = word.get();
        if said.install != self.install {
            return Err(Error::Foreign { found: said.install.clone(), wanted: self.install.clone() });
        }
        let now = now_ms();
        if said.until_ms <= now {
            return Err(Error::Over(said.until_ms));
        }
        if said.at_ms > now + AHEAD_MAX_MS {
            return Err(Error::Ahead(said.at_ms - now));
        }
        Ok(Believed { said: said.clone(), digest: word.digest() })
    }
}

/// Each once, the oldest first, without those that a later one revokes.
pub fn in_force(mut words: Vec<Believed>) -> Vec<Believed> {
    words.sort_by_key(|word| (word.said.at_ms, word.digest));
    words.dedup_by_key(|word| word.digest);
    let revoked: BTreeSet<Digest> = words.iter().filter_map(revokes).collect();
    words.retain(|word| !revoked.contains(&word.digest));
    words
}

fn revokes(word: &Believed) -> Option<Digest> {
    match (&word.said.subject, word.said.word) {
        (Subject::Word(digest), Word::Revoked) => Some(*digest),
        (
            Subject::Content(_) | Subject::Every(_) | Subject::Lock(_) | Subject::Word(_) | Subject::Marks,
            Word::Approved | Word::Denied | Word::Revoked,
        ) => None,
    }
}

/// What lies in the folder, whoever signed it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where.
    pub path: PathBuf,
    /// What it says.
    pub said: CustomerApproval,
    /// The digest of its payload.
    pub digest: Digest,
}

/// Everything in the folder that has the form of a word; whether it counts, the runner decides.
pub fn kept(dir: &Path) -> io::Result<Vec<Kept>> {
    let read = |path: PathBuf| {
        let bytes = read_bounded(&path, FILE_LEN_MAX).ok().flatten()?;
        let envelope = Envelope::parse(&bytes, PayloadType::Approval).ok()?;
        let said = strict::from_slice(&envelope.payload).ok()?;
        Some(Kept { path, said, digest: envelope.payload_digest() })
    };
    Ok(files(dir)?.into_iter().filter_map(read).collect())
}

/// Puts a signed word where the runner looks for it. The same word takes the same place; what is over makes
/// room, and for a word that takes away, an approval does.
pub fn keep(dir: &Path, bytes: &[u8]) -> Result<PathBuf, Error> {
    let io = |source| Error::Io { path: dir.to_owned(), source };
    make_dir(dir).map_err(io)?;
    let envelope = Envelope::parse(bytes, PayloadType::Approval)?;
    let said: CustomerApproval = strict::from_slice(&envelope.payload)?;
    let path = dir.join(format!("{}.json", envelope.payload_digest().hex()));
    if !path.exists() {
        make_room(dir, &said)?;
    }
    write_atomic(&path, bytes).map_err(io)?;
    Ok(path)
}

fn make_room(dir: &Path, for_word: &CustomerApproval) -> Result<(), Error> {
    let io = |source| Error::Io { path: dir.to_owned(), source };
    if files(dir).map_err(io)?.len() < KEPT_MAX {
        return Ok(());
    }
    let mut words = kept(dir).map_err(io)?;
    let known: BTreeSet<&PathBuf> = words.iter().map(|word| &word.path).collect();
    let strange: Vec<PathBuf> =
        files(dir).map_err(io)?.into_iter().filter(|path| !known.contains(path)).collect();
    let now = now_ms();
    let over = words.iter().filter(|word| word.said.until_ms <= now).map(|word| word.path.clone());
    for path in strange.iter().cloned().chain(over) {
        remove_file(&path).map_err(io)?;
    }
    if files(dir).map_err(io)?.len() < KEPT_MAX {
        return Ok(());
    }
    // A denial pushes nothing out but what it is stronger than anyway.
    words.retain(|word| word.said.word == Word::Approved && word.said.until_ms > now);
    let soonest = words.iter().min_by_key(|word| word.said.until_ms);
    match soonest.filter(|_| for_word.word != Word::Approved) {
        Some(word) => remove_file(&word.path).map_err(io),
        None => Err(Error::Full),
    }
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

#[cfg(test)]
mod tests;
