//! A plan for people: what would change, by how.

use super::document::Document;
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
    /// The addresses of what is to be forgotten.
    pub(super) forgotten: Vec<String>,
    /// Whether terraform says that there is something to carry out.
    pub(super) is_applyable: bool,
}

impl Plan {
    pub(super) fn of(document: &Document) -> Self {
        let mut plan = Self { is_applyable: document.applyable.unwrap_or(true), ..Self::default() };
        for resource in document.managed() {
            for action in resource.actions() {
                plan.add(&resource.address, action);
            }
        }
        for invocation in &document.action_invocations {
            plan.add(&invocation.address, ChangeAction::Other);
        }
        for name in document.outputs() {
            plan.planned.changes.outputs += 1;
            plan.name(format!("output {name}"));
        }
        plan
    }

    fn add(&mut self, address: &str, action: ChangeAction) {
        self.planned.changes.count(action);
        self.name(format!("{address} ({})", action.as_str()));
        self.planned.push(address.to_owned(), action);
        if action == ChangeAction::Forget {
            self.forgotten.push(address.to_owned());
        }
    }

    fn name(&mut self, name: String) {
        if self.names.len() < NAMES_MAX { self.names.push(name) } else { self.unnamed += 1 }
    }

    /// Whether carrying it out must leave a new state behind.
    pub(super) fn changes_state(&self) -> bool {
        self.is_applyable && self.planned.changes != crate::outcome::Changes::default()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Changes;

    fn plan(json: &serde_json::Value) -> Plan {
        Plan::of(&Document::read(json.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn actions_are_counted_and_named() {
        let change = |address: &str, mode: &str, actions: &[&str]| serde_json::json!({"address": address, "mode": mode, "change": {"actions": actions}});
        let plan = plan(&serde_json::json!({
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
        }));
        let wanted =
            Changes { create: 1, update: 1, delete: 1, replace: 2, outputs: 1, ..Changes::default() };
        assert_eq!(plan.planned.changes, wanted);
        assert_eq!(
            plan.named(),
            "a.x (create), a.y (replace), a.z (replace), a.v (update), a.u (delete), output o"
        );
    }

    #[test]
    fn what_is_taken_over_forgotten_moved_or_unknown_is_never_nothing() {
        let plan = plan(&serde_json::json!({
            "resource_changes": [
                {"address": "a.new", "mode": "managed", "change": {"actions": ["no-op"], "importing": {"id": "x"}}},
                {"address": "a.old", "mode": "managed", "change": {"actions": ["forget"]}},
                {"address": "a.b", "previous_address": "a.a", "mode": "managed", "change": {"actions": ["no-op"]}},
                {"address": "a.c", "mode": "managed", "change": {"actions": ["annihilate"]}},
                {"address": "a.d", "mode": "managed", "change": {"actions": ["update"], "importing": {"id": "y"}}},
            ],
        }));
        let words = "planned: 1 to update, 2 to take over, 1 to forget, 1 to move, 1 to change in a way that is not known here";
        assert_eq!(plan.planned.summary(), words);
        assert_eq!(plan.forgotten, ["a.old"]);
        assert!(plan.changes_state());
    }

    #[test]
    fn outputs_alone_are_said_to_be_that() {
        let plan = plan(&serde_json::json!({"output_changes": {"o": {"actions": ["create"]}}}));
        assert_eq!(plan.planned.summary(), "planned: 1 to change as an output only");
    }
}
