//! Cells as files of a folder, each replaced whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use remit_seal::Digest;

use super::{Unwritten, Version};
use crate::storage::data_dir::{read_bounded, write_atomic};

/// The folder. Only the process that holds the data directory writes here.
#[derive(Clone, Debug)]
pub struct Folder {
    dir: PathBuf,
    writing: Arc<Mutex<()>>,
}

impl Folder {
    /// This one.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), writing: Arc::default() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn read(&self, name: &str, len_max: u64) -> io::Result<Option<(Vec<u8>, Version)>> {
        let bytes = read_bounded(&self.path(name), len_max)?;
        Ok(bytes.map(|bytes| {
            let version = version(&bytes);
            (bytes, version)
        }))
    }

    pub(super) fn write(
        &self,
        name: &str,
        bytes: &[u8],
        over: Option<&Version>,
    ) -> Result<Version, Unwritten> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.read(name, u64::MAX - 1)?.map(|(_, version)| version);
        if now.as_ref() != over {
            return Err(Unwritten::Changed);
        }
        write_atomic(&self.path(name), bytes)?;
        Ok(version(bytes))
    }
}

fn version(bytes: &[u8]) -> Version {
    Version(Digest::of(bytes).hex())
}
