//! How long a `kill -9` of the runner costs: from the kill, in the middle of a job, to the moment when the
//! next attempt of that job runs its tool, everything that was left ended and its lock taken anew. The broker
//! decides on the next attempt, so its part is in it. The bare limit is a start of the runner until it is ready.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use remit_tests::figure::{Figure, Options};
use remit_tests::world::{World, wait_for};

use crate::runner::start;

const RESUMED: &str = "resume.crash_to_resumed_p50";
const INSTALL: &str = "ins_demo.misfortune.acme";
/// Long enough to be killed in the middle of.
const LOAD: &str = "load_seconds=110";

/// The figures of this area.
pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    if !options.wants(RESUMED) {
        return Ok(Vec::new());
    }
    let mut world = World::start("misfortune")?;
    for command in [&["keys", "init"][..], &["org", "create"], &["release", "create"]] {
        world.remit(command)?;
    }
    std::fs::write(world.path("site/billing.granted"), "")?;
    let files = world.path("for-acme");
    std::fs::create_dir(&files)?;
    let files = files.to_str().context("a path that is text")?.to_owned();
    world.remit(&["install", "create", "acme", "--out-dir", &files, "--input", LOAD])?;
    world.start_runner(INSTALL)?;
    loads(&world, 1)?;
    let mut times = Vec::new();
    for n in 0..options.scale(3, 1) {
        let began = Instant::now();
        world.kill_runner(INSTALL)?;
        world.restart_runner(INSTALL)?;
        loads(&world, n + 2)?;
        times.push(began.elapsed());
    }
    times.sort();
    let seconds = |time: Duration| time.as_secs_f64();
    let bare = start(&mut world, INSTALL)? / 1e3;
    Ok(vec![Figure::new(RESUMED, seconds(times[times.len() / 2]), "s").against(bare)])
}

/// Waits until the warehouse has begun to load so many times.
fn loads(world: &World, times: usize) -> Result<()> {
    let begun = |log: String| log.matches("begin").count() >= times;
    wait_for("the warehouse's loading", || Ok(world.site("warehouse.log").filter(|log| begun(log.clone()))))?;
    Ok(())
}
