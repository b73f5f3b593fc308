//! What a customer can ask for: the policy, approvals, the halt switch.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Looking at and trying out a policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Print a policy that comes with the runner, or what policies can ask about.
    Show {
        /// Which.
        what: Shown,
    },
    /// Check a policy: does it parse, does it fit the schema?
    Check {
        /// The policy.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask a policy questions that a runner has kept (DATA_DIR/questions); ends with 0 when all is permitted.
    Test {
        /// The policy [default: the one that comes with the runner].
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// Questions.
        #[arg(required = true)]
        questions: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The same, and which rule decided, and what it looked at.
    Explain {
        /// The policy [default: the one that comes with the runner].
        #[arg(long, value_name = "FILE")]
        policy: Option<PathBuf>,
        /// Questions.
        #[arg(required = true)]
        questions: Vec<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Ask a new policy everything that the runner was asked; says what it would answer differently.
    Shadow {
        /// The runner's data directory.
        #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR")]
        data_dir: PathBuf,
        /// The new policy.
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl PolicyCommand {
    /// Whether a program reads the answer.
    pub fn is_json(&self) -> bool {
        match self {
            PolicyCommand::Show { .. } => false,
            PolicyCommand::Check { json, .. }
            | PolicyCommand::Test { json, .. }
            | PolicyCommand::Explain { json, .. }
            | PolicyCommand::Shadow { json, .. } => *json,
        }
    }
}

/// What can be shown.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shown {
    /// The policy that a runner keeps to that was given none.
    Default,
    /// One for trying out, which permits everything.
    Demo,
    /// The words that rules can use.
    Schema,
}

/// Where a new key goes.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The file of the private key; the public half goes beside it, named `.pub`.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// Which lock is broken.
#[derive(Debug, Args)]
pub struct BreakLockArgs {
    /// The holding: 64 hexadecimal digits, as `remit-runner status` and the words of who waits say it.
    ///
    /// It names this holder and no later one. Sign it only when that machine is gone for good: terminated, not
    /// unreachable. What it was changing is compared with the real world before anything goes on.
    pub holding: String,
    /// By whom, for how long, for which runner.
    #[command(flatten)]
    pub sign: SignArgs,
}

/// How the customer signs.
#[derive(Clone, Debug, Args)]
pub struct SignArgs {
    /// The runner's data directory.
    #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR", default_value = ".")]
    pub data_dir: PathBuf,
    /// The customer's key, which `remit-runner customer-key` made.
    #[arg(long, value_name = "FILE", env = "REMIT_CUSTOMER_KEY")]
    pub key: PathBuf,
    /// How long it counts, e.g. 90m, 24h, 7d, of at most 31d [default: 24h for approvals of jobs; what denies or
    /// revokes, and what approves a program, counts until it is revoked].
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Who signs, for the record [default: the user].
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// The install, where the data directory is elsewhere.
    #[arg(long, value_name = "ID")]
    pub install: Option<String>,
    /// Write it to this file instead, to be carried to the runner's machine.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// How to halt.
#[derive(Debug, Args)]
pub struct HaltArgs {
    /// The runner's data directory.
    #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Also end what runs.
    #[arg(long)]
    pub now: bool,
}

/// Which runner to resume.
#[derive(Debug, Args)]
pub struct HaltedArgs {
    /// The runner's data directory.
    #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR")]
    pub data_dir: PathBuf,
}

/// The channel of releases.
#[derive(Debug, Subcommand)]
pub enum ChannelCommand {
    /// Which it is.
    Show {
        /// The runner's data directory.
        #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR")]
        data_dir: PathBuf,
    },
    /// Keep to this one from the next job on; a running runner need not be started anew.
    Set {
        /// Its name.
        channel: String,
        /// The runner's data directory.
        #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR")]
        data_dir: PathBuf,
    },
}
