//! Many installs at once: who would change by a release, and rollouts in real time and in simulation.

mod rollout;

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use remit_broker::api::wire::PAGE_LEN_MAX;
use remit_tests::figure::{Figure, Options};
use remit_tests::world::programs;
use serde_json::Value;

use crate::vendor::Vendor;

const SIMULATE: &str = "fleet.simulated_rollout_10000_installs";
const INSTALLS: usize = 10_000;
/// A canary, a wave and the rest, with windows and a little bad luck.
const FLEET: &str = r#"
version = 1
seed = 7
[[group]]
name = "staging"
installs = 400
labels = { env = "staging" }
takes = "3m"
fails = { transient = 10, quota = 1 }
[[group]]
name = "prod"
installs = 9600
labels = { env = "prod" }
policy = "window"
[group.window]
zone = "Europe/Berlin"
days = ["sat", "sun"]
start = "22:00"
length = "4h"
[rollout]
canary = "5"
waves = ["env=staging"]
bake = "2h"
budget = "5%"
leave_waiting = true
resume_after = "4h"
"#;

/// The figures of this area.
pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let mut figures = rollout::figures(options)?;
    if options.wants(SIMULATE) {
        figures.push(simulate(options.scale(INSTALLS, 1_000))?);
    }
    Ok(figures)
}

/// How long it takes to read all pages of a list, milliseconds.
async fn pages(vendor: &Vendor, path: &str, list: &str, expected: usize) -> Result<f64> {
    let began = Instant::now();
    let (mut seen, mut after) = (0, String::new());
    loop {
        let page: Value =
            serde_json::from_slice(&vendor.get(&format!("{path}&limit={PAGE_LEN_MAX}{after}")).await?)?;
        seen += page[list].as_array().with_context(|| format!("no `{list}` in {path}"))?.len();
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    ensure!(seen == expected, "{path}: {seen} of {expected} installs");
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

/// The shop's rollout over a fleet of this size, as a vendor calls it.
fn simulate(installs: usize) -> Result<Figure> {
    let directory = tempfile::tempdir()?;
    let remit = |args: &[&str]| {
        let out = Command::new(programs::path("remit")?).args(args).current_dir(directory.path()).output()?;
        ensure!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        Ok(String::from_utf8(out.stdout)?)
    };
    remit(&["init", "shop"])?;
    let fleet = FLEET.replace("9600", &(installs - 400).to_string());
    std::fs::write(directory.path().join("fleet.toml"), fleet)?;
    let began = Instant::now();
    let report = remit(&["simulate", "--product", "shop", "--fleet", "fleet.toml", "-o", "json"])?;
    let seconds = began.elapsed().as_secs_f64();
    let report: Value = serde_json::from_str(&report)?;
    ensure!(report["installs"] == installs, "a report of {} installs", report["installs"]);
    Ok(Figure::new(SIMULATE, seconds, "s"))
}
