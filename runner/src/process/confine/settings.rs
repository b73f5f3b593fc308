//! What the customer says about the confinement of jobs.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;

use super::{Error, Limits};

/// What to do where the machine cannot confine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strictness {
    /// Do not start.
    #[default]
    Required,
    /// Do what can be done, and say in the status what that is.
    Best,
}

impl Strictness {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Strictness::Required => "required",
            Strictness::Best => "best",
        }
    }
}

/// The settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What to do where the machine cannot confine.
    pub strictness: Strictness,
    /// Whether jobs may ask the machine's metadata service.
    pub metadata: bool,
    /// What jobs may read beside the system's own directories.
    pub read: Vec<PathBuf>,
    /// What jobs may change beside their own places.
    pub write: Vec<PathBuf>,
    /// How much a job may use.
    pub limits: Limits,
}

impl Settings {
    /// Refuses what would give away the data directory.
    pub(super) fn check(&self, data_dir: &Path) -> Result<(), Error> {
        let all = self.read.iter().map(|p| ("read", p)).chain(self.write.iter().map(|p| ("write", p)));
        for (how, path) in all {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if data_dir.starts_with(&real) || real.starts_with(data_dir) {
                return Err(Error::Exposes { how, path: path.clone() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Coded;

    #[test]
    fn who_says_nothing_is_confined_or_does_not_start() {
        assert_eq!(Settings::default().strictness, Strictness::Required);
    }

    #[test]
    fn nothing_may_give_away_the_data_directory() {
        let temp = tempfile::tempdir().unwrap();
        let data = temp.path().canonicalize().unwrap().join("data");
        let link = temp.path().join("link");
        std::fs::create_dir_all(data.join("state")).unwrap();
        std::os::unix::fs::symlink(&data, &link).unwrap();
        let check =
            |path: &Path| Settings { read: vec![path.to_owned()], ..Settings::default() }.check(&data);
        for bad in [Path::new("/"), temp.path(), &data, &data.join("state"), &link] {
            assert_eq!(check(bad).unwrap_err().code(), "runner.confinement_exposes", "{}", bad.display());
        }
        check(Path::new("/usr/share")).unwrap();
        check(&temp.path().join("data-of-another")).unwrap();
    }
}
