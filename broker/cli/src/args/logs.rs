//! `remit logs`: what it takes.

use clap::Args;

/// `remit logs`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  remit logs acme                        every attempt, the oldest first
  remit logs acme --component network
  remit logs acme -f                     and what comes, until Ctrl-C")]
pub struct LogsArgs {
    /// An install (`acme`), or a component of it (`acme/network`).
    pub target: String,
    /// Go on with what comes, until Ctrl-C.
    #[arg(long, short)]
    pub follow: bool,
    /// Only this component.
    #[arg(long)]
    pub component: Option<String>,
}
