//! What a customer can approve, deny, look at and take back.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::SignArgs;

/// What is approved or denied.
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The digest that the runner shows of what waits: its first digits, 8 or more, or all 64.
    ///
    /// It names exactly what was shown: the component and its kind, the operation, the release, what the broker
    /// chose, and the plan where there is one. It counts for retries of that, and ends with the first that
    /// succeeds. Of a program that only looks (a probe, a look for drift) it names every run, until the program
    /// is another one.
    #[arg(required_unless_present = "every", conflicts_with = "every")]
    pub digest: Option<String>,
    /// Not one content but every job of this operation, e.g. `destroy`, whatever it contains.
    #[arg(long, value_name = "OPERATION")]
    pub every: Option<String>,
    /// With --every: of this component only.
    #[arg(long, value_name = "NAME", requires = "every")]
    pub component: Option<String>,
    /// With --every: by releases with these counters only, e.g. 12 or 12..15.
    #[arg(long, value_name = "FROM..TO", requires = "every")]
    pub releases: Option<String>,
    /// By whom, for how long, for which runner.
    #[command(flatten)]
    pub sign: SignArgs,
}

/// Looking at the customer's words and taking them back.
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// List what waits, and the words that lie in the data directory.
    List {
        /// The runner's data directory.
        #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR", default_value = ".")]
        data_dir: PathBuf,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
    },
    /// Take back an approval or a denial, with the customer's key.
    Revoke {
        /// The word, as `list` names it: its first digits, 8 or more, or all 64.
        word: String,
        /// How to print it.
        #[arg(short, long, value_enum, default_value_t = Output::Text)]
        output: Output,
        /// By whom, for which runner.
        #[command(flatten)]
        sign: SignArgs,
    },
}

/// What can be done about the numbers that the runner has accepted.
#[derive(Debug, Subcommand)]
pub enum MarksCommand {
    /// Count sequence numbers and fences anew, with the customer's key.
    ///
    /// For a runner that takes no more work because somebody who had the broker's keys gave it numbers so great
    /// that honest ones are below them. What was signed before is not taken any more. A new trust root without the
    /// stolen dispatch key does the same by itself.
    Reset {
        /// By whom, for which runner.
        #[command(flatten)]
        sign: SignArgs,
    },
}

/// For whom something is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// People.
    Text,
    /// Programs.
    Json,
}
