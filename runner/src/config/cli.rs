//! The command line: flags, their environment variables, and the help that teaches them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod approvals;
mod aws;
mod customer;
mod jobs;

pub use approvals::{ApprovalsCommand, ApproveArgs, MarksCommand, Output};
pub use aws::AwsArgs;
pub use jobs::JobArgs;

pub use customer::{
    BreakLockArgs, ChannelCommand, HaltArgs, HaltedArgs, KeyArgs, PolicyCommand, Shown, SignArgs,
};

/// The agent in a customer's account: runs what the vendor signed, and nothing else.
///
/// It dials out to the vendor's broker, verifies every job against the vendor's pinned
/// trust root, carries it out here, and keeps a hash-chained journal of all it did.
#[derive(Debug, Parser)]
#[command(name = "remit-runner", version, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  First start, with what `remit install create` gave you:
    remit-runner run --broker https://broker.example:7451 --install ins_demo.shop.acme \\
        --root-sha256 HEX --channel stable --ca-file ca.pem --token-file token --consume-token \\
        --data-dir /var/lib/remit

  In an AWS account that the install is declared for, with a role that is: no token at all.
    remit-runner run --broker https://broker.example:7451 --install ins_demo.shop.acme \\
        --root-sha256 HEX --ca-file ca.pem --data-dir /var/lib/remit \\
        --aws-account 123456789012 --aws-region eu-central-1

  Later starts need no token: the identity is kept in the data directory.
    remit-runner run --broker https://broker.example:7451 --install ins_demo.shop.acme \\
        --ca-file ca.pem --data-dir /var/lib/remit

  What is it doing, and is its journal whole?
    remit-runner status --data-dir /var/lib/remit
    remit-runner verify --data-dir /var/lib/remit

  What may the vendor do here? Read it, make it yours, try it on what was asked before:
    remit-runner policy show default > remit.cedar
    remit-runner policy check remit.cedar
    remit-runner policy shadow --data-dir /var/lib/remit --policy remit.cedar

  Passwords stay where they are kept, and jobs get no further than they need:
    remit-runner run … --secret db_password=ssm:/shop/db --allow-write /srv/shop
    remit-runner run … --secret db_password=k8s:shop/db#password

  Locks and terraform's state in a bucket of yours, so that a lost machine costs nothing:
    remit-runner run … --lock s3://acme-remit/shop --state s3://acme-remit/shop

  Locks as Leases of your Kubernetes cluster:
    remit-runner run … --lock kubernetes://remit/shop --state s3://acme-remit/shop

  Something waits for your approval:
    remit-runner approvals list --data-dir /var/lib/remit
    remit-runner approve 3f9c01d2ab44e07c --data-dir /var/lib/remit --key customer.key

  A lock is held by a machine that was terminated:
    remit-runner break-lock HOLDING --data-dir /var/lib/remit --key customer.key

  Take releases of another channel from now on:
    remit-runner channel set beta --data-dir /var/lib/remit

  Stop everything, now:
    remit-runner halt --now --data-dir /var/lib/remit

Signals: the first SIGTERM or SIGINT drains (the jobs in hand are finished, nothing new
begins), the second ends the jobs' processes at once.
Exit codes: 0 drained, 1 did not start or failed, 64 settings are wrong, 75 ended by force.";

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Enrol when there is no identity yet, then run jobs until told to stop.
    Run(Box<RunArgs>),
    /// Prove the journal whole: every record's checksum, number and place in the hash chain, and the
    /// signed checkpoints.
    Verify(VerifyArgs),
    /// Ask the running runner what it is doing.
    Status(StatusArgs),
    /// Look at, check and try out the policy that the runner keeps to.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Make the key that approves what the policy wants approved; keep it off the runner's machine.
    CustomerKey(KeyArgs),
    /// Approve what waits, by the digest that the runner shows of it, with the customer's key.
    Approve(ApproveArgs),
    /// Deny it: it is refused, or ended before anything of it is changed, until that is revoked.
    Deny(ApproveArgs),
    /// Look at what waits and at what you said, and take it back.
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// Count anew what the runner counts: the way back after somebody else had the broker.
    #[command(subcommand)]
    Marks(MarksCommand),
    /// Say that the holder of a component's lock is gone for good, with the customer's key.
    BreakLock(BreakLockArgs),
    /// Show or change the channel of releases that this runner keeps to.
    #[command(subcommand)]
    Channel(ChannelCommand),
    /// Stop: nothing new begins, until `resume`. Works without the broker.
    Halt(HaltArgs),
    /// Go on after `halt`.
    Resume(HaltedArgs),
    /// Become a tool, confined as standard input says: how the runner starts tools. Not for people.
    #[command(hide = true)]
    Confine {
        /// The tool and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<std::ffi::OsString>,
    },
    /// Print a completion script for your shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// What to prove of the journal.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The runner's data directory.
    #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR")]
    pub data_dir: PathBuf,
    /// The first segment to read, where earlier ones (`journal/000001.log` and on) were moved elsewhere.
    #[arg(long, value_name = "SEGMENT")]
    pub from: Option<u32>,
    /// A checkpoint that was kept elsewhere: prove that this very chain passed through it.
    ///
    /// Get one from the running runner with GET /v1/checkpoint, or keep journal/*.checkpoint.json.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// The id of the key whose checkpoints count, as an earlier `verify` or the status said it.
    #[arg(long, value_name = "HEX")]
    pub key: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Where the runner's status API is.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The runner's data directory: its status address is written there.
    #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR")]
    pub data_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Settings of `run`. A flag goes before its environment variable, which goes before the file.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// A TOML file with any of these settings, named as the flags are with `_` for `-`.
    #[arg(long, value_name = "FILE", env = "REMIT_RUNNER_CONFIG")]
    pub config: Option<PathBuf>,
    /// The broker's address for runners, e.g. https://broker.example:7451.
    #[arg(long, value_name = "URL", env = "REMIT_RUNNER_BROKER")]
    pub broker: Option<String>,
    /// The HTTP proxy to reach the broker by, or `none` [default: what HTTPS_PROXY and NO_PROXY say].
    ///
    /// TLS goes through it end to end. A proxy that wants a password is given with it in HTTPS_PROXY.
    #[arg(long, value_name = "URL", env = "REMIT_RUNNER_PROXY")]
    pub proxy: Option<String>,
    /// The install's id, e.g. ins_demo.shop.acme.
    #[arg(long, value_name = "ID", env = "REMIT_RUNNER_INSTALL")]
    pub install: Option<String>,
    /// The sha256 of the vendor's trust root, which the vendor publishes. Needed to enrol.
    #[arg(long, value_name = "HEX", env = "REMIT_RUNNER_ROOT_SHA256")]
    pub root_sha256: Option<String>,
    /// The channel of releases to keep to, which is pinned at the first start [default: stable].
    ///
    /// No release of another channel runs here, whatever the broker says, until you say so with
    /// `remit-runner channel set`.
    #[arg(long, value_name = "NAME", env = "REMIT_RUNNER_CHANNEL")]
    pub channel: Option<String>,
    /// The certificate authority of the broker, PEM. No other is believed.
    #[arg(long, value_name = "FILE", env = "REMIT_RUNNER_CA_FILE")]
    pub ca_file: Option<PathBuf>,
    /// The file with the one-time enrolment token, or `-` for standard input.
    ///
    /// A token is never a flag, because every user of a machine can read another's flags.
    /// Where a file cannot be had, the variable REMIT_RUNNER_TOKEN is read.
    #[arg(long, value_name = "FILE", env = "REMIT_RUNNER_TOKEN_FILE")]
    pub token_file: Option<PathBuf>,
    /// Where the one-time enrolment token is kept, instead of a file: a reference as of --secret.
    #[arg(long, value_name = "REFERENCE", env = "REMIT_RUNNER_TOKEN_FROM")]
    pub token_from: Option<String>,
    /// Delete the token, file, parameter or key of a Secret, once the runner is enrolled.
    #[arg(long, env = "REMIT_RUNNER_CONSUME_TOKEN")]
    pub consume_token: bool,
    /// Where in AWS it is.
    #[command(flatten)]
    pub aws: AwsArgs,
    /// Where the runner keeps its identity, journal, outputs and state. One runner each.
    #[arg(long, value_name = "DIR", env = "REMIT_RUNNER_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// An input that the customer sets. Not for sensitive ones: use --inputs-file.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    pub inputs: Vec<String>,
    /// A TOML or JSON file of inputs that the customer sets: `name = value`.
    #[arg(long, value_name = "FILE", env = "REMIT_RUNNER_INPUTS_FILE")]
    pub inputs_file: Option<PathBuf>,
    /// Where a sensitive input is kept: it is fetched when a job needs it. May be repeated.
    ///
    /// A reference is ssm:/path (a SecureString parameter, read with the machine's own AWS credentials),
    /// k8s:namespace/name#key (a Secret, read as --kubeconfig or the pod's service account says) or
    /// file:/path (mode 0600). The value is on no command line, in no file of the runner, and not at the vendor.
    #[arg(long = "secret", value_name = "NAME=REFERENCE")]
    pub secrets: Vec<String>,
    /// How to reach the Kubernetes API [default: KUBECONFIG, or else the pod's service account].
    #[arg(long, value_name = "FILE", env = "REMIT_RUNNER_KUBECONFIG")]
    pub kubeconfig: Option<PathBuf>,
    /// Where the status API listens [default: 127.0.0.1:7460; port 0 picks a free one].
    #[arg(long, value_name = "ADDR", env = "REMIT_RUNNER_STATUS_LISTEN")]
    pub status_listen: Option<SocketAddr>,
    /// Let the status API listen on an address that other machines reach. It asks for its token, unencrypted.
    #[arg(long, env = "REMIT_RUNNER_STATUS_ALLOW_REMOTE")]
    pub status_allow_remote: bool,
    /// How many jobs may run at once [default: 4].
    #[arg(long, value_name = "N", env = "REMIT_RUNNER_CAPACITY")]
    pub capacity: Option<usize>,
    /// Rehearse every job, whatever it says: nothing real is touched.
    #[arg(long, env = "REMIT_RUNNER_SANDBOX")]
    pub sandbox: bool,
    /// The terraform program [default: the one on the PATH].
    #[arg(long, value_name = "FILE", env = "REMIT_RUNNER_TERRAFORM")]
    pub terraform: Option<PathBuf>,
    /// An environment variable that tools may see, beside the few that they always do. May be repeated.
    ///
    /// Tools get no credentials of the runner's by themselves. If terraform is to use those in the runner's
    /// environment, say so: --pass-env 'AWS_*'. Better is a role of the machine (--allow-metadata).
    #[arg(long = "pass-env", value_name = "NAME")]
    pub pass_env: Vec<String>,
    /// How jobs are confined.
    #[command(flatten)]
    pub jobs: JobArgs,
    /// Where components' locks are: `file` (the data directory), s3://bucket/prefix or
    /// kubernetes://namespace/name [default: file].
    ///
    /// In a bucket of your account, or as Leases of your cluster (reached as --kubeconfig says), they keep two
    /// runners apart, also after a machine was replaced: a lock is taken over only when its holder is proven to
    /// be gone, or by `remit-runner break-lock`.
    #[arg(long, value_name = "PLACE", env = "REMIT_RUNNER_LOCK")]
    pub lock: Option<String>,
    /// Where terraform's states are: `file` (the data directory) or s3://bucket/prefix [default: file].
    ///
    /// They are written by the newest attempt alone, in one lineage, never back. A state that lies in the data
    /// directory is moved there at its first use.
    #[arg(long, value_name = "PLACE", env = "REMIT_RUNNER_STATE")]
    pub state: Option<String>,
    /// The policy to keep to, Cedar [default: what `remit-runner policy show default` prints].
    #[arg(long, value_name = "FILE", env = "REMIT_RUNNER_POLICY")]
    pub policy: Option<PathBuf>,
    /// The time zone of the policy's clock, e.g. Europe/Berlin [default: UTC].
    #[arg(long, value_name = "ZONE", env = "REMIT_RUNNER_POLICY_TIMEZONE")]
    pub policy_timezone: Option<String>,
    /// The public half of a key whose approvals count, from `remit-runner customer-key`. May be repeated.
    #[arg(long = "customer-key", value_name = "FILE")]
    pub customer_keys: Vec<PathBuf>,
}
