//! What an install can be asked, and what is particular to each of its operations. A new
//! operation is written here and nowhere else.

use super::message::Signal;
use super::operation::{Steps, What};
use super::{Install, Live, State};
use crate::event::{Effect, Event, record};
use crate::id::ObjectId;
use crate::job::Action;
use crate::rejected::{Rejected, RejectedCode, check_reason, conflict, deleting, exists, not_found};

impl Install {
    pub(super) fn signal(&mut self, event: &Event, signal: &Signal) -> Result<Vec<Effect>, Rejected> {
        if let Signal::Create { inputs, mode, labels, rehearsal, approval } = signal {
            return self.create(event, (inputs, labels), *mode, rehearsal.as_ref(), approval);
        }
        signal.reason().map_or(Ok(()), check_reason)?;
        let id = self.id.clone();
        let live = match &mut self.state {
            State::Live(live) => live,
            State::Absent => return Err(not_found(&id)),
            State::Gone(_) => return Err(gone(&id)),
        };
        match signal {
            Signal::Create { .. } => Err(exists(&id)),
            Signal::Deploy { version } => {
                live.check_open(&id)?;
                Ok(live.enqueue_deploy(event.at, &event.by, version.clone()))
            }
            Signal::DeployNow { version, reason, override_freeze } => {
                live.check_open(&id)?;
                Ok(live.deploy_now(event, version.clone(), reason, *override_freeze))
            }
            Signal::Proceed { operation, reason, override_freeze } => {
                live.kept(&id)?.proceed(event, *operation, reason, *override_freeze)
            }
            Signal::SetPolicy { policy } => live.kept(&id)?.set_policy(event, policy),
            Signal::SetChannel { channel } => live.kept(&id)?.set_channel(event, channel.as_deref()),
            Signal::OptIn { version } => live.kept(&id)?.opt_in(event, version.as_deref()),
            Signal::Decline { version, reason } => live.kept(&id)?.decline(event, version.as_deref(), reason),
            Signal::Snooze { version, until } => live.kept(&id)?.snooze(event, version.as_deref(), *until),
            Signal::Freeze(freeze) => {
                live.kept(&id)?.updates.freezes.add(&id, event, freeze).map(|entry| vec![entry])
            }
            Signal::Unfreeze(freeze) => {
                live.kept(&id)?.updates.freezes.remove(&id, event, freeze).map(|entry| vec![entry])
            }
            Signal::Heal {} => live.ask(&id, event, &What::Heal),
            Signal::Reprovision {} => live.ask(&id, event, &What::Reprovision),
            Signal::CheckDrift {} => live.ask(&id, event, &What::DriftCheck),
            Signal::CheckHealth {} => live.check_health(&id, event),
            Signal::BreakGlass { for_ms, reason } => live.break_glass(event, *for_ms, reason),
            Signal::MendGlass {} => live.mend_glass(event),
            Signal::Revert { components, reason } => live.revert(&id, event, components, reason),
            Signal::Adopt { components, reason } => {
                let (components, reason) = (live.meant(components)?, reason.clone());
                live.ask(&id, event, &What::Adopt { components, reason })
            }
            Signal::SetDrift { choice } => live.set_drift(event, *choice),
            Signal::Pause { reason } => Ok(live.pause(event, reason)),
            Signal::Resume {} => {
                live.paused = None;
                Ok(vec![record("install.resumed", format!("resumed by {}", event.by))])
            }
            Signal::Cancel { operation, reason } => live.cancel(&id, event, *operation, reason),
            Signal::CancelStep { component, reason } => live.cancel_step(&id, event, component, reason),
            Signal::Retry { component } => live.retry(event, component.as_deref()),
            Signal::Skip { component, reason } => live.skip(event, component, reason),
            Signal::Approve { plan, component, operation } => {
                live.approve(event, plan, component.as_deref(), *operation)
            }
            Signal::Deny { plan, component, operation, reason } => {
                live.deny(event, plan, component.as_deref(), *operation, reason)
            }
            Signal::SetApproval { policy } => live.set_approval(event, policy),
            Signal::SetInputs { inputs } => live.set_inputs(event, inputs),
            Signal::SetScenario { scenario } => live.set_scenario(event, scenario.as_ref()),
            Signal::Promote {} => live.promote(&id, event),
            Signal::Delete {} => live.delete(&id, event),
            Signal::Forget { reason } => Ok(self.forget(event, reason)),
        }
    }
}

impl Live {
    /// It, unless it is being deleted: then it takes nothing more that is about its changes.
    fn kept(&mut self, id: &ObjectId) -> Result<&mut Self, Rejected> {
        if self.deleting.is_some() {
            return Err(deleting(id));
        }
        Ok(self)
    }

    /// Refuses when it is being deleted or its queue is full: before anything is accepted.
    fn check_open(&self, id: &ObjectId) -> Result<(), Rejected> {
        if self.deleting.is_some() {
            return Err(deleting(id));
        }
        self.lanes.check_room()
    }

    /// Queues an operation on what is there.
    pub(super) fn ask(&mut self, id: &ObjectId, event: &Event, what: &What) -> Result<Vec<Effect>, Rejected> {
        self.check_open(id)?;
        let plan = what.plan();
        if self.release.is_none() && matches!(plan.steps, Steps::OfParts(Action::Deploy, _)) {
            return Err(conflict(&format!("nothing was deployed yet; there is nothing to {}", plan.kind)));
        }
        Ok(self.enqueue_once(event, what))
    }

    /// Queues it; an older one of the same kind that still waits gives way.
    fn enqueue_once(&mut self, event: &Event, what: &What) -> Vec<Effect> {
        let older = self.lanes.take_where(|q| q.what == *what);
        let number = self.enqueue(event.at, &event.by, what.clone());
        let text = |older: u64| format!("operation {older} gives way to the newer {number}");
        older.into_iter().map(|q| record("operation.superseded", text(q.number))).collect()
    }
}

fn gone(id: &ObjectId) -> Rejected {
    Rejected::new(RejectedCode::NotFound, format!("{id} is gone; only its tombstone is left"))
}
