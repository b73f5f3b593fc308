//! What a customer is given to start a runner with.

use std::path::PathBuf;

use clap::Args;

/// How the runner gets to the customer.
#[derive(Clone, Debug, Default, Args)]
pub struct LinkArgs {
    /// The sha256 of your org's trust root, from `remit keys show`, where the root does not lie beside your keys.
    #[arg(long, value_name = "HEX")]
    pub pin: Option<String>,
    /// The channel of releases that the runner is to keep to [default: the product's, or stable].
    #[arg(long, value_name = "NAME")]
    pub channel: Option<String>,
    /// Where runners call, if that is another host than the one of your REMIT_BROKER.
    #[arg(long, value_name = "URL")]
    pub runner_broker: Option<String>,
    /// The certificate authority of that address, if it is another than your REMIT_CA_FILE.
    #[arg(long, value_name = "FILE")]
    pub runner_ca: Option<PathBuf>,
    /// Where to write the token and the authority's certificate for the customer.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out_dir: PathBuf,
    /// Also write a CloudFormation template for this AWS region.
    #[arg(long, value_name = "REGION", requires_all = ["runner_url", "runner_sha256"])]
    pub region: Option<String>,
    /// Where the template will lie (S3), to print the quick-create link.
    #[arg(long, value_name = "URL", requires = "region")]
    pub template_url: Option<String>,
    /// Where the customer's machine gets the runner program (https).
    #[arg(long, value_name = "URL")]
    pub runner_url: Option<String>,
    /// sha256 of that program, hexadecimal.
    #[arg(long, value_name = "HEX")]
    pub runner_sha256: Option<String>,
}
