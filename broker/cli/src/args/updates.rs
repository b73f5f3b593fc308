//! The commands about when installs are changed: policies, freezes, and releases that wait.

use clap::{Args, Subcommand};

/// `remit install policy`
#[derive(Clone, Debug, Subcommand)]
#[command(after_help = "\
Examples:
  remit install policy acme window --zone Europe/Berlin --days sat,sun --start 22:00 --length 4h
  remit install policy acme manual
  remit install policy acme latest")]
pub enum PolicyCommand {
    /// Take a release as soon as it is out.
    Latest,
    /// Let releases wait until somebody opts in.
    Manual,
    /// Take releases while a window is open.
    ///
    /// What runs when it closes is finished; steps that have not begun wait for the next one. A start that
    /// the clocks skip begins when they have skipped it; one that comes twice begins once, at the first.
    Window {
        /// The place whose clocks count: an IANA time zone.
        #[arg(long, value_name = "ZONE")]
        zone: String,
        /// The days on which it opens: mon,tue,wed,thu,fri,sat,sun.
        #[arg(long, value_name = "DAYS", value_delimiter = ',', required = true)]
        days: Vec<String>,
        /// When it opens, by those clocks.
        #[arg(long, value_name = "HH:MM")]
        start: String,
        /// How long it stays open: 90m, 4h.
        #[arg(long, value_name = "LENGTH")]
        length: String,
        /// A release that comes while it is open: start it, or let it wait unless a deploy fits in.
        #[arg(long, value_enum, default_value_t)]
        late: LateArg,
    },
}

/// `--late`
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub enum LateArg {
    /// Begin; the rest waits for the next window.
    #[default]
    Start,
    /// Begin only if there is time for as long as a deploy took here.
    Wait,
}

/// `remit freeze`
#[derive(Clone, Debug, Subcommand)]
#[command(after_help = "\
Examples:
  remit freeze add year-end --on @org --from 2026-12-20T00:00 --until 2027-01-04T00:00 --reason holidays
  remit freeze list --on acme
  remit freeze remove year-end --on @org --reason 'over early'")]
pub enum FreezeCommand {
    /// Change nothing in a time: in an install (`acme`), the app or the org, and all below.
    Add {
        /// Its name.
        name: String,
        /// An install (`acme`), `@app` or `@org`.
        #[arg(long, value_name = "TARGET", default_value = "@app")]
        on: String,
        /// The first moment of it [default: now].
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// The first moment after it.
        #[arg(long, value_name = "TIME")]
        until: String,
        /// The place whose clocks count for times without an offset: an IANA time zone.
        #[arg(long, value_name = "ZONE", default_value = "UTC")]
        zone: String,
        /// Why; it stays on the record.
        #[arg(long)]
        reason: String,
    },
    /// Take a freeze away.
    Remove {
        /// Its name.
        name: String,
        /// Where it was stated: an install (`acme`), `@app` or `@org`.
        #[arg(long, value_name = "TARGET", default_value = "@app")]
        on: String,
        /// Why; it stays on the record.
        #[arg(long)]
        reason: String,
    },
    /// The freezes that hold for an object, those of its parents too.
    List {
        /// An install (`acme`), `@app` or `@org`.
        #[arg(long, value_name = "TARGET", default_value = "@app")]
        on: String,
    },
}

/// A release that waits at an install.
#[derive(Clone, Debug, Args)]
pub struct WaitingArgs {
    /// The install.
    pub install: String,
    /// The release's version [default: the newest that waits].
    #[arg(long)]
    pub version: Option<String>,
    /// Whether it is done.
    #[command(flatten)]
    pub tries: super::TryArgs,
}

/// `remit deploy`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  remit deploy acme                                      the newest, by its window
  remit deploy acme --version 1.4.0 --now --reason 'a hole is being used'")]
pub struct DeployArgs {
    /// The install.
    pub install: String,
    /// The release's version [default: the newest].
    #[arg(long)]
    pub version: Option<String>,
    /// Whatever its window says; needs a reason.
    #[arg(long, requires = "reason")]
    pub now: bool,
    /// In spite of a freeze too.
    #[arg(long, requires = "now")]
    pub override_freeze: bool,
    /// Why; it stays on the record.
    #[arg(long, requires = "now")]
    pub reason: Option<String>,
    /// Whether it is done.
    #[command(flatten)]
    pub tries: super::TryArgs,
}
