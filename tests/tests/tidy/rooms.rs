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
