//! Graphs of any shape: what comes first is done first, whatever fails, and a circle is always found.

use std::collections::BTreeSet;

use proptest::prelude::*;
use remit_loops::Timestamp;
use remit_loops::graph::{Graph, Node, Progress, StepState, check_acyclic};
use remit_loops::job::{Action, Failure, FailureClass};

const PARTS_MAX: usize = 12;

/// Who needs whom, by index; only earlier ones, so that there is no circle.
fn needs() -> impl Strategy<Value = Vec<Vec<usize>>> {
    (1..=PARTS_MAX).prop_flat_map(|len| {
        let of = |index: usize| proptest::sample::subsequence((0..index).collect::<Vec<_>>(), 0..=index);
        (0..len).map(of).collect::<Vec<_>>()
    })
}

fn name(index: usize) -> String {
    format!("part-{index}")
}

/// The needs by name, in an order in which nothing is where its number says.
fn declared(needs: &[Vec<usize>], turn: usize) -> Vec<(String, Vec<String>)> {
    let mut parts: Vec<(String, Vec<String>)> = needs
        .iter()
        .enumerate()
        .map(|(index, of)| (name(index), of.iter().map(|n| name(*n)).collect()))
        .collect();
    parts.rotate_left(turn % needs.len());
    parts
}

fn nodes(parts: &[(String, Vec<String>)], action: Action) -> Vec<Node<'_>> {
    parts.iter().map(|(name, needs)| Node { name, needs, action }).collect()
}

fn failed() -> StepState {
    let (code, message) = ("test.failed".to_owned(), "no".to_owned());
    StepState::Failed(Failure { class: FailureClass::Bug, code, message, hint: String::new() })
}

/// Runs it, picking among what is ready; these fail. The names in the order in which they were begun.
fn run(graph: &mut Graph, picks: &[usize], fails: &BTreeSet<String>) -> Vec<String> {
    let mut begun = vec![];
    let mut picks = picks.iter().cycle();
    loop {
        let ready = graph.ready();
        if ready.is_empty() {
            return begun;
        }
        let index = ready[picks.next().unwrap_or(&0) % ready.len()];
        let component = graph.steps[index].component.clone();
        let fails = fails.contains(&component);
        begun.push(component);
        graph.set(index, if fails { failed() } else { StepState::Succeeded(String::new()) }, Timestamp(0));
    }
}

fn place(begun: &[String], index: usize) -> Option<usize> {
    begun.iter().position(|n| *n == name(index))
}

proptest! {
    #[test]
    fn everything_runs_once_and_after_what_it_needs(
        needs in needs(),
        turn in 0..PARTS_MAX,
        picks in proptest::collection::vec(0..PARTS_MAX, 1..20),
    ) {
        let parts = declared(&needs, turn);
        let mut forward = Graph::forward(&nodes(&parts, Action::Deploy), Timestamp(0)).unwrap();
        let mut reverse = Graph::reverse(&nodes(&parts, Action::Destroy), Timestamp(0)).unwrap();
        let (made, removed) =
            (run(&mut forward, &picks, &BTreeSet::new()), run(&mut reverse, &picks, &BTreeSet::new()));
        prop_assert_eq!((made.len(), removed.len()), (needs.len(), needs.len()));
        prop_assert_eq!((forward.progress(), reverse.progress()), (Progress::Over, Progress::Over));
        for (index, of) in needs.iter().enumerate() {
            for need in of {
                prop_assert!(place(&made, *need) < place(&made, index), "{made:?}");
                prop_assert!(place(&removed, index) < place(&removed, *need), "{removed:?}");
            }
        }
    }

    #[test]
    fn a_failure_holds_all_that_needs_it_and_nothing_else(
        needs in needs(),
        turn in 0..PARTS_MAX,
        picks in proptest::collection::vec(0..PARTS_MAX, 1..20),
        unlucky in proptest::collection::btree_set(0..PARTS_MAX, 1..4),
    ) {
        let parts = declared(&needs, turn);
        let mut graph = Graph::forward(&nodes(&parts, Action::Deploy), Timestamp(0)).unwrap();
        let fails: BTreeSet<String> = unlucky.iter().map(|i| name(*i)).collect();
        let begun = run(&mut graph, &picks, &fails);
        // Earlier ones come first, so one pass finds all that is held.
        let mut held: BTreeSet<usize> = BTreeSet::new();
        for (index, of) in needs.iter().enumerate() {
            if of.iter().any(|need| held.contains(need) || unlucky.contains(need)) {
                held.insert(index);
            }
        }
        for index in 0..needs.len() {
            prop_assert_eq!(place(&begun, index).is_none(), held.contains(&index), "{}", name(index));
        }
        let stuck = begun.iter().any(|n| fails.contains(n));
        prop_assert_eq!(graph.progress(), if stuck { Progress::Stuck } else { Progress::Over });
        let steps = graph.steps.len();
        for index in 0..steps {
            if matches!(graph.steps[index].state, StepState::Failed(_)) {
                graph.set(index, StepState::Waiting, Timestamp(1));
            }
        }
        run(&mut graph, &picks, &BTreeSet::new());
        prop_assert_eq!(graph.progress(), Progress::Over, "after a retry nothing is held");
    }

    #[test]
    fn a_circle_is_always_found_and_is_one(
        needs in needs(),
        turn in 0..PARTS_MAX,
        ends in (0..PARTS_MAX, 0..PARTS_MAX),
    ) {
        let mut parts = declared(&needs, turn);
        prop_assert!(check_acyclic(&nodes(&parts, Action::Deploy)).is_ok());
        // A way from the later to the earlier, and back.
        let (a, b) = (ends.0 % needs.len(), ends.1 % needs.len());
        let (early, late) = (a.min(b), a.max(b));
        let mut add = |from: usize, to: usize| {
            let part = parts.iter_mut().find(|(n, _)| *n == name(from)).unwrap();
            part.1.push(name(to));
        };
        add(early, late);
        add(late, early);
        let circle = check_acyclic(&nodes(&parts, Action::Deploy)).unwrap_err().0;
        prop_assert!(circle.len() >= 2 && circle.first() == circle.last(), "{circle:?}");
        for pair in circle.windows(2) {
            let part = parts.iter().find(|(n, _)| *n == pair[0]).unwrap();
            prop_assert!(part.1.contains(&pair[1]), "{} does not need {}", pair[0], pair[1]);
        }
    }
}
