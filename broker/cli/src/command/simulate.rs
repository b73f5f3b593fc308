//! `remit simulate`: a product's installs on a virtual clock, with a report, and an exit code for CI.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use remit_broker::simulate::{self, Fleet, Group, Plan, Report};
use remit_loops::health::Probe;
use remit_loops::release::{Release, ReleaseComponent};
use remit_loops::scenario::Scenario;

use super::{release, scenario as files};
use crate::args::SimulateArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::product::Product;
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
    let report = simulate::run(&plan).map_err(|e| {
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

/// The product as a release that changes every component.
fn release_of(product: &Product, version: &str, counter: u64) -> Release {
    let component = |c: &crate::product::Component| ReleaseComponent {
        name: c.name.clone(),
        kind: c.kind.as_str().to_owned(),
        adopts: c.kind.traits().keeps_records,
        digest: format!("sha256:{}-{counter}", c.name),
        needs: c.needs.clone(),
        longest_run_ms: c.longest_run_ms,
        sandbox: c.sandbox,
        recipe: None,
        // At rest nobody probes what is only simulated; that a deploy waits for its probe is.
        health: c.health.map(|health| Probe {
            within_ms: health.within_ms,
            timeout_ms: health.timeout_ms,
            every_ms: None,
            failures: health.failures,
        }),
    };
    Release {
        digest: format!("sha256:{version}"),
        counter,
        version: version.to_owned(),
        rollback_floor: 0,
        permits: vec![],
        channel: product.channel.clone(),
        inputs: vec![],
        approvals: BTreeMap::new(),
        terms: BTreeMap::new(),
        healing: Default::default(),
        components: product.components.iter().map(component).collect(),
    }
}
