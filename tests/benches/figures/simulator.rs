//! How fast the simulator runs the production engine: a few installs through days, and a thousand at once.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use remit_tests::figure::{Figure, Options};
use remit_tests::world::programs;

/// A figure: its name, what `cargo sim` is asked for, and which number of its statistics it is.
struct Run {
    name: &'static str,
    seeds: u32,
    installs: u32,
    minutes: u32,
    word: &'static str,
}

const RUNS: [Run; 2] = [
    Run { name: "sim.hours_4_installs", seeds: 2, installs: 4, minutes: 12 * 60, word: " simulated hours" },
    Run {
        name: "sim.install_hours_1000_installs",
        seeds: 1,
        installs: 1_000,
        minutes: 4,
        word: " install-hours",
    },
];

/// The figures of this area: hours of virtual time a second of real time.
pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    RUNS.iter().filter(|run| options.wants(run.name)).map(|run| run.measure(options)).collect()
}

impl Run {
    fn measure(&self, options: &Options) -> Result<Figure> {
        let mut command = Command::new(programs::path("remit-sim")?);
        command.args(["--seeds", &options.scale(self.seeds, 1).to_string(), "--stats"]);
        command.args(["--minutes", &options.scale(self.minutes, self.minutes.min(60)).to_string()]);
        command.args(["--installs", &options.scale(self.installs, self.installs.min(100)).to_string()]);
        let output = command.output().context("the simulator could not be started")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let text = String::from_utf8_lossy(&output.stderr);
        let value = text.split(", ").find_map(|part| part.trim().strip_suffix(self.word));
        let value = value.with_context(|| format!("no `{}` in: {text}", self.word))?;
        Ok(Figure::new(self.name, value.parse()?, "h/s"))
    }
}
