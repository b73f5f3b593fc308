//! A plan as `terraform show -json` prints it: the one model of it. What the policy is asked, what people are shown
//! and what a drift check tells are views of this.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::facts::Configuration;
use crate::outcome::{ChangeAction, Class, Failure, Undone};

/// A plan.
#[derive(Default, Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) resource_changes: Vec<ResourceChange>,
    #[serde(default)]
    pub(super) output_changes: BTreeMap<String, Change>,
    /// What providers are asked to do beside changing resources (terraform 1.14 and newer).
    #[serde(default)]
    pub(super) action_invocations: Vec<Invocation>,
    /// What is put off to another plan, because too little is known yet.
    #[serde(default)]
    pub(super) deferred_changes: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    pub(super) configuration: Configuration,
    /// Whether there is anything to carry out; not said by terraform before 1.7.
    #[serde(default)]
    pub(super) applyable: Option<bool>,
}

/// Something that a provider is asked to do.
#[derive(Deserialize)]
pub(super) struct Invocation {
    #[serde(default)]
    pub(super) address: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// A resource with what would be done to it.
#[derive(Deserialize)]
pub(super) struct ResourceChange {
    pub(super) address: String,
    /// Its address before, where that was another.
    #[serde(default)]
    pub(super) previous_address: Option<String>,
    #[serde(default)]
    pub(super) module_address: String,
    pub(super) mode: String,
    #[serde(default, rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) change: Change,
}

/// What would be done, with the values on both sides.
#[derive(Deserialize)]
pub(super) struct Change {
    pub(super) actions: Vec<String>,
    /// Said where something that is there already is taken over.
    #[serde(default)]
    importing: Option<Value>,
    #[serde(default)]
    pub(super) before: Value,
    #[serde(default)]
    pub(super) after: Value,
    #[serde(default)]
    pub(super) after_unknown: Value,
    #[serde(default)]
    pub(super) before_sensitive: Value,
    #[serde(default)]
    pub(super) after_sensitive: Value,
}

impl Document {
    pub(super) fn read(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The resources that the source manages, data sources left out.
    pub(super) fn managed(&self) -> impl Iterator<Item = &ResourceChange> {
        self.resource_changes.iter().filter(|resource| resource.mode == "managed")
    }

    /// The names of outputs whose value would change.
    pub(super) fn outputs(&self) -> impl Iterator<Item = &str> {
        let changed = |change: &Change| change.actions.iter().any(|action| action != "no-op");
        self.output_changes.iter().filter(move |(_, change)| changed(change)).map(|(name, _)| name.as_str())
    }
}

impl ResourceChange {
    /// All that would be done to it: to take over and to change are two things, as are a new address and either.
    pub(super) fn actions(&self) -> Vec<ChangeAction> {
        let is_imported = self.change.importing.as_ref().is_some_and(|importing| !importing.is_null());
        let is_moved = self.previous_address.as_ref().is_some_and(|before| *before != self.address);
        let mut all = Vec::new();
        all.extend(is_imported.then_some(ChangeAction::Import));
        all.extend(is_moved.then_some(ChangeAction::Move));
        all.extend(actions(&self.change.actions));
        all
    }
}

/// What terraform's words for it come to. A word that is not known is never nothing.
fn actions(words: &[String]) -> Vec<ChangeAction> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["no-op" | "read"] => vec![],
        ["create"] => vec![ChangeAction::Create],
        ["update"] => vec![ChangeAction::Update],
        ["delete"] => vec![ChangeAction::Delete],
        ["delete", "create"] | ["create", "delete"] => vec![ChangeAction::Replace],
        ["forget"] => vec![ChangeAction::Forget],
        ["create", "forget"] | ["forget", "create"] => vec![ChangeAction::Create, ChangeAction::Forget],
        _ => vec![ChangeAction::Other],
    }
}

/// Only where the error is: what could not be read may hold secrets.
pub(super) fn unreadable(what: &str, error: &serde_json::Error) -> Undone {
    let words =
        format!("terraform's {what} cannot be read at line {}, column {}", error.line(), error.column());
    let hint = "this version of terraform may be newer than the runner knows: compare the versions";
    Undone::Failed(Failure::new(Class::Bug, "executor.tool_unreadable", words, hint))
}
