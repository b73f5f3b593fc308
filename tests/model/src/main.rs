//! `cargo model [DESIGN [ATTEMPTS [CRASHES]]]`: searches each design under each misfortune and says
//! what it found; of one design it also tells the shortest way to what it breaks.

use std::process::ExitCode;
use std::time::Instant;

use remit_model::check::Bounded;
use remit_model::design::{Bounds, Design};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let name = args.first();
    let designs: Vec<Design> =
        Design::ALL.into_iter().filter(|design| name.is_none_or(|name| name == design.name())).collect();
    let number = |index: usize| args.get(index).map(|text| text.parse::<u8>()).transpose();
    let (Ok(attempts), Ok(crashes)) = (number(1), number(2)) else { return usage() };
    if designs.is_empty() {
        return usage();
    }
    for design in designs {
        for bounds in Bounds::ALL {
            let attempts = attempts.unwrap_or(bounds.attempts);
            let crashes = crashes.unwrap_or(bounds.crashes);
            let bounds = Bounds { attempts, crashes, ..bounds };
            search(design, bounds, name.is_some());
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: cargo model [DESIGN [ATTEMPTS [CRASHES]]]; the designs are:");
    Design::ALL.iter().for_each(|design| eprintln!("  {}", design.name()));
    ExitCode::from(2)
}

fn search(design: Design, bounds: Bounds, tell: bool) {
    let model = Bounded { rules: design.rules(), bounds };
    let began = Instant::now();
    let mut found = model.search();
    if found.broken.is_empty() {
        found = model.search_dead_end();
    }
    let word = match found.broken.first() {
        None => "holds".to_owned(),
        Some((property, actions)) => format!("breaks `{property}` in {} steps", actions.len()),
    };
    let (name, bounds) = (design.name(), bounds.name());
    let (states, depth, seconds) = (found.states, found.depth, began.elapsed().as_secs_f64());
    println!("{name:<22} {bounds:<20} {states:>9} states, depth {depth:>3}, {seconds:>6.2} s: {word}");
    let actions = found.broken.iter().take(1).flat_map(|(_, actions)| actions);
    actions.filter(|_| tell).for_each(|action| println!("    {action:?}"));
}
