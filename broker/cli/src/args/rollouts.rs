//! The commands about many installs at once: rollouts, and one operation by label.

use clap::{Args, Subcommand, ValueEnum};

/// `remit rollout`
#[derive(Clone, Debug, Subcommand)]
#[command(after_help = "\
Examples:
  remit release create --version 1.4.0 --hold          out for nobody yet
  remit rollout create 1.4.0 --canary 2 --wave env=staging --bake 1h --budget 5% --dry-run
  remit rollout create 1.4.0 --canary 2 --wave env=staging --bake 1h --budget 5% --follow
  remit rollout status --follow
  remit rollout rollback --to 1.3.0 --reason 'orders fail'")]
pub enum RolloutCommand {
    /// Bring a release to installs in waves.
    ///
    /// Each install takes it by its own policy; a wave is over when all of it is, and is then watched for
    /// the bake time. More failures than the budget halt it: nothing new is told, what waits is taken back.
    Create(CreateArgs),
    /// How far the rollout is, who waits for what, and who failed.
    Status {
        /// Stay until it is over or needs a person: exit 0 when it is done, 6 otherwise.
        #[arg(long, short)]
        follow: bool,
    },
    /// Tell no more installs; what has begun goes on.
    Pause {
        /// Why; it stays on the record.
        #[arg(long)]
        reason: String,
    },
    /// Go on with a rollout that was paused, or that halted.
    Resume {
        /// How many installs may fail from now on, with those that did.
        #[arg(long)]
        budget: Option<u32>,
    },
    /// End the rollout where it is; what has begun goes on.
    Abort {
        /// Why; it stays on the record.
        #[arg(long)]
        reason: String,
    },
    /// Bring the installs of the last rollout back to an older release, all at once.
    Rollback {
        /// The release to go back to.
        #[arg(long, value_name = "VERSION")]
        to: String,
        /// Only show what it would be.
        #[arg(long)]
        dry_run: bool,
        /// Stay until it is over.
        #[arg(long, short)]
        follow: bool,
    },
}

/// `remit rollout create`
#[derive(Clone, Debug, Args)]
pub struct CreateArgs {
    /// The release's version.
    pub version: String,
    /// Only installs with these labels: env=prod,tier!=gold.
    #[arg(long, value_name = "LABELS")]
    pub selector: Option<String>,
    /// So many installs go first: 2, or 5%.
    #[arg(long, value_name = "N|N%")]
    pub canary: Option<String>,
    /// The installs with these labels are the next wave. May be repeated; what is left is the last wave.
    #[arg(long = "wave", value_name = "LABELS")]
    pub waves: Vec<String>,
    /// How long each wave is watched before the next: 30m, 1h.
    #[arg(long, value_name = "LENGTH", default_value = "0s")]
    pub bake: String,
    /// How many installs may fail before it halts: 3, or 5% of all.
    #[arg(long, value_name = "N|N%", default_value = "0")]
    pub budget: String,
    /// How many installs are at it at once; those that wait do not count.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub at_once: u32,
    /// Installs that wait for a window or a person do not hold up the next wave.
    #[arg(long)]
    pub leave_waiting: bool,
    /// Only show what it would be.
    #[arg(long)]
    pub dry_run: bool,
    /// Stay until it is over or needs a person.
    #[arg(long, short)]
    pub follow: bool,
}

/// What `remit bulk` does with each install.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BulkOperation {
    /// Start nothing new.
    Pause,
    /// Go on.
    Resume,
    /// Let the runner finish what it does and take nothing new.
    Drain,
    /// Deploy everything again, changed or not.
    Reprovision,
    /// Deploy again what has drifted or failed.
    Heal,
    /// Bring it to a release, by its window.
    Deploy,
    /// Compare the world with what was deployed.
    CheckDrift,
}

/// `remit bulk`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  remit bulk check-drift --selector env=prod --reason 'after the incident' --dry-run
  remit bulk pause --selector region=eu --reason 'provider is down' --yes")]
pub struct BulkArgs {
    /// What to do with each.
    pub operation: BulkOperation,
    /// Which installs: env=prod,tier!=gold.
    #[arg(long, value_name = "LABELS")]
    pub selector: String,
    /// Why; it stays on the record of the app and, where the operation takes a reason, of each install.
    #[arg(long)]
    pub reason: String,
    /// For `deploy`: the release's version [default: the newest].
    #[arg(long)]
    pub version: Option<String>,
    /// Only show which installs it would be, and what would become of each at once.
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
}
