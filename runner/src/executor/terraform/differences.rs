//! What a plan says would be brought back: which attributes of which resources, as they are and as they
//! would be made. Values that terraform calls sensitive, or that hold such, are left out.

use remit_seal::Digest;
use serde_json::{Map, Value};

use super::document::{Change, Document};
use crate::outcome::{Attribute, Difference, Differences};

/// How deep attributes are taken apart; what lies deeper is told whole.
const DEPTH_MAX: usize = 4;

/// What the plan of a drift check would change.
pub(super) fn differences(document: &Document) -> Differences {
    let mut all = Differences::default();
    let mut said = Vec::new();
    for resource in document.managed() {
        let change = &resource.change;
        let Some(action) = resource.actions().into_iter().next() else { continue };
        let mut attributes = Vec::new();
        // Of what is gone altogether there is nothing to compare.
        if change.before.is_object() && change.after.is_object() {
            Compared::whole(change).walk("", 0, &mut attributes);
        }
        let whole = serde_json::json!([resource.address, change.actions, change.before, change.after]);
        said.extend_from_slice(whole.to_string().as_bytes());
        all.push(Difference { address: resource.address.clone(), action, attributes });
    }
    all.fingerprint = (!said.is_empty()).then(|| Digest::of(&said));
    all
}

/// A value as it is and as it would be, with what is said about both.
#[derive(Clone, Copy)]
struct Compared<'a> {
    before: &'a Value,
    after: &'a Value,
    unknown: &'a Value,
    sensitive: [&'a Value; 2],
}

const NULL: &Value = &Value::Null;

impl<'a> Compared<'a> {
    fn whole(change: &'a Change) -> Self {
        Self {
            before: &change.before,
            after: &change.after,
            unknown: &change.after_unknown,
            sensitive: [&change.before_sensitive, &change.after_sensitive],
        }
    }

    fn walk(self, path: &str, depth: usize, out: &mut Vec<Attribute>) {
        if self.before == self.after && !holds_true(self.unknown) {
            return;
        }
        // One that is marked as a whole is not taken apart: not even the names in it are told.
        let is_marked = self.sensitive.iter().any(|mark| **mark == Value::Bool(true));
        match (self.before, self.after) {
            (Value::Object(before), Value::Object(after)) if depth < DEPTH_MAX && !is_marked => {
                for name in names(before, after, self.unknown) {
                    let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.member(&name).walk(&below, depth + 1, out);
                }
            }
            (Value::Array(before), Value::Array(after)) if depth < DEPTH_MAX && !is_marked => {
                for index in 0..before.len().max(after.len()) {
                    self.item(index).walk(&format!("{path}[{index}]"), depth + 1, out);
                }
            }
            _ => out.push(self.attribute(path)),
        }
    }

    fn member(self, name: &str) -> Self {
        let of = |value: &'a Value| value.get(name).unwrap_or(NULL);
        self.map(of)
    }

    fn item(self, index: usize) -> Self {
        let of = |value: &'a Value| value.get(index).unwrap_or(NULL);
        self.map(of)
    }

    fn map(self, of: impl Fn(&'a Value) -> &'a Value) -> Self {
        // What is said of the whole holds for its parts.
        let mark = |value: &'a Value| if value.is_boolean() { value } else { of(value) };
        Self {
            before: of(self.before),
            after: of(self.after),
            unknown: mark(self.unknown),
            sensitive: self.sensitive.map(mark),
        }
    }

    fn attribute(self, path: &str) -> Attribute {
        let path = path.to_owned();
        if self.sensitive.iter().any(|mark| holds_true(mark)) {
            return Attribute { path, found: None, wanted: None, sensitive: true };
        }
        let wanted = if holds_true(self.unknown) {
            Some("(known after it is made)".to_owned())
        } else {
            written(self.after)
        };
        Attribute { path, found: written(self.before), wanted, sensitive: false }
    }
}

fn names(before: &Map<String, Value>, after: &Map<String, Value>, unknown: &Value) -> Vec<String> {
    let unknown = unknown.as_object().into_iter().flat_map(Map::keys);
    let mut names: Vec<String> = before.keys().chain(after.keys()).chain(unknown).cloned().collect();
    names.sort();
    names.dedup();
    names
}

fn holds_true(marks: &Value) -> bool {
    match marks {
        Value::Bool(mark) => *mark,
        Value::Array(items) => items.iter().any(holds_true),
        Value::Object(members) => members.values().any(holds_true),
        Value::Null | Value::Number(_) | Value::String(_) => false,
    }
}

fn written(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(change: &Value) -> Vec<Attribute> {
        let json = json!({"resource_changes": [{"address": "a.x", "mode": "managed", "change": change}]});
        let found = differences(&Document::read(json.to_string().as_bytes()).unwrap());
        assert!(found.fingerprint.is_some());
        found.list.into_iter().next().unwrap().attributes
    }

    fn shown(attributes: &[Attribute]) -> Vec<(&str, Option<&str>, Option<&str>)> {
        attributes.iter().map(|a| (a.path.as_str(), a.found.as_deref(), a.wanted.as_deref())).collect()
    }

    #[test]
    fn what_differs_is_told_with_its_values() {
        let change = json!({
            "actions": ["update"],
            "before": {"size": 3, "same": 1, "tags": {"owner": "mallory", "team": "a"}, "ports": [22, 80]},
            "after": {"size": 2, "same": 1, "tags": {"owner": "ann", "team": "a"}, "ports": [80]},
            "after_unknown": {"id": true, "tags": {}},
        });
        assert_eq!(
            shown(&of(&change)),
            [
                ("id", None, Some("(known after it is made)")),
                ("ports[0]", Some("22"), Some("80")),
                ("ports[1]", Some("80"), None),
                ("size", Some("3"), Some("2")),
                ("tags.owner", Some("mallory"), Some("ann")),
            ]
        );
    }

    #[test]
    fn what_is_sensitive_is_told_without_a_value() {
        let change = json!({
            "actions": ["update"],
            "before": {"password": "uno", "nest": {"key": "two", "open": "x"}, "all": {"k": "three"}},
            "after": {"password": "four", "nest": {"key": "five", "open": "y"}, "all": {"k": "six"}},
            "before_sensitive": {"password": true, "nest": {"key": true}, "all": true},
            "after_sensitive": {},
        });
        let attributes = of(&change);
        let open: Vec<&str> = attributes.iter().filter(|a| !a.sensitive).map(|a| a.path.as_str()).collect();
        assert_eq!(open, ["nest.open"]);
        let text = format!("{attributes:?}");
        for secret in ["uno", "two", "three", "four", "five", "six"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert_eq!(attributes.iter().filter(|a| a.sensitive).count(), 3);
    }

    #[test]
    fn the_fingerprint_is_of_the_secret_values_too() {
        let print = |value: &str| {
            let change = json!({
                "actions": ["update"], "before": {"p": value}, "after": {"p": "x"},
                "before_sensitive": {"p": true},
            });
            let json = json!({"resource_changes": [{"address": "a", "mode": "managed", "change": change}]});
            let mut found = differences(&Document::read(json.to_string().as_bytes()).unwrap());
            found.seal("secret");
            found.fingerprint
        };
        assert_eq!(print("one"), print("one"));
        assert_ne!(print("one"), print("two"));
    }
}
