//! Where an install's runner must be: flags of `remit install create` and `remit install place`.

use clap::Args;

/// An AWS account, its region and a role in it.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// The customer's AWS account, 12 digits: the runner must prove to be in it, and jobs are for it alone.
    #[arg(long, value_name = "ACCOUNT", requires = "aws_region")]
    pub aws_account: Option<String>,
    /// The region of that account, e.g. eu-central-1.
    #[arg(long, value_name = "REGION", requires = "aws_account")]
    pub aws_region: Option<String>,
    /// The name of the role that the runner has there. Its proof stands in place of a one-time token.
    #[arg(long, value_name = "ROLE", requires = "aws_account")]
    pub aws_role: Option<String>,
}

/// `remit install place`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  remit install place acme                                          where it must be
  remit install place acme --aws-account 123456789012 --aws-region eu-central-1 \\
      --aws-role remit-acme --reason 'the customer moved'
  remit install place acme --anywhere --reason 'off AWS from now on'")]
pub struct PlaceCommand {
    /// The install.
    pub name: String,
    /// Where it must be from now on. A runner that enrolled for another place must enrol anew.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// It may be anywhere: a one-time token suffices.
    #[arg(long, conflicts_with = "aws_account")]
    pub anywhere: bool,
    /// Why, for people; it stays on the record.
    #[arg(long)]
    pub reason: Option<String>,
}
