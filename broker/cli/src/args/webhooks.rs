//! `remit webhooks`: what its commands take.

use std::path::PathBuf;

use clap::Subcommand;

/// `remit webhooks`
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// Make a webhook, told from now on. Its secret is shown once, or written to a file of your own.
    ///
    /// Messages are signed as Standard Webhooks has it (headers webhook-id, webhook-timestamp and
    /// webhook-signature), sent at least once and in order, and tried ten times over some hours.
    #[command(after_help = "\
Examples:
  remit webhooks create pager --url https://hooks.example.com/remit --event 'operation.failed' --event 'drift.*'
  remit webhooks create audit --url https://audit.example.com/in --out audit.secret")]
    Create {
        /// A name for it.
        name: String,
        /// Where it is told; https, and no private address.
        #[arg(long)]
        url: String,
        /// What it is told: a code of the timeline, `area.*`, or `*`. May be repeated.
        #[arg(long = "event", value_name = "CLASS", default_value = "*")]
        events: Vec<String>,
        /// Write the secret there (0600) and show it nowhere.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// The webhooks of the org, and how they fare; never their secrets.
    List,
    /// Remove a webhook.
    Delete {
        /// Its name.
        name: String,
    },
    /// What a webhook was told lately, and whether it heard it.
    Deliveries {
        /// Its name.
        name: String,
    },
    /// Send a message about nothing, to see that one arrives.
    Test {
        /// Its name.
        name: String,
    },
    /// Send a message again, under its own id.
    Replay {
        /// The webhook's name.
        name: String,
        /// The message, from `remit webhooks deliveries`.
        #[arg(long)]
        id: String,
    },
}
