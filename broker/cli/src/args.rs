//! The command line: commands, flags, and the help that teaches them.

pub mod audit;
mod dev;
pub mod drift;
pub mod glass;
mod link;
mod logs;
mod org;
mod permit;
pub mod place;
mod plan;
pub mod rollouts;
mod scenario;
mod signal;
mod simulate;
mod token;
pub mod updates;
mod webhooks;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::keys::KeysCommand;
use crate::context::Globals;
use crate::failure::EXIT_CODES;

/// Run your product inside your customers' own cloud accounts.
///
/// Describe the product once in remit.toml, cut signed releases, create installs, and watch
/// them come up. `remit dev` shows the whole journey on this machine.
#[derive(Debug, Parser)]
#[command(name = "remit", version, max_term_width = 100, after_help = EXAMPLES, after_long_help = long_help())]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
The journey:
  remit init shop && cd shop             a small product that works
  remit keys init && remit org create    your keys, and your org at the broker
  remit release create                   check, pack, sign and publish
  remit install create acme              prints what the customer runs
  remit install watch acme               until it is active
  remit signal acme check_drift          ask it to do something (see `remit signal --help`)
  remit why acme                         what it waits for, and what would end it

`remit dev` does all of it on this machine; `remit COMMAND --help` says more.";

fn long_help() -> String {
    format!("{EXAMPLES}\n\n{EXIT_CODES}")
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a small working product into a folder.
    ///
    /// It has a diamond of components: terraform modules that need no provider, a script,
    /// and one of each later kind, rehearsed.
    Init {
        /// The folder; made if it is not there.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Check remit.toml: every mistake at once, with its place. Sends nothing.
    Check {
        /// The product's folder; otherwise the nearest.
        dir: Option<PathBuf>,
    },
    /// Your keys and trust roots: make, rotate, revoke. Private keys stay on this machine.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Your org: the tenant of the broker.
    #[command(subcommand)]
    Org(OrgCommand),
    /// Apps: what you deploy.
    #[command(subcommand)]
    App(AppCommand),
    /// Releases: immutable, signed snapshots of an app.
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Installs: running copies of an app in customers' accounts.
    #[command(subcommand)]
    Install(InstallCommand),
    /// Scenario files: what the rehearsals of a sandbox install are to be like.
    #[command(subcommand)]
    Scenario(ScenarioCommand),
    /// Rehearse a product with thousands of installs on a virtual clock: a first deploy, then an update.
    ///
    /// It asks no broker: the event loops run in this program, as they do there. For a vendor's CI, with
    /// --expect.
    Simulate(SimulateArgs),
    /// Ask an object to do something.
    Signal(SignalArgs),
    /// Drift: what of an install is not as it was deployed, and what is done about it.
    #[command(subcommand)]
    Drift(drift::DriftCommand),
    /// Plans: what a change would do, before it is done.
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Approve a plan that waits: this very one, by its digest.
    ///
    /// The digest is that of one step's plan, or the one of all plans that wait; `remit plan show` shows both.
    #[command(after_help = "\
Examples:
  remit plan show acme                                   what waits, and its digest
  remit approve acme --plan sha256:4f5c…
  remit approve acme --step network --plan sha256:4f5c…")]
    Approve(AnswerArgs),
    /// Deny a plan that waits: its step is held until somebody says what now.
    #[command(after_help = "\
Examples:
  remit deny acme --plan sha256:4f5c… --reason 'not before the fair'")]
    Deny {
        /// Which plan.
        #[command(flatten)]
        answer: AnswerArgs,
        /// Why, for people.
        #[arg(long)]
        reason: String,
    },
    /// Why an object is not done yet, since when, and what would end it.
    ///
    /// Of an app or an org: everything below it that failed, is held up or waits, the most urgent first.
    Why {
        /// An install (`acme`), `acme/network`, `acme@runner`, `@app`, `@org` or an id.
        #[arg(required_unless_present = "all")]
        target: Option<String>,
        /// Everything that your token reaches.
        #[arg(long, conflicts_with = "target")]
        all: bool,
        /// How many objects to show.
        #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// What an object does now and what comes after.
    Queue {
        /// An install (`acme`) or another target.
        target: String,
    },
    /// What happened to an object; an install's holds its components' and runner's too.
    Timeline {
        /// An install (`acme`) or another target.
        target: String,
        /// How many of the newest lines.
        #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// The logs of an install's jobs.
    Logs(LogsArgs),
    /// When an install takes releases, and which ones wait there, with what they would change.
    Updates {
        /// The install.
        install: String,
    },
    /// Take a release that waits at an install.
    OptIn(updates::WaitingArgs),
    /// Never take a release that waits at an install.
    Decline {
        /// Which.
        #[command(flatten)]
        waiting: updates::WaitingArgs,
        /// Why; it stays on the record.
        #[arg(long)]
        reason: String,
    },
    /// Put a release that waits at an install off.
    Snooze {
        /// Which.
        #[command(flatten)]
        waiting: updates::WaitingArgs,
        /// The first moment at which it counts again.
        #[arg(long, value_name = "TIME")]
        until: String,
        /// The place whose clocks count for a time without an offset: an IANA time zone.
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        zone: String,
    },
    /// Bring an install to a release, by its window or now.
    Deploy(updates::DeployArgs),
    /// Let an install pass your own rules for a time: windows, freezes, your people's approvals.
    ///
    /// The customer's remit holds as ever. Each job says to the customer who broke the glass, why, and until
    /// when; their policy may forbid it.
    BreakGlass(glass::BreakGlassArgs),
    /// Give up what a lost runner had begun, with a proof that nothing of it runs any more.
    ///
    /// Silence is no proof: a host that is cut off may be in the middle of a change.
    Unlock(glass::UnlockArgs),
    /// Times in which nothing is changed: in an install, the app or the org.
    #[command(subcommand)]
    Freeze(updates::FreezeCommand),
    /// Bring a release to installs in waves.
    #[command(subcommand)]
    Rollout(rollouts::RolloutCommand),
    /// Do one thing with every install that has these labels; shows them first.
    Bulk(rollouts::BulkArgs),
    /// Tokens of the org, for people and programs.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Webhooks: who is told of what happens, and whether they heard it.
    #[command(subcommand)]
    Webhooks(WebhooksCommand),
    /// The broker's audit log: who did what, proved by a hash chain.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Wait until the broker is ready.
    Ready {
        /// How long, in seconds.
        #[arg(long, default_value_t = 30)]
        timeout: u64,
    },
    /// The whole journey on this machine: broker, runner, an install of a product.
    Dev(DevArgs),
    /// Print a completion script for your shell.
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Whether something is done, or only tried.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct TryArgs {
    /// Only show what it would do at once: lines of the timeline, states, the queue. Changes nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `remit app`
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// The apps of the org.
    List,
    /// One app: its releases and installs.
    Show {
        /// Its name; otherwise the one in remit.toml.
        name: Option<String>,
    },
}

/// `remit release`
#[derive(Debug, Subcommand)]
pub enum ReleaseCommand {
    /// Check the product, pack its components, sign the release and publish it.
    #[command(after_help = "\
Examples:
  remit release create
  remit release create --version 1.4.0
  remit release create --key awskms:///alias/remit-release?region=eu-central-1
  remit release create -o json | jq -r .release.digest")]
    Create {
        /// The version, for people [default: 0.COUNTER.0].
        #[arg(long)]
        version: Option<String>,
        /// Its place in its channel; must be greater than every one before [default: the next].
        #[arg(long)]
        counter: Option<u64>,
        /// Check, pack and sign, but send nothing that lasts.
        #[arg(long)]
        dry_run: bool,
        /// Bring the artefacts to the broker, but write the signed release here in place of publishing it.
        #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
        save: Option<PathBuf>,
        /// Out for nobody until it is promoted or rolled out.
        #[arg(long)]
        hold: bool,
        /// What to tell people about it; signed with the release, shown where it waits.
        #[arg(long, value_name = "FILE")]
        notes: Option<PathBuf>,
        /// The lowest counter that installs may go back to from this release without a rollback permit [default:
        /// its own, which lets them go back to none].
        #[arg(long, value_name = "COUNTER")]
        rollback_floor: Option<u64>,
        /// The key to sign with: the name of one in the keys directory, a file, or awskms:///… [default: the
        /// one in the keys directory that the root lets sign releases].
        #[arg(long, env = "REMIT_RELEASE_KEY", value_name = "KEY")]
        key: Option<String>,
    },
    /// Add your release key's signature to a release or a rollback permit that somebody else signed.
    Sign {
        /// The file, as `release create --save` or `release permit-rollback --save` wrote it.
        file: PathBuf,
        /// The key to sign with: the name of one in the keys directory, a file, or awskms:///… [default: the
        /// one in the keys directory that the root lets sign releases].
        #[arg(long, env = "REMIT_RELEASE_KEY", value_name = "KEY")]
        key: Option<String>,
    },
    /// Publish a signed release whose artefacts are at the broker, or one again that more have signed; or a
    /// rollback permit.
    Publish {
        /// The release or the permit.
        file: PathBuf,
        /// Out for nobody until it is promoted or rolled out.
        #[arg(long)]
        hold: bool,
    },
    /// Let every install take a release that was held back.
    Promote {
        /// Its version.
        version: String,
    },
    /// Sign leave for installs to go back to an older release, and bring it to the broker.
    PermitRollback(PermitArgs),
    /// Who would change by a release, when, and what. Changes nothing.
    Preview {
        /// Its version [default: the newest].
        version: Option<String>,
        /// Show every install, not only the first.
        #[arg(long)]
        all: bool,
    },
    /// The releases of the app.
    List,
}

/// `remit install`
#[derive(Debug, Subcommand)]
pub enum InstallCommand {
    /// Make an install and a one-time token for its runner; print what the customer runs.
    #[command(after_help = "\
Examples:
  remit install create acme
  remit install create acme --input size=3
  remit install create acme --aws-account 123456789012 --aws-region eu-central-1 --aws-role remit-acme
  remit install create trial --sandbox        everything is rehearsed, nothing real is touched
  remit install create trial --sandbox --scenario bad-day.toml")]
    Create {
        /// Its name.
        name: String,
        /// An input of broker authority, NAME=VALUE. May be repeated.
        #[arg(long = "input", value_name = "NAME=VALUE")]
        inputs: Vec<String>,
        /// A label, NAME=VALUE. May be repeated.
        #[arg(long = "label", value_name = "NAME=VALUE")]
        labels: Vec<String>,
        /// Rehearse everything; touch nothing real.
        #[arg(long)]
        sandbox: bool,
        /// What its rehearsals are to be like: failures, latency, drift.
        #[arg(long, value_name = "FILE", requires = "sandbox")]
        scenario: Option<PathBuf>,
        /// Which plans are asked for before they are carried out: `always`, `never`, or rules as JSON,
        /// like '{"ask":"by_rule","no_destroy":true,"quorum":2}'.
        #[arg(long, value_name = "RULES")]
        approval: Option<String>,
        /// Where its runner must be.
        #[command(flatten)]
        place: place::PlaceArgs,
        /// What the customer needs.
        #[command(flatten)]
        link: LinkArgs,
    },
    /// Give a sandbox install another scenario, or none. It counts from the next step on.
    Scenario {
        /// Its name.
        name: String,
        /// The scenario file.
        #[arg(required_unless_present = "none")]
        file: Option<PathBuf>,
        /// No scenario: all goes well.
        #[arg(long, conflicts_with = "file")]
        none: bool,
    },
    /// Make a sandbox install real: its release is deployed in earnest by the runner that is enrolled.
    ///
    /// Name, inputs, labels and history stay. What was rehearsed is not taken for real: everything is made anew.
    Promote {
        /// Its name.
        name: String,
    },
    /// Make a sandbox copy of an install: the same inputs, labels and release, rehearsed under another name.
    #[command(after_help = "\
Examples:
  remit install copy acme acme-trial
  remit install copy acme acme-trial --scenario worst-case.toml      rehearse an update's bad luck first")]
    Copy {
        /// The install to copy.
        name: String,
        /// The copy's name.
        copy: String,
        /// What its rehearsals are to be like.
        #[arg(long, value_name = "FILE")]
        scenario: Option<PathBuf>,
        /// What the copy's runner needs.
        #[command(flatten)]
        link: LinkArgs,
    },
    /// The installs of the app.
    List {
        /// Only those with these labels: env=prod,tier!=gold.
        #[arg(long, value_name = "LABELS")]
        selector: Option<String>,
    },
    /// One install, whole.
    #[command(after_help = "\
Examples:
  remit install show acme
  remit install show acme --at 2026-11-22T10:00:00Z      as it was then")]
    Show {
        /// Its name.
        name: String,
        /// As it was at this time: RFC 3339, or milliseconds since 1970.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Watch an install until it rests: exit 0 when it is active (or gone), 6 when it needs a person.
    Watch {
        /// Its name.
        name: String,
        /// Stay, whatever happens.
        #[arg(long)]
        follow: bool,
    },
    /// Tear an install down, make sure that nothing is left, and only then forget it.
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
        /// Watch it go.
        #[arg(long)]
        watch: bool,
    },
    /// Say when an install takes releases; without more, show it.
    Policy {
        /// Its name.
        name: String,
        /// When.
        #[command(subcommand)]
        policy: Option<updates::PolicyCommand>,
    },
    /// The next five times that an install's window is open, in its zone and in UTC.
    Windows {
        /// Its name.
        name: String,
    },
    /// Let an install follow one channel of releases.
    Channel {
        /// Its name.
        name: String,
        /// The channel [default: every one].
        channel: Option<String>,
    },
    /// The outputs of an install's components. Sensitive ones stay with the customer.
    Outputs {
        /// Its name.
        name: String,
    },
    /// In which AWS account an install's runner must prove to be; say another, or see it.
    Place(place::PlaceCommand),
    /// A new one-time token for the install's runner, and what the customer does with it.
    Link {
        /// Its name.
        name: String,
        /// What the customer needs.
        #[command(flatten)]
        link: LinkArgs,
    },
}

pub use dev::DevArgs;
pub use link::LinkArgs;
pub use logs::LogsArgs;
pub use org::OrgCommand;
pub use permit::PermitArgs;
pub use plan::{AnswerArgs, PlanCommand};
pub use scenario::ScenarioCommand;
pub use signal::SignalArgs;
pub use simulate::SimulateArgs;
pub use token::TokenCommand;
pub use webhooks::WebhooksCommand;
