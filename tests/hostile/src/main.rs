//! `cargo hostile`: a broker that was taken over, against the checks that a real runner makes.
//!
//! The attacker holds every dispatch key there ever was and the broker's whole database: all releases,
//! roots, statuses and envelopes, those of other installs too. They forge, mutate, mix, replay, reorder
//! and re-address. Rules written a second time say what may begin; anything else that begins is a breach.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod attacker;
mod bugs;
mod customer;
mod found;
mod rules;
mod suite;
mod vendor;

use std::process::ExitCode;

use clap::Parser;

use bugs::Bug;

/// Attacks the runner's checks as somebody who has taken over the broker. Ends with `N tries, M begun`.
#[derive(Debug, Parser)]
#[command(
    name = "hostile",
    after_help = "\
Examples:
  cargo hostile --tries 200000
  cargo hostile --tries 10000 --plant ignore-seq     a runner with a bug: it must be caught"
)]
struct Args {
    /// How often to try.
    #[arg(long, default_value_t = 100_000)]
    tries: u64,
    /// Where the luck begins; a breach names the seed that shows it again.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many threads [default: one a core].
    #[arg(long)]
    threads: Option<usize>,
    /// Give the runner this bug.
    #[arg(long, value_enum)]
    plant: Option<Bug>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(cores).clamp(1, 64);
    let found = suite::run(args.tries, args.seed, threads, args.plant);
    for (code, count) in &found.refused {
        println!("{count:>12}  {code}");
    }
    for breach in &found.breaches {
        println!("BREACH  {breach}");
    }
    println!("{} honest envelopes between them, {} of them refused", found.honest, found.honest_refused);
    println!("{} tries, {} begun", found.tries, found.begun);
    if found.begun == 0 && found.honest_refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
