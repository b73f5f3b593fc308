//! `remit keys` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::keys::Algorithm;

/// `remit keys`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a root key and a release key, each in a file that only you can read: enough to begin with.
    ///
    /// For more than one person, `remit keys make` on each one's machine and `remit keys root new`.
    Init,
    /// Show the ids of your keys and where they are; never the keys.
    Show,
    /// Make one key: NAME.pem for you only, NAME.pub.json for whoever makes the root.
    #[command(after_help = "\
Examples:
  remit keys make ann
  remit keys make ci --algorithm p256 --key-passphrase-file -")]
    Make {
        /// Its name, e.g. whose it is.
        name: String,
        /// How it signs.
        #[arg(long, value_enum, default_value_t)]
        algorithm: Algorithm,
    },
    /// Trust roots: which keys may sign what.
    #[command(subcommand)]
    Root(RootCommand),
    /// The keys that the broker signs jobs with.
    #[command(subcommand)]
    Dispatch(DispatchCommand),
    /// Let a release or dispatch key sign nothing any more, at once and for good. Then drop it from the root.
    Revoke {
        /// Its id; see `remit keys root inspect`.
        id: String,
        /// Why, for those who read it later.
        #[arg(long)]
        reason: String,
    },
    /// Let no release below this counter run any more, at once and for good.
    Floor {
        /// The lowest counter that may still run.
        counter: u64,
        /// Of this channel.
        #[arg(long, default_value = "stable")]
        channel: String,
    },
    /// What is revoked, and the floors.
    Standing,
}

/// `remit keys root`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
The file goes round: each holder of a root key signs it on a machine of their own.
  remit keys root rotate --add-root bea.pub.json --root-threshold 2     writes root.2.json, signed by you
  remit keys root sign root.2.json                                      Bea, on her machine
  remit keys root inspect root.2.json                                   is anybody missing?
  remit keys root publish root.2.json                                   runners follow within a minute")]
pub enum RootCommand {
    /// Make the first root of an org, signed by the root keys that are here.
    #[command(after_help = "\
Example, two of three people and two release keys to destroy in channel stable:
  remit keys root new --add-root ann.pub.json --add-root bea.pub.json --add-root cem.pub.json \\
      --root-threshold 2 --add-release ci.pub.json --add-release ann2.pub.json \\
      --destroy-threshold 2 --destroy-channel stable")]
    New {
        /// The org's name; otherwise the one in remit.toml.
        name: Option<String>,
        /// What it says.
        #[command(flatten)]
        wish: Box<WishArgs>,
        /// Where to write it [default: root.1.json].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make the root that follows the one beside your keys, signed by the root keys that are here.
    Rotate {
        /// What it says.
        #[command(flatten)]
        wish: Box<WishArgs>,
        /// Where to write it [default: root.N.json].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Add the signatures of the root keys that are here. Shows first what you sign.
    Sign {
        /// The root.
        file: PathBuf,
        /// A key to sign with [default: every key in the keys directory that the root wants].
        #[arg(long, value_name = "FILE")]
        key: Vec<PathBuf>,
    },
    /// What a root says, who signed it, and who is missing.
    Inspect {
        /// The root [default: the one beside your keys].
        file: Option<PathBuf>,
        /// The root before it [default: the one beside your keys].
        #[arg(long, value_name = "FILE")]
        before: Option<PathBuf>,
    },
    /// Bring the next root to the broker, which hands it to every runner.
    Publish {
        /// The root.
        file: PathBuf,
    },
    /// Take the newest root from the broker, if it follows the one beside your keys.
    Fetch,
}

/// What a root shall say; what is not said stays as it was.
#[derive(Debug, Args)]
pub struct WishArgs {
    /// The public half of a root key, as `remit keys make` writes it. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub add_root: Vec<PathBuf>,
    /// The public half of a release key. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub add_release: Vec<PathBuf>,
    /// The id of a key that shall sign nothing any more. May be repeated.
    #[arg(long, value_name = "ID")]
    pub drop: Vec<String>,
    /// Take the dispatch keys that the broker has now, in place of those before.
    #[arg(long)]
    pub dispatch_from_broker: bool,
    /// The same from a file: what `remit keys dispatch show -o json` printed.
    #[arg(long, value_name = "FILE", conflicts_with = "dispatch_from_broker")]
    pub dispatch: Option<PathBuf>,
    /// How many root keys must sign a root.
    #[arg(long, value_name = "N")]
    pub root_threshold: Option<u32>,
    /// How many release keys must sign a release.
    #[arg(long, value_name = "N")]
    pub release_threshold: Option<u32>,
    /// How many release keys must have signed a release by which something is destroyed.
    #[arg(long, value_name = "N", requires = "destroy_channel")]
    pub destroy_threshold: Option<u32>,
    /// In which channels. May be repeated.
    #[arg(long, value_name = "NAME", requires = "destroy_threshold")]
    pub destroy_channel: Vec<String>,
    /// How long it holds. A broker that was taken over can keep a newer root from runners for so long.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
}

/// `remit keys dispatch`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
To change the key, without a moment in which a runner believes nothing:
  remit keys dispatch rotate                                 the broker signs with both from now on
  remit keys root rotate --dispatch-from-broker              every org, then sign and publish
  remit keys dispatch retire OLD-ID                          refused until every org names the new one
  remit keys root rotate --dispatch-from-broker              every org again: the old key counts no more")]
pub enum DispatchCommand {
    /// The broker's dispatch keys.
    Show,
    /// Make the next dispatch key at the broker. Needs the operator's token.
    Rotate,
    /// Give one of two dispatch keys up. Needs the operator's token.
    Retire {
        /// Its id.
        id: String,
    },
}
