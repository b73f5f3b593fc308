//! `cargo verify`: sets up what the checks need, runs them all and ends with `N passed, N failed`.
//! A stage counts as one, the tests count each. Names of stages as arguments run only those.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod command;
mod kept;
mod kubernetes;
mod opentofu;
mod part;
mod stage;
mod stages;
mod tally;
mod test_run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use part::Parts;
use stage::Running;
use stages::{Plan, Stage};
use tally::{Outcome, Tally};

/// What `cargo verify --help` says.
const HELP: &str = "\
Sets up what the checks need, runs them all and ends with `N passed, N failed`.

Usage: cargo verify [STAGE]...

What a stage printed lies in target/verify/STAGE.log. `cargo verify fmt clippy` takes seconds once it has run;
`cargo test --workspace NAME` runs single tests once `cargo verify parts` has set up what they need.";

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("verify: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let house = House::find()?;
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let stages = stages::all();
    let names = || stages.iter().map(|stage| stage.name).collect::<Vec<_>>().join(", ");
    if wanted.iter().any(|word| word == "--help" || word == "-h") {
        println!("{HELP}\n\nStages: {}", names());
        return Ok(true);
    }
    if let Some(unknown) = wanted.iter().find(|name| stages.iter().all(|stage| stage.name != name.as_str())) {
        bail!("there is no stage {unknown}; there are {}", names());
    }
    let chosen = |stage: &&Stage| wanted.is_empty() || wanted.iter().any(|name| name == stage.name);
    let stages: Vec<&Stage> = stages.iter().filter(chosen).collect();
    verify(&house, &stages)
}

fn verify(house: &House, stages: &[&Stage]) -> Result<bool> {
    let needed: Vec<&str> = stages.iter().flat_map(|stage| stage.needs.iter().copied()).collect();
    let parts = Parts::begin(house, &needed);
    let mut tally = Tally::default();
    std::thread::scope(|scope| -> Result<()> {
        let mut beside = Vec::new();
        for stage in stages {
            if let Err(error) = parts.wait(&stage.needs) {
                // A part that the stage needs could not be had: that is a failure, not a silence.
                tally.unready(stage.name, &error);
            } else if let Plan::Beside(commands) = stage.plan {
                let running = Running::begin(house, stage.name)?;
                beside.push(scope.spawn(move || running.commands(&commands(house))));
            } else {
                tally.add(&run_stage(house, stage)?);
            }
        }
        for stage in beside {
            tally.add(&stage.join().expect("a stage hands its errors on")?);
        }
        Ok(())
    })?;
    Ok(tally.close(&parts.report()))
}

fn run_stage(house: &House, stage: &Stage) -> Result<Outcome> {
    let running = Running::begin(house, stage.name)?;
    match stage.plan {
        Plan::Commands(commands) | Plan::Beside(commands) => running.commands(&commands(house)),
        Plan::Own(run) => run(house, running),
    }
}

/// Where things lie: the workspace and cargo's target directory.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
}

impl House {
    fn find() -> Result<House> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let root = root.context("this crate lies two folders below the workspace")?.to_owned();
        let this = std::env::current_exe().context("the path of this program")?;
        let target = this.ancestors().nth(2).context("this program lies in target/debug")?.to_owned();
        Ok(House { root, target })
    }

    /// Where parts are set up that the machine lacks; nothing outside the target directory is touched, but for
    /// Debian's packages and what takes so long to build that the next checkout shall find it (`~/.cache`).
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }
}
