//! `remit install`: running copies of an app.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};

use remit_loops::install::Rehearsal;
use remit_loops::scenario::Scenario;
use remit_loops::view::Detail;
use remit_loops::{Kind, ObjectId, install};

use super::{link, object, place, scenario, updates};
use crate::args::InstallCommand;
use crate::client::Client;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::operations::{json_text, split_pair};
use crate::output::{Table, word};
use crate::selector::Selector;
use crate::watch::{Until, watch};

/// Makes, shows, watches and deletes installs.
pub(super) async fn run(context: &Context, command: InstallCommand) -> Result<()> {
    let client = context.client()?;
    match command {
        InstallCommand::Create { name, inputs, labels, sandbox, scenario, approval, place, link } => {
            let id = context.app()?.child(&name).map_err(|e| Failure::usage(e.to_string(), ""))?;
            let (scenario, place) = (scenario::given(scenario.as_deref())?, place::read(place)?);
            let signal = create(&inputs, &labels, sandbox, scenario, approval.as_deref())?;
            let made = client.signal(&id, &signal, None).await?;
            context.format().say(format!("{id} is {}", word(&made.view.status.word)));
            // What its runner pins and what it follows at the broker are one and the same channel.
            let channel = Some(link::channel(context, link.channel.as_deref())?);
            client.signal(&id, &install::Signal::SetChannel { channel }, None).await?;
            if place.is_some() {
                place::declare(&client, &id, place, "as the install was made".to_owned()).await?;
            }
            link::link(context, &client, &id, &link).await
        }
        InstallCommand::Scenario { name, file, none: _ } => {
            scenario::set(context, &client, &context.install(&name)?, file.as_deref()).await
        }
        InstallCommand::Promote { name } => {
            scenario::promote(context, &client, &context.install(&name)?).await
        }
        InstallCommand::Copy { name, copy, scenario, link } => {
            let original = context.install(&name)?;
            scenario::copy(context, &client, (&original, &copy), scenario.as_deref(), &link).await
        }
        InstallCommand::List { selector } => list(context, &client, selector.as_deref()).await,
        InstallCommand::Show { name, at } => {
            object::show(context, &context.install(&name)?, at.as_deref()).await
        }
        InstallCommand::Watch { name, follow } => {
            let until = if follow { Until::Forever } else { Until::Rests(&[]) };
            watch(&client, &context.install(&name)?, context.format(), &until).await.map(|_| ())
        }
        InstallCommand::Delete { name, yes, watch } => {
            delete(context, &client, &context.install(&name)?, yes, watch).await
        }
        InstallCommand::Policy { name, policy } => updates::policy(context, &name, policy).await,
        InstallCommand::Windows { name } => updates::windows(context, &name).await,
        InstallCommand::Channel { name, channel } => updates::channel(context, &name, channel).await,
        InstallCommand::Outputs { name } => outputs(context, &client, &context.install(&name)?).await,
        InstallCommand::Place(command) => place::run(context, &client, command).await,
        InstallCommand::Link { name, link } => {
            link::link(context, &client, &context.install(&name)?, &link).await
        }
    }
}

/// The signal that makes an install.
pub(crate) fn create(
    inputs: &[String],
    labels: &[String],
    sandbox: bool,
    scenario: Option<Scenario>,
    approval: Option<&str>,
) -> Result<install::Signal> {
    let mode = if sandbox { remit_loops::job::Mode::Sandbox } else { remit_loops::job::Mode::Real };
    let read = |pairs: &[String], value: fn(&str) -> String| -> Result<BTreeMap<String, String>> {
        pairs.iter().map(|p| split_pair(p).map(|(name, text)| (name.to_owned(), value(text)))).collect()
    };
    Ok(install::Signal::Create {
        inputs: read(inputs, json_text)?,
        mode,
        labels: read(labels, |text| text.to_owned())?,
        rehearsal: scenario.map(|s| Rehearsal { scenario: Some(s), ..Rehearsal::default() }),
        approval: approval.map(super::plan::policy).transpose()?.unwrap_or_default(),
    })
}

async fn list(context: &Context, client: &Client, selector: Option<&str>) -> Result<()> {
    let selector = selector.map(Selector::read).transpose()?.unwrap_or_default();
    let mut installs = client.objects(Kind::Install, &context.app()?).await?;
    installs.retain(|install| match &install.view.detail {
        Detail::Install { labels, .. } => selector.fits(labels),
        _ => false,
    });
    context.format().answer(&installs, || {
        let mut table = Table::new(&["install", "status", "release", "mode", "runner", "labels", "what"]);
        for install in &installs {
            let Detail::Install { release, runner, labels, mode, .. } = &install.view.detail else {
                continue;
            };
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let status = &install.view.status;
            table.row([
                install.view.id.name().to_owned(),
                word(&status.word),
                release.as_ref().map_or("none".into(), |r| r.version.clone()),
                mode.as_str().to_owned(),
                word(object::presence(runner)),
                labels.join(","),
                status.description.clone(),
            ]);
        }
        table.render("no installs yet: `remit install create NAME`")
    });
    Ok(())
}

async fn delete(context: &Context, client: &Client, id: &ObjectId, yes: bool, follow: bool) -> Result<()> {
    if !yes {
        confirm(id)?;
    }
    let accepted = client.signal(id, &install::Signal::Delete {}, None).await?;
    if follow {
        return watch(client, id, context.format(), &Until::Rests(&[])).await.map(|_| ());
    }
    context.format().answer(&accepted, || {
        format!(
            "{id} is {}; `remit install watch {}` shows it go",
            word(&accepted.view.status.word),
            id.name()
        )
    });
    Ok(())
}

/// Asks a person to type the name: what is destroyed stays destroyed.
fn confirm(id: &ObjectId) -> Result<()> {
    let refuse = || Failure::usage(format!("{id} was not deleted"), "say --yes, or type the install's name");
    if !std::io::stdin().is_terminal() {
        return Err(refuse());
    }
    anstream::eprint!("Everything of {id} will be destroyed in the customer's account. Type its name: ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|_| refuse())?;
    if line.trim() == id.name() { Ok(()) } else { Err(refuse()) }
}

async fn outputs(context: &Context, client: &Client, id: &ObjectId) -> Result<()> {
    let view = client.object(id).await?.view;
    let Detail::Install { components, .. } = &view.detail else {
        return Err(Failure::usage(format!("{id} is not an install"), ""));
    };
    // Values are JSON texts; programs get them as what they are.
    let value = |text: &String| serde_json::from_str(text).unwrap_or(serde_json::Value::String(text.clone()));
    let answer: BTreeMap<&str, BTreeMap<&str, serde_json::Value>> = components
        .iter()
        .map(|c| (c.name.as_str(), c.facts.outputs.iter().map(|(n, v)| (n.as_str(), value(v))).collect()))
        .collect();
    context.format().answer(&answer, || {
        let mut table = Table::new(&["component", "output", "value"]);
        for component in components {
            for (name, text) in &component.facts.outputs {
                table.row([component.name.clone(), name.clone(), text.clone()]);
            }
        }
        table.render("no outputs yet")
    });
    Ok(())
}
