//! `remit dev`: the whole journey on this machine, in one tree of processes.
//!
//! The broker runs in this process, the runner as the separate program that it is, and
//! everything else goes the way that a vendor goes: by the API, with keys, releases, tokens.

mod dir;
mod install;
mod prepare;
mod runner;
mod update;
mod world;

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::args::DevArgs;
use crate::failure::{Exit, Failure, Result};
use crate::output::{BOLD, CYAN, Format, GREEN, print_failure};

use dir::DevDir;
use world::World;

/// How long the runner may take to finish what it has in hand.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// Goes through the journey; stays up afterwards unless it is to be done once.
pub(super) async fn run(format: Format, args: DevArgs) -> Result<()> {
    if format == Format::Json {
        return Err(Failure::usage("`remit dev` is for people: it has no JSON", "leave -o away"));
    }
    let dir = DevDir::make(&args.data_dir)?;
    dir.log()?;
    let mut world = World::set(&args, &dir).await.map_err(|f| with_logs(f, &dir))?;
    let rehearsed = world.prepared.sandbox;
    let outcome = act(&mut world, args.once).await;
    let end = world.clear(DRAIN_MAX).await;
    outcome.and(end).map_err(|f| with_logs(f, &dir))?;
    if args.once {
        let how = if rehearsed { "The rehearsal of the journey" } else { "The whole journey" };
        anstream::println!("\n{GREEN}{how} went as it must, and nothing is left.{GREEN:#}");
    }
    Ok(())
}

/// The journey, until it is over or somebody says stop.
async fn act(world: &mut World, once: bool) -> Result<()> {
    let mut stop = Stop::new()?;
    let came = tokio::select! {
        outcome = install::first(world) => outcome,
        () = stop.told() => return Err(interrupted()),
    };
    match came {
        // It waits for a person, who is there: stay up for them.
        Err(failure) if !once && failure.code == "cli.operation_failed" => {
            print_failure(Format::Text, &failure);
        }
        other => other?,
    }
    if once {
        return tokio::select! {
            outcome = update::rest(world) => outcome,
            () = stop.told() => Err(interrupted()),
        };
    }
    world.print_next();
    tokio::select! {
        status = world.runner_ended() => Err(status),
        () = stop.told() => Ok(()),
    }
}

fn interrupted() -> Failure {
    Failure::new(Exit::Failed, "cli.operation_failed", "stopped by a signal in the middle of the journey", "")
}

/// Ctrl-C or SIGTERM.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> Result<Self> {
        let listen =
            |kind| signal(kind).map_err(|e| Failure::file("listen for signals at", "/".as_ref(), &e));
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        anstream::eprintln!("\nstopping: the runner finishes what it has in hand …");
    }
}

fn with_logs(mut failure: Failure, dir: &DevDir) -> Failure {
    let look = format!("look at {} and {}", dir.runner_log().display(), dir.broker_log().display());
    failure.hint = if failure.hint.is_empty() { look } else { format!("{}; {look}", failure.hint) };
    failure
}

/// A heading of the journey.
fn step(text: &str) {
    anstream::println!("\n{CYAN}▶{CYAN:#} {BOLD}{text}{BOLD:#}");
}

/// Something that was checked and is so.
fn checked(text: &str) {
    anstream::println!("  {GREEN}✓{GREEN:#} {text}");
}
