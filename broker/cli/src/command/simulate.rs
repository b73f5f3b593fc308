//! `remit simulate`: a product's installs on a virtual clock, with a report, and an exit code for CI.

use std::path::Path;
use std::time::Instant;

use crate::simulation::{self, Fleet, Group, Plan, Report};
use remit_broker::summary;
use remit_loops::release::Release;
use remit_loops::scenario::Scenario;
use remit_seal::Digest;

use super::{release, scenario as files};
use crate::args::SimulateArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::product::{Component, Product};
use crate::release::{self as cut, Wish};
use crate::scenario::{check_components, time};
use crate::simulate::{expect, fleet, page, text};

/// Simulates.
pub(super) fn run(context: &Context, args: &SimulateArgs) -> Result<()> {
    let dir = match &args.product {
        Some(dir) => dir.as_path(),
        None => context.product_dir()?,
    };
    let product = release::checked(release::load(dir)?)?;
    let expected = args.expect.as_deref().map(expect::load).transpose()?;
    let plan = plan(&product, args)?;
    expected.as_ref().map_or(Ok(()), |expected| expected.check_groups(&plan.fleet.groups))?;
    let began = Instant::now();
    let report = simulation::run(&plan).map_err(|e| {
        let hint = "look at the times and the scenario; a smaller --installs shows it sooner";
        Failure::new(Exit::Usage, "cli.simulate_plan", e.to_string(), hint)
    })?;
    let wall = began.elapsed();
    if let Some(file) = &args.html {
        let title = format!("{} {}", product.app, plan.releases[1].version);
        std::fs::write(file, page::render(&title, &report)).map_err(|e| Failure::file("write", file, &e))?;
        context.format().say(format!("the page is in {}", file.display()));
    }
    context.format().answer(&report, || text::render(&report));
    context.format().say(format!("{} events in {:.1} s", report.events, wall.as_secs_f64()));
    expected.map_or(Ok(()), |expected| check(&report, &expected.broken(&report)))
}

fn check(report: &Report, broken: &[String]) -> Result<()> {
    if broken.is_empty() {
        return Ok(());
    }
    let message = format!("it is not as expected: {}", broken.join("; "));
    let hint = format!("the same seed ({}) gives the same again; --html shows it in pictures", report.seed);
    Err(Failure::new(Exit::Failed, "cli.simulate_unexpected", message, hint))
}

fn plan(product: &Product, args: &SimulateArgs) -> Result<Plan> {
    let wrong = |what: &str| {
        let what = what.to_owned();
        move |e: String| Failure::usage(format!("{what}: {e}"), "write it like 90s, 10m or 24h")
    };
    let names: Vec<&str> = product.components.iter().map(|c| c.name.as_str()).collect();
    let (mut fleet, mut seed) = match &args.fleet {
        Some(file) => fleet::load(file)?,
        None => {
            let scenario =
                files::given(args.scenario.as_deref() as Option<&Path>)?.unwrap_or_else(Scenario::default);
            let (name, seed) = ("all".to_owned(), scenario.seed);
            (Fleet::of(Group { name, installs: args.installs, scenario, ..Group::default() }), seed)
        }
    };
    seed = args.seed.unwrap_or(seed);
    for group in &mut fleet.groups {
        group.scenario.seed = args.seed.unwrap_or(group.scenario.seed);
        check_components(&group.scenario, &names)?;
    }
    let people_after_ms = match args.people_after.as_str() {
        "never" => None,
        text => Some(time(text).map_err(wrong("--people-after"))?),
    };
    Ok(Plan {
        org: product.org.clone(),
        app: product.app.clone(),
        releases: [release_of(product, "1.0.0", 1), release_of(product, "2.0.0", 2)],
        fleet,
        seed,
        capacity: args.capacity.into(),
        people_after_ms,
        update_at_ms: time(&args.update_at).map_err(wrong("--update-at"))?,
        until_ms: time(&args.until).map_err(wrong("--until"))?,
    })
}

/// The product as a release that changes every component, as a broker would sum it up.
fn release_of(product: &Product, version: &str, counter: u64) -> Release {
    let packed = |c: &Component| (Digest::of(format!("{}-{counter}", c.name).as_bytes()), 1);
    let sources: Vec<(Digest, u64)> = product.components.iter().map(packed).collect();
    let wish = Wish { version: Some(version.to_owned()), rollback_floor: Some(1), ..Wish::default() };
    let document = cut::document(product, &sources, &wish, (counter, 0));
    let mut release = summary::of(&document, &Digest::of(version.as_bytes()));
    // What a simulation leaves out: nobody is there who could approve, at rest nothing is looked at, and no
    // remediation rule acts.
    release.approvals.clear();
    release.terms.clear();
    release.healing = Default::default();
    for probe in release.components.iter_mut().filter_map(|component| component.health.as_mut()) {
        probe.every_ms = None;
    }
    release
}
