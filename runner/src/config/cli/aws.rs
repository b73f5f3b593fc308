//! Flags that say where in AWS the runner is.

use clap::Args;

/// Where the runner is, for installs that are declared to be in an AWS account.
#[derive(Debug, Default, Args)]
pub struct AwsArgs {
    /// The AWS account that this runner is in, 12 digits. It proves that when it enrols, by a signature with
    /// the machine's own credentials, and takes no job that is for another account.
    #[arg(long, value_name = "ACCOUNT", env = "REMIT_RUNNER_AWS_ACCOUNT")]
    pub aws_account: Option<String>,
    /// The region of that account, e.g. eu-central-1.
    #[arg(long, value_name = "REGION", env = "REMIT_RUNNER_AWS_REGION")]
    pub aws_region: Option<String>,
}
