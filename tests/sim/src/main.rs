//! `cargo sim`: runs the event loops through simulated months of bad luck, seed by seed.
//!
//! No sockets, no threads, no real time: the production loops, a broker that commits and
//! crashes, runners that follow the protocol, and people who do as people do. After every
//! event the named invariants are checked; after healing everything, progress is required.

mod broker;
mod bugs;
mod people;
mod runner;
mod scenario;
mod trace;
mod violations;
mod world;

use std::process::ExitCode;

use bugs::Bug;
use clap::Parser;
use scenario::{Outcome, Scenario};

/// Simulates the event loops, the broker's commits and the runner protocol under faults.
///
/// Ends with the line `N seeds, H simulated hours, V violations`. A violation prints its
/// seed and the events before it; `--seeds 1 --start SEED --trace` replays it.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// How many seeds to run.
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    start: u64,
    /// How many installs each seed has.
    #[arg(long, default_value_t = 4)]
    installs: u32,
    /// How many hours of bad luck each seed simulates before everything is healed.
    #[arg(long, default_value_t = 24)]
    hours: i64,
    /// Print every event.
    #[arg(long)]
    trace: bool,
    /// Plant a bug, to see that it is caught; `all` tries each and fails if one is not.
    #[arg(long)]
    bug: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match args.bug.as_deref() {
        None => plain(&args),
        Some("all") => all_bugs(&args),
        Some(name) => match Bug::parse(name) {
            Some(bug) => one_bug(&args, bug),
            None => {
                eprintln!("no bug is called {name}; there are: {}", Bug::names());
                ExitCode::from(2)
            }
        },
    }
}

fn run(args: &Args, seed: u64, bug: Option<Bug>) -> Outcome {
    Scenario { seed, installs: args.installs, hours: args.hours, bug, trace: args.trace }.run()
}

fn plain(args: &Args) -> ExitCode {
    let (mut violations, mut simulated_ms) = (0, 0);
    for seed in args.start..args.start + args.seeds {
        let outcome = run(args, seed, None);
        simulated_ms += outcome.simulated_ms;
        if args.trace {
            println!("seed {seed}: {} events, trace {:016x}", outcome.events, outcome.digest);
        }
        if let Some(violation) = outcome.violation {
            violations += 1;
            println!("seed {seed}: {violation}");
            for line in outcome.last_lines {
                println!("    {line}");
            }
        }
    }
    println!("{} seeds, {} simulated hours, {violations} violations", args.seeds, simulated_ms / 3_600_000);
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one_bug(args: &Args, bug: Bug) -> ExitCode {
    let caught = (args.start..args.start + args.seeds)
        .find_map(|seed| run(args, seed, Some(bug)).violation.map(|violation| (seed, violation)));
    match caught {
        Some((seed, violation)) => {
            println!("{}: caught by seed {seed}: {violation}", bug.name());
            ExitCode::SUCCESS
        }
        None => {
            println!("{}: NOT caught in {} seeds", bug.name(), args.seeds);
            ExitCode::FAILURE
        }
    }
}

fn all_bugs(args: &Args) -> ExitCode {
    let missed = Bug::ALL.into_iter().filter(|bug| one_bug(args, *bug) != ExitCode::SUCCESS).count();
    println!("{} planted bugs, {missed} not caught", Bug::ALL.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> Args {
        Args { seeds: 1, start: 1, installs: 3, hours: 6, trace: false, bug: None }
    }

    #[test]
    fn the_same_seed_gives_the_same_trace() {
        for seed in [3, 77] {
            let (one, other) = (run(&args(), seed, None), run(&args(), seed, None));
            assert_eq!(one.digest, other.digest);
            assert!(one.events > 500, "a run of {} events shows little", one.events);
        }
    }

    #[test]
    fn different_seeds_give_different_traces() {
        assert_ne!(run(&args(), 1, None).digest, run(&args(), 2, None).digest);
    }

    #[test]
    fn a_few_seeds_hold_every_invariant() {
        for seed in 1..=10 {
            let outcome = run(&args(), seed, None);
            assert_eq!(outcome.violation, None, "seed {seed}: {:#?}", outcome.last_lines);
        }
    }

    #[test]
    fn every_planted_bug_is_caught() {
        for bug in Bug::ALL {
            let caught = (1..=60).any(|seed| run(&args(), seed, Some(bug)).violation.is_some());
            assert!(caught, "{} was not caught", bug.name());
        }
    }
}
