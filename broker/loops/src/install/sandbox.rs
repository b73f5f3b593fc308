//! Between rehearsal and the real world: what a sandbox install rehearses, and how it becomes a real one.
//!
//! Facts of a rehearsal are not facts of the customer's account: promotion forgets them, and the first
//! real deploy makes everything. What stays is who the install is, and what happened to it.

use super::message::Rehearsal;
use super::operation::What;
use super::{Live, Part};
use crate::component::facts::Facts;
use crate::event::{Effect, Event, record};
use crate::id::ObjectId;
use crate::job::Mode;
use crate::rejected::{Rejected, RejectedCode, conflict, deleting};
use crate::runner::message::Presence;
use crate::scenario::{Invalid, Scenario};

impl Rehearsal {
    /// Whether an install of this mode may have it.
    pub(super) fn check(&self, mode: Mode) -> Result<(), Rejected> {
        if mode == Mode::Real {
            let message = "only a sandbox install rehearses; make it with mode `sandbox`";
            return Err(Rejected::new(RejectedCode::Invalid, message));
        }
        self.scenario.as_ref().map_or(Ok(()), |scenario| scenario.check().map_err(|e| wrong(&e)))
    }
}

fn wrong(invalid: &Invalid) -> Rejected {
    Rejected::new(RejectedCode::Invalid, format!("the scenario is wrong: {invalid}"))
}

impl Live {
    /// Gives a sandbox another scenario, or none; it counts from the next step on.
    pub(super) fn set_scenario(
        &mut self,
        event: &Event,
        scenario: Option<&Scenario>,
    ) -> Result<Vec<Effect>, Rejected> {
        if self.mode == Mode::Real {
            return Err(conflict("it is no sandbox: nothing of it is rehearsed"));
        }
        if let Some(scenario) = scenario {
            scenario.check().map_err(|e| wrong(&e))?;
        }
        self.scenario = scenario.cloned();
        let text = match scenario {
            Some(s) => {
                format!("{} gave it a scenario of {} rules, seed {}", event.by, s.summary().rules, s.seed)
            }
            None => format!("{} took its scenario away", event.by),
        };
        Ok(vec![record("install.scenario", text)])
    }

    /// Its org or app is a sandbox: so is what is new in it.
    pub(super) fn born_in_sandbox(&mut self) -> Vec<Effect> {
        let untouched = self.number <= 1 && self.work.is_none() && self.parts.is_empty();
        if self.mode == Mode::Sandbox || !untouched {
            return vec![];
        }
        self.mode = Mode::Sandbox;
        vec![record("install.sandboxed", "its app is a sandbox, so it is one too")]
    }

    /// Makes a sandbox real: what it rehearsed is forgotten, and a deploy of the same release makes it in earnest.
    pub(super) fn promote(&mut self, id: &ObjectId, event: &Event) -> Result<Vec<Effect>, Rejected> {
        if self.deleting.is_some() {
            return Err(deleting(id));
        }
        if self.mode == Mode::Real {
            return Err(conflict("it is real already"));
        }
        if let Some(op) = self.work.as_ref().or(self.read.as_ref()) {
            let (kind, number) = (op.what.as_str(), op.number);
            return Err(conflict(&format!(
                "its {kind} (operation {number}) is not over; wait for its end or cancel it, then promote"
            )));
        }
        match self.runner {
            Presence::Online { .. } | Presence::Offline { .. } => {}
            Presence::Expected | Presence::Revoked { .. } => {
                let message = "no runner is enrolled that could make it real; `remit install link` says how one gets there";
                return Err(Rejected::new(RejectedCode::RunnerMissing, message));
            }
        }
        self.mode = Mode::Real;
        self.scenario = None;
        self.provisioned = false;
        self.parts.values_mut().filter(|part| !part.sandbox).for_each(Part::forget_rehearsal);
        let version = self.release.as_ref().map(|release| release.version.clone());
        let text = match &version {
            Some(version) => format!("promoted by {} from sandbox to real, on release {version}", event.by),
            None => format!("promoted by {} from sandbox to real", event.by),
        };
        let mut effects = vec![record("install.promoted", text)];
        // What waited was meant for the sandbox.
        let waiting = self.lanes.take_where(|_| true);
        effects.extend(waiting.into_iter().map(|q| {
            let text = format!("{} (operation {}) was meant for the sandbox", q.what.as_str(), q.number);
            record("operation.cancelled", text)
        }));
        self.enqueue(event.at, &event.by, What::Deploy { version });
        Ok(effects)
    }
}

impl Part {
    fn forget_rehearsal(&mut self) {
        self.facts = Facts::default();
        self.failed = None;
    }
}
