//! `remit break-glass` and `remit unlock`: what they take.

use clap::Args;

use super::TryArgs;

/// `remit break-glass`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  remit break-glass acme --for 1h --reason 'the shop is down, fix is 1.4.1'
  remit break-glass acme --for 1h --reason … --dry-run     what would go on at once
  remit break-glass acme --end                             whole again before its time")]
pub struct BreakGlassArgs {
    /// An install (`acme`).
    pub install: String,
    /// For how long: `30m`, `1h`; a minute to eight hours.
    #[arg(long = "for", value_name = "TIME", required_unless_present = "end", requires = "reason")]
    pub for_time: Option<String>,
    /// Why; it is shown to the customer and stays on the record.
    #[arg(long)]
    pub reason: Option<String>,
    /// End it before its time.
    #[arg(long, conflicts_with_all = ["for_time", "reason"])]
    pub end: bool,
    /// Whether it is done.
    #[command(flatten)]
    pub tries: TryArgs,
}

/// `remit unlock`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  remit why acme@runner                                      what is unconfirmed
  remit unlock acme --host i-0abc --evidence 'aws ec2 describe-instances: terminated' \\
      --reason 'spot instance was taken away'
  remit unlock acme --receipt 9f2c… --evidence 'receipt 812: network ended, succeeded' \\
      --reason 'the new runner has the old data directory'")]
pub struct UnlockArgs {
    /// An install (`acme`).
    pub install: String,
    /// The host that is terminated, with all that ran there.
    #[arg(long, required_unless_present = "receipt", conflicts_with = "receipt")]
    pub host: Option<String>,
    /// The digest of the receipt that says how it ended, read by a newer runner: `remit-runner verify`.
    #[arg(long, value_name = "DIGEST")]
    pub receipt: Option<String>,
    /// What shows it, word for word; it stays on the record.
    #[arg(long, value_name = "TEXT")]
    pub evidence: String,
    /// Only what was begun of this component.
    #[arg(long)]
    pub component: Option<String>,
    /// Why; it stays on the record.
    #[arg(long)]
    pub reason: String,
    /// Whether it is done.
    #[command(flatten)]
    pub tries: TryArgs,
}
