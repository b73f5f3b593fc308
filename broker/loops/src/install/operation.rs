//! One operation on an install: what it is for, its graph, and how far it is.

use serde::{Deserialize, Serialize};

use super::Part;
use super::lanes::Lane;
use crate::actor::Actor;
use crate::drift::Word;
use crate::event::{Effect, record, record_at};
use crate::graph::{Graph, Progress, StepState};
use crate::job::{Action, Failure, FailureClass, Outcome, Success};
use crate::plan::{Changes, Stage};
use crate::release::{Release, ReleaseComponent};
use crate::time::Timestamp;
use crate::timeline::Level;

/// The code of a step that a person stopped.
pub(super) const STOPPED: &str = "loop.step_stopped";

/// An operation that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) number: u64,
    pub(super) what: What,
    pub(super) by: Actor,
    pub(super) since: Timestamp,
    pub(super) phase: Phase,
    pub(super) release: Option<Release>,
    pub(super) graph: Graph,
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// The app was asked which release is meant.
    Resolving,
    /// Its steps run, or wait for a person.
    Running,
    /// It ends as soon as nothing of it runs.
    Stopping { reason: String },
}

impl Operation {
    /// Whether its steps may begin.
    pub(super) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether it can go on only with somebody's help, and since when.
    pub(super) fn held_since(&self) -> Option<Timestamp> {
        let stuck = self.phase == Phase::Running && self.graph.progress() == Progress::Stuck;
        stuck.then(|| self.graph.failed().map(|(step, _)| step.since).max().unwrap_or(self.since))
    }

    /// Whether nothing of it goes on before somebody approves a plan.
    pub(super) fn only_asks(&self) -> bool {
        self.phase == Phase::Running && self.graph.progress() == Progress::Asking
    }

    /// What its release says of a component.
    pub(super) fn component(&self, name: &str) -> Option<&ReleaseComponent> {
        self.release.as_ref()?.components.iter().find(|c| c.name == name)
    }

    /// Whether what runs here of a component only looks at it.
    pub(super) fn only_looks(&self, component: &str) -> bool {
        self.graph.running(component).is_some_and(|index| !self.graph.steps[index].action.makes())
    }

    /// Whether there is nothing left to do in it.
    pub(super) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Resolving => false,
            Phase::Running | Phase::Stopping { .. } => self.graph.progress() == Progress::Over,
        }
    }

    pub(super) fn step_ended(&mut self, at: Timestamp, component: &str, outcome: &Outcome) -> Option<Effect> {
        let index = self.graph.running(component)?;
        let action = self.graph.steps[index].action.as_str();
        let (state, effect) = match outcome {
            Outcome::Succeeded(success) => {
                let text = format!("{component}: {action} done; {}", success.summary);
                (StepState::Succeeded(success.summary.clone()), record("step.succeeded", text))
            }
            Outcome::Failed(failure) => {
                let text = format!("{component}: {action} failed ({}): {}", failure.code, failure.message);
                (StepState::Failed(failure.clone()), record_at(Level::Error, "step.failed", text))
            }
            Outcome::Cancelled { message } => {
                let text = format!("{component}: {action} stopped: {message}");
                let step = &self.graph.steps[index];
                let state = match &step.stopping {
                    Some(reason) if self.is_running() => StepState::Failed(stopped_by_hand(reason)),
                    None if self.is_running() && step.recalled => StepState::Waiting,
                    Some(_) | None => StepState::Cancelled(message.clone()),
                };
                (state, record("step.cancelled", text))
            }
        };
        if state == StepState::Waiting && self.graph.steps[index].by_glass {
            // Whatever a broken glass passed is asked for as ever.
            self.graph.steps[index].stage = Stage::Whole;
        }
        self.graph.set(index, state, at);
        if let Phase::Stopping { reason } = &self.phase {
            self.graph.cancel_waiting(reason, at);
        }
        Some(effect)
    }

    /// How it ended, once it is over (or was given up).
    pub(super) fn outcome(&self) -> Outcome {
        if let Some((_, failure)) = self.graph.failed().next() {
            return Outcome::Failed(failure.clone());
        }
        if let Phase::Stopping { reason } = &self.phase {
            return Outcome::Cancelled { message: reason.clone() };
        }
        let stopped = self.graph.steps.iter().find_map(|s| match &s.state {
            StepState::Cancelled(message) => Some(message.clone()),
            StepState::Waiting
            | StepState::Running
            | StepState::Asking(_)
            | StepState::Succeeded(_)
            | StepState::Failed(_)
            | StepState::Skipped(_)
            | StepState::Unchanged(_) => None,
        });
        match stopped {
            Some(message) => Outcome::Cancelled { message },
            None => Outcome::Succeeded(Success {
                summary: self.summary(),
                changes: Changes::default(),
                ..Success::default()
            }),
        }
    }

    /// Components that a person decided to leave behind.
    pub(super) fn left_behind(&self) -> Vec<String> {
        let skipped =
            |s: &&crate::graph::Step| matches!(s.state, StepState::Skipped(_)) && s.action == Action::Destroy;
        self.graph.steps.iter().filter(skipped).map(|s| s.component.clone()).collect()
    }

    fn summary(&self) -> String {
        let count = |fits: fn(&StepState) -> bool| self.graph.steps.iter().filter(|s| fits(&s.state)).count();
        let mut summary = format!("{} components", count(|s| matches!(s, StepState::Succeeded(_))));
        let unchanged = count(|s| matches!(s, StepState::Unchanged(_)));
        let skipped = count(|s| matches!(s, StepState::Skipped(_)));
        for (number, word) in [(unchanged, "unchanged"), (skipped, "skipped")] {
            if number > 0 {
                summary.push_str(&format!(", {number} {word}"));
            }
        }
        summary
    }
}

/// A step that a person stopped while the rest goes on: what needs it waits for another word.
fn stopped_by_hand(reason: &str) -> Failure {
    Failure {
        class: FailureClass::Interference,
        code: STOPPED.to_owned(),
        message: format!("it was stopped: {reason}"),
        hint: String::new(),
    }
}

/// What an operation is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// To bring the install to a release: this version, or the newest.
    Deploy { version: Option<String> },
    /// To deploy again what is not as it should be, or not there, by the release it is on.
    Heal,
    /// To deploy everything again.
    Reprovision,
    /// To deploy these again by the release that the install is on.
    Revert { components: Vec<String> },
    /// To take these as they are.
    Adopt { components: Vec<String>, reason: String },
    /// To find out what is not as it should be.
    DriftCheck,
    /// To find out whether these do their work.
    HealthCheck { components: Vec<String> },
    /// To let a rule act on one that does not.
    Recover { component: String, failure: Failure },
    /// To remove everything.
    Teardown,
}

/// All that is particular to an operation.
pub(super) struct Plan {
    /// Its name.
    pub(super) kind: &'static str,
    /// What the install is called while it runs.
    pub(super) word: &'static str,
    pub(super) lane: Lane,
    /// It begins only while the app is active.
    pub(super) waits_for_parent: bool,
    pub(super) steps: Steps,
}

/// Which steps an operation has.
pub(super) enum Steps {
    /// Those of a release of this version, or of the newest; what has not changed is left out.
    OfRelease(Option<String>),
    /// This action for each part that fits.
    OfParts(Action, fn(&Part) -> bool),
    /// Deploys of these parts.
    OfNamed(Vec<String>),
    /// What takes these parts for what they are.
    Adopting(Vec<String>),
    /// Probes of these parts.
    Probing(Vec<String>),
    /// A deploy of this part, which counts as failed in this way.
    Failed(String, Failure),
}

impl What {
    pub(super) fn plan(&self) -> Plan {
        let work = |kind, word, steps| Plan { kind, word, lane: Lane::Work, waits_for_parent: true, steps };
        match self {
            What::Deploy { version } => work("deploy", "updating", Steps::OfRelease(version.clone())),
            What::Heal => {
                // What was never made, too: something that is to be mended may need it.
                let is_unwell = |p: &Part| p.facts.drift.is_some() || !p.is_whole();
                work("heal", "healing", Steps::OfParts(Action::Deploy, is_unwell))
            }
            What::Reprovision => {
                work("reprovision", "reprovisioning", Steps::OfParts(Action::Deploy, |_| true))
            }
            What::Revert { components } => work("revert", "healing", Steps::OfNamed(components.clone())),
            What::Adopt { components, .. } => work("adopt", "adopting", Steps::Adopting(components.clone())),
            What::DriftCheck => {
                let steps = Steps::OfParts(Action::Drift, |p| p.facts.deployed.is_some());
                Plan { lane: Lane::Read, ..work("drift check", "active", steps) }
            }
            What::HealthCheck { components } => {
                let steps = Steps::Probing(components.clone());
                Plan { lane: Lane::Read, ..work("health check", "active", steps) }
            }
            What::Recover { component, failure } => {
                work("recovery", "healing", Steps::Failed(component.clone(), failure.clone()))
            }
            What::Teardown => {
                let steps = Steps::OfParts(Action::Destroy, |p| p.facts.may_exist);
                Plan { waits_for_parent: false, ..work("teardown", "deleting", steps) }
            }
        }
    }

    pub(super) fn as_str(&self) -> &'static str {
        self.plan().kind
    }

    /// Somebody's word that what is there is accepted, if that is what it is for.
    pub(super) fn word(&self, by: &Actor) -> Option<Word> {
        match self {
            What::Adopt { reason, .. } => Some(Word { by: by.to_string(), reason: reason.clone() }),
            What::Deploy { .. }
            | What::Heal
            | What::Revert { .. }
            | What::Reprovision
            | What::DriftCheck
            | What::HealthCheck { .. }
            | What::Recover { .. }
            | What::Teardown => None,
        }
    }
}
