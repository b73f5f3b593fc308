//! `cargo verify`: sets up what the checks need, runs them all and ends with `N passed, N failed`.
//! A stage counts as one, the tests count each. Names of stages as arguments run only those.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod kubernetes;
mod part;
mod stage;
mod tally;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use stage::{Plan, Stage};
use tally::Tally;

/// What `cargo verify --help` says.
const HELP: &str = "\
Sets up what the checks need, runs them all and ends with `N passed, N failed`.

Usage: cargo verify [STAGE]...

What a stage printed lies in target/verify/STAGE.log. `cargo verify fmt clippy` takes seconds after a build;
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
    let stages = stage::all();
    let names = || stages.iter().map(|stage| stage.name).collect::<Vec<_>>().join(", ");
    if wanted.iter().any(|word| word == "--help" || word == "-h") {
        println!("{HELP}\n\nStages: {}", names());
        return Ok(true);
    }
    if let Some(unknown) = wanted.iter().find(|name| stages.iter().all(|stage| stage.name != name.as_str())) {
        bail!("there is no stage {unknown}; there are {}", names());
    }
    let chosen = |stage: &&Stage| wanted.is_empty() || wanted.iter().any(|name| name == stage.name);
    let mut tally = Tally::default();
    if part::on_path("terraform").is_none() {
        tally.skipped("terraform", "not on the PATH: tests that need the real one are passed over");
    }
    for stage in stages.iter().filter(chosen) {
        match &stage.plan {
            Plan::Run(commands) => tally.add(&stage.run(&house, commands)?),
            Plan::Part(set_up) => match set_up(&house) {
                Ok(commands) => tally.add(&stage.run(&house, &commands)?),
                Err(error) => tally.unready(stage.name, &error),
            },
        }
    }
    Ok(tally.close())
}

/// Where things lie: the workspace and cargo's target directory.
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
