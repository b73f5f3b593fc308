//! Scenario files: what a person writes about the rehearsals of a sandbox install, and what it means.
//!
//! Reading one is a pure function of its text; whether its components are there is asked of a product.

use std::path::Path;

use remit_loops::job::{Action, FailureClass};
use remit_loops::plan::Changes;
use remit_loops::scenario::{DriftRule, Fails, Invalid, Scenario, Span, StepRule};
use serde::Deserialize;

use crate::failure::{Exit, Failure, Result};
use crate::product::duration;

/// The one version of the form.
const VERSION: u32 = 1;
/// What a runner says of an attempt that was cut off by its own end.
const RUNNER_LOST: &str = "runner.restarted";

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    description: String,
    #[serde(default)]
    step: Vec<StepForm>,
    #[serde(default)]
    drift: Vec<DriftForm>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepForm {
    component: Option<String>,
    action: Option<Action>,
    #[serde(default)]
    attempts: Vec<u32>,
    #[serde(default = "all")]
    percent: u8,
    takes: Option<SpanForm>,
    changes: Option<ChangesForm>,
    fails: Option<FailsForm>,
    loses_runner: Option<String>,
}

fn all() -> u8 {
    100
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum SpanForm {
    Always(String),
    Between(Between),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Between {
    from: String,
    usually: Option<String>,
    to: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ChangesForm {
    create: u32,
    update: u32,
    delete: u32,
    replace: u32,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum FailsForm {
    Class(FailureClass),
    Whole(FailsWhole),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FailsWhole {
    class: FailureClass,
    #[serde(default)]
    message: String,
    code: Option<String>,
    hint: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DriftForm {
    component: String,
    after: String,
    summary: String,
}

/// Reads a scenario's file.
pub fn load(path: &Path) -> Result<Scenario> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?;
    parse(&text).map_err(|problem| wrong(&format!("{}: {problem}", path.display())))
}

fn wrong(message: &str) -> Failure {
    let hint = "docs/sandbox.md shows what a scenario may say; `remit scenario check FILE` checks one";
    Failure::new(Exit::Usage, "scenario.form", message, hint)
}

/// Whether every component that it names is one of these.
pub fn check_components(scenario: &Scenario, known: &[&str]) -> Result<()> {
    scenario.check_components(known).map_err(|invalid: Invalid| {
        let hint = "correct its name, or check the scenario against another product with --product DIR";
        Failure::new(Exit::Usage, "scenario.unknown_component", invalid.to_string(), hint)
    })
}

/// The scenario that a text describes, or what is the matter with it.
pub fn parse(text: &str) -> Result<Scenario, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string().trim_end().to_owned())?;
    if file.version != VERSION {
        return Err(format!("it is of version {}; this remit reads version {VERSION}", file.version));
    }
    let mut scenario = Scenario { seed: file.seed, description: file.description, ..Scenario::default() };
    for (n, form) in file.step.into_iter().enumerate() {
        scenario.steps.push(step(form).map_err(|problem| format!("step {}: {problem}", n + 1))?);
    }
    for (n, form) in file.drift.into_iter().enumerate() {
        let after_ms = time(&form.after).map_err(|problem| format!("drift {}: {problem}", n + 1))?;
        scenario.drifts.push(DriftRule { component: form.component, after_ms, summary: form.summary });
    }
    scenario.check().map_err(|invalid| invalid.to_string())?;
    Ok(scenario)
}

fn step(form: StepForm) -> Result<StepRule, String> {
    let StepForm { component, action, attempts, percent, takes, changes, fails, loses_runner } = form;
    let mut rule = StepRule { component, action, attempts, percent, ..StepRule::default() };
    rule.takes = takes.map(span).transpose()?;
    rule.changes = changes.map(|c| Changes {
        create: c.create,
        update: c.update,
        delete: c.delete,
        replace: c.replace,
        ..Changes::default()
    });
    rule.fails = fails.map(|fails| match fails {
        FailsForm::Class(class) => Fails { class, message: String::new(), code: None, hint: None },
        FailsForm::Whole(FailsWhole { class, message, code, hint }) => Fails { class, message, code, hint },
    });
    let Some(silent) = loses_runner else { return Ok(rule) };
    if rule.fails.is_some() || rule.takes.is_some() {
        return Err(
            "`loses_runner` is a time and an end of its own: leave `takes` and `fails` out".to_owned()
        );
    }
    rule.takes = Some(Span::exactly(time(&silent)?));
    rule.fails = Some(Fails {
        class: FailureClass::Transient,
        message: "the runner was lost in the middle of it, and began anew".to_owned(),
        code: Some(RUNNER_LOST.to_owned()),
        hint: Some("it is tried again by itself".to_owned()),
    });
    Ok(rule)
}

fn span(form: SpanForm) -> Result<Span, String> {
    match form {
        SpanForm::Always(text) => Ok(Span::exactly(time(&text)?)),
        SpanForm::Between(Between { from, usually, to }) => {
            let (from_ms, to_ms) = (time(&from)?, time(&to)?);
            let middle = from_ms + (to_ms - from_ms) / 2;
            Ok(Span { from_ms, usually_ms: usually.map_or(Ok(middle), |text| time(&text))?, to_ms })
        }
    }
}

/// A length of time; short ones may be milliseconds.
pub(crate) fn time(text: &str) -> Result<i64, String> {
    match text.strip_suffix("ms") {
        Some(digits) => digits.parse().map_err(|_| format!("`{text}` is no number of milliseconds")),
        None => duration::parse_ms(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_read() {
        let scenario = parse(
            r#"
            version = 1
            seed = 7
            [[step]]
            component = "database"
            action = "deploy"
            attempts = [1]
            fails = { class = "quota", message = "api error VpcLimitExceeded: no more" }
            [[step]]
            takes = { from = "200ms", usually = "1s", to = "1m30s" }
            changes = { create = 3 }
            [[step]]
            percent = 5
            loses_runner = "20s"
            [[drift]]
            component = "network"
            after = "10m"
            summary = "port 22 is open"
            "#,
        )
        .unwrap();
        assert_eq!((scenario.steps.len(), scenario.drifts[0].after_ms), (3, 600_000));
        assert_eq!(scenario.steps[1].takes, Some(Span { from_ms: 200, usually_ms: 1_000, to_ms: 90_000 }));
        assert_eq!(scenario.steps[2].fails.as_ref().unwrap().code.as_deref(), Some("runner.restarted"));
        assert!(check_components(&scenario, &["database", "network"]).is_ok());
        let unknown = check_components(&scenario, &["network"]).unwrap_err();
        assert_eq!(unknown.code, "scenario.unknown_component");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, word) in [
            ("seed = 1", "version"),
            ("version = 2", "version 2"),
            ("version = 1\nsteps = 1", "steps"),
            ("version = 1\n[[step]]\naction = \"provision\"\nfails = \"bug\"", "provision"),
            ("version = 1\n[[step]]\nfails = \"sadness\"", "line 3"),
            ("version = 1\n[[step]]\ntakes = \"5\"", "step 1"),
            ("version = 1\n[[step]]\ntakes = { from = \"9s\", to = \"1s\" }", "step 1"),
            ("version = 1\n[[step]]\ncomponent = \"x\"", "says nothing"),
            ("version = 1\n[[step]]\npercent = 101\nfails = \"bug\"", "101"),
            ("version = 1\n[[drift]]\ncomponent = \"x\"\nafter = \"soon\"\nsummary = \"y\"", "drift 1"),
            ("version = 1\n[[step]]\nloses_runner = \"1s\"\ntakes = \"1s\"", "leave"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(word), "{text}: {problem}");
        }
    }
}
