//! Where in AWS the customer says this runner to be.

use remit_proto::caller::Region;
use remit_seal::verify::is_account;

use super::Error;
use crate::config::cli::AwsArgs;

/// The account and region that this runner is in. It proves them when it enrols, and takes jobs for no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    /// The account, 12 digits.
    pub account: String,
    /// Its region.
    pub region: Region,
}

/// Both or neither.
pub(super) fn parse(args: AwsArgs) -> Result<Option<Aws>, Error> {
    let wrong = |name, detail: String| Err(Error::Invalid { name, detail });
    match (args.aws_account, args.aws_region) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(Error::Missing("aws-account")),
        (Some(_), None) => Err(Error::Missing("aws-region")),
        (Some(account), Some(_)) if !is_account(&account) => {
            wrong("aws-account", format!("`{account}` is not 12 digits"))
        }
        (Some(account), Some(region)) => match Region::new(&region) {
            Some(region) => Ok(Some(Aws { account, region })),
            None => wrong("aws-region", format!("`{region}` is no region like eu-central-1")),
        },
    }
}
