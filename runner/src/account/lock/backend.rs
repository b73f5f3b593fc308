//! Where lock records are: one for each component, replaced by a write that fails if somebody else
//! has written since it was read.
//!
//! That is the whole contract of a place. What a record means, who may take it and when it is over is
//! decided in `lock.rs`, the same for every kind.

use std::io;
use std::str::FromStr;

use super::kubernetes::{Leases, Location};
use super::record::{RECORD_LEN_MAX, Record};
use crate::account::kubernetes::Cluster;
use crate::account::object_store::{self, Cells};
use crate::storage::data_dir::DataDir;

pub use crate::account::object_store::{Unwritten, Version};

/// The folder that records are in, wherever that is.
const FOLDER: &str = "locks";

/// Where the customer wants the locks to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// Where states can be, too.
    Cells(object_store::At),
    /// In a Kubernetes cluster.
    Kubernetes(Location),
}

impl Default for At {
    fn default() -> Self {
        At::Cells(object_store::At::default())
    }
}

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("kubernetes://") {
            return text.parse().map(At::Kubernetes);
        }
        text.parse().map(At::Cells).map_err(|words| format!("{words}, or kubernetes://namespace/name"))
    }
}

/// A record as it was read.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it says.
    pub record: Record,
    /// What it must still be when it is replaced.
    pub version: Version,
}

/// The places that there are. Each passes the suite in `tests/it/locks.rs`.
#[derive(Clone, Debug)]
pub enum Place {
    /// Cells of bytes: a folder of the data directory, which one runner holds at a time, or a bucket.
    Cells(Cells),
    /// Leases of Kubernetes, which show people more than bytes would.
    Leases(Leases),
}

impl Place {
    /// The place that the customer wants, for an install; in this cluster, if it is in one.
    pub fn open(at: &At, dir: &DataDir, install: &str, cluster: Cluster) -> Self {
        match at {
            At::Cells(at) => Place::Cells(at.cells(dir, install, FOLDER)),
            At::Kubernetes(location) => Place::Leases(Leases::new(cluster, location.clone(), install)),
        }
    }

    /// The data directory's own.
    pub fn folder(dir: &DataDir) -> Self {
        Place::Cells(object_store::At::File.cells(dir, "", FOLDER))
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
            Place::Leases(leases) => leases.read(component).await,
        }
    }

    /// Writes the record of its component: over this version, or where there is none yet. Durable, and seen by
    /// every reader, once it returns `Ok`; of two writers over one version exactly one is told so.
    pub async fn write(&self, record: &Record, over: Option<&Version>) -> Result<Version, Unwritten> {
        match self {
            Place::Cells(cells) => cells.write(&file(&record.component), record.to_json(), over).await,
            Place::Leases(leases) => leases.write(record, over).await,
        }
    }

    /// Whether the data directory's own lock already proves that no other runner's process uses it.
    pub fn is_private(&self) -> bool {
        match self {
            Place::Cells(cells) => !cells.is_shared(),
            Place::Leases(_) => false,
        }
    }

    /// One word.
    pub fn kind(&self) -> &'static str {
        match self {
            Place::Cells(cells) => cells.kind(),
            Place::Leases(_) => "kubernetes",
        }
    }

    /// Where a component's record is, for people.
    pub fn of(&self, component: &str) -> String {
        match self {
            Place::Cells(cells) => cells.of(&file(component)),
            Place::Leases(leases) => leases.url(component),
        }
    }

    /// What to look at when it cannot be used.
    pub fn hint(&self) -> String {
        match self {
            Place::Cells(_) => {
                "check that the runner may read and write it: disk, network, permissions".to_owned()
            }
            Place::Leases(leases) => leases.hint(),
        }
    }
}

fn file(component: &str) -> String {
    format!("{component}.json")
}
