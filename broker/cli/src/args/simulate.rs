//! `remit simulate`: what it takes.

use std::path::PathBuf;

use clap::Args;

/// `remit simulate`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  remit simulate                                              the product here, a thousand installs, all well
  remit simulate --installs 10000 --scenario bad-day.toml --html report.html
  remit simulate --scenario bad-day.toml --expect expect.toml      for your CI: exit 6 if it is not so

An expectation file:
  version = 1
  [expect]
  all_updated = true        # every install ends on the new release
  held_max = 0              # so many may wait for a person at the end
  update_p90_max = \"30m\"    # nine of ten are on the new release after so long
  update_max = \"8h\"         # and all that get there
  halts_max = 0             # so often may a rollout halt
  [expect.failures_max]     # attempts that failed, by class
  bug = 0
  [expect.groups.prod]      # of a group of the fleet
  updated_min = 95          # so many of a hundred end on the new release

  remit simulate --fleet fleet.toml --html report.html             groups, policies, freezes, a rollout in waves
docs/simulate.md shows what a fleet file may say.")]
pub struct SimulateArgs {
    /// How many installs.
    #[arg(long, short = 'n', default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub installs: u32,
    /// Groups of installs with their policies and luck, and the rollout that reaches them.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["installs", "scenario"])]
    pub fleet: Option<PathBuf>,
    /// What goes wrong and how long things take.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Another seed than the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How many jobs a runner carries out at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub capacity: u16,
    /// How long a person needs to have what is held tried again, or `never`.
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub people_after: String,
    /// When the second release comes out, after the beginning.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    pub update_at: String,
    /// When the simulation ends at the latest.
    #[arg(long, value_name = "TIME", default_value = "720h")]
    pub until: String,
    /// What must come of it; if not, the exit code is 6.
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
    /// Write a page with pictures there.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The product's folder; otherwise the nearest.
    #[arg(long, value_name = "DIR")]
    pub product: Option<PathBuf>,
}
