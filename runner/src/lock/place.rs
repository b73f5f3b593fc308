//! Where lock records are: one for each component, replaced by a write that fails if somebody else
//! has written since it was read.
//!
//! That is the whole contract of a place. What a record means, who may take it and when it is over is
//! decided in `lock.rs`, the same for every kind.

use std::io;

use super::record::{RECORD_LEN_MAX, Record};
use crate::cell::{At, Cells};
use crate::data_dir::DataDir;

pub use crate::cell::{Unwritten, Version};

/// The folder that records are in, wherever that is.
const FOLDER: &str = "locks";

/// A record as it was read.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it says.
    pub record: Record,
    /// What it must still be when it is replaced.
    pub version: Version,
}

/// The places that there are. Each passes the suite in `tests/it/locks.rs`.
///
/// A kind that is no cell of bytes (a Lease of Kubernetes, say) is one more variant here: `read` gives the
/// record with its version, `write` replaces exactly that version or makes the first, and nothing ever times out.
#[derive(Clone, Debug)]
pub enum Place {
    /// Cells of bytes: a folder of the data directory, which one runner holds at a time, or a bucket.
    Cells(Cells),
}

impl Place {
    /// The place that the customer wants, for an install.
    pub fn open(at: &At, dir: &DataDir, install: &str) -> Self {
        Place::Cells(at.cells(dir, install, FOLDER))
    }

    /// The data directory's own.
    pub fn folder(dir: &DataDir) -> Self {
        Self::open(&At::File, dir, "")
    }

    /// The component's record, if there ever was one. Sees every write that was answered before it began.
    pub async fn read(&self, component: &str) -> io::Result<Option<Found>> {
        match self {
            Place::Cells(cells) => {
                let read = cells.read(&file(component), RECORD_LEN_MAX).await?;
                let found = |(bytes, version): (Vec<u8>, Version)| {
                    Ok(Found { record: Record::from_json(component, &bytes)?, version })
                };
                read.map(found).transpose()
            }
        }
    }

    /// Writes the record of its component: over this version, or where there is none yet. Durable, and seen by
    /// every reader, once it returns `Ok`; of two writers over one version exactly one is told so.
    pub async fn write(&self, record: &Record, over: Option<&Version>) -> Result<Version, Unwritten> {
        match self {
            Place::Cells(cells) => cells.write(&file(&record.component), record.to_json(), over).await,
        }
    }

    /// Whether the data directory's own lock already proves that no other runner's process uses it.
    pub fn is_private(&self) -> bool {
        match self {
            Place::Cells(cells) => !cells.is_shared(),
        }
    }

    /// One word.
    pub fn kind(&self) -> &'static str {
        match self {
            Place::Cells(cells) => cells.kind(),
        }
    }

    /// Where a component's record is, for people.
    pub fn of(&self, component: &str) -> String {
        match self {
            Place::Cells(cells) => cells.of(&file(component)),
        }
    }
}

fn file(component: &str) -> String {
    format!("{component}.json")
}
