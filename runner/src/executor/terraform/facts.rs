//! What a terraform plan would do, for a policy: counts and types, of `terraform show -json`.
//!
//! What is not known until the plan is applied could be anything. Where that decides whether somebody gets
//! access, or everybody in, it is counted as if it did.

mod access;
mod configuration;
mod exposure;

use serde_json::Value;

use super::document::{Document, ResourceChange};
use crate::outcome::{ChangeAction, PlanFacts};

pub(super) use configuration::Configuration;

type Values = serde_json::Map<String, Value>;

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
pub(super) fn plan_facts(document: &Document) -> PlanFacts {
    let mut plan = PlanFacts::default();
    for resource in document.managed() {
        count(&mut plan, resource, &document.configuration);
    }
    for action in &document.action_invocations {
        plan.other += 1;
        plan.iam += u32::from(access::is_of(&action.kind));
        plan.changes.insert(action.kind.clone());
    }
    plan.outputs = u32::try_from(document.outputs().count()).unwrap_or(u32::MAX);
    plan.deferred = u32::try_from(document.deferred_changes.len()).unwrap_or(u32::MAX);
    plan
}

fn count(plan: &mut PlanFacts, resource: &ResourceChange, configuration: &Configuration) {
    let actions = resource.actions();
    for action in &actions {
        plan.count(*action, &resource.kind);
    }
    // One that is only known under another address is as it was.
    if actions.iter().all(|action| *action == ChangeAction::Move) {
        return;
    }
    let ResourceChange { module_address, kind, name, change, .. } = resource;
    let gives = |attribute: &str| configuration.gives(module_address, (kind, name), attribute);
    let side = |values, unknown| Side { kind, values, unknown, gives: &gives };
    let before = change.before.as_object().map(|values| side(values, &Value::Null));
    let after = change.after.as_object().map(|values| side(values, &change.after_unknown));
    plan.iam += u32::from(access::changes(kind, before.as_ref(), after.as_ref()));
    plan.public += u32::from(exposure::opens(kind, before.as_ref(), after.as_ref()));
}

#[cfg(test)]
mod tests;
