//! `remit drift`: what is not as it was deployed, and what people decide about it.

use std::fmt::Write as _;

use remit_loops::component::Facts;
use remit_loops::drift::{Attribute, Choice, Details, Difference, Schedule, Then, View as DriftView};
use remit_loops::install::Signal;
use remit_loops::plan::ChangeAction;
use remit_loops::view::{ComponentView, Detail, View};

use super::tell::tell;
use crate::args::TryArgs;
use crate::args::drift::{DriftCommand, ThenArg};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::{BOLD, CYAN, DIM, GREEN, RED, time};
use crate::product::parse_ms;

/// Does what the command line says.
pub(super) async fn run(context: &Context, command: DriftCommand) -> Result<()> {
    match command {
        DriftCommand::Show { install, component } => show(context, &install, component.as_deref()).await,
        DriftCommand::Check { install } => {
            tell(context, &context.install(&install)?, &Signal::CheckDrift {}, TryArgs::default()).await
        }
        DriftCommand::Revert(args) => {
            let signal = Signal::Revert { components: args.components, reason: args.reason };
            tell(context, &context.install(&args.install)?, &signal, args.tries).await
        }
        DriftCommand::Adopt(args) => {
            let signal = Signal::Adopt { components: args.components, reason: args.reason };
            tell(context, &context.install(&args.install)?, &signal, args.tries).await
        }
        DriftCommand::Schedule { install, every, then, never, as_released } => {
            let choice = choice(every.as_deref(), then, never, as_released)?;
            schedule(context, &install, choice).await
        }
    }
}

fn choice(every: Option<&str>, then: ThenArg, never: bool, as_released: bool) -> Result<Option<Choice>> {
    let Some(every) = every else {
        let said = never.then_some(Choice::Never).or(as_released.then_some(Choice::AsReleased));
        return Ok(said);
    };
    let every_ms = parse_ms(every).map_err(|message| Failure::usage(message, "write it like --every 6h"))?;
    let then = match then {
        ThenArg::Report => Then::Report,
        ThenArg::Heal => Then::Heal,
    };
    Ok(Some(Choice::Every(Schedule { every_ms, then })))
}

async fn schedule(context: &Context, install: &str, choice: Option<Choice>) -> Result<()> {
    let id = context.install(install)?;
    if let Some(choice) = choice {
        context.client()?.signal(&id, &Signal::SetDrift { choice }, None).await?;
    }
    let view = context.client()?.object(&id).await?.view;
    let drift = of(&view).0;
    context.format().answer(&drift, || format!("{id}: {}", drift.map(line).unwrap_or_default()));
    Ok(())
}

/// The schedule in a line.
pub(super) fn line(drift: &DriftView) -> String {
    let by = match drift.choice {
        Choice::AsReleased => "as its release says",
        Choice::Never | Choice::Every(_) => "as was said for this install",
    };
    let Some(Schedule { every_ms, then }) = drift.schedule else {
        return format!("drift is looked for only when somebody asks, {by}");
    };
    let (hours, minutes) = (every_ms / 3_600_000, every_ms / 60_000 % 60);
    let next = drift.next.map(|next| format!("; the next look {}", time(next))).unwrap_or_default();
    format!("drift is looked for every {hours}h{minutes:02}m, then {}, {by}{next}", then.as_str())
}

fn of(view: &View) -> (Option<&DriftView>, &[ComponentView]) {
    match &view.detail {
        Detail::Install { drift, components, .. } => (drift.as_deref(), components),
        Detail::Org { .. } | Detail::App { .. } | Detail::Component { .. } | Detail::Runner { .. } => {
            (None, &[])
        }
    }
}

async fn show(context: &Context, install: &str, component: Option<&str>) -> Result<()> {
    let id = context.install(install)?;
    let view = context.client()?.object(&id).await?.view;
    let (schedule, components) = of(&view);
    let differs = |c: &&ComponentView| c.facts.drift.is_some() || c.facts.accepted.is_some();
    let meant = |c: &&ComponentView| component.is_none_or(|name| name == c.name);
    let shown: Vec<&ComponentView> = components.iter().filter(meant).filter(differs).collect();
    let each = |c: &&ComponentView| {
        let Facts { drift, accepted, .. } = &c.facts;
        serde_json::json!({ "component": c.name, "drift": drift, "accepted": accepted })
    };
    let answer =
        serde_json::json!({ "schedule": schedule, "components": shown.iter().map(each).collect::<Vec<_>>() });
    context.format().answer(&answer, || picture(id.name(), schedule, &shown));
    Ok(())
}

fn picture(install: &str, schedule: Option<&DriftView>, shown: &[&ComponentView]) -> String {
    let mut text = String::new();
    for component in shown {
        let (name, facts) = (&component.name, &component.facts);
        if let Some(drift) = &facts.drift {
            let found = time(drift.found);
            let _ =
                writeln!(text, "{BOLD}{name}{BOLD:#} is not as it was deployed  {DIM}found {found}{DIM:#}");
            details(&mut text, &drift.details, &drift.summary);
            let _ = writeln!(
                text,
                "{CYAN}bring back{CYAN:#}  remit drift revert {install} --component {name} --reason …\n\
                 {CYAN}accept{CYAN:#}      remit drift adopt {install} --component {name} --reason …\n"
            );
        }
        if let Some(accepted) = &facts.accepted {
            let _ = writeln!(
                text,
                "{BOLD}{name}{BOLD:#} differs, accepted by {} {}: {}",
                accepted.by,
                time(accepted.at),
                accepted.reason
            );
            details(&mut text, &accepted.details, &accepted.summary);
            text.push_str("the code says otherwise: a deploy that changes it brings it back\n\n");
        }
    }
    if text.is_empty() {
        text.push_str("nothing differs, as far as is known\n");
    }
    let _ = write!(text, "{DIM}{}{DIM:#}", schedule.map(line).unwrap_or_default());
    text
}

fn details(text: &mut String, details: &Details, summary: &str) {
    if details.list.iter().all(|d| d.attributes.is_empty()) {
        let _ = writeln!(text, "  {summary}");
    }
    for difference in details.list.iter().filter(|d| !d.attributes.is_empty()) {
        difference_text(text, difference);
    }
    if details.more > 0 {
        let _ = writeln!(text, "  and {} more", details.more);
    }
}

fn difference_text(text: &mut String, Difference { address, action, attributes }: &Difference) {
    let action = match action {
        ChangeAction::Create => "would be made again",
        ChangeAction::Update => "would be changed back",
        ChangeAction::Delete => "would be removed",
        ChangeAction::Replace => "would be removed and made again",
        ChangeAction::Import => "would be taken over",
        ChangeAction::Forget => "would be forgotten",
        ChangeAction::Move => "would be known under another address",
        ChangeAction::Other => "would be changed in a way that the runner does not know",
    };
    let _ = writeln!(text, "  {address} {DIM}({action}){DIM:#}");
    for Attribute { path, found, wanted, sensitive } in attributes {
        if *sensitive {
            let _ = writeln!(text, "    {path}: {DIM}differs; its values are sensitive{DIM:#}");
            continue;
        }
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(not there)".to_owned());
        let _ = writeln!(text, "    {RED}- {path} = {}{RED:#}", shown(found));
        let _ = writeln!(text, "    {GREEN}+ {path} = {}{GREEN:#}", shown(wanted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensitive_value_is_said_to_differ_and_no_more() {
        let attribute = |path: &str, sensitive: bool| Attribute {
            path: path.into(),
            found: (!sensitive).then(|| "3".to_owned()),
            wanted: None,
            sensitive,
        };
        let attributes = vec![attribute("size", false), attribute("password", true)];
        let difference = Difference { address: "a.x".into(), action: ChangeAction::Update, attributes };
        let mut text = String::new();
        details(&mut text, &Details { list: vec![difference], ..Details::default() }, "drifted: a.x");
        let text = anstream::adapter::strip_str(&text).to_string();
        assert!(text.contains("- size = 3\n    + size = (not there)"), "{text}");
        assert!(text.contains("password: differs"), "{text}");
    }

    #[test]
    fn a_schedule_is_chosen_by_one_word() {
        let chosen = |every, never, as_released| choice(every, ThenArg::Heal, never, as_released).unwrap();
        assert_eq!(chosen(None, false, false), None);
        assert_eq!(chosen(None, true, false), Some(Choice::Never));
        assert_eq!(chosen(None, false, true), Some(Choice::AsReleased));
        let every = Schedule { every_ms: 21_600_000, then: Then::Heal };
        assert_eq!(chosen(Some("6h"), false, false), Some(Choice::Every(every)));
        assert!(choice(Some("often"), ThenArg::Report, false, false).is_err());
    }
}
