//! `remit org` on the command line.

use std::path::PathBuf;

use clap::Subcommand;

/// `remit org`
#[derive(Debug, Subcommand)]
pub enum OrgCommand {
    /// Make the org at the broker, with a trust root signed by your root key. Needs the operator's token.
    #[command(after_help = "\
Examples:
  remit org create                        a root of your one root key and your one release key
  remit org create --root root.1.json     the root that several people have signed")]
    Create {
        /// Its name; otherwise the one in remit.toml.
        name: Option<String>,
        /// The first root, as `remit keys root new` wrote it and enough people have signed it [default: the one
        /// beside your keys, or a new one].
        #[arg(long, value_name = "FILE")]
        root: Option<PathBuf>,
    },
    /// Show the org.
    Show,
}
