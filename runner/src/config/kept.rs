//! Files that the settings name and that jobs must not read, or not change, whatever else they may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Error;
use crate::account::secret::Reference;
use crate::process::confine::Settings;

/// What holds secrets is in no place that the customer opens to jobs.
pub(super) fn keep_from_jobs<'a>(
    jobs: &Settings,
    private: impl Iterator<Item = &'a Path>,
    secrets: &'a BTreeMap<String, Reference>,
) -> Result<(), Error> {
    let files = secrets.values().filter_map(|reference| match reference {
        Reference::File(path) => Some(path.as_path()),
        Reference::Ssm(_) | Reference::Kubernetes(_) => None,
    });
    let mut private = files.chain(private);
    let open = private.find(|file| jobs.read.iter().chain(&jobs.write).any(|open| file.starts_with(open)));
    let Some(file) = open else { return Ok(()) };
    let detail = format!("jobs could read {}, which holds secrets", file.display());
    Err(Error::Invalid { name: "allow-read or --allow-write", detail })
}

/// What says what jobs may do, and by whose word, jobs must not be able to change.
pub(super) fn keep_as_they_are<'a>(
    jobs: &Settings,
    mut said: impl Iterator<Item = &'a Path>,
) -> Result<(), Error> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let open: Vec<PathBuf> = jobs.write.iter().map(|path| real(path)).collect();
    let Some(file) = said.find(|file| open.iter().any(|open| real(file).starts_with(open))) else {
        return Ok(());
    };
    let detail = format!("jobs could change {}, which says what they may do", file.display());
    Err(Error::Invalid { name: "allow-write", detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_what_jobs_may_do_is_not_theirs_to_change() {
        let jobs = Settings { write: vec![PathBuf::from("/srv/site")], ..Settings::default() };
        let check = |file: &str| keep_as_they_are(&jobs, [Path::new(file)].into_iter());
        assert!(check("/srv/site/remit.cedar").is_err() && check("/srv/site").is_err());
        assert!(check("/srv/remit.cedar").is_ok() && check("/srv/site-policy").is_ok());
    }
}
