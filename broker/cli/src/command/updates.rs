//! When installs are changed: `remit updates`, `opt-in`, `decline`, `snooze`, `deploy`, and an install's
//! policy and windows.

use std::fmt::Write as _;

use remit_broker::api::wire::updates::{Updates, WaitingRelease};
use remit_loops::ObjectId;
use remit_loops::install::{Answer, Policy, Signal};
use remit_loops::release::changes::{Change, ComponentChange};
use remit_loops::window::{Day, Late, Window};

use super::tell::tell;
use crate::args::TryArgs;
use crate::args::updates::{DeployArgs, LateArg, PolicyCommand, WaitingArgs};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::{BOLD, DIM, Table, time};
use crate::product::parse_ms;
use crate::times;

/// `remit deploy`
pub(super) async fn deploy(context: &Context, args: DeployArgs) -> Result<()> {
    let DeployArgs { install, version, now, override_freeze, reason, tries } = args;
    let signal = match reason.filter(|_| now) {
        Some(reason) => Signal::DeployNow { version, reason, override_freeze },
        None => Signal::Deploy { version },
    };
    tell(context, &context.install(&install)?, &signal, tries).await
}

/// `remit opt-in`
pub(super) async fn opt_in(context: &Context, args: WaitingArgs) -> Result<()> {
    let signal = Signal::OptIn { version: args.version };
    tell(context, &context.install(&args.install)?, &signal, args.tries).await
}

/// `remit decline`
pub(super) async fn decline(context: &Context, args: WaitingArgs, reason: String) -> Result<()> {
    let signal = Signal::Decline { version: args.version, reason };
    tell(context, &context.install(&args.install)?, &signal, args.tries).await
}

/// `remit snooze`
pub(super) async fn snooze(context: &Context, args: WaitingArgs, until: &str, zone: &str) -> Result<()> {
    let until = times::read(until, zone)?;
    let signal = Signal::Snooze { version: args.version, until };
    tell(context, &context.install(&args.install)?, &signal, args.tries).await
}

/// `remit install policy`
pub(super) async fn policy(context: &Context, name: &str, command: Option<PolicyCommand>) -> Result<()> {
    let id = context.install(name)?;
    let Some(command) = command else { return updates(context, name).await };
    tell(context, &id, &Signal::SetPolicy { policy: read_policy(command)? }, TryArgs::default()).await
}

fn read_policy(command: PolicyCommand) -> Result<Policy> {
    let PolicyCommand::Window { zone, days, start, length, late } = command else {
        return Ok(match command {
            PolicyCommand::Manual => Policy::Manual {},
            PolicyCommand::Latest | PolicyCommand::Window { .. } => Policy::Latest {},
        });
    };
    let day = |name: &String| {
        let found = Day::ALL.into_iter().find(|day| day.as_str() == name.to_lowercase());
        found.ok_or_else(|| {
            let message = format!("`{name}` is no day of the week");
            Failure::usage(message, "write them like --days mon,tue,wed")
        })
    };
    let ms = parse_ms(&length).map_err(|message| Failure::usage(message, "write it like --length 4h"))?;
    let late = match late {
        LateArg::Start => Late::Start,
        LateArg::Wait => Late::Wait,
    };
    let length_minutes = u32::try_from(ms / 60_000).unwrap_or(u32::MAX);
    let days = days.iter().map(day).collect::<Result<_>>()?;
    let window = Window { zone, days, start, length_minutes, late };
    // What can never open is found before it is sent.
    window.schedule().map_err(|rejected| {
        let hint = "`remit install policy --help` has examples";
        Failure::new(crate::failure::Exit::Usage, rejected.code.as_str(), rejected.message, hint)
    })?;
    Ok(Policy::Window(window))
}

/// `remit install channel`
pub(super) async fn channel(context: &Context, name: &str, channel: Option<String>) -> Result<()> {
    tell(context, &context.install(name)?, &Signal::SetChannel { channel }, TryArgs::default()).await
}

/// `remit install windows`
pub(super) async fn windows(context: &Context, name: &str) -> Result<()> {
    let id = context.install(name)?;
    let updates = context.client()?.updates(&id).await?;
    context.format().answer(&updates.windows, || {
        let mut table = Table::new(&["opens", "utc", "closes (utc)", "frozen by"]);
        for window in &updates.windows {
            table.row([
                window.local.clone(),
                window.opens.to_string(),
                window.closes.to_string(),
                window.frozen_by.clone().unwrap_or_default(),
            ]);
        }
        let none = format!("{} has no window; its policy is {}", id.name(), updates.updates.policy);
        table.render(&none)
    });
    Ok(())
}

/// `remit updates`
pub(super) async fn updates(context: &Context, name: &str) -> Result<()> {
    let id = context.install(name)?;
    let updates = context.client()?.updates(&id).await?;
    context.format().answer(&updates, || picture(&id, &updates));
    Ok(())
}

fn picture(id: &ObjectId, updates: &Updates) -> String {
    let mut text = format!("{BOLD}{id}{BOLD:#}\n");
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {DIM}{name:<10}{DIM:#}{value}");
    };
    line("release", updates.version.as_deref().unwrap_or("none"));
    line("policy", &updates.updates.policy.to_string());
    line("channel", updates.updates.channel.as_deref().unwrap_or("every"));
    for window in &updates.windows {
        let frozen = window.frozen_by.as_ref().map(|name| format!(", frozen by {name}")).unwrap_or_default();
        line("window", &format!("{}, until {}{frozen}", window.local, window.closes));
    }
    for freeze in &updates.updates.freezes {
        line(
            "freeze",
            &format!(
                "{} of {}: {} to {}: {}",
                freeze.name, freeze.of, freeze.from, freeze.until, freeze.reason
            ),
        );
    }
    if updates.waiting.is_empty() {
        text.push_str("\nno release waits\n");
    }
    updates.waiting.iter().for_each(|waiting| release(&mut text, waiting));
    text
}

fn release(text: &mut String, waiting: &WaitingRelease) {
    let offer = &waiting.offer;
    let answer = match &offer.answer {
        Answer::Open => "waits".to_owned(),
        Answer::OptedIn { by } => format!("{by} opted in"),
        Answer::Declined { by, reason } => format!("{by} declined it: {reason}"),
        Answer::Snoozed { by, until } => format!("{by} put it off until {until}"),
    };
    let _ = writeln!(
        text,
        "\n{BOLD}{}{BOLD:#} ({}) since {}: {answer}",
        offer.release.version,
        offer.channel,
        time(offer.since)
    );
    for change in [Change::New, Change::Changed, Change::Removed, Change::Unchanged] {
        let names = names(&waiting.changes, change);
        if !names.is_empty() {
            let _ = writeln!(text, "  {DIM}{:<10}{DIM:#}{}", change.as_str(), names.join(", "));
        }
    }
    for note in waiting.notes.lines() {
        let _ = writeln!(text, "  {DIM}|{DIM:#} {note}");
    }
}

/// The components of which this becomes.
pub(super) fn names(changes: &[ComponentChange], change: Change) -> Vec<&str> {
    changes.iter().filter(|c| c.change == change).map(|c| c.component.as_str()).collect()
}
