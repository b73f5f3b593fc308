//! A plan, as `terraform show -json` prints it: what would change, by how.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::outcome::Changes;

/// How many names a summary holds.
const NAMES_MAX: usize = 8;

/// What a plan would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// Counted.
    pub(super) changes: Changes,
    /// Each resource and output with what would happen to it.
    pub(super) names: Vec<String>,
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
            if let Some(word) = plan.count(&resource.change) {
                plan.names.push(format!("{} ({word})", resource.address));
            }
        }
        for (name, change) in &document.output_changes {
            if change.actions.iter().any(|a| a != "no-op") {
                plan.names.push(format!("output {name}"));
            }
        }
        Ok(plan)
    }

    fn count(&mut self, change: &Change) -> Option<&'static str> {
        let has = |action: &str| change.actions.iter().any(|a| a == action);
        let (counter, word) = match (has("create"), has("delete"), has("update")) {
            (true, true, _) => (&mut self.changes.replace, "replace"),
            (true, ..) => (&mut self.changes.create, "create"),
            (_, true, _) => (&mut self.changes.delete, "delete"),
            (.., true) => (&mut self.changes.update, "update"),
            _ => return None,
        };
        *counter += 1;
        Some(word)
    }

    /// What would change, in one line.
    pub(super) fn named(&self) -> String {
        let mut text = self.names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
        if self.names.len() > NAMES_MAX {
            text.push_str(&format!(" and {} more", self.names.len() - NAMES_MAX));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(plan.changes, Changes { create: 1, update: 1, delete: 1, replace: 2 });
        assert_eq!(
            plan.named(),
            "a.x (create), a.y (replace), a.z (replace), a.v (update), a.u (delete), output o"
        );
    }
}
