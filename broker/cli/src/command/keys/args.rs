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
    #[command(after_help = "\
Examples:
  remit keys init
  remit keys init --release-kms awskms:///alias/remit-release?region=eu-central-1")]
    Init {
        /// Let this key of AWS KMS be the release key; nothing of it is on this machine. It must be of
        /// ECC_NIST_P256, and kms:GetPublicKey allowed to you, kms:Sign to whoever releases.
        #[arg(long, value_name = "URI")]
        release_kms: Option<String>,
    },
    /// Show your keys: ids, what the root lets each sign, and where they are; never the keys.
    #[command(visible_alias = "list")]
    Show,
    /// Make one key: NAME.pem for you only, NAME.pub.json for whoever makes the root.
    ///
    /// With --kms nothing is made: NAME.kms.json says where the key is. That file is no secret, and goes
    /// to every machine that is to sign.
    #[command(after_help = "\
Examples:
  remit keys make ann
  remit keys make bea --algorithm p256 --key-passphrase-file -
  remit keys make ci --kms awskms:///arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab

From a key in a file to one in KMS:
  remit keys make ci --kms awskms:///alias/remit-release?region=eu-central-1
  remit keys root rotate --add-release .remit/keys/ci.pub.json --drop OLD-ID     then sign and publish
  remit release create                                                           signed by the one in KMS")]
    Make {
        /// Its name, e.g. whose it is.
        name: String,
        /// How it signs.
        #[arg(long, value_enum, default_value_t, conflicts_with = "kms")]
        algorithm: Algorithm,
        /// It is this key of AWS KMS, by its ARN, its id or an alias.
        #[arg(long, value_name = "URI")]
        kms: Option<String>,
    },
    /// Trust roots: which keys may sign what.
    #[command(subcommand)]
    Root(RootCommand),
    /// The keys that the broker signs jobs with.
    #[command(subcommand)]
    Dispatch(DispatchCommand),
    /// Let a release or dispatch key sign nothing any more, at once and for good. Then drop it from the root.
    #[command(after_help = "\
When a key was stolen:
  remit keys root inspect                                                     which id is it?
  remit keys revoke ID --reason 'the laptop is gone'                          runners know within a minute
  remit keys root rotate --drop ID --add-release NEW.pub.json                 then sign and publish: this is what counts")]
    Revoke {
        /// Its id; see `remit keys root inspect`.
        id: String,
        /// Why, for those who read it later.
        #[arg(long)]
        reason: String,
    },
    /// Let no release below this counter run any more, at once and for good.
    #[command(after_help = "\
Example:
  remit keys floor 17 --channel stable              `remit release list` shows the counters")]
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
Example, two of three people and two release keys to destroy:
  remit keys root new --add-root ann.pub.json --add-root bea.pub.json --add-root cem.pub.json \\
      --root-threshold 2 --add-release ci.pub.json --add-release ann2.pub.json \\
      --destroy-threshold 2")]
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
    /// Add the signatures of the root keys that are here, and show what was signed and who is missing.
    ///
    /// Look at it first: `remit keys root inspect FILE` says what it changes, and its digest.
    Sign {
        /// The root.
        file: PathBuf,
        /// A key to sign with: the name of one in the keys directory, a file, or awskms:///… May be repeated
        /// [default: every key in the keys directory that the root wants].
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
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
    #[command(after_help = "\
Examples:
  remit keys root fetch                   follow to the newest root
  remit keys root fetch --pin SHA256      on a new machine: begin with the root that you know by its digest")]
    Fetch {
        /// On a machine that has no root yet: the digest of the one that you believe.
        #[arg(long, value_name = "SHA256")]
        pin: Option<String>,
    },
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
    /// How many release keys must have signed a release by which something is destroyed, or a permit to go back
    /// to an older one.
    #[arg(long, value_name = "N")]
    pub destroy_threshold: Option<u32>,
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
    /// The broker's dispatch keys: where they are, how old, and whether they sign.
    Show,
    /// Make the next dispatch key at the broker. Needs the operator's token.
    ///
    /// It is made in a file of the broker, or is the key of AWS KMS that the broker was started with:
    /// `remit-broker serve --dispatch-kms URI`.
    Rotate,
    /// Give one of two dispatch keys up. Needs the operator's token.
    Retire {
        /// Its id.
        id: String,
    },
}
