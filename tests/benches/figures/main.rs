//! `cargo figures`: runs every area's measurements and prints them. An area is a module beside this
//! file with `figures(&Options) -> anyhow::Result<Vec<Figure>>`; each measures its own bare limit.

mod api;
mod bare;
mod broker;
mod engine;
mod fleet;
mod light;
mod load;
mod million;
mod pickup;
mod postgres;
mod resume;
mod rpc;
mod runner;
mod seal;
mod simulator;
mod vendor;

use std::time::Instant;

use remit_tests::figure::{Figure, Options, table};

/// An area's measurements; it makes what it needs (a runtime, temporary directories) itself.
type Measure = fn(&Options) -> anyhow::Result<Vec<Figure>>;

/// The areas in the order they run, each with the prefix of its figures' names.
const AREAS: &[(&str, Measure)] = &[
    ("seal", seal::figures),
    ("engine", engine::figures),
    ("postgres", postgres::figures),
    ("pickup", pickup::figures),
    ("million", million::figures),
    ("sim", simulator::figures),
    ("api", api::figures),
    ("rpc", rpc::figures),
    ("runner", runner::figures),
    ("resume", resume::figures),
    ("fleet", fleet::figures),
];

fn main() -> anyhow::Result<()> {
    if let Some(served) =
        broker::child(&[("bare", bare::serve), ("echo", api::serve_echo), ("stored", million::serve)])
    {
        return served;
    }
    let options = Options::parse(std::env::args().skip(1)).map_err(anyhow::Error::msg)?;
    let mut all = Vec::new();
    for (area, measure) in AREAS {
        eprintln!("measuring {area} …");
        let began = Instant::now();
        let mut figures = measure(&options)?;
        eprintln!("  {area}: {} s", began.elapsed().as_secs());
        figures.retain(|figure| options.wants(&figure.name));
        if options.json {
            figures.iter().for_each(|figure| println!("{}", figure.to_json_line()));
        }
        all.append(&mut figures);
    }
    if !options.json {
        print!("{}", table(&all));
    }
    Ok(())
}
