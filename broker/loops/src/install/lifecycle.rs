//! What is asked of an install, done: one small method for each.

use super::lanes::{Lane, Lanes};
use super::message::Rehearsal;
use super::operation::{Operation, Phase, What};
use super::{Install, Live, Mark, State, Tombstone};
use crate::component::message::ToComponent;
use crate::event::{Effect, Event, record};
use crate::graph::StepState;
use crate::id::ObjectId;
use crate::job::Mode;
use crate::notice::Notice;
use crate::parent::ToParent;
use crate::rejected::{Rejected, RejectedCode, conflict, deleting, exists};
use crate::runner::message::{Boot, Presence, ToRunner};
use crate::standing::Standing;
use crate::time::Timestamp;
use crate::values::Values;

/// The most inputs, and the most labels, of one install.
const VALUES_LEN_MAX: usize = 200;

impl Install {
    pub(super) fn create(
        &mut self,
        event: &Event,
        (inputs, labels): (&Values, &Values),
        mode: Mode,
        rehearsal: Option<&Rehearsal>,
        approval: &crate::approval::Policy,
    ) -> Result<Vec<Effect>, Rejected> {
        match self.state {
            State::Absent | State::Gone(_) => {}
            State::Live(_) => return Err(exists(&self.id)),
        }
        check_values(inputs)?;
        check_values(labels)?;
        rehearsal.map_or(Ok(()), |rehearsal| rehearsal.check(mode))?;
        approval.check()?;
        self.epoch += 1;
        let mut live = Live::new(self.epoch, event.at, mode);
        live.inputs.clone_from(inputs);
        live.labels.clone_from(labels);
        let Rehearsal { scenario, copy_of, version } = rehearsal.cloned().unwrap_or_default();
        (live.scenario, live.copy_of) = (scenario, copy_of);
        let text = match &live.copy_of {
            Some(original) => format!("made by {}, a sandbox copy of {original}", event.by),
            None => format!("made by {}", event.by),
        };
        live.approval.clone_from(approval);
        live.enqueue_deploy(event.at, &event.by, version);
        self.state = State::Live(Box::new(live));
        let tell = |to: Option<ObjectId>, notice: Notice| to.map(|to| Effect::Tell { to, notice });
        let tells = [
            tell(self.id.runner(), Notice::Runner(ToRunner::RunnerWanted { epoch: self.epoch })),
            tell(self.id.parent(), Notice::Parent(ToParent::ChildCreated)),
        ];
        let entry = record("install.created", text);
        Ok([entry].into_iter().chain(tells.into_iter().flatten()).collect())
    }

    pub(super) fn forget(&mut self, event: &Event, reason: &str) -> Vec<Effect> {
        let State::Live(live) = &mut self.state else { return vec![] };
        let leaked =
            live.parts.iter().filter(|(_, p)| p.facts.may_exist).map(|(name, _)| name.clone()).collect();
        let removed = live.receipts();
        let mut effects = live.stop_everything(&self.id, event.at, "the install is forgotten");
        let tombstone =
            Tombstone { by: event.by.clone(), forgotten: Some(reason.to_owned()), leaked, removed };
        effects.extend(tombstone.farewell(&self.id));
        self.state = State::Gone(tombstone);
        effects
    }
}

impl Live {
    fn new(epoch: u64, at: Timestamp, mode: Mode) -> Self {
        Self {
            epoch,
            mode,
            copy_of: None,
            scenario: None,
            labels: Values::new(),
            inputs: Values::new(),
            approval: crate::approval::Policy::default(),
            parent: Standing::Absent,
            parent_since: at,
            runner: Presence::Expected,
            boot: Boot::default(),
            paused: None,
            deleting: None,
            release: None,
            provisioned: false,
            newest: None,
            parts: std::collections::BTreeMap::new(),
            number: 0,
            work: None,
            read: None,
            lanes: Lanes::default(),
            last: None,
            updates: super::updates::Updates::default(),
            drifting: super::Drifting::default(),
            uses: super::Uses::new(),
            glass: None,
            to_run: vec![],
            buried: None,
        }
    }

    pub(super) fn pause(&mut self, event: &Event, reason: &str) -> Vec<Effect> {
        self.paused = Some(Mark { by: event.by.clone(), since: event.at, reason: reason.to_owned() });
        vec![record("install.paused", format!("paused by {}: {reason}", event.by))]
    }

    pub(super) fn cancel(
        &mut self,
        id: &ObjectId,
        event: &Event,
        number: Option<u64>,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        let reason = format!("{} said: {reason}", event.by);
        let running = self.work.as_ref().map(|op| op.number);
        let Some(number) = number.or(running) else {
            return Err(conflict("no operation runs; name a queued one by its number"));
        };
        let queued = self.lanes.take_where(|q| q.number == number);
        if let Some(queued) = queued.first() {
            if queued.what == What::Teardown {
                self.deleting = None;
            }
            let text = format!("{} (operation {number}) was cancelled: {reason}", queued.what.as_str());
            return Ok(vec![record("operation.cancelled", text)]);
        }
        let lane = match (&self.work, &self.read) {
            (Some(op), _) if op.number == number => Lane::Work,
            (_, Some(op)) if op.number == number => Lane::Read,
            (Some(_) | None, Some(_) | None) => {
                return Err(conflict(&format!("operation {number} neither runs nor waits")));
            }
        };
        Ok(self.stop(id, event.at, lane, &reason))
    }

    /// Ends a lane's operation as soon as nothing of it runs.
    fn stop(&mut self, id: &ObjectId, at: Timestamp, lane: Lane, reason: &str) -> Vec<Effect> {
        let slot = match lane {
            Lane::Work => &mut self.work,
            Lane::Read => &mut self.read,
        };
        let Some(op) = slot else { return vec![] };
        op.phase = Phase::Stopping { reason: reason.to_owned() };
        op.graph.cancel_waiting(reason, at);
        stop_running(id, op, reason)
    }

    fn stop_everything(&mut self, id: &ObjectId, at: Timestamp, reason: &str) -> Vec<Effect> {
        let waiting = self.lanes.take_where(|_| true);
        let cancelled = waiting.into_iter().map(|q| {
            record(
                "operation.cancelled",
                format!("{} (operation {}) was cancelled: {reason}", q.what.as_str(), q.number),
            )
        });
        let mut effects: Vec<Effect> = cancelled.collect();
        effects.extend(self.stop(id, at, Lane::Work, reason));
        effects.extend(self.stop(id, at, Lane::Read, reason));
        effects
    }

    pub(super) fn set_inputs(&mut self, event: &Event, inputs: &Values) -> Result<Vec<Effect>, Rejected> {
        let mut merged = self.inputs.clone();
        merged.extend(inputs.iter().map(|(k, v)| (k.clone(), v.clone())));
        check_values(&merged)?;
        self.inputs = merged;
        let names: Vec<&str> = inputs.keys().map(String::as_str).collect();
        Ok(vec![record("install.inputs", format!("{} set {}", event.by, names.join(", ")))])
    }

    pub(super) fn set_approval(
        &mut self,
        event: &Event,
        policy: &crate::approval::Policy,
    ) -> Result<Vec<Effect>, Rejected> {
        policy.check()?;
        self.approval = policy.clone();
        Ok(vec![record("install.approval", format!("{} set which plans are asked for", event.by))])
    }

    pub(super) fn delete(&mut self, id: &ObjectId, event: &Event) -> Result<Vec<Effect>, Rejected> {
        if self.deleting.is_some() {
            return Err(deleting(id));
        }
        self.deleting = Some(Mark { by: event.by.clone(), since: event.at, reason: String::new() });
        let mut effects = vec![record("install.deleting", format!("to be deleted, says {}", event.by))];
        effects.extend(self.stop_everything(id, event.at, "the install is being deleted"));
        self.enqueue(event.at, &event.by, What::Teardown);
        Ok(effects)
    }
}

fn stop_running(id: &ObjectId, op: &Operation, reason: &str) -> Vec<Effect> {
    let running = op.graph.steps.iter().filter(|s| s.state == StepState::Running);
    let stop = |component: &str| {
        let notice = Notice::Component(ToComponent::Stop { operation: op.number, reason: reason.to_owned() });
        id.child(component).ok().map(|to| Effect::Tell { to, notice })
    };
    running.filter_map(|s| stop(&s.component)).collect()
}

fn check_values(values: &Values) -> Result<(), Rejected> {
    if values.len() <= VALUES_LEN_MAX {
        return Ok(());
    }
    let message = format!("{} values are more than {VALUES_LEN_MAX}", values.len());
    Err(Rejected::new(RejectedCode::Invalid, message))
}
