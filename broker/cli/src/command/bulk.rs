//! `remit bulk`: one operation on every install with these labels, shown before it is done.

use std::io::{IsTerminal as _, Write as _};

use remit_broker::api::ObjectView;
use remit_loops::dry_run::DryRun;
use remit_loops::view::Detail;
use remit_loops::{Kind, ObjectId, app, install, runner};
use serde::Serialize;

use crate::args::rollouts::{BulkArgs, BulkOperation};
use crate::client::{Client, new_key};
use crate::context::Context;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Table, word};
use crate::selector::Selector;

/// What came of one install.
#[derive(Serialize)]
struct Told {
    install: String,
    status: String,
    /// Why it was not taken; nothing if it was.
    refused: Option<String>,
}

/// What would come of one install.
#[derive(Serialize)]
struct Tried {
    install: String,
    now: String,
    then: String,
    /// The first line that its timeline would get.
    first: Option<String>,
    /// Why it would not take it; nothing if it would.
    refused: Option<String>,
}

/// Shows which installs it is, asks, and tells each.
pub(super) async fn run(context: &Context, args: BulkArgs) -> Result<()> {
    let selector = Selector::read(&args.selector)?;
    let (client, app) = (context.client()?, context.app()?);
    let mut installs = client.objects(Kind::Install, &app).await?;
    let fits = |object: &ObjectView| match &object.view.detail {
        Detail::Install { labels, .. } => {
            selector.fits(labels)
                && !["deleted", "forgotten", "absent"].contains(&object.view.status.word.as_str())
        }
        _ => false,
    };
    installs.retain(fits);
    if installs.is_empty() {
        let hint = "`remit install list` shows installs and their labels";
        return Err(Failure::usage(format!("no install has the labels {}", args.selector), hint));
    }
    if args.dry_run {
        let tried = try_all(&client, &args, &installs).await?;
        context.format().answer(&tried, || would(&tried));
        return Ok(());
    }
    if !args.yes {
        context.format().say(preview(&installs));
        confirm(installs.len(), args.operation)?;
    }
    let told = tell_all(&client, &app, &args, &installs).await?;
    let refused = told.iter().filter(|told| told.refused.is_some()).count();
    context.format().answer(&told, || {
        let mut table = Table::new(&["install", "status", "refused"]);
        for told in &told {
            table.row([told.install.clone(), word(&told.status), told.refused.clone().unwrap_or_default()]);
        }
        table.render("")
    });
    if refused > 0 {
        let message = format!("{refused} of {} installs did not take it", told.len());
        return Err(Failure::new(
            Exit::Failed,
            "cli.bulk_refused",
            message,
            "the table says why; the others did",
        ));
    }
    Ok(())
}

fn preview(installs: &[ObjectView]) -> String {
    let mut table = Table::new(&["install", "status", "labels"]);
    for object in installs {
        let Detail::Install { labels, .. } = &object.view.detail else { continue };
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        table.row([object.view.id.name().to_owned(), word(&object.view.status.word), labels.join(", ")]);
    }
    table.render("")
}

fn confirm(count: usize, operation: BulkOperation) -> Result<()> {
    let refuse = || Failure::usage("nothing was done", "say --yes, or type the number of installs");
    if !std::io::stdin().is_terminal() {
        return Err(refuse());
    }
    anstream::eprint!("{} on {count} installs. Type their number: ", name(operation));
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|_| refuse())?;
    if line.trim() == count.to_string() { Ok(()) } else { Err(refuse()) }
}

fn name(operation: BulkOperation) -> &'static str {
    match operation {
        BulkOperation::Pause => "pause",
        BulkOperation::Resume => "resume",
        BulkOperation::Drain => "drain",
        BulkOperation::Reprovision => "reprovision",
        BulkOperation::Heal => "heal",
        BulkOperation::Deploy => "deploy",
        BulkOperation::CheckDrift => "check-drift",
    }
}

async fn tell_all(
    client: &Client,
    app: &ObjectId,
    args: &BulkArgs,
    installs: &[ObjectView],
) -> Result<Vec<Told>> {
    let key = new_key()?;
    let text = format!(
        "{} of {} installs with {}: {}",
        name(args.operation),
        installs.len(),
        args.selector,
        args.reason
    );
    client.signal(app, &app::Signal::Remark { text }, Some(format!("{key}:remark"))).await?;
    let mut told = vec![];
    for object in installs {
        let id = &object.view.id;
        let key = Some(format!("{key}:{}", id.name()));
        let (status, refused) = match tell(client, id, args, key).await {
            Ok(status) => (status, None),
            // Whoever is away for good is no matter of one install.
            Err(failure) if failure.exit == Exit::Unavailable => return Err(failure),
            Err(failure) => (object.view.status.word.clone(), Some(failure.to_string())),
        };
        told.push(Told { install: id.name().to_owned(), status, refused });
    }
    Ok(told)
}

/// What would become of each install at once, or why it would not take it. Nothing changes.
async fn try_all(client: &Client, args: &BulkArgs, installs: &[ObjectView]) -> Result<Vec<Tried>> {
    let mut tried = vec![];
    for object in installs {
        let id = &object.view.id;
        let (to, signal) = asked(id, args)?;
        let (now, then, first, refused) = match client.dry_run(&to, &signal).await {
            Ok(DryRun { before, view, timeline, .. }) => {
                let first = timeline.into_iter().next().map(|entry| entry.text);
                (before.word, view.status.word, first, None)
            }
            Err(failure) if failure.exit == Exit::Unavailable => return Err(failure),
            Err(failure) => (object.view.status.word.clone(), String::new(), None, Some(failure.to_string())),
        };
        let install = id.name().to_owned();
        tried.push(Tried { install, now, then, first, refused });
    }
    Ok(tried)
}

fn would(tried: &[Tried]) -> String {
    let mut table = Table::new(&["install", "now", "then", "what would happen at once"]);
    for Tried { install, now, then, first, refused } in tried {
        let what = refused.as_ref().or(first.as_ref()).cloned().unwrap_or_default();
        table.row([install.clone(), word(now), word(then), what]);
    }
    table.render("")
}

async fn tell(client: &Client, id: &ObjectId, args: &BulkArgs, key: Option<String>) -> Result<String> {
    let (to, signal) = asked(id, args)?;
    Ok(client.signal(&to, &signal, key).await?.view.status.word)
}

/// Which object is asked what.
fn asked(id: &ObjectId, args: &BulkArgs) -> Result<(ObjectId, serde_json::Value)> {
    let reason = args.reason.clone();
    let signal = match args.operation {
        BulkOperation::Drain => {
            let runner = id.runner().ok_or_else(|| Failure::usage("it has no runner", ""))?;
            let signal = serde_json::json!(runner::Signal::Drain { reason });
            return Ok((runner, signal));
        }
        BulkOperation::Pause => install::Signal::Pause { reason },
        BulkOperation::Resume => install::Signal::Resume {},
        BulkOperation::Reprovision => install::Signal::Reprovision {},
        BulkOperation::Heal => install::Signal::Heal {},
        BulkOperation::Deploy => install::Signal::Deploy { version: args.version.clone() },
        BulkOperation::CheckDrift => install::Signal::CheckDrift {},
    };
    Ok((id.clone(), serde_json::json!(signal)))
}
