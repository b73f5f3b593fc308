//! What a terraform plan would do, for a policy: counts and types, of `terraform show -json`.
//!
//! What is not known until the plan is applied could be anything. Where that decides whether somebody gets
//! access, or everybody in, it is counted as if it did.

mod access;
mod configuration;
mod exposure;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::outcome::PlanFacts;
use configuration::Configuration;

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    resource_changes: Vec<ResourceChange>,
    /// What providers are asked to do beside changing resources (terraform 1.14 and newer).
    #[serde(default)]
    action_invocations: Vec<Invocation>,
    #[serde(default)]
    configuration: Configuration,
}

#[derive(Deserialize)]
struct Invocation {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct ResourceChange {
    #[serde(default)]
    module_address: String,
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    change: Change,
}

#[derive(Deserialize)]
struct Change {
    actions: Vec<String>,
    #[serde(default)]
    before: Option<Values>,
    #[serde(default)]
    after: Option<Values>,
    #[serde(default)]
    after_unknown: Value,
}

type Values = BTreeMap<String, Value>;

/// The values of a resource on one side of a change, with what is not known of them yet.
struct Side<'a> {
    kind: &'a str,
    values: &'a Values,
    /// The parts that are known only when it is applied; none before the change.
    unknown: &'a Value,
    /// Whether the source gives the attribute; what it does not give, the provider chooses.
    gives: &'a dyn Fn(&str) -> bool,
}

impl Side<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Whether a flag is so, or the source gives it and it may be so.
    fn is(&self, name: &str, wanted: bool) -> bool {
        self.get(name).and_then(Value::as_bool) == Some(wanted) || self.is_hidden(name)
    }

    /// Whether the source gives an attribute of which some part is not known yet.
    fn is_hidden(&self, name: &str) -> bool {
        match self.unknown.get(name) {
            // All of it: the provider chooses it where the source says nothing. A block that a `dynamic` one
            // makes does not stand in the configuration; while not even their number is known, none is seen.
            Some(Value::Bool(unknown)) => *unknown && (self.gives)(name),
            // Some of it: nobody but the source gave the rest.
            Some(part) => has_unknown(part),
            None => false,
        }
    }
}

/// Terraform writes `true` in the place of each value that it does not know.
fn has_unknown(value: &Value) -> bool {
    match value {
        Value::Bool(unknown) => *unknown,
        Value::Array(items) => items.iter().any(has_unknown),
        Value::Object(fields) => fields.values().any(has_unknown),
        Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}

/// Counts a plan; of data sources and of what stays as it is, nothing.
pub fn plan_facts(json: &[u8]) -> Result<PlanFacts, serde_json::Error> {
    let document: Document = serde_json::from_slice(json)?;
    let mut plan = PlanFacts::default();
    for resource in document.resource_changes.iter().filter(|r| r.mode == "managed") {
        count(&mut plan, resource, &document.configuration);
    }
    for action in document.action_invocations {
        plan.update += 1;
        plan.iam += u32::from(access::is_of(&action.kind));
        plan.changes.insert(action.kind);
    }
    Ok(plan)
}

fn count(plan: &mut PlanFacts, resource: &ResourceChange, configuration: &Configuration) {
    let has = |action: &str| resource.change.actions.iter().any(|a| a == action);
    let removes = has("delete");
    let counter = match (has("create"), removes, has("update")) {
        (true, true, _) => &mut plan.replace,
        (true, ..) => &mut plan.create,
        (_, true, _) => &mut plan.delete,
        (.., true) => &mut plan.update,
        // Forgotten by terraform and left where it is: as little to be seen afterwards as if removed.
        _ if has("forget") => &mut plan.delete,
        _ => return,
    };
    *counter += 1;
    plan.changes.insert(resource.kind.clone());
    if removes || has("forget") {
        plan.removes.insert(resource.kind.clone());
    }
    let ResourceChange { module_address, kind, name, change, .. } = resource;
    let gives = |attribute: &str| configuration.gives(module_address, (kind, name), attribute);
    let side = |values, unknown| Side { kind, values, unknown, gives: &gives };
    let before = change.before.as_ref().map(|values| side(values, &Value::Null));
    let after = change.after.as_ref().map(|values| side(values, &change.after_unknown));
    plan.iam += u32::from(access::changes(kind, before.as_ref(), after.as_ref()));
    plan.public += u32::from(exposure::opens(kind, before.as_ref(), after.as_ref()));
}

#[cfg(test)]
mod tests;
