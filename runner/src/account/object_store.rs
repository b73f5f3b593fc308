//! Bytes under a name that are replaced by a write which fails if somebody else has written since they
//! were read: in a folder of this machine, or in a bucket of the customer's.
//!
//! This is all that locks and states need of the place where they are.

mod bucket;
mod credentials;
mod folder;

use std::io;
use std::str::FromStr;

use crate::storage::data_dir::DataDir;

pub use bucket::{Bucket, Location};
pub use folder::Folder;

/// Where the customer wants cells to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// In the data directory.
    #[default]
    File,
    /// In a bucket.
    S3(Location),
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "file" => Ok(At::File),
            _ if text.starts_with("s3://") => text.parse().map(At::S3),
            _ => Err(format!("`{text}` is no place for it: file, or s3://bucket/prefix")),
        }
    }
}

impl At {
    /// The cells of an install in the folder of this name.
    pub fn cells(&self, dir: &DataDir, install: &str, folder: &str) -> Cells {
        match self {
            At::File => Cells::Folder(Folder::new(&dir.path(folder))),
            At::S3(location) => Cells::Bucket(Bucket::new(location.clone(), &format!("{install}/{folder}"))),
        }
    }
}

/// What a place gives each state of a cell: an etag, a resource version, a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(pub String);

/// Why bytes were not written.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// It is certain that they were not: what is there is no longer, or was never, what the writer took it for.
    #[error("somebody else has written in between")]
    Changed,
    /// They may have been: there is no answer, or one that does not say. Whoever wants to know reads again.
    #[error("it is not known whether it was written")]
    Unsure(#[from] io::Error),
}

/// Where cells are.
#[derive(Clone, Debug)]
pub enum Cells {
    /// In a folder, which one process holds at a time.
    Folder(Folder),
    /// In a bucket.
    Bucket(Bucket),
}

impl Cells {
    /// What is under this name, if anything, up to so many bytes. Sees every write that was answered before.
    pub async fn read(&self, name: &str, len_max: u64) -> io::Result<Option<(Vec<u8>, Version)>> {
        match self {
            Cells::Folder(folder) => folder.read(name, len_max),
            // Boxed: what a request keeps is large, and much waits around it.
            Cells::Bucket(bucket) => Box::pin(bucket.read(name, len_max)).await,
        }
    }

    /// Writes over this version, or where nothing is yet. Durable, and seen by every reader, once it returns
    /// `Ok`; of two writers over one version exactly one is told so.
    pub async fn write(
        &self,
        name: &str,
        bytes: Vec<u8>,
        over: Option<&Version>,
    ) -> Result<Version, Unwritten> {
        match self {
            Cells::Folder(folder) => folder.write(name, &bytes, over),
            Cells::Bucket(bucket) => Box::pin(bucket.write(name, bytes, over)).await,
        }
    }

    /// Where a name is, for people.
    pub fn of(&self, name: &str) -> String {
        match self {
            Cells::Folder(folder) => folder.path(name).display().to_string(),
            Cells::Bucket(bucket) => bucket.url(name),
        }
    }

    /// Whether every process on any machine that uses this install sees the same.
    pub fn is_shared(&self) -> bool {
        matches!(self, Cells::Bucket(_))
    }

    /// One word.
    pub fn kind(&self) -> &'static str {
        match self {
            Cells::Folder(_) => "file",
            Cells::Bucket(_) => "s3",
        }
    }
}
