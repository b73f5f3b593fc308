//! Step graphs: what an operation has to do, in which order, and how far it is.
//!
//! A step waits for the steps it needs; independent ones run side by side. A graph is
//! plain data: nothing here knows of jobs, runners or queues.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::health::UNHEALTHY;
use crate::job::{Action, Failure};
use crate::plan::{Asking, Stage};
use crate::remediation::Remediation;
use crate::status::StepView;
use crate::time::Timestamp;

/// A node of an operation's graph: one action on one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The component it is about.
    pub component: String,
    /// What it does.
    pub action: Action,
    /// Indices of the steps that come first.
    pub needs: Vec<usize>,
    /// How far it is.
    pub state: StepState,
    /// Since when it has been so.
    pub since: Timestamp,
    /// Which try is running or was the last; 0 before the first.
    pub attempt: u32,
    /// Somebody wants it to stop: who, and why.
    #[serde(default)]
    pub stopping: Option<String>,
    /// It was given out and not begun when its time was over: it is taken back, and waits again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recalled: bool,
    /// How much of the action its component is at, or is to do next.
    #[serde(default, skip_serializing_if = "Stage::is_whole")]
    pub stage: Stage,
    /// How often its plan was found to be worth nothing since a person said something of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replans: u32,
    /// It was given out to begin before this time, or to wait again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin_by: Option<Timestamp>,
    /// It was given out while a glass was broken.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_glass: bool,
    /// It is made, in these words, and waits for a probe that passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<String>,
    /// It failed, and a rule has taken it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mending: Option<Box<Remediation>>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Step {
    /// What of it failed: its probe, or what it is for.
    pub(crate) fn failed_at(&self, failure: &Failure) -> Action {
        if failure.code == UNHEALTHY { Action::Health } else { self.action }
    }

    /// What its component is at: its probe, or what it is for.
    pub(crate) fn is_at(&self) -> Action {
        if self.gate.is_some() { Action::Health } else { self.action }
    }
}

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Something comes first, or it was not started yet.
    Waiting,
    /// Its component is at it.
    Running,
    /// It is planned, and somebody must approve the plan.
    Asking(Box<Asking>),
    /// Done; a line on what came of it.
    Succeeded(String),
    /// Tried and not done.
    Failed(Failure),
    /// A person decided to go on without it.
    Skipped(String),
    /// Nothing that goes into it has changed: it is as it would be made.
    Unchanged(String),
    /// Stopped.
    Cancelled(String),
}

impl StepState {
    /// Whether what needs this step may go on.
    fn lets_others_go_on(&self) -> bool {
        match self {
            StepState::Succeeded(_) | StepState::Skipped(_) | StepState::Unchanged(_) => true,
            StepState::Waiting
            | StepState::Running
            | StepState::Asking(_)
            | StepState::Failed(_)
            | StepState::Cancelled(_) => false,
        }
    }
}

/// A cycle among needs, as the names on it, the first one again at the end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these need each other: {}", .0.join(" → "))]
pub struct Cycle(pub Vec<String>);

/// Where a whole graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something runs or can be started.
    Going,
    /// Nothing runs, nothing can be started, and something failed.
    Stuck,
    /// Nothing runs, nothing can be started, and somebody must approve something.
    Asking,
    /// Every step has succeeded, was skipped (by a person, or as unchanged) or was cancelled.
    Over,
}

/// The steps of one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// In the order in which they were declared.
    pub steps: Vec<Step>,
}

/// What a graph is built of: a name and the names it comes after.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// The component.
    pub name: &'a str,
    /// The components it comes after; names that are not in the graph hold nothing up.
    pub needs: &'a [String],
    /// What to do with it.
    pub action: Action,
}

impl Graph {
    /// Steps in dependency order.
    pub fn forward(nodes: &[Node<'_>], at: Timestamp) -> Result<Self, Cycle> {
        check_acyclic(nodes)?;
        let mut graph = Graph::default();
        graph.append(nodes, at, |index, nodes, other| needs(&nodes[index], &nodes[other]));
        Ok(graph)
    }

    /// Steps in reverse dependency order: who needs a component goes before it.
    pub fn reverse(nodes: &[Node<'_>], at: Timestamp) -> Result<Self, Cycle> {
        check_acyclic(nodes)?;
        let mut graph = Graph::default();
        graph.append(nodes, at, |index, nodes, other| needs(&nodes[other], &nodes[index]));
        Ok(graph)
    }

    /// Steps one after another, in the order given.
    pub fn serial(nodes: &[Node<'_>], at: Timestamp) -> Self {
        let mut graph = Graph::default();
        graph.append(nodes, at, |index, _, other| other + 1 == index);
        graph
    }

    /// This graph and then another: no step of it starts before all of this one's are done.
    pub fn then(mut self, after: Graph) -> Self {
        let base = self.steps.len();
        for mut step in after.steps {
            step.needs = (0..base).chain(step.needs.iter().map(|n| n + base)).collect();
            self.steps.push(step);
        }
        self
    }

    fn append(
        &mut self,
        nodes: &[Node<'_>],
        at: Timestamp,
        comes_after: impl Fn(usize, &[Node<'_>], usize) -> bool,
    ) {
        for (index, node) in nodes.iter().enumerate() {
            let needs = (0..nodes.len()).filter(|other| comes_after(index, nodes, *other)).collect();
            let component = node.name.to_owned();
            let step = Step {
                component,
                action: node.action,
                needs,
                state: StepState::Waiting,
                since: at,
                attempt: 0,
                stopping: None,
                recalled: false,
                stage: Stage::Whole,
                replans: 0,
                begin_by: None,
                by_glass: false,
                gate: None,
                mending: None,
            };
            self.steps.push(step);
        }
    }

    /// The steps that may start now.
    pub fn ready(&self) -> Vec<usize> {
        let is_ready = |step: &Step| {
            step.state == StepState::Waiting
                && step.needs.iter().all(|n| self.steps[*n].state.lets_others_go_on())
        };
        (0..self.steps.len()).filter(|i| is_ready(&self.steps[*i])).collect()
    }

    /// Where the whole is.
    pub fn progress(&self) -> Progress {
        let running = |s: &Step| s.state == StepState::Running || s.mending.is_some();
        if self.steps.iter().any(running) || !self.ready().is_empty() {
            return Progress::Going;
        }
        let failed = self.steps.iter().any(|s| matches!(s.state, StepState::Failed(_)));
        let asking = self.asking().next().is_some();
        match (failed, asking) {
            (true, _) => Progress::Stuck,
            (false, true) => Progress::Asking,
            (false, false) => Progress::Over,
        }
    }

    /// The steps whose plans wait for somebody's yes, by their index.
    pub fn asking(&self) -> impl Iterator<Item = (usize, &Asking)> {
        self.steps.iter().enumerate().filter_map(|(index, step)| match &step.state {
            StepState::Asking(asking) => Some((index, asking.as_ref())),
            StepState::Waiting
            | StepState::Running
            | StepState::Succeeded(_)
            | StepState::Failed(_)
            | StepState::Skipped(_)
            | StepState::Unchanged(_)
            | StepState::Cancelled(_) => None,
        })
    }

    /// The steps that rules have taken on, by their index.
    pub fn mending(&self) -> impl Iterator<Item = (usize, &Remediation)> {
        self.steps.iter().enumerate().filter_map(|(index, step)| Some((index, step.mending.as_deref()?)))
    }

    /// Whether a step of this component is running.
    pub fn running(&self, component: &str) -> Option<usize> {
        self.steps.iter().position(|s| s.component == component && s.state == StepState::Running)
    }

    /// Puts a step into a state.
    pub fn set(&mut self, index: usize, state: StepState, at: Timestamp) {
        self.steps[index].state = state;
        self.steps[index].since = at;
        self.steps[index].stopping = None;
        self.steps[index].recalled = false;
        self.steps[index].begin_by = None;
        self.steps[index].by_glass = false;
        self.steps[index].gate = None;
        self.steps[index].mending = None;
    }

    /// Puts a step back to its beginning: it is planned anew.
    pub fn again(&mut self, index: usize, at: Timestamp) {
        self.steps[index].stage = Stage::Whole;
        self.set(index, StepState::Waiting, at);
    }

    /// The digest of the plan of a step that waits for somebody's yes.
    pub fn plan(&self, index: usize) -> Option<&str> {
        self.asking().find(|(asking, _)| *asking == index).map(|(_, asking)| asking.plan.digest.as_str())
    }

    /// How a step failed, if it did.
    pub fn failure(&self, index: usize) -> Option<&Failure> {
        match &self.steps[index].state {
            StepState::Failed(failure) => Some(failure),
            StepState::Waiting
            | StepState::Running
            | StepState::Asking(_)
            | StepState::Succeeded(_)
            | StepState::Skipped(_)
            | StepState::Unchanged(_)
            | StepState::Cancelled(_) => None,
        }
    }

    /// Ends every step that has not begun.
    pub fn cancel_waiting(&mut self, reason: &str, at: Timestamp) {
        for step in &mut self.steps {
            match step.state {
                StepState::Waiting | StepState::Asking(_) | StepState::Failed(_) => {
                    step.state = StepState::Cancelled(reason.to_owned());
                    step.since = at;
                    step.mending = None;
                }
                StepState::Running
                | StepState::Succeeded(_)
                | StepState::Skipped(_)
                | StepState::Unchanged(_)
                | StepState::Cancelled(_) => {}
            }
        }
    }

    /// The failed steps.
    pub fn failed(&self) -> impl Iterator<Item = (&Step, &Failure)> {
        self.steps.iter().enumerate().filter_map(|(index, step)| Some((step, self.failure(index)?)))
    }

    /// The steps as people see them.
    pub fn views(&self) -> Vec<StepView> {
        let ready = self.ready();
        let view = |(index, step): (usize, &Step)| {
            let (state, note) = match &step.state {
                StepState::Running if step.stopping.is_some() => {
                    ("stopping", step.stopping.clone().unwrap_or_default())
                }
                StepState::Waiting if ready.contains(&index) => ("ready", String::new()),
                StepState::Waiting => ("waiting", String::new()),
                StepState::Running | StepState::Failed(_) if step.mending.is_some() => mending_words(step),
                StepState::Running if step.gate.is_some() => {
                    ("probing", step.gate.clone().unwrap_or_default())
                }
                StepState::Running if step.stage == Stage::Plan => ("planning", String::new()),
                StepState::Running => ("running", String::new()),
                StepState::Asking(asking) => ("approval", format!("waits for {}", asking.missing())),
                StepState::Succeeded(summary) => ("succeeded", summary.clone()),
                StepState::Failed(failure) => ("failed", failure.message.clone()),
                StepState::Skipped(reason) | StepState::Unchanged(reason) => ("skipped", reason.clone()),
                StepState::Cancelled(reason) => ("cancelled", reason.clone()),
            };
            StepView {
                component: step.component.clone(),
                action: step.action,
                needs: step.needs.iter().map(|n| self.steps[*n].component.clone()).collect(),
                state: state.to_owned(),
                since: step.since,
                note,
                attempt: step.attempt,
                asking: self.asking().find(|(asking, _)| *asking == index).map(|(_, asking)| asking.clone()),
            }
        };
        self.steps.iter().enumerate().map(view).collect()
    }
}

/// How a step that a rule has taken on is shown.
fn mending_words(step: &Step) -> (&'static str, String) {
    let note = |mending: &Remediation| match mending.runs {
        true => format!("rule {} runs its command; {}", mending.rule, mending.failure.message),
        false => format!("rule {} goes on {}; {}", mending.rule, mending.due, mending.failure.message),
    };
    ("mending", step.mending.as_deref().map(note).unwrap_or_default())
}

fn needs(node: &Node<'_>, other: &Node<'_>) -> bool {
    node.needs.iter().any(|n| n == other.name)
}

/// Finds a cycle among needs, if there is one.
pub fn check_acyclic(nodes: &[Node<'_>]) -> Result<(), Cycle> {
    let by_name: BTreeMap<&str, usize> = nodes.iter().enumerate().map(|(i, n)| (n.name, i)).collect();
    let mut done = vec![false; nodes.len()];
    for start in 0..nodes.len() {
        walk(start, nodes, &by_name, &mut done)?;
    }
    Ok(())
}

/// A depth-first walk with an explicit stack: products are other people's, recursion depth is not.
fn walk(
    start: usize,
    nodes: &[Node<'_>],
    by_name: &BTreeMap<&str, usize>,
    done: &mut [bool],
) -> Result<(), Cycle> {
    let mut path: Vec<(usize, usize)> = vec![(start, 0)];
    let mut on_path = vec![false; nodes.len()];
    on_path[start] = true;
    while let Some((node, next)) = path.last_mut() {
        let Some(need) = nodes[*node].needs.get(*next) else {
            done[*node] = true;
            on_path[*node] = false;
            path.pop();
            continue;
        };
        *next += 1;
        let Some(&target) = by_name.get(need.as_str()) else { continue };
        if on_path[target] {
            let from = path.iter().position(|(n, _)| *n == target).unwrap_or(0);
            let mut names: Vec<String> =
                path[from..].iter().map(|(n, _)| nodes[*n].name.to_owned()).collect();
            names.push(nodes[target].name.to_owned());
            return Err(Cycle(names));
        }
        if !done[target] {
            on_path[target] = true;
            path.push((target, 0));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diamond() -> Vec<(&'static str, Vec<String>)> {
        vec![
            ("network", vec![]),
            ("database", vec!["network".into()]),
            ("queue", vec!["network".into()]),
            ("seed", vec!["database".into(), "queue".into()]),
        ]
    }

    fn nodes<'a>(parts: &'a [(&'static str, Vec<String>)], action: Action) -> Vec<Node<'a>> {
        parts.iter().map(|(name, needs)| Node { name, needs, action }).collect()
    }

    fn names(graph: &Graph, indices: &[usize]) -> Vec<String> {
        indices.iter().map(|i| graph.steps[*i].component.clone()).collect()
    }

    fn run_ready(graph: &mut Graph) -> Vec<String> {
        let ready = graph.ready();
        for index in &ready {
            graph.set(*index, StepState::Succeeded(String::new()), Timestamp(0));
        }
        names(graph, &ready)
    }

    #[test]
    fn independent_steps_go_side_by_side() {
        let parts = diamond();
        let mut graph = Graph::forward(&nodes(&parts, Action::Deploy), Timestamp(0)).unwrap();
        assert_eq!(run_ready(&mut graph), ["network"]);
        assert_eq!(run_ready(&mut graph), ["database", "queue"]);
        assert_eq!(run_ready(&mut graph), ["seed"]);
        assert_eq!(graph.progress(), Progress::Over);
    }

    #[test]
    fn teardown_goes_the_other_way() {
        let parts = diamond();
        let mut graph = Graph::reverse(&nodes(&parts, Action::Destroy), Timestamp(0)).unwrap();
        assert_eq!(run_ready(&mut graph), ["seed"]);
        assert_eq!(run_ready(&mut graph), ["database", "queue"]);
        assert_eq!(run_ready(&mut graph), ["network"]);
    }

    #[test]
    fn a_cycle_is_named() {
        let parts =
            vec![("a", vec!["b".to_owned()]), ("b", vec!["c".to_owned()]), ("c", vec!["a".to_owned()])];
        let cycle = Graph::forward(&nodes(&parts, Action::Deploy), Timestamp(0)).unwrap_err();
        assert_eq!(cycle.to_string(), "these need each other: a → b → c → a");
    }

    #[test]
    fn a_failure_holds_what_needs_it_and_nothing_else() {
        let parts = diamond();
        let mut graph = Graph::forward(&nodes(&parts, Action::Deploy), Timestamp(0)).unwrap();
        run_ready(&mut graph);
        let failure = Failure {
            class: crate::job::FailureClass::Bug,
            code: "x".into(),
            message: "m".into(),
            hint: String::new(),
        };
        graph.set(1, StepState::Failed(failure), Timestamp(0));
        assert_eq!(run_ready(&mut graph), ["queue"]);
        assert_eq!(graph.progress(), Progress::Stuck);
    }
}
