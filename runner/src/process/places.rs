//! The directories of one attempt.

use std::path::PathBuf;

/// The directories of one attempt; all exist.
#[derive(Clone, Debug)]
pub struct Places {
    /// The unpacked source, a private copy. The same path for each attempt of a component.
    pub source: PathBuf,
    /// Private temporary files, removed afterwards.
    pub temp: PathBuf,
    /// What is kept between attempts, until the component is destroyed; not terraform's state.
    pub state: PathBuf,
    /// Where the plan is: written by who plans, read by who carries it out.
    pub plan: PathBuf,
}
