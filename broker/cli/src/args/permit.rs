//! `remit release permit-rollback`: leave to go back.

use std::path::PathBuf;

use clap::Args;

/// Leave to go back to an older release.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  remit release permit-rollback 1.3.0 --reason '1.4.0 loses orders'
  remit release permit-rollback 1.3.0 --reason '1.4.0 loses orders' --install acme --for 2h
  remit release permit-rollback 1.3.0 --reason x --save back.json     for a second person: remit release sign")]
pub struct PermitArgs {
    /// The release to go back to, by its version.
    pub version: String,
    /// Why; the customer sees it.
    #[arg(long)]
    pub reason: String,
    /// Only this install, by its name [default: every install of the release's channel].
    #[arg(long, value_name = "NAME")]
    pub install: Option<String>,
    /// The newest release that may be left, by its version [default: the newest of the channel].
    #[arg(long, value_name = "VERSION")]
    pub from: Option<String>,
    /// How long it counts: 90m, 24h; at most 720h.
    #[arg(long = "for", value_name = "LENGTH", default_value = "24h")]
    pub length: String,
    /// Write it here in place of bringing it to the broker.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// The key to sign with: the name of one in the keys directory, a file, or awskms:///… [default: the one
    /// in the keys directory that the root lets sign releases].
    #[arg(long, env = "REMIT_RELEASE_KEY", value_name = "KEY")]
    pub key: Option<String>,
}
