//! No file of a crate knows itself by a detour: then none of a circle's files can be read, tested or moved alone.

use crate::imports::graphs;
use crate::shrinking::{Known, only_shrinks};
use crate::sources;

/// How many files of each root still stand in circles. A child that uses its parent's types is none.
const KNOWN: Known = &[("proto/terraform/src", 3), ("runner/src", 14), ("tests/hostile/src", 5)];

#[test]
fn no_file_knows_itself_by_a_detour() {
    let mut found = Vec::new();
    for graph in graphs(sources()) {
        for circle in graph.circles() {
            found.extend(
                circle
                    .iter()
                    .map(|file| (graph.root.clone(), format!("{file}, in a circle of {}", circle.len()))),
            );
        }
    }
    only_shrinks("no circle of files but parent and child", KNOWN, &found);
}
