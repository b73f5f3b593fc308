//! `remit token`: what it takes.

use std::path::PathBuf;

use clap::Subcommand;

/// `remit token`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token of the org; it is shown once, or written to a file of your own.
    Create {
        /// A name for it.
        name: String,
        /// Write it there (0600) and show it nowhere.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// The tokens of the org; never the tokens themselves.
    List,
    /// Take a token away.
    Delete {
        /// Its name.
        name: String,
    },
    /// Whose token this is, and what it may touch.
    Whoami,
}
