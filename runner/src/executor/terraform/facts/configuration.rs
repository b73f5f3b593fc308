//! What the source gives of each resource: the part of a plan that tells a value that the source computes
//! from one that the provider chooses.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The configuration, as a plan repeats it.
#[derive(Default, Deserialize)]
pub(in super::super) struct Configuration {
    #[serde(default)]
    root_module: Module,
}

#[derive(Default, Deserialize)]
struct Module {
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    module_calls: BTreeMap<String, Call>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    module: Module,
}

#[derive(Deserialize)]
struct Resource {
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    name: String,
    #[serde(default)]
    expressions: BTreeMap<String, Value>,
}

impl Configuration {
    /// Whether the source gives this attribute. Of a resource that cannot be found it may.
    pub(super) fn gives(&self, module: &str, (kind, name): (&str, &str), attribute: &str) -> bool {
        let mut inner = Some(&self.root_module);
        for call in calls(module) {
            inner = inner.and_then(|module| module.module_calls.get(&call)).map(|call| &call.module);
        }
        let is_it = |r: &&Resource| r.mode == "managed" && r.kind == kind && r.name == name;
        let resource = inner.and_then(|module| module.resources.iter().find(is_it));
        resource.is_none_or(|resource| resource.expressions.contains_key(attribute))
    }
}

/// The names in `module.a["x.y"].module.b[0]`, without keys.
fn calls(address: &str) -> Vec<String> {
    let (mut names, mut depth, mut text) = (vec![String::new()], 0_usize, false);
    let mut escaped = false;
    for c in address.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if text => escaped = true,
            '"' => text = !text,
            _ if text => {}
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '.' => names.push(String::new()),
            c => names.last_mut().expect("there is always one").push(c),
        }
    }
    names.into_iter().skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_named_without_their_keys() {
        for (address, names) in [
            ("", vec![]),
            ("module.a", vec!["a"]),
            ("module.a[0].module.b", vec!["a", "b"]),
            (r#"module.a["x.y].\"z"].module.b["]"]"#, vec!["a", "b"]),
        ] {
            assert_eq!(calls(address), names, "{address}");
        }
    }
}
