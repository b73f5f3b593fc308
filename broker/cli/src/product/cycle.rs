//! Finds components that wait for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// For each component, those that it comes after, with the place that says so.
type Edges = BTreeMap<String, BTreeMap<String, Range<usize>>>;

/// One circle.
pub(super) struct Cycle {
    /// Its components, the first one again at the end.
    pub(super) path: Vec<String>,
    /// The places of its edges, the closing one first.
    pub(super) places: Vec<Range<usize>>,
}

/// The circles among these components, each component in at most one of them.
pub(super) fn find(order: &[&str], edges: &Edges) -> Vec<Cycle> {
    let mut done = BTreeSet::new();
    let mut cycles = Vec::new();
    for start in order {
        if let Some(path) = walk(start, edges, &mut done) {
            cycles.push(describe(&path, edges));
        }
    }
    cycles
}

/// Depth first without recursion: as deep as there are components.
fn walk(start: &str, edges: &Edges, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
    let children = |name: &str| edges.get(name).map(|to| to.keys().cloned().collect()).unwrap_or_default();
    if done.contains(start) {
        return None;
    }
    let mut path: Vec<(String, Vec<String>)> = vec![(start.to_owned(), children(start))];
    while let Some((name, left)) = path.last_mut() {
        let Some(next) = left.pop() else {
            done.insert(name.clone());
            path.pop();
            continue;
        };
        if let Some(at) = path.iter().position(|(n, _)| *n == next) {
            done.extend(path.iter().map(|(n, _)| n.clone()));
            return Some(path.drain(at..).map(|(n, _)| n).collect());
        }
        if !done.contains(&next) {
            let children = children(&next);
            path.push((next, children));
        }
    }
    None
}

fn describe(names: &[String], edges: &Edges) -> Cycle {
    let first = (0..names.len()).min_by_key(|i| &names[*i]).unwrap_or(0);
    let mut path: Vec<String> = names[first..].iter().chain(&names[..first]).cloned().collect();
    path.push(path[0].clone());
    let mut places: Vec<_> = path.windows(2).filter_map(|w| edges.get(&w[0])?.get(&w[1]).cloned()).collect();
    places.rotate_right(1);
    Cycle { path, places }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(graph: &[(&str, &[&str])], want: &[&str]) {
        let edges: Edges = graph
            .iter()
            .map(|(n, to)| ((*n).to_owned(), to.iter().map(|t| ((*t).to_owned(), 0..1)).collect()))
            .collect();
        let order: Vec<&str> = graph.iter().map(|(n, _)| *n).collect();
        let got: Vec<String> = find(&order, &edges).iter().map(|c| c.path.join(">")).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn circles_are_found_and_diamonds_are_not() {
        check(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])], &[]);
        check(&[("a", &["b"]), ("b", &["a"])], &["a>b>a"]);
        check(&[("c", &["a"]), ("b", &["c"]), ("a", &["b"])], &["a>b>c>a"]);
        check(
            &[("x", &["a"]), ("a", &["b"]), ("b", &["a"]), ("y", &["z"]), ("z", &["y"])],
            &["a>b>a", "y>z>y"],
        );
    }
}
