//! `remit plan`, `approve` and `deny`: what they take.

use clap::{Args, Subcommand};

/// `remit plan`
#[derive(Debug, Subcommand)]
pub enum PlanCommand {
    /// The plans that wait for an approval: what would change, whose approval is missing, how to give it.
    Show {
        /// An install (`acme`).
        install: String,
        /// Only this component's.
        #[arg(long, value_name = "COMPONENT")]
        step: Option<String>,
    },
}

/// Which plan is approved or denied.
#[derive(Clone, Debug, Args)]
pub struct AnswerArgs {
    /// An install (`acme`).
    pub install: String,
    /// The digest of the plan, or of all plans that wait.
    #[arg(long, value_name = "sha256:…")]
    pub plan: String,
    /// The step's component.
    #[arg(long, value_name = "COMPONENT")]
    pub step: Option<String>,
    /// The operation's number.
    #[arg(long, value_name = "N")]
    pub operation: Option<u64>,
}
