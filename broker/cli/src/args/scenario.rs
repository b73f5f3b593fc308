//! `remit scenario`: what its commands take.

use std::path::PathBuf;

use clap::Subcommand;

/// `remit scenario`
#[derive(Debug, Subcommand)]
pub enum ScenarioCommand {
    /// Check a scenario file, and its components against a product. Sends nothing.
    Check {
        /// The file.
        file: PathBuf,
        /// The product's folder; otherwise the nearest.
        #[arg(long, value_name = "DIR")]
        product: Option<PathBuf>,
    },
}
