//! `remit plan`, `remit approve`, `remit deny`: what would change, and the word on it.

use std::fmt::Write as _;

use remit_loops::approval::{Ask, Policy};
use remit_loops::plan::Asking;
use remit_loops::status::StepView;
use remit_loops::view::View;
use remit_loops::{ObjectId, install};

use crate::args::{AnswerArgs, PlanCommand};
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output::{BOLD, CYAN, DIM, Table, time, word};

/// Shows plans that wait.
pub(super) async fn run(context: &Context, command: PlanCommand) -> Result<()> {
    let PlanCommand::Show { install, step } = command;
    let id = context.install(&install)?;
    let view = context.client()?.object(&id).await?.view;
    let steps: Vec<&StepView> = waiting(&view, step.as_deref()).collect();
    let all = all_of(&view);
    let answer = serde_json::json!({
        "operation": view.operation.as_ref().map(|op| op.number), "steps": steps, "all": all,
    });
    context.format().answer(&answer, || picture(&id, &steps, all.as_deref()));
    Ok(())
}

fn waiting<'a>(view: &'a View, step: Option<&'a str>) -> impl Iterator<Item = &'a StepView> {
    let steps = view.operation.iter().flat_map(|op| &op.steps);
    steps.filter(move |s| s.asking.is_some() && step.is_none_or(|name| name == s.component))
}

/// The digest of all plans that wait, where there are several.
fn all_of(view: &View) -> Option<String> {
    view.operation.as_ref()?.all_plans.clone()
}

fn picture(id: &ObjectId, steps: &[&StepView], all: Option<&str>) -> String {
    let mut text = String::new();
    for step in steps {
        if let Some(asking) = &step.asking {
            plan_text(&mut text, id, step, asking);
        }
    }
    if text.is_empty() {
        return format!("no plan of {} waits for an approval\n", id.name());
    }
    if let Some(all) = all {
        let _ = writeln!(text, "{CYAN}all{CYAN:#}        remit approve {} --plan {all}", id.name());
    }
    text
}

fn plan_text(text: &mut String, id: &ObjectId, step: &StepView, asking: &Asking) {
    let Asking { plan, approvals, .. } = asking;
    let (name, component) = (id.name(), &step.component);
    let action = step.action.as_str();
    let _ = writeln!(
        text,
        "{BOLD}{component}: {action}, {}{BOLD:#}  {DIM}{}{DIM:#}",
        plan.summary(),
        plan.digest
    );
    let mut table = Table::new(&["change", "what"]);
    for change in &plan.list {
        table.row([change.action.as_str().to_owned(), change.address.clone()]);
    }
    text.push_str(&table.render("nothing would change"));
    if plan.more > 0 {
        let _ = writeln!(text, "and {} more", plan.more);
    }
    let _ = writeln!(text, "planned    {}", time(step.since));
    let _ = writeln!(text, "waits for  {}: {}", asking.missing(), asking.reason);
    for approval in approvals {
        let _ = writeln!(text, "approved   by {}, until {}", approval.by, time(approval.until));
    }
    let _ = writeln!(
        text,
        "{CYAN}approve{CYAN:#}    remit approve {name} --step {component} --plan {}\n",
        plan.digest
    );
}

/// Approves.
pub(super) async fn approve(context: &Context, answer: AnswerArgs) -> Result<()> {
    let AnswerArgs { install, plan, step, operation } = answer;
    let signal = install::Signal::Approve { plan, component: step, operation };
    send(context, &install, &signal).await
}

/// Denies.
pub(super) async fn deny(context: &Context, answer: AnswerArgs, reason: String) -> Result<()> {
    let AnswerArgs { install, plan, step, operation } = answer;
    let signal = install::Signal::Deny { plan, component: step, operation, reason };
    send(context, &install, &signal).await
}

async fn send(context: &Context, install: &str, signal: &install::Signal) -> Result<()> {
    let id = context.install(install)?;
    let accepted = context.client()?.signal(&id, signal, None).await?;
    context.format().answer(&accepted, || {
        let still = waiting(&accepted.view, None).filter_map(|step| {
            Some(format!("; {} waits for {}", step.component, step.asking.as_ref()?.missing()))
        });
        format!("{} is {}{}", id.name(), word(&accepted.view.status.word), still.collect::<String>())
    });
    Ok(())
}

/// Rules of approval as a person writes them: a word, or JSON.
pub(crate) fn policy(written: &str) -> Result<Policy> {
    match written {
        "never" => return Ok(Policy::default()),
        "always" => return Ok(Policy { ask: Ask::Always, ..Policy::default() }),
        _ => {}
    }
    serde_json::from_str(written).map_err(|e| {
        let hint = "write `always`, `never`, or rules like {\"ask\":\"by_rule\",\"no_destroy\":true}";
        Failure::usage(format!("`{written}` are no rules of approval: {e}"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_words_or_json() {
        assert_eq!(policy("always").unwrap().ask, Ask::Always);
        let rules = policy(r#"{"ask":"by_rule","changes_max":3,"quorum":2}"#).unwrap();
        assert_eq!((rules.ask, rules.changes_max, rules.quorum), (Ask::ByRule, Some(3), 2));
        for wrong in ["sometimes", "{\"ask\":\"later\"}", "{\"asks\":\"always\"}"] {
            assert_eq!(policy(wrong).unwrap_err().exit, crate::failure::Exit::Usage, "{wrong}");
        }
    }
}
