//! What people do with single steps of the operation that changes the install: try one again,
//! go on without it, stop it. What does not fit is refused in words that say why.

use super::Live;
use super::operation::Operation;
use crate::component::message::ToComponent;
use crate::event::{Effect, Event, record};
use crate::graph::{Step, StepState};
use crate::id::ObjectId;
use crate::notice::Notice;
use crate::rejected::{Rejected, conflict};

impl Live {
    pub(super) fn retry(&mut self, event: &Event, component: Option<&str>) -> Result<Vec<Effect>, Rejected> {
        let op = self.changing()?;
        let steps: Vec<usize> = match component {
            Some(name) => vec![find(op, name)?],
            None => (0..op.graph.steps.len()).filter(|i| op.graph.failure(*i).is_some()).collect(),
        };
        if steps.is_empty() {
            return Err(conflict("no step has failed in the running operation"));
        }
        let mut effects = vec![];
        for index in steps {
            let step = &op.graph.steps[index];
            let Some(failure) = op.graph.failure(index) else {
                return Err(refused(step, "only a failed step can be tried again"));
            };
            let name = &step.component;
            let text = format!("{} lets {name} be tried again after: {}", event.by, failure.message);
            effects.push(record("step.retried", text));
            op.graph.steps[index].replans = 0;
            op.graph.again(index, event.at);
        }
        Ok(effects)
    }

    pub(super) fn skip(
        &mut self,
        event: &Event,
        component: &str,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        let op = self.changing()?;
        let index = find(op, component)?;
        let step = &op.graph.steps[index];
        match step.state {
            StepState::Failed(_) | StepState::Waiting | StepState::Asking(_) => {}
            StepState::Running => return Err(refused(step, "stop it first with `cancel_step`")),
            StepState::Succeeded(_)
            | StepState::Skipped(_)
            | StepState::Unchanged(_)
            | StepState::Cancelled(_) => {
                return Err(refused(step, "there is nothing left to skip"));
            }
        }
        op.graph.set(index, StepState::Skipped(format!("{} said: {reason}", event.by)), event.at);
        Ok(vec![record("step.skipped", format!("{} goes on without {component}: {reason}", event.by))])
    }

    /// Stops one step; the others go on. What needs it waits until a person retries or skips it.
    pub(super) fn cancel_step(
        &mut self,
        id: &ObjectId,
        event: &Event,
        component: &str,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        let op = self.changing()?;
        let index = find(op, component)?;
        let step = &mut op.graph.steps[index];
        match (&step.state, &step.stopping) {
            (StepState::Running, None) => {}
            (StepState::Running, Some(_)) => return Err(refused(step, "it was told to stop already")),
            (StepState::Waiting | StepState::Asking(_) | StepState::Failed(_), _) => {
                return Err(refused(step, "only a running step can be stopped; this one can be skipped"));
            }
            (
                StepState::Succeeded(_)
                | StepState::Skipped(_)
                | StepState::Unchanged(_)
                | StepState::Cancelled(_),
                _,
            ) => return Err(refused(step, "there is nothing left to stop")),
        }
        let reason = format!("{} said: {reason}", event.by);
        step.stopping = Some(reason.clone());
        let text = format!("{component}: to be stopped, {reason}");
        let to = id.child(component).ok();
        let stop = Notice::Component(ToComponent::Stop { operation: op.number, reason });
        let tell = to.map(|to| Effect::Tell { to, notice: stop });
        Ok([record("step.stopping", text)].into_iter().chain(tell).collect())
    }

    /// The operation that changes the install, and takes a person's word.
    fn changing(&mut self) -> Result<&mut Operation, Rejected> {
        let Some(op) = &mut self.work else {
            return Err(conflict("no operation changes it now, so it has no steps"));
        };
        if !op.is_running() {
            let (number, kind) = (op.number, op.what.as_str());
            return Err(conflict(&format!("operation {number} ({kind}) has no steps to act on now")));
        }
        Ok(op)
    }
}

fn find(op: &Operation, component: &str) -> Result<usize, Rejected> {
    op.graph.steps.iter().position(|s| s.component == component).ok_or_else(|| {
        let names: Vec<&str> = op.graph.steps.iter().map(|s| s.component.as_str()).collect();
        conflict(&format!(
            "operation {} ({}) has no step for {component}; it has steps for: {}",
            op.number,
            op.what.as_str(),
            names.join(", ")
        ))
    })
}

fn refused(step: &Step, advice: &str) -> Rejected {
    let how = match &step.state {
        StepState::Waiting => "has not begun",
        StepState::Running => "is running",
        StepState::Asking(_) => "waits for an approval",
        StepState::Succeeded(_) => "has succeeded",
        StepState::Failed(_) => "has failed",
        StepState::Skipped(_) => "was skipped",
        StepState::Unchanged(_) => "was left out as unchanged",
        StepState::Cancelled(_) => "was cancelled",
    };
    conflict(&format!("the {} of {} {how}: {advice}", step.action.as_str(), step.component))
}
