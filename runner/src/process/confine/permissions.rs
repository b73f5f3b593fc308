//! What one tool may do beside what every tool of its attempt may: an executor says it of each tool that it starts.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The permissions of one tool. The default is that of a program of the vendor's which was approved as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Which programs it, and all that it starts, may execute.
    pub execute: Execute,
    /// Whether it may change its source, its state, its plan and what `--allow-write` names. Its private temp it
    /// always may.
    pub writes: bool,
    /// Whether it speaks with its own children over sockets in files, as terraform does with its providers.
    /// Where the kernel cannot bound which sockets, they are refused to tools that do not need any.
    pub unix_sockets: bool,
}

impl Default for Permissions {
    fn default() -> Self {
        Self { execute: Execute::Readable, writes: true, unix_sockets: false }
    }
}

/// Which programs may be executed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Execute {
    /// All that may be read.
    #[default]
    Readable,
    /// Only these files, and files below these directories. No shell, no interpreter that is not named here.
    ///
    /// They must be statically linked: the loader of shared libraries starts any file that it can read, so
    /// naming it would give away the whole list. Files in memory cannot be executed either.
    Only(Vec<PathBuf>),
}
