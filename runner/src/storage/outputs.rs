//! What components gave: kept here, sensitive values among them, for the components that need it.
//!
//! Rehearsed outputs are kept apart from real ones, so that a rehearsal never overwrites
//! what is real.

use std::collections::BTreeMap;
use std::path::PathBuf;

use remit_seal::document::{Component, Value};
use serde::{Deserialize, Serialize};

use crate::error::Coded;
use crate::storage::data_dir::{DataDir, read_bounded, remove_file, write_atomic};

const FILE_LEN_MAX: u64 = 4 << 20;

/// Whether something is real or rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Realm {
    /// The customer's world.
    Real,
    /// Pretended.
    Rehearsal,
}

/// Why outputs cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("the outputs in {path} cannot be used")]
pub struct Error {
    path: PathBuf,
    source: std::io::Error,
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        "runner.outputs_io"
    }
}

/// The outputs of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outputs {
    /// By name.
    pub values: BTreeMap<String, Value>,
    /// The names of those that never leave the account.
    pub sensitive: Vec<String>,
}

impl Outputs {
    /// Those that may leave the account.
    pub fn open(&self) -> BTreeMap<String, Value> {
        let open = self.values.iter().filter(|(name, _)| !self.sensitive.contains(name));
        open.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The values that may not.
    pub fn secrets(&self) -> impl Iterator<Item = &Value> {
        self.sensitive.iter().filter_map(|name| self.values.get(name))
    }
}

/// All components' outputs.
#[derive(Clone, Debug)]
pub struct Store {
    real: PathBuf,
    rehearsal: PathBuf,
}

impl Store {
    /// The outputs in this data directory.
    pub fn new(dir: &DataDir) -> Self {
        Self { real: dir.path("outputs"), rehearsal: dir.path("rehearsal") }
    }

    fn path(&self, realm: Realm, component: &str) -> PathBuf {
        match realm {
            Realm::Real => self.real.join(format!("{component}.json")),
            Realm::Rehearsal => self.rehearsal.join(format!("{component}.outputs.json")),
        }
    }

    /// Keeps them, durably.
    pub fn keep(&self, realm: Realm, component: &str, outputs: &Outputs) -> Result<(), Error> {
        let path = self.path(realm, component);
        let bytes = serde_json::to_vec(outputs).expect("outputs are values without floats");
        write_atomic(&path, &bytes).map_err(|source| Error { path, source })
    }

    /// Forgets them: the component was destroyed.
    pub fn forget(&self, realm: Realm, component: &str) -> Result<(), Error> {
        let path = self.path(realm, component);
        remove_file(&path).map_err(|source| Error { path, source })
    }

    /// A component's outputs, as a job of this realm may take them. What was rehearsed is never taken for
    /// real, but for what its release only ever rehearses.
    pub fn of(&self, realm: Realm, component: &Component) -> Result<Option<Outputs>, Error> {
        let read = |realm| self.read(realm, &component.name);
        match (realm, component.sandbox) {
            (Realm::Real | Realm::Rehearsal, true) => read(Realm::Rehearsal),
            (Realm::Real, false) => read(Realm::Real),
            // A rehearsed part of a real install takes what is really there.
            (Realm::Rehearsal, false) => match read(Realm::Real)? {
                Some(outputs) => Ok(Some(outputs)),
                None => read(Realm::Rehearsal),
            },
        }
    }

    fn read(&self, realm: Realm, component: &str) -> Result<Option<Outputs>, Error> {
        let path = self.path(realm, component);
        let read = read_bounded(&path, FILE_LEN_MAX).and_then(|bytes| {
            bytes.map(|b| serde_json::from_slice(&b).map_err(std::io::Error::from)).transpose()
        });
        read.map_err(|source| Error { path, source })
    }
}
