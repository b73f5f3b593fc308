//! Drift of an install: when the world is looked at by itself, what is done about what a look finds, and
//! what people can say of it.

use serde::{Deserialize, Serialize};

use super::lanes::Lane;
use super::operation::{Operation, What};
use super::{Live, Part};
use crate::actor::Actor;
use crate::drift::{Choice, Schedule, Then, View};
use crate::event::{Effect, Event, record, record_at};
use crate::graph::StepState;
use crate::id::ObjectId;
use crate::job::Action;
use crate::rejected::{Rejected, conflict};
use crate::runner::message::Presence;
use crate::standing::Standing;
use crate::time::Timestamp;
use crate::timeline::Level;
use crate::waiting::{Evidence, Waiting};

/// How often in a row a difference is mended that is there again at the next look; then people are told.
const MENDS_MAX: u32 = 3;

/// What an install knows of looking for drift.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Drifting {
    #[serde(default, skip_serializing_if = "Choice::is_default")]
    choice: Choice,
    /// When an operation ended that looked at it or changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checked: Option<Timestamp>,
    /// How many looks in a row found something and had it mended.
    #[serde(default)]
    mends: u32,
}

impl Drifting {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Live {
    fn schedule(&self) -> Option<Schedule> {
        match self.drifting.choice {
            Choice::AsReleased => self.release.as_ref()?.healing.drift,
            Choice::Never => None,
            Choice::Every(schedule) => Some(schedule),
        }
    }

    /// Whether nothing is done with it, nothing waits, and its runner is there to look.
    pub(super) fn rests(&self) -> bool {
        let rests = self.work.is_none() && self.read.is_none() && self.lanes.iter().next().is_none();
        let may = self.paused.is_none() && self.deleting.is_none() && self.parent == Standing::Active;
        rests && may && matches!(self.runner, Presence::Online { .. })
    }

    /// When the world is looked at next, if nothing holds that up.
    pub(super) fn look_due(&self, id: &ObjectId) -> Option<Timestamp> {
        let schedule = self.schedule()?;
        let is_there = self.parts.values().any(|part| part.facts.deployed.is_some());
        let since = self.drifting.checked.filter(|_| is_there && self.rests())?;
        Some(since.plus_ms(spread(id, schedule.every_ms)))
    }

    /// Asks for a look when it is time for one. It never waits behind work: there is none then.
    pub(super) fn look_if_due(&mut self, id: &ObjectId, at: Timestamp) {
        if self.look_due(id).is_some_and(|due| due <= at) {
            self.enqueue(at, &Actor::Clock, What::DriftCheck);
        }
    }

    /// An operation has ended: when it looked by itself and found something, that is mended or told.
    pub(super) fn looked(&mut self, at: Timestamp, op: &Operation) -> Option<Effect> {
        if !matches!(op.what, What::HealthCheck { .. }) {
            self.drifting.checked = Some(at);
        }
        if op.what != What::DriftCheck || op.by != Actor::Clock {
            return None;
        }
        let found: Vec<String> = self.drifted().map(|(name, _)| name.clone()).collect();
        let looked = op.graph.steps.iter().all(|s| matches!(s.state, StepState::Succeeded(_)));
        if found.is_empty() && looked {
            self.drifting.mends = 0;
        }
        if found.is_empty() || self.schedule()?.then == Then::Report {
            return None;
        }
        if self.drifting.mends >= MENDS_MAX {
            let text = format!(
                "{} drifted again after {MENDS_MAX} mends; it is left as it is until somebody decides",
                found.join(", ")
            );
            return Some(record_at(Level::Warning, "drift.comes_again", text));
        }
        self.drifting.mends += 1;
        let text = format!("{} drifted; it is mended by the schedule", found.join(", "));
        self.enqueue(at, &Actor::Clock, What::Revert { components: found });
        Some(record("drift.mended", text))
    }

    fn drifted(&self) -> impl Iterator<Item = (&String, &Part)> {
        self.parts.iter().filter(|(_, part)| part.facts.drift.is_some())
    }

    pub(super) fn set_drift(&mut self, event: &Event, choice: Choice) -> Result<Vec<Effect>, Rejected> {
        let how = match choice {
            Choice::AsReleased => "as its release says".to_owned(),
            Choice::Never => "only when somebody asks".to_owned(),
            Choice::Every(schedule) => {
                schedule.check()?;
                format!("every {} s, and then: {}", schedule.every_ms / 1_000, schedule.then.as_str())
            }
        };
        self.drifting = Drifting { choice, mends: 0, checked: self.drifting.checked.or(Some(event.at)) };
        Ok(vec![record("drift.schedule", format!("drift is looked for {how}, says {}", event.by))])
    }

    /// The drifted components that somebody means: those named, or all.
    pub(super) fn meant(&self, named: &[String]) -> Result<Vec<String>, Rejected> {
        let found: Vec<String> = self.drifted().map(|(name, _)| name.clone()).collect();
        if found.is_empty() {
            return Err(conflict("nothing has drifted, as far as is known; `check_drift` looks again"));
        }
        if let Some(other) = named.iter().find(|name| !found.contains(name)) {
            let message =
                format!("{other} has not drifted, as far as is known; drifted: {}", found.join(", "));
            return Err(conflict(&message));
        }
        Ok(if named.is_empty() { found } else { named.to_vec() })
    }

    /// Somebody wants what has drifted brought back.
    pub(super) fn revert(
        &mut self,
        id: &ObjectId,
        event: &Event,
        named: &[String],
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        let components = self.meant(named)?;
        let text = format!("{} wants {} brought back: {reason}", event.by, components.join(", "));
        let mut effects = self.ask(id, event, &What::Revert { components })?;
        effects.push(record("drift.revert", text));
        Ok(effects)
    }

    /// What adopting a component takes: some keep records of their own, others have none.
    pub(super) fn adopting(part: &Part) -> Action {
        if part.adopts { Action::Adopt } else { Action::Drift }
    }

    pub(super) fn drift_view(&self, id: &ObjectId) -> View {
        let Drifting { choice, checked, mends } = self.drifting;
        View { schedule: self.schedule(), choice, checked, next: self.look_due(id), mends }
    }

    pub(super) fn drift_reasons(&self, id: &ObjectId) -> Vec<Waiting> {
        let busy = self.work.is_some() || self.lanes.of(Lane::Work).next().is_some();
        let name = id.name();
        let reason = |(component, part): (&String, &Part)| {
            let drift = part.facts.drift.as_ref()?;
            let again = if self.drifting.mends >= MENDS_MAX && !busy {
                format!("; it came again after {MENDS_MAX} mends, and is not mended by itself any more")
            } else {
                String::new()
            };
            Some(Waiting {
                code: "attention.drift".into(),
                reason: format!("{component} is not as it was deployed: {}{again}", drift.summary),
                since: drift.found,
                on: id.child(component).ok(),
                remedy: format!(
                    "`remit drift show {name}`, then `remit drift revert {name} --component {component}` or \
                     `remit drift adopt {name} --component {component} --reason …`"
                ),
                evidence: Some(Evidence { words: drift.summary.clone(), ..Evidence::default() }),
            })
        };
        self.parts.iter().filter_map(reason).collect()
    }
}

/// The time between two looks of this install: three quarters of it at least, all of it at most, so that
/// installs that were deployed together are not all looked at together.
pub(super) fn spread(id: &ObjectId, every_ms: i64) -> i64 {
    let hash = id.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let permille = i64::try_from((hash >> 20) % 1_000).unwrap_or(0);
    every_ms - every_ms / 4 / 1_000 * permille
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_spread_and_never_later_than_said() {
        let every = 6 * 3_600_000;
        let spreads: std::collections::BTreeSet<i64> =
            (0..100).map(|n| spread(&format!("ins_demo.shop.i{n}").parse().unwrap(), every)).collect();
        assert!(spreads.len() > 50, "{spreads:?}");
        assert!(spreads.iter().all(|ms| (every * 3 / 4..=every).contains(ms)));
    }
}
