//! `cargo sim`: runs the production engine and loops through simulated days of bad luck, seed by seed.
//!
//! No sockets, no threads, no real time: production engines over a store that outlives them, runners that
//! follow the protocol, and people who do as people do. After every event the named invariants are
//! checked; after healing everything, progress is required. docs/proof.md says more.

mod broker;
mod bugs;
mod follow;
mod luck;
mod names;
mod people;
mod promises;
mod runner;
mod scenario;
mod shrink;
mod store;
mod trace;
mod world;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

use bugs::Bug;
use clap::Parser;
use luck::Struck;
use scenario::{HOUR_MS, Outcome, Scenario};

/// Simulates the engine, the event loops and the runner protocol under faults.
///
/// Ends with the line `N seeds, H simulated hours, V violations`. A violation is told as the shortest
/// story that was found, with the command that replays it.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    start: u64,
    /// One seed alone.
    #[arg(long, conflicts_with_all = ["seeds", "start"])]
    seed: Option<u64>,
    /// How many installs each seed has.
    #[arg(long, default_value_t = 4)]
    installs: u32,
    /// How many hours of bad luck each seed simulates before everything is healed.
    #[arg(long, default_value_t = 24)]
    hours: i64,
    /// The same in minutes.
    #[arg(long, conflicts_with = "hours")]
    minutes: Option<i64>,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// Say on stderr how fast it went.
    #[arg(long)]
    stats: bool,
    /// Let only these misfortunes happen, as a violation names them; `nothing` for none.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Leave these installs out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<usize>,
    /// Tell a violation as it was found, without looking for a shorter story.
    #[arg(long)]
    as_found: bool,
    /// Plant a bug, to see that it is caught; `all` tries each and fails if one is not.
    #[arg(long)]
    bug: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let only: Result<BTreeSet<Struck>, String> =
        args.only.iter().filter(|word| *word != "nothing").map(|word| word.parse()).collect();
    let only = match only {
        Ok(only) => (!args.only.is_empty()).then_some(only),
        Err(words) => return usage(&words),
    };
    match args.bug.as_deref() {
        None => plain(&args, None, only.as_ref()),
        Some("all") => all_bugs(&args),
        Some(name) => match Bug::parse(name) {
            Some(bug) => plain(&args, Some(bug), only.as_ref()),
            None => usage(&format!("no bug is called {name}; there are: {}", Bug::names())),
        },
    }
}

fn usage(words: &str) -> ExitCode {
    eprintln!("{words}");
    ExitCode::from(2)
}

fn scenario(args: &Args, seed: u64, bug: Option<Bug>, only: Option<&BTreeSet<Struck>>) -> Scenario {
    Scenario {
        seed,
        installs: args.installs,
        length_ms: args.minutes.map_or(args.hours * HOUR_MS, |minutes| minutes * 60_000),
        bug,
        trace: args.trace,
        keep: only.cloned(),
        without: args.without.iter().copied().collect(),
    }
}

fn seeds(args: &Args) -> std::ops::Range<u64> {
    args.seed.map_or(args.start..args.start + args.seeds, |seed| seed..seed + 1)
}

fn plain(args: &Args, bug: Option<Bug>, only: Option<&BTreeSet<Struck>>) -> ExitCode {
    let (mut violations, mut simulated_ms, mut events, mut followed) = (0, 0, 0, 0);
    let (mut changes, mut unchanged, mut mended, mut proven, mut unwell) = (0, 0, 0, 0, 0);
    let began = Instant::now();
    for seed in seeds(args) {
        let scenario = scenario(args, seed, bug, only);
        let outcome = scenario.run();
        simulated_ms += outcome.simulated_ms;
        events += outcome.events;
        followed += outcome.followed;
        changes += outcome.changes;
        unchanged += outcome.unchanged;
        mended += outcome.mended;
        proven += outcome.proven;
        unwell += outcome.unwell;
        if args.trace {
            println!("seed {seed}: {} lines, trace {:016x}", outcome.lines, outcome.digest);
        }
        if outcome.violation.is_some() {
            violations += 1;
            tell(args, &scenario, outcome);
        }
    }
    let (hours, seconds) = (simulated_ms / HOUR_MS, began.elapsed().as_secs_f64());
    if args.stats {
        let installs = f64::from(args.installs);
        #[expect(clippy::cast_precision_loss, reason = "figures for people")]
        let (hours, events) = (simulated_ms as f64 / HOUR_MS as f64, events as f64);
        eprintln!(
            "{:.1} simulated hours, {:.0} install-hours, {:.0} committed events a second; \
             the model took {followed} steps beside them; {changes} changes were held against what people \
             had said, {unchanged} steps were left out as unchanged, rules acted {mended} times, {proven} \
             deploys were done, something was unwell {unwell} times",
            hours / seconds,
            hours * installs / seconds,
            events / seconds
        );
    }
    println!("{} seeds, {hours} simulated hours, {violations} violations", seeds(args).count());
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The violation, the events before it, and how to see it again.
fn tell(args: &Args, scenario: &Scenario, found: Outcome) {
    println!("seed {}: {}", scenario.seed, found.violation.as_deref().unwrap_or_default());
    let (scenario, outcome) = if args.as_found || args.trace {
        (scenario.clone(), found)
    } else {
        match shrink::shrink(scenario) {
            Some(shrunk) => {
                let (from, to) = (found.struck.len(), shrunk.outcome.struck.len());
                println!("  {from} misfortunes became {to} in {} runs:", shrunk.runs);
                (shrunk.scenario, shrunk.outcome)
            }
            None => (scenario.clone(), found),
        }
    };
    println!("  {}", outcome.violation.as_deref().unwrap_or_default());
    outcome.last_lines.iter().for_each(|line| println!("    {line}"));
    println!("  {}", shrink::command(&scenario));
}

fn all_bugs(args: &Args) -> ExitCode {
    let mut missed = 0;
    for bug in Bug::ALL {
        let caught = seeds(args).find_map(|seed| {
            let violation = scenario(args, seed, Some(bug), None).run().violation?;
            Some(format!("caught by seed {seed}: {violation}"))
        });
        missed += usize::from(caught.is_none());
        println!(
            "{}: {}",
            bug.name(),
            caught.unwrap_or_else(|| format!("NOT caught in {} seeds", seeds(args).count()))
        );
    }
    println!("{} planted bugs, {missed} not caught", Bug::ALL.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
