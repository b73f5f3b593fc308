//! `remit-runner policy …`: asking a policy what it says, without a runner and without a broker.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::cli::{PolicyCommand, Shown};
use crate::policy::decision_log::{self, Asked, FOLDER};
use crate::policy::{Decision, Error, Policy};

/// What a command has to say.
#[derive(Debug)]
pub struct Said {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Whether it is as one would wish: valid, permitted, no different.
    pub good: bool,
}

/// Does it.
pub fn run(command: &PolicyCommand) -> Result<Said, Error> {
    match command {
        PolicyCommand::Show { what } => {
            let text = match what {
                Shown::Default => crate::policy::DEFAULT,
                Shown::Demo => crate::policy::DEMO,
                Shown::Schema => crate::policy::SCHEMA,
            };
            Ok(Said { text: text.to_owned(), json: json!({ "text": text }), good: true })
        }
        PolicyCommand::Check { file, .. } => check(file),
        PolicyCommand::Test { policy, questions, .. } => test(policy.as_deref(), questions, false),
        PolicyCommand::Explain { policy, questions, .. } => test(policy.as_deref(), questions, true),
        PolicyCommand::Shadow { data_dir, policy, .. } => shadow(data_dir, policy),
    }
}

fn check(file: &Path) -> Result<Said, Error> {
    let policy = Policy::load(Some(file))?;
    let reference = policy.reference();
    let rules = policy.rules();
    let text = format!("valid: version {}, {rules} rules, sha256 {}\n", reference.version, reference.sha256);
    Ok(Said { text, json: json!({"valid": true, "policy": reference, "rules": rules}), good: true })
}

fn test(policy: Option<&Path>, questions: &[PathBuf], explain: bool) -> Result<Said, Error> {
    let policy = Policy::load(policy)?;
    let (mut text, mut json, mut good) = (String::new(), Vec::new(), true);
    for path in questions {
        let asked = decision_log::read(path)?;
        let decision = policy.decide(&asked.question);
        good &= decision.answer == crate::policy::Answer::Permitted;
        text.push_str(&format!("{}: {}\n", title(&asked), decision.words()));
        if explain {
            text.push_str(&details(&asked, &decision));
        }
        json.push(json!({"file": path, "question": asked.question, "decision": decision, "code": decision.answer.code()}));
    }
    Ok(Said { text, json: Value::Array(json), good })
}

fn title(asked: &Asked) -> String {
    let q = &asked.question;
    let stage = match (&q.plan, &q.escapes) {
        (Some(_), _) => "its plan",
        (None, Some(_)) => "its source",
        (None, None) => "the job",
    };
    format!("{} {} ({stage}, {})", q.operation, q.component, q.job)
}

/// Which rule decided, and what it was asked.
fn details(asked: &Asked, decision: &Decision) -> String {
    let q = &asked.question;
    let mut text = String::new();
    for rule in &decision.rules {
        let does = if rule.forbids { "forbids" } else { "permits" };
        text.push_str(&format!("    rule {} {does}: {}\n", rule.id, rule.says));
    }
    for error in &decision.errors {
        text.push_str(&format!("    could not be evaluated: {error}\n"));
    }
    let approved = if q.approved { "approved by the customer" } else { "not approved by the customer" };
    text.push_str(&format!(
        "    asked: vendor {}, class {}, kind {}, release {} ({}), {} {:02}:{:02}, {approved}\n",
        q.vendor,
        q.class,
        q.kind,
        q.release.version,
        q.release.counter,
        q.now.weekday,
        q.now.hour,
        q.now.minute
    ));
    if let Some(plan) = &q.plan {
        text.push_str(&format!(
            "    plan: {} to create, {} to update, {} to delete, {} to replace, {} to take over, {} to forget, {} to move, {} unknown, {} put off, {} of access, {} to the internet; {} removed in 24 h\n",
            plan.create,
            plan.update,
            plan.delete,
            plan.replace,
            plan.imports,
            plan.forgets,
            plan.moves,
            plan.other,
            plan.deferred,
            plan.iam,
            plan.public,
            q.removed_24h
        ));
        if !plan.removes.is_empty() {
            let types: Vec<&str> = plan.removes.iter().map(String::as_str).collect();
            text.push_str(&format!("    removes: {}\n", types.join(", ")));
        }
    }
    let source = q.source.as_ref();
    for (what, names) in [
        ("declared by the release", Some(&q.declares)),
        ("escape hatches", q.escapes.as_ref()),
        ("reads while it is planned", source.map(|source| &source.data)),
        ("providers", source.map(|source| &source.providers)),
        ("changes", q.plan.as_ref().map(|plan| &plan.changes)),
    ] {
        if let Some(names) = names.filter(|names| !names.is_empty()) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            text.push_str(&format!("    {what}: {}\n", names.join(", ")));
        }
    }
    text.push_str(&format!("    then: {} by policy version {}\n", asked.answer, asked.policy.version));
    text
}

/// What another policy would have said to all that was asked.
fn shadow(data_dir: &Path, policy: &Path) -> Result<Said, Error> {
    let policy = Policy::load(Some(policy))?;
    let dir = data_dir.join(FOLDER);
    let files =
        decision_log::files(&dir).map_err(|e| Error::Question { path: dir, detail: e.to_string() })?;
    let (mut text, mut json) = (String::new(), Vec::new());
    for path in &files {
        let asked = decision_log::read(path)?;
        let decision = policy.decide(&asked.question);
        let code = decision.answer.code();
        if code == asked.answer {
            continue;
        }
        text.push_str(&format!("{}: was {}, would be {}\n", title(&asked), asked.answer, decision.words()));
        json.push(json!({"file": path, "was": asked.answer, "would_be": code, "decision": decision}));
    }
    let changed = json.len();
    text.push_str(&format!("{changed} of {} past questions would be answered differently\n", files.len()));
    let json = json!({"asked": files.len(), "different": json});
    Ok(Said { text, json, good: changed == 0 })
}
