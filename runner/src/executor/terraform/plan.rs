//! A plan, as `terraform show -json` prints it: what would change, by how.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::outcome::{ChangeAction, Planned};

/// How many names a summary holds.
const NAMES_MAX: usize = 8;

/// What a plan would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Resources.
    pub(super) planned: Planned,
    /// The names of the first resources and outputs, with what would happen to them.
    names: Vec<String>,
    /// How many have no name here.
    unnamed: usize,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    resource_changes: Vec<ResourceChange>,
    #[serde(default)]
    output_changes: BTreeMap<String, Change>,
}

#[derive(Deserialize)]
struct ResourceChange {
    address: String,
    mode: String,
    change: Change,
}

#[derive(Deserialize)]
struct Change {
    actions: Vec<String>,
}

impl Plan {
    pub(super) fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let document: Document = serde_json::from_slice(json)?;
        let mut plan = Self::default();
        for resource in document.resource_changes.iter().filter(|r| r.mode == "managed") {
            if let Some(action) = action(&resource.change.actions) {
                plan.planned.changes.count(action);
                plan.name(format!("{} ({})", resource.address, action.as_str()));
                plan.planned.push(resource.address.clone(), action);
            }
        }
        for (name, change) in &document.output_changes {
            if change.actions.iter().any(|a| a != "no-op") {
                plan.name(format!("output {name}"));
            }
        }
        Ok(plan)
    }

    fn name(&mut self, name: String) {
        if self.names.len() < NAMES_MAX { self.names.push(name) } else { self.unnamed += 1 }
    }

    /// What would change, in one line.
    pub(super) fn named(&self) -> String {
        let mut text = self.names.join(", ");
        if self.unnamed > 0 {
            text.push_str(&format!(" and {} more", self.unnamed));
        }
        text
    }
}

/// What a list of terraform's words for it comes to; none for what changes nothing.
pub(super) fn action(words: &[String]) -> Option<ChangeAction> {
    let has = |action: &str| words.iter().any(|a| a == action);
    match (has("create"), has("delete"), has("update")) {
        (true, true, _) => Some(ChangeAction::Replace),
        (true, ..) => Some(ChangeAction::Create),
        (_, true, _) => Some(ChangeAction::Delete),
        (.., true) => Some(ChangeAction::Update),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Changes;

    #[test]
    fn actions_are_counted_and_named() {
        let change = |address: &str, mode: &str, actions: &[&str]| serde_json::json!({"address": address, "mode": mode, "change": {"actions": actions}});
        let json = serde_json::json!({
            "format_version": "1.2",
            "resource_changes": [
                change("a.x", "managed", &["create"]),
                change("a.y", "managed", &["delete", "create"]),
                change("a.z", "managed", &["create", "delete"]),
                change("a.w", "managed", &["no-op"]),
                change("a.v", "managed", &["update"]),
                change("a.u", "managed", &["delete"]),
                change("data.d.x", "data", &["read"]),
            ],
            "output_changes": {"o": {"actions": ["update"]}, "same": {"actions": ["no-op"]}},
        });
        let plan = Plan::parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(plan.planned.changes, Changes { create: 1, update: 1, delete: 1, replace: 2 });
        assert_eq!(
            plan.named(),
            "a.x (create), a.y (replace), a.z (replace), a.v (update), a.u (delete), output o"
        );
    }
}
