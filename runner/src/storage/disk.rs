//! Files that must survive a crash: every write, sync and rename of them goes through here.
//!
//! In this crate's own tests each is also noted, so that a test can build the disk as it would be
//! after a crash at any of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A file whose bytes must be on disk when they are said to be. Mode 0600.
#[derive(Debug)]
pub struct DurableFile {
    file: File,
    path: PathBuf,
}

impl DurableFile {
    /// Opens it to append, and makes it where it is missing.
    pub fn append(path: &Path) -> io::Result<Self> {
        Self::open(path, OpenOptions::new().create(true).append(true))
    }

    /// Makes it anew, empty; never what a link leads to, which a job may have put in its place.
    pub fn create(path: &Path) -> io::Result<Self> {
        let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let made = Self::open(
            path,
            OpenOptions::new().create(true).truncate(true).write(true).custom_flags(no_link),
        )?;
        note(|| Op::SetLen(path.to_owned(), 0));
        Ok(made)
    }

    fn open(path: &Path, options: &mut OpenOptions) -> io::Result<Self> {
        let file = options.mode(0o600).open(path)?;
        note(|| Op::Create(path.to_owned()));
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes them all at its end.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        note(|| Op::Write(self.path.clone(), bytes.to_vec()));
        self.file.write_all(bytes)
    }

    /// Cuts it.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        note(|| Op::SetLen(self.path.clone(), len));
        self.file.set_len(len)
    }

    /// Waits until its bytes and its length are on disk.
    pub fn sync(&self) -> io::Result<()> {
        note(|| Op::Sync(self.path.clone()));
        self.file.sync_data()
    }

    /// Reserves space for it.
    pub fn reserve(&self, len: u64) -> io::Result<()> {
        let held = rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, len);
        match held {
            Ok(()) => self.file.sync_all(),
            // A file system that cannot reserve space: the promise is weaker there, not broken.
            Err(rustix::io::Errno::OPNOTSUPP) => self.file.set_len(len),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Gives a file another name, in place of what has it.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    note(|| Op::Rename(from.to_owned(), to.to_owned()));
    fs::rename(from, to)
}

/// Removes a file; one that is not there is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    note(|| Op::Remove(path.to_owned()));
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes a directory that only this user may enter, and its parents. Their names are on disk once
/// [`sync_parent`] has returned for each.
pub fn make_dir(path: &Path) -> io::Result<()> {
    note_all(|| {
        let missing = path.ancestors().take_while(|at| !at.exists());
        missing.map(|at| Op::MakeDir(at.to_owned())).collect()
    });
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the names in a file's directory durable.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    // A bare name stands in the working directory.
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    note(|| Op::SyncDir(parent.to_owned()));
    File::open(parent)?.sync_all()
}

/// What was asked of the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A directory was made.
    MakeDir(PathBuf),
    /// A file was made, or was there.
    Create(PathBuf),
    /// Bytes at a file's end.
    Write(PathBuf, Vec<u8>),
    /// A file's new length.
    SetLen(PathBuf, u64),
    /// A file's bytes are on disk from here on.
    Sync(PathBuf),
    /// Another name.
    Rename(PathBuf, PathBuf),
    /// Gone.
    Remove(PathBuf),
    /// A directory's names are on disk from here on.
    SyncDir(PathBuf),
}

fn note(op: impl FnOnce() -> Op) {
    note_all(|| vec![op()]);
}

#[cfg(not(test))]
fn note_all(_ops: impl FnOnce() -> Vec<Op>) {}

#[cfg(test)]
fn note_all(ops: impl FnOnce() -> Vec<Op>) {
    tests::crash::NOTED.with_borrow_mut(|noted| {
        if let Some(noted) = noted {
            noted.extend(ops());
        }
    });
}

#[cfg(test)]
pub(crate) mod tests;
