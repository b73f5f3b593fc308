//! The runner's folders in an order: each knows only those before it. With it a reader can begin at either end.

use crate::imports::graphs;
use crate::{none, sources};

/// From the ground up, files without a folder among them (ARCHITECTURE.md says what each is for).
const RUNNER: [&str; 21] = [
    "backoff", "stop", "value", "error", "outcome", "progress", "proxy", "storage", "policy", "process",
    "account", "config", "broker", "executor", "attempt", "halt", "lease", "recovery", "status", "command",
    "start",
];
/// Arrows against the order that are still there; none may be added.
const KNOWN: [(&str, &str); 1] = [("executor", "attempt")];

#[test]
fn the_runners_folders_know_only_those_below_them() {
    let graphs = graphs(sources());
    let runner = graphs.iter().find(|graph| graph.root == "runner/src").expect("the runner has sources");
    let at = |room: &str| RUNNER.iter().position(|known| *known == room);
    let mut broken = Vec::new();
    for (room, others) in runner.rooms() {
        let Some(height) = at(room) else {
            broken.push(format!("{room} is new: say here what it may know"));
            continue;
        };
        for (other, file) in others {
            if at(other).is_none_or(|below| below > height) && !KNOWN.contains(&(room, other)) {
                broken.push(format!("{file} knows {other}"));
            }
        }
    }
    none("a folder of the runner knows only those below it", &broken);
}

/// What of the executors others may name: never one of them. Whoever adds a kind of component adds a folder and a
/// line in `executor.rs`.
const EXECUTORS: [&str; 2] = ["runner/src/executor.rs", "runner/src/executor/gate.rs"];

#[test]
fn no_executor_is_named_outside_of_its_folder() {
    let graphs = graphs(sources());
    let runner = graphs.iter().find(|graph| graph.root == "runner/src").expect("the runner has sources");
    let is_inside = |path: &str| path.starts_with("runner/src/executor");
    let edges = runner.edges();
    assert!(edges.iter().any(|(_, to)| EXECUTORS.contains(to)), "the readers of executors are found");
    let named =
        edges.iter().filter(|(from, to)| !is_inside(from) && is_inside(to) && !EXECUTORS.contains(to));
    let broken: Vec<String> = named.map(|(from, to)| format!("{from} names {to}")).collect();
    none("executors are asked by what they have in common", &broken);
}
