//! Queries that every object answers: how it is or was, what comes, what happened.

use std::fmt::Write as _;

use remit_loops::job::Outcome;
use remit_loops::runner::Presence;
use remit_loops::scenario::Summary;
use remit_loops::status::{LastOperation, OperationView};
use remit_loops::timeline::Level;
use remit_loops::values::Values;
use remit_loops::view::{ComponentView, Detail, RemovedView, View};
use remit_loops::{Actor, ObjectId, Timestamp};

use crate::context::Context;
use crate::failure::Result;
use crate::output::{BOLD, DIM, RED, Table, YELLOW, now_ms, time, word};

/// One object, whole: as it is, or as it was at a time.
pub(super) async fn show(context: &Context, id: &ObjectId, at: Option<&str>) -> Result<()> {
    let client = context.client()?;
    let object = match at {
        None => client.object(id).await?,
        Some(at) => client.object_at(id, at).await?,
    };
    context.format().answer(&object, || picture(&object.view));
    Ok(())
}

/// What it does now and what comes after.
pub(super) async fn queue(context: &Context, target: &str) -> Result<()> {
    let view = context.client()?.object(&context.target(target)?).await?.view;
    let answer = serde_json::json!({
        "operation": view.operation, "reading": view.reading, "queue": view.queue,
    });
    context.format().answer(&answer, || {
        let mut text = String::new();
        for operation in view.operation.iter().chain(&view.reading) {
            operation_text(&mut text, operation);
        }
        if text.is_empty() {
            text.push_str("nothing runs\n");
        }
        let mut table = Table::new(&["place", "operation", "kind", "lane", "by", "since", "waits for"]);
        for q in &view.queue {
            table.row([
                q.position.to_string(),
                q.number.to_string(),
                q.kind.clone(),
                q.lane.clone(),
                q.by.clone(),
                time(q.since),
                q.waits_for.clone(),
            ]);
        }
        text + &table.render("nothing waits")
    });
    Ok(())
}

/// What happened, the oldest of the newest first.
pub(super) async fn timeline(context: &Context, target: &str, limit: usize) -> Result<()> {
    let id = context.target(target)?;
    let timeline = context.client()?.timeline(&id, limit, None).await?;
    context.format().answer(&timeline, || {
        let mut table = Table::new(&["at", "object", "by", "what"]);
        for entry in timeline.entries.iter().rev() {
            let what = match entry.level {
                Level::Info => entry.text.clone(),
                Level::Warning => format!("{YELLOW}{}{YELLOW:#}", entry.text),
                Level::Error => format!("{RED}{}{RED:#}", entry.text),
            };
            let object = if entry.object == id { String::new() } else { entry.object.name().to_owned() };
            table.row([time(entry.at), object, actor(&entry.by), what]);
        }
        table.render("nothing has happened")
    });
    Ok(())
}

fn actor(by: &Actor) -> String {
    match by {
        Actor::Person(name) => name.clone(),
        Actor::Object(id) => id.kind().to_string(),
        Actor::Runner => "runner".into(),
        Actor::Clock => "clock".into(),
    }
}

/// An object for people.
pub(super) fn picture(view: &View) -> String {
    let mut text = format!(
        "{BOLD}{}{BOLD:#} is {} since {}: {}\n",
        view.id,
        word(&view.status.word),
        time(view.status.since),
        view.status.description
    );
    detail(&mut text, &view.detail);
    for operation in view.operation.iter().chain(&view.reading) {
        text.push('\n');
        operation_text(&mut text, operation);
    }
    if let Some(first) = view.why.first() {
        let _ = writeln!(text, "\n{YELLOW}why{YELLOW:#}  {} (`remit why {}`)", first.reason, view.id);
    }
    text
}

fn detail(text: &mut String, detail: &Detail) {
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(text, "  {DIM}{name:<10}{DIM:#}{value}");
        }
    };
    match detail {
        Detail::Org { apps, quotas, sandbox, freezes } => {
            line("sandbox", new_ones(*sandbox));
            line("apps", names(apps));
            freezes.iter().for_each(|freeze| line("freeze", frozen(freeze)));
            line("quotas", format!("{} apps, {} installs of each", quotas.apps, quotas.installs_per_app));
        }
        Detail::App { releases, installs, sandbox, freezes, held, rollout } => {
            line("sandbox", new_ones(*sandbox));
            freezes.iter().for_each(|freeze| line("freeze", frozen(freeze)));
            let newest = releases.last().map_or("none".into(), |r| format!("{} ({})", r.version, r.digest));
            line("release", newest);
            line("held back", held.join(", "));
            line("rollout", rollout.as_deref().map(rollout_line).unwrap_or_default());
            line("installs", names(installs));
        }
        Detail::Install {
            mode,
            scenario,
            copy_of,
            release,
            pending,
            runner,
            components,
            removed,
            labels,
            last,
            updates,
            drift,
            rules,
            glass,
            ..
        } => {
            line("mode", mode.as_str().to_owned());
            line("copy of", copy_of.as_ref().map(ToString::to_string).unwrap_or_default());
            line("scenario", scenario.as_ref().map(scenario_line).unwrap_or_default());
            line("labels", labels_line(labels));
            line("release", release.as_ref().map_or("none".into(), |r| r.version.clone()));
            line("pending", pending.as_ref().map(|r| r.version.clone()).unwrap_or_default());
            line("policy", updates.policy.to_string());
            updates.freezes.iter().for_each(|freeze| line("freeze", frozen(freeze)));
            line("glass", glass.as_deref().map(glass_line).unwrap_or_default());
            line("drift", drift.as_deref().map(super::drift::line).unwrap_or_default());
            rules.iter().for_each(|rule| line("rule", super::rules::line(rule, Timestamp(now_ms()))));
            line("runner", word(presence(runner)));
            line("last", last.as_ref().map(ended).unwrap_or_default());
            components.iter().for_each(|component| line("component", component_line(component)));
            removed.iter().for_each(|receipt| line("removed", self::removed(receipt)));
        }
        Detail::Component { facts, job } => {
            line("release", facts.deployed.as_ref().map_or("none".into(), |d| d.release.version.clone()));
            line("drift", facts.drift.as_ref().map(|d| d.summary.clone()).unwrap_or_default());
            line("job", job.as_ref().map(|j| format!("{} attempt {}", j.job, j.attempt)).unwrap_or_default());
        }
        Detail::Runner { presence: there, generation, jobs, place } => {
            line("presence", word(presence(there)));
            line("generation", generation.to_string());
            line("must be in", place.as_ref().map(ToString::to_string).unwrap_or_default());
            for job in jobs {
                line("job", format!("{} {} {}", job.component, job.action.as_str(), word(&job.state)));
            }
        }
    }
}

fn glass_line(glass: &remit_loops::break_glass::BreakGlass) -> String {
    format!("broken by {} until {}: {}", glass.by, time(glass.until), glass.reason)
}

fn labels_line(labels: &Values) -> String {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    labels.join(", ")
}

fn component_line(component: &ComponentView) -> String {
    let health = component.health.as_deref().map(health_words).unwrap_or_default();
    format!("{} {} {}{health}", component.name, component.kind, word(&component.state))
}

/// What its probe said last.
fn health_words(view: &remit_loops::health::View) -> String {
    let health = &view.health;
    let at = health.checked.map(time).unwrap_or_default();
    match (&health.unwell, &health.unknown, health.checked) {
        (Some(unwell), ..) => format!("  since {}: {}", time(unwell.since), unwell.failure.message),
        (None, Some(words), _) => format!("  {DIM}nobody knows whether it works ({at}): {words}{DIM:#}"),
        (None, None, Some(_)) if health.failures > 0 => {
            format!(
                "  {DIM}{} of {} probes in a row did not pass{DIM:#}",
                health.failures, view.probe.failures
            )
        }
        (None, None, Some(_)) => format!("  {DIM}does its work ({at}){DIM:#}"),
        (None, None, None) => format!("  {DIM}not probed yet{DIM:#}"),
    }
}

fn rollout_line(rollout: &remit_loops::app::RolloutView) -> String {
    format!("{} of {}: {}", rollout.state, rollout.release.version, rollout.description)
}

fn new_ones(sandbox: bool) -> String {
    if sandbox { "what is new in it is one".to_owned() } else { String::new() }
}

fn scenario_line(scenario: &Summary) -> String {
    let what = if scenario.description.is_empty() { "no description" } else { &scenario.description };
    format!("{what} ({} rules, seed {})", scenario.rules, scenario.seed)
}

fn frozen(freeze: &remit_loops::freeze::Freeze) -> String {
    format!("{} of {}: {} to {}: {}", freeze.name, freeze.of, freeze.from, freeze.until, freeze.reason)
}

/// A receipt in a line.
fn removed(receipt: &RemovedView) -> String {
    let removed = &receipt.removed;
    let swept = if removed.swept.is_empty() { "nobody could look afterwards" } else { &removed.swept };
    format!("{} by {} attempt {}: {swept}", receipt.component, removed.attempt.job, removed.attempt.attempt)
}

/// How an operation ended, in a line.
fn ended(last: &LastOperation) -> String {
    let how = match &last.outcome {
        Outcome::Succeeded(success) => format!("is done: {}", success.summary),
        Outcome::Failed(failure) => format!("failed: {}", failure.message),
        Outcome::Cancelled { message } => format!("was stopped: {message}"),
    };
    format!("{} (operation {}) {how}, {}", last.kind, last.number, time(last.at))
}

/// The word for a runner's presence.
pub(super) fn presence(presence: &Presence) -> &'static str {
    match presence {
        Presence::Expected => "expected",
        Presence::Online { .. } => "online",
        Presence::Offline { .. } => "offline",
        Presence::Revoked { .. } => "revoked",
    }
}

fn names(ids: &[ObjectId]) -> String {
    let names: Vec<&str> = ids.iter().map(ObjectId::name).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

fn operation_text(text: &mut String, operation: &OperationView) {
    let release =
        operation.release.as_ref().map(|r| format!(" of release {}", r.version)).unwrap_or_default();
    let _ = writeln!(
        text,
        "operation {} {}{release}, asked by {}, since {}",
        operation.number,
        operation.kind,
        operation.by,
        time(operation.since)
    );
    let mut table = Table::new(&["component", "does", "state", "try", "after", "note"]);
    for step in &operation.steps {
        table.row([
            step.component.clone(),
            step.action.as_str().to_owned(),
            word(&step.state),
            step.attempt.to_string(),
            step.needs.join(", "),
            step.note.clone(),
        ]);
    }
    text.push_str(&table.render("no steps yet\n"));
}
