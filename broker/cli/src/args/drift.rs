//! `remit drift`: what it takes.

use clap::{Args, Subcommand, ValueEnum};

/// `remit drift`
#[derive(Debug, Subcommand)]
pub enum DriftCommand {
    /// What of an install is not as it was deployed: who changed what by hand, as it is and as it would be
    /// brought back. Sensitive values stay with the customer.
    Show {
        /// An install (`acme`).
        install: String,
        /// Only this component's.
        #[arg(long)]
        component: Option<String>,
    },
    /// Look now. Changes nothing, and holds up nothing.
    Check {
        /// An install (`acme`).
        install: String,
    },
    /// Bring back what has drifted: deploy these components again by the release they are on.
    Revert(DecideArgs),
    /// Accept what has drifted as it is: it counts as drift no more, as long as it stays the same.
    ///
    /// Terraform takes what is there into its state (a refresh-only apply). Where the code says otherwise,
    /// adopting cannot change that: the next deploy that changes the component brings it back. To keep it
    /// for good, write it into the code.
    Adopt(DecideArgs),
    /// How often drift is looked for in an install, and what then; without more, show it.
    #[command(after_help = "\
Examples:
  remit drift schedule acme                          how it is now
  remit drift schedule acme --every 6h --then heal   look, and mend within its window
  remit drift schedule acme --never                  only when somebody asks
  remit drift schedule acme --as-released            as remit.toml says ([drift])")]
    Schedule {
        /// An install (`acme`).
        install: String,
        /// At least once in so long: `6h`; from `1m` to `720h`.
        #[arg(long, value_name = "TIME", conflicts_with_all = ["never", "as_released"])]
        every: Option<String>,
        /// What is done about a difference.
        #[arg(long, value_enum, default_value = "report", requires = "every")]
        then: ThenArg,
        /// Only when somebody asks.
        #[arg(long, conflicts_with = "as_released")]
        never: bool,
        /// As the release says.
        #[arg(long)]
        as_released: bool,
    },
}

/// What somebody decides about what has drifted.
#[derive(Debug, Args)]
pub struct DecideArgs {
    /// An install (`acme`).
    pub install: String,
    /// A component; may be repeated [default: all that have drifted].
    #[arg(long = "component", value_name = "COMPONENT")]
    pub components: Vec<String>,
    /// Why; it stays on the record.
    #[arg(long)]
    pub reason: String,
    /// Whether it is done.
    #[command(flatten)]
    pub tries: super::TryArgs,
}

/// What is done about a difference.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ThenArg {
    /// People are told.
    Report,
    /// It is mended.
    Heal,
}
