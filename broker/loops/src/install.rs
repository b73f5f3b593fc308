//! The event loop of an install: the queue of operations on one running copy of an app.
//!
//! At most one operation changes it at a time, the rest waits; looking goes on beside it.
//! It ends only when everything it had made is confirmed destroyed, or when a person
//! forgets it, on the record.

mod approval;
mod break_glass;
mod drift;
mod health;
mod hold;
mod lanes;
mod lifecycle;
pub(crate) mod message;
pub(crate) mod offers;
mod operation;
mod preview;
mod reconcile;
mod remediation;
mod rollout;
mod sandbox;
mod signals;
mod steps;
mod tombstone;
mod unchanged;
mod updates;
mod view;

pub use message::{Rehearsal, Signal, ToInstall};
pub use offers::{Answer, Offer, Policy, UpdatesView};
pub use preview::{NextWindow, Preview, When};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::break_glass::BreakGlass;
use crate::component::facts::Facts;
use crate::event::{Body, Effect, Event, record, sender, wrong_kind};
use crate::health::{Health, Probe};
use crate::id::ObjectId;
use crate::job::{Mode, Outcome};
use crate::notice::Notice;
use crate::parent::ToChild;
use crate::plan::{Needed, Terms};
use crate::rejected::{Rejected, not_found};
use crate::release::{Release, ReleaseRef};
use crate::runner::message::{Boot, Presence};
use crate::scenario::Scenario;
use crate::standing::Standing;
use crate::status::LastOperation;
use crate::time::Timestamp;
use crate::values::Values;
use drift::Drifting;
use lanes::Lanes;
use operation::{Operation, What};
use remediation::Uses;
use tombstone::Tombstone;
use updates::Updates;

/// An install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    id: ObjectId,
    /// How many installs have had this name; 0 before the first.
    epoch: u64,
    state: State,
    /// Since when its status has had its word.
    since: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Absent,
    Live(Box<Live>),
    Gone(Tombstone),
}

/// An install that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Live {
    epoch: u64,
    mode: Mode,
    /// The install that it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copy_of: Option<ObjectId>,
    /// What its rehearsals are to be like; only ever of a sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scenario: Option<Scenario>,
    labels: Values,
    inputs: Values,
    #[serde(default, skip_serializing_if = "crate::approval::Policy::is_default")]
    approval: crate::approval::Policy,
    parent: Standing,
    parent_since: Timestamp,
    runner: Presence,
    /// The start of the runner that is heard of now.
    #[serde(default)]
    boot: Boot,
    paused: Option<Mark>,
    deleting: Option<Mark>,
    /// The release that the newest deploy works by, or worked by.
    release: Option<Release>,
    /// A deploy has succeeded: from now on a deploy is an update.
    #[serde(default)]
    provisioned: bool,
    /// The newest release it has heard of.
    newest: Option<ReleaseRef>,
    parts: BTreeMap<String, Part>,
    /// The number of the newest operation.
    number: u64,
    work: Option<Operation>,
    read: Option<Operation>,
    lanes: Lanes<What>,
    last: Option<LastOperation>,
    #[serde(default, skip_serializing_if = "Updates::is_default")]
    updates: Updates,
    #[serde(default, skip_serializing_if = "Drifting::is_default")]
    drifting: Drifting,
    #[serde(default, skip_serializing_if = "Uses::is_empty")]
    uses: Uses,
    /// Somebody lets it pass the vendor's own rules, for a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    glass: Option<BreakGlass>,
    /// Commands that rules want to run, by their steps; only while an event is being handled.
    #[serde(skip)]
    to_run: Vec<(usize, String)>,
    /// Set when the teardown is confirmed, for the moment until the state becomes a tombstone.
    #[serde(skip)]
    buried: Option<Tombstone>,
}

/// Who said something, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    by: Actor,
    since: Timestamp,
    reason: String,
}

/// A component, as its install knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    kind: String,
    /// Its tool keeps records of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    adopts: bool,
    /// What it may need: by its release and, until a deploy by that has succeeded, by earlier ones.
    needs: Vec<String>,
    /// The release by which it was last begun: what can destroy it.
    release: ReleaseRef,
    digest: String,
    longest_run_ms: i64,
    #[serde(default)]
    sandbox: bool,
    /// The inputs of broker authority that its release declares.
    #[serde(default)]
    inputs: Vec<String>,
    /// Whose approval its release wants for its operations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    approvals: BTreeMap<String, Needed>,
    /// The terms of the vendor's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    terms: BTreeMap<String, Terms>,
    /// How one sees whether it does its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe: Option<Probe>,
    facts: Facts,
    /// The last task failed, in these words.
    failed: Option<String>,
    /// What probes said of it.
    #[serde(default, skip_serializing_if = "Health::is_default")]
    health: Health,
}

impl Install {
    pub(crate) fn new(id: ObjectId) -> Self {
        Self { id, epoch: 0, state: State::Absent, since: Timestamp(0) }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.epoch > 0
    }

    /// How many installs have had this name, this one among them.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn apply(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        let before = self.word();
        let mut effects = match &event.body {
            Body::Signal(crate::event::Signal::Install(signal)) => self.signal(event, signal)?,
            Body::Notice(notice) => self.notice(event, notice)?,
            Body::Tick => self.tick(event.at),
            Body::Signal(_) | Body::Report(_) => return Err(wrong_kind(&self.id, event)),
        };
        effects.extend(self.drive(event.at, event.body == Body::Tick));
        if self.word() != before {
            self.since = event.at;
        }
        Ok(effects)
    }

    fn tick(&mut self, at: Timestamp) -> Vec<Effect> {
        match &mut self.state {
            State::Live(live) => live.glass_over(at).into_iter().chain(live.age_plans(at)).collect(),
            State::Absent | State::Gone(_) => vec![],
        }
    }

    fn notice(&mut self, event: &Event, notice: &Notice) -> Result<Vec<Effect>, Rejected> {
        let id = self.id.clone();
        if let (Notice::Install(ToInstall::UpdateOffered { release, rollout, rollback }), true) =
            (notice, self.is_known())
        {
            return Ok(self.update_offered(event, release, *rollout, *rollback));
        }
        let live = match &mut self.state {
            State::Live(live) => live,
            State::Absent => return Err(not_found(&id)),
            // Late words to an install that is gone: nothing of it is left to change.
            State::Gone(_) => return Ok(vec![]),
        };
        match notice {
            Notice::Child(ToChild::ParentIs(standing)) => {
                live.parent = *standing;
                live.parent_since = event.at;
                Ok(vec![])
            }
            Notice::Child(ToChild::Sandbox(on)) => Ok(if *on { live.born_in_sandbox() } else { vec![] }),
            Notice::Child(ToChild::FreezesAre(above)) => {
                live.updates.freezes.above.clone_from(above);
                Ok(vec![])
            }
            Notice::Install(ToInstall::UpdateWithdrawn { rollout }) => Ok(live.update_withdrawn(*rollout)),
            Notice::Install(ToInstall::RunnerIs(presence)) => {
                live.runner = *presence;
                Ok(vec![])
            }
            Notice::Install(ToInstall::RunnerBooted(boot)) => {
                live.boot = boot.clone();
                Ok(vec![])
            }
            Notice::Install(ToInstall::ReleasePublished(release)) => Ok(live.published(event, release)),
            Notice::Install(ToInstall::ReleaseIs { operation, release }) => {
                Ok(live.resolved(event.at, *operation, release))
            }
            Notice::Install(ToInstall::ReleaseUnknown { operation, message }) => {
                Ok(live.unresolved(event.at, *operation, message))
            }
            Notice::Install(ToInstall::PlanAnswered { component, digest, reply }) => {
                Ok(live.answered(event.at, component, digest, reply))
            }
            Notice::Install(ToInstall::TaskStarted { operation, attempt }) => {
                live.task_started(event.at, *operation, sender(event)?.name(), *attempt);
                Ok(vec![])
            }
            Notice::Install(ToInstall::TaskEnded { operation, outcome, facts }) => {
                Ok(live.task_ended(&id, event.at, *operation, sender(event)?.name(), outcome, facts))
            }
            // It was taken above, where anybody ever made the install: else it is absent.
            Notice::Install(ToInstall::UpdateOffered { .. })
            | Notice::Parent(_)
            | Notice::App(_)
            | Notice::Component(_)
            | Notice::Runner(_) => Err(wrong_kind(&id, event)),
        }
    }
}

impl Live {
    fn task_started(&mut self, at: Timestamp, operation: u64, component: &str, attempt: u32) {
        let Some(op) = self.operation_mut(operation) else { return };
        let Some(index) = op.graph.running(component) else { return };
        let step = &mut op.graph.steps[index];
        step.attempt = attempt;
        step.since = at;
        let next = op.deploys(component);
        if let Some((next, part)) = next.zip(self.parts.get_mut(component)) {
            part.begin(next);
        }
    }

    fn task_ended(
        &mut self,
        id: &ObjectId,
        at: Timestamp,
        operation: u64,
        component: &str,
        outcome: &Outcome,
        facts: &Facts,
    ) -> Vec<Effect> {
        if let Some(effects) = self.command_ended(at, operation, component, outcome) {
            if let Some(part) = self.parts.get_mut(component) {
                part.facts = facts.clone();
            }
            return effects;
        }
        if let Some(effects) = self.gate_ended(at, operation, component, outcome, facts) {
            return effects;
        }
        let next = self.operation_mut(operation).and_then(|op| op.deploys(component));
        let is_done = matches!(outcome, Outcome::Succeeded(_));
        if let Some((next, part)) = next.zip(self.parts.get_mut(component)).filter(|_| is_done) {
            part.go_by(next);
        }
        let found_drift = self.learn(operation, component, outcome, facts);
        if let Some(effects) = self.plan_ended(at, operation, component, outcome) {
            return effects;
        }
        if let Some(effects) = self.begin_gate(id, at, operation, component, outcome) {
            return found_drift.into_iter().chain(effects).collect();
        }
        if let Outcome::Cancelled { .. } = outcome {
            self.gave_back(at, operation, component);
        }
        let probed = self.probed(at, operation, component, outcome);
        self.recover(at, operation, component, outcome);
        let Some(op) = self.operation_mut(operation) else { return vec![] };
        let is_quiet = op.is_quiet();
        let ended = op.step_ended(at, component, outcome).filter(|_| !is_quiet);
        let mended = self.remedy(at, operation, component);
        found_drift.into_iter().chain(probed).chain(ended).chain(mended).collect()
    }

    /// Takes over what the component knows; says so when a difference is news.
    fn learn(&mut self, number: u64, component: &str, outcome: &Outcome, facts: &Facts) -> Option<Effect> {
        let only_planned = self.operation(number).is_some_and(|op| op.is_planning(component));
        let only_looked = self.operation(number).is_some_and(|op| op.only_looks(component));
        let part = self.parts.get_mut(component)?;
        let (was_drifted, was_accepted) = (part.facts.drift.is_some(), part.facts.accepted.is_some());
        part.facts = facts.clone();
        // A plan, or a look, made nothing better, and nothing worse.
        if !only_planned && !only_looked {
            match outcome {
                Outcome::Succeeded(_) => part.failed = None,
                Outcome::Failed(failure) => part.failed = Some(failure.message.clone()),
                Outcome::Cancelled { .. } => {}
            }
        }
        if let Some(accepted) = facts.accepted.as_deref().filter(|_| !was_accepted) {
            let text = format!("{} accepts how {component} is: {}", accepted.by, accepted.reason);
            return Some(record("drift.adopted", text));
        }
        let drift = facts.drift.as_ref().filter(|_| !was_drifted)?;
        let text = format!("{component} is not as it was deployed: {}", drift.summary);
        Some(crate::event::record_at(crate::timeline::Level::Warning, "drift.found", text))
    }

    fn operation(&self, number: u64) -> Option<&Operation> {
        [self.work.as_ref(), self.read.as_ref()].into_iter().flatten().find(|op| op.number == number)
    }

    fn operation_mut(&mut self, number: u64) -> Option<&mut Operation> {
        [self.work.as_mut(), self.read.as_mut()].into_iter().flatten().find(|op| op.number == number)
    }
}
