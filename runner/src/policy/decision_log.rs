//! Questions that were asked, kept so that another policy can be asked them: the newest, so many.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Decision, Error, Question};
use crate::storage::data_dir::{DataDir, make_dir, read_bounded, remove_file, write_atomic};
use crate::storage::journal::Reference;

/// How many are kept.
pub(crate) const KEPT_MAX: usize = 512;
const FILE_LEN_MAX: u64 = 256 * 1024;
/// The folder of the data directory.
pub(crate) const FOLDER: &str = "questions";

/// A question with what was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// The question.
    pub question: Question,
    /// The answer's code.
    pub answer: String,
    /// By which policy.
    pub policy: Reference,
}

/// The folder that they are kept in.
#[derive(Clone, Debug)]
pub struct Past {
    dir: PathBuf,
}

impl Past {
    /// In this data directory.
    pub fn new(dir: &DataDir) -> Self {
        Self { dir: dir.path(FOLDER) }
    }

    /// Keeps one, in place of the oldest; that it cannot be kept stops nothing.
    pub fn keep(
        &self,
        (seq, stage): (u64, &str),
        question: &Question,
        decision: &Decision,
        policy: &Reference,
    ) {
        let answer = decision.answer.code().to_owned();
        let asked = Asked { question: question.clone(), answer, policy: policy.clone() };
        if let Err(error) = self.try_keep(&format!("{seq:012}-{stage}.json"), &asked) {
            tracing::warn!(%error, "a question to the policy cannot be kept");
        }
    }

    fn try_keep(&self, name: &str, asked: &Asked) -> io::Result<()> {
        make_dir(&self.dir)?;
        write_atomic(&self.dir.join(name), &serde_json::to_vec_pretty(asked)?)?;
        let mut kept = files(&self.dir)?;
        for old in kept.drain(..kept.len().saturating_sub(KEPT_MAX)) {
            remove_file(&old)?;
        }
        Ok(())
    }
}

/// The files of a folder of questions, oldest first.
pub(crate) fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
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

/// Reads one back.
pub(crate) fn read(path: &Path) -> Result<Asked, Error> {
    let wrong = |detail: String| Error::Question { path: path.to_owned(), detail };
    let bytes = read_bounded(path, FILE_LEN_MAX).map_err(|e| wrong(e.to_string()))?;
    let bytes = bytes.ok_or_else(|| wrong("there is no such file".to_owned()))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))
}
