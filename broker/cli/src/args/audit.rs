//! `remit audit`: what its commands take.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `remit audit`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Who did what, the newest first. An org's token shows what is its org's.
    #[command(after_help = "\
Examples:
  remit audit show -n 20
  remit audit show --only demo -o json | jq -r '.entries[] | [.at, .by, .code, .about] | @tsv'")]
    Show {
        /// Only what is this org's; for the broker's operator.
        #[arg(long, value_name = "ORG")]
        only: Option<String>,
        /// How many.
        #[arg(long, short = 'n', default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Keep the place where the log stands, signed by the broker: later it proves that nothing before was changed.
    #[command(after_help = "\
Examples:
  remit audit checkpoint --out checkpoints/2026-11-29.json")]
    Checkpoint {
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write the whole log into a file, one line a block, to be proved without the broker.
    ///
    /// An org's token gets its org's entries, and of the rest the digests: the chain is whole all the same.
    Export {
        /// The file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Prove the log: every block, a place that was kept, and that no runner's receipts went back.
    #[command(after_help = "\
Examples:
  remit audit verify
  remit audit verify --checkpoint checkpoints/2026-11-29.json --evidence evidence.json
  remit audit verify --file audit.jsonl --checkpoint runner-data/journal/seen.json --key 4f5c…

Exit codes: 0 whole, 6 broken, forked, or a runner's receipts contradict each other.")]
    Verify(VerifyArgs),
    /// Look at a file of evidence, without a broker: what does it prove?
    Judge {
        /// The file that `verify --evidence` wrote.
        evidence: PathBuf,
    },
}

/// What to prove of the log.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A file of `remit audit export`, instead of the broker's own answer.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A place that was kept: `remit audit checkpoint`, or a runner's journal/seen.json.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// The id of the dispatch key that must have signed the checkpoint.
    #[arg(long, value_name = "HEX", requires = "checkpoint")]
    pub key: Option<String>,
    /// If something contradicts itself, write what proves it into this file, for `remit audit judge`.
    #[arg(long, value_name = "FILE")]
    pub evidence: Option<PathBuf>,
}
