//! `remit dev`: what it takes.

use std::path::PathBuf;

use clap::Args;

/// `remit dev`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  remit dev                        the example product, then stays up for you to try things
  remit dev --product .            your own
  remit dev --once                 release, drift, heal, teardown; exits 0 when all of it was so")]
pub struct DevArgs {
    /// Go through the whole journey and end.
    #[arg(long)]
    pub once: bool,
    /// The product's folder [default: a copy of the example].
    #[arg(long, value_name = "DIR")]
    pub product: Option<PathBuf>,
    /// Where everything is kept. Cleaned at the start.
    #[arg(long, value_name = "DIR", default_value = ".remit/dev")]
    pub data_dir: PathBuf,
    /// The runner program [default: the one beside this program].
    #[arg(long, value_name = "FILE")]
    pub runner: Option<PathBuf>,
    /// An input that the customer sets, NAME=VALUE. May be repeated.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,
    /// Rehearse everything, even where the tools are there.
    #[arg(long)]
    pub sandbox: bool,
}
