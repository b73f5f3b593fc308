//! Unpacking an artefact (tar + zstd): regular files and directories only, under a directory
//! handle that nothing leads out of, within bounds. The digest was checked before.

use std::io::{self, BufReader, Read};
use std::path::{Component, Path};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use remit_seal::archive::{ENTRIES_MAX, PATH_LEN_MAX, RATIO_FREE_LEN, RATIO_MAX, UNPACKED_LEN_MAX};

use crate::error::Coded;

/// The bounds; smaller ones in tests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Entries.
    pub entries: usize,
    /// Bytes of content.
    pub unpacked_len: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: ENTRIES_MAX, unpacked_len: UNPACKED_LEN_MAX }
    }
}

/// Why an archive was not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not tar + zstd.
    #[error("the artefact is not a whole tar + zstd archive")]
    Malformed(#[source] io::Error),
    /// A path that leads elsewhere, or is too long.
    #[error("the artefact has an entry with a path that is not allowed: {0}")]
    Path(String),
    /// A link, a device or the like.
    #[error("the artefact has an entry that is neither file nor directory: {0}")]
    Kind(String),
    /// Over a bound.
    #[error("the artefact has more than {0}")]
    TooLarge(String),
    /// The disk said no.
    #[error("the artefact cannot be unpacked")]
    Io(#[source] io::Error),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Malformed(_) => "runner.archive_malformed",
            Error::Path(_) => "runner.archive_path",
            Error::Kind(_) => "runner.archive_kind",
            Error::TooLarge(_) => "runner.archive_too_large",
            Error::Io(_) => "runner.archive_io",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Io(_) => "check the disk of the runner's data directory",
            _ => "the vendor packs the component again: `remit release create` makes archives that are taken",
        }
        .to_owned()
    }
}

/// Unpacks an archive of this size into an empty directory.
pub fn unpack(archive: impl Read, size: u64, into: &Path, limits: Limits) -> Result<(), Error> {
    let dir = Dir::open_ambient_dir(into, ambient_authority()).map_err(Error::Io)?;
    let decoder = zstd::Decoder::new(archive).map_err(Error::Malformed)?;
    let len_max = limits.unpacked_len.min((size * RATIO_MAX).max(RATIO_FREE_LEN));
    // Headers and padding are content too: a bomb may be made of nothing else.
    let headers = limits.entries as u64 * 1024;
    let bounded = Bounded { inner: BufReader::new(decoder), left: len_max + headers };
    let mut tar = tar::Archive::new(bounded);
    let mut left = len_max;
    for (n, entry) in tar.entries().map_err(Error::Malformed)?.enumerate() {
        if n >= limits.entries {
            return Err(Error::TooLarge(format!("{} entries", limits.entries)));
        }
        let mut entry = entry.map_err(read_error)?;
        left = left
            .checked_sub(entry.size())
            .ok_or_else(|| Error::TooLarge(format!("{len_max} bytes of content")))?;
        unpack_entry(&dir, &mut entry)?;
    }
    Ok(())
}

fn unpack_entry(dir: &Dir, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), Error> {
    let path = entry.path().map_err(read_error)?.into_owned();
    check_path(&path)?;
    match entry.header().entry_type() {
        tar::EntryType::Directory => dir.create_dir_all(&path).map_err(Error::Io),
        tar::EntryType::Regular => {
            if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                dir.create_dir_all(parent).map_err(Error::Io)?;
            }
            let runs = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(if runs { 0o700 } else { 0o600 });
            let mut file = dir.open_with(&path, &options).map_err(|e| match e.kind() {
                io::ErrorKind::AlreadyExists => Error::Path(format!("{} twice", shown(&path))),
                _ => Error::Io(e),
            })?;
            copy(entry, &mut file)
        }
        _ => Err(Error::Kind(shown(&path))),
    }
}

fn copy(entry: &mut impl Read, file: &mut impl io::Write) -> Result<(), Error> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = entry.read(&mut buffer).map_err(read_error)?;
        if read == 0 {
            return Ok(());
        }
        file.write_all(&buffer[..read]).map_err(Error::Io)?;
    }
}

fn check_path(path: &Path) -> Result<(), Error> {
    let plain = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    let named = path.components().any(|c| matches!(c, Component::Normal(_)));
    let whole = path.as_os_str() == "." || path.as_os_str() == "./";
    if !plain || !(named || whole) || path.as_os_str().len() > PATH_LEN_MAX {
        return Err(Error::Path(shown(path)));
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    let text: String = path.to_string_lossy().chars().take(120).collect();
    format!("{text:?}")
}

fn read_error(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return Error::TooLarge(format!("{RATIO_MAX} times its packed size, or {UNPACKED_LEN_MAX} bytes"));
    }
    Error::Malformed(error)
}

/// Ends in an error, not in silence, when there is more than there may be.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "too much content"))?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
