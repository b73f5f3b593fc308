//! `remit scenario`, and what is done with scenarios and sandboxes of installs.

use std::path::{Path, PathBuf};

use remit_loops::install::{self, Rehearsal};
use remit_loops::job::Mode;
use remit_loops::scenario::Scenario;
use remit_loops::view::Detail;
use remit_loops::{ObjectId, scenario};

use super::{link, release};
use crate::args::{LinkArgs, ScenarioCommand};
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::word;
use crate::scenario::{check_components, load};

/// Checks a scenario.
pub(super) fn run(context: &Context, command: ScenarioCommand) -> Result<()> {
    let ScenarioCommand::Check { file, product } = command;
    let scenario = load(&file)?;
    let dir: Option<PathBuf> = product.or_else(|| context.product_dir().ok().map(Path::to_owned));
    let against = match dir {
        Some(dir) => {
            let product = release::checked(release::load(&dir)?)?;
            let names: Vec<&str> = product.components.iter().map(|c| c.name.as_str()).collect();
            check_components(&scenario, &names)?;
            format!("fits {}", product.app)
        }
        None => "is right; no product is here to check its components against".to_owned(),
    };
    let summary: scenario::Summary = scenario.summary();
    context.format().answer(&summary, || {
        format!("{} {against}: {} rules, seed {}", file.display(), summary.rules, summary.seed)
    });
    Ok(())
}

/// The scenario of a flag.
pub(super) fn given(file: Option<&Path>) -> Result<Option<Scenario>> {
    file.map(load).transpose()
}

/// Gives a sandbox another scenario, or none.
pub(super) async fn set(
    context: &Context,
    client: &Client,
    id: &ObjectId,
    file: Option<&Path>,
) -> Result<()> {
    let scenario = given(file)?;
    let accepted = client.signal(id, &install::Signal::SetScenario { scenario }, None).await?;
    context.format().answer(&accepted, || match &accepted.view.detail {
        Detail::Install { scenario: Some(s), .. } => {
            format!("{id} rehearses by a scenario of {} rules, seed {}", s.rules, s.seed)
        }
        _ => format!("{id} has no scenario: all goes well in it"),
    });
    Ok(())
}

/// Makes a sandbox real.
pub(super) async fn promote(context: &Context, client: &Client, id: &ObjectId) -> Result<()> {
    let accepted = client.signal(id, &install::Signal::Promote {}, None).await?;
    context.format().answer(&accepted, || {
        format!(
            "{id} is real from now on, and {}; `remit install watch {}` shows it come up",
            word(&accepted.view.status.word),
            id.name()
        )
    });
    Ok(())
}

/// Makes a sandbox copy of an install: its inputs, labels and release, under another name.
pub(super) async fn copy(
    context: &Context,
    client: &Client,
    (original, name): (&ObjectId, &str),
    file: Option<&Path>,
    args: &LinkArgs,
) -> Result<()> {
    let view = client.object(original).await?.view;
    let Detail::Install { inputs, labels, release, approval, .. } = view.detail else {
        return Err(Failure::usage(format!("{original} is not an install"), ""));
    };
    let Some(release) = release else {
        let hint =
            "wait until it has one, or make a sandbox of its own: `remit install create NAME --sandbox`";
        let message = format!("{original} is on no release yet: there is nothing to copy");
        return Err(Failure::new(Exit::Refused, "cli.copy_empty", message, hint));
    };
    let id = context.app()?.child(name).map_err(|e| Failure::usage(e.to_string(), ""))?;
    let rehearsal =
        Rehearsal { scenario: given(file)?, copy_of: Some(original.clone()), version: Some(release.version) };
    let create =
        install::Signal::Create { inputs, mode: Mode::Sandbox, labels, rehearsal: Some(rehearsal), approval };
    let made = client.signal(&id, &create, None).await?;
    context.format().say(format!("{id}, a sandbox copy of {original}, is {}", word(&made.view.status.word)));
    link::link(context, client, &id, args).await
}
