//! Whether what is there does its work, and what probes of it really saw: the truth that no broker is told.

use std::collections::BTreeMap;

use remit_loops::health::Probe;
use remit_loops::job::Action;

use super::{Process, Thing, World};
use crate::people;
use crate::runner::Key;

/// What it takes until something does its work again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cure {
    /// Time: it is well again at this moment.
    Time(i64),
    /// A deploy of it.
    Deploy,
    /// A deploy by a later release than this.
    Release(u64),
    /// A person who mends what no deploy mends.
    Person,
}

/// What a probe saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) install: usize,
    pub(crate) component: String,
    pub(crate) well: bool,
    /// It was the one that a deploy waits for.
    pub(crate) is_gate: bool,
}

/// What probes saw, by their attempts.
pub(crate) type Looks = BTreeMap<Key, Look>;

impl Thing {
    /// What a deploy by this release makes of what did not do its work before.
    pub(super) fn cured_by(&self, release: u64) -> Option<Cure> {
        self.ill.filter(|ill| match ill {
            Cure::Deploy => false,
            Cure::Release(than) => release <= *than,
            Cure::Time(_) | Cure::Person => true,
        })
    }
}

impl World {
    /// Something stops doing its work, if it is there and did.
    pub(crate) fn fall_ill(&mut self, install: usize, component: &str, cure: Cure) {
        let thing = self.thing(install, component);
        if thing.exists && thing.ill.is_none() {
            thing.ill = Some(cure);
        }
    }

    /// People have put everything right that a deploy would not.
    pub(crate) fn cure_all(&mut self) {
        self.things.values_mut().for_each(|thing| thing.ill = None);
    }

    pub(crate) fn is_well(&mut self, install: usize, component: &str, now_ms: i64) -> bool {
        let thing = self.thing(install, component);
        if matches!(thing.ill, Some(Cure::Time(until_ms)) if until_ms <= now_ms) {
            thing.ill = None;
        }
        thing.exists && thing.ill.is_none()
    }

    /// A probe's process has seen how its component is.
    pub(crate) fn looked(&mut self, pid: (usize, u64), key: &Key, probe: &Probe, now_ms: i64) {
        let Some(process) = self.processes.get(&pid).cloned() else { return };
        let (install, component) = (process.install, process.component.clone());
        let well = self.is_well(install, &component, now_ms);
        let thing = self.thing(install, &component);
        let is_gate = thing.made_by == process.operation;
        // In its time, and by what it saw.
        let passes = well && now_ms - process.began_ms <= probe.within_ms;
        thing.awaits &= !passes;
        thing.proven |= passes && is_gate;
        self.looks.insert(key.clone(), Look { install, component, well, is_gate });
    }

    /// A deploy has made something: from now on a probe must pass, if its release has one.
    pub(super) fn made(&mut self, process: &Process) {
        let awaits = people::probe(process.release, &process.component).is_some();
        let operation = process.operation.clone();
        let thing = self.thing(process.install, &process.component);
        (thing.awaits, thing.proven, thing.made_by) = (awaits, !awaits, operation);
    }

    /// What a component needs has not passed its probe since it was made, and the component is made.
    pub(super) fn before_its_probe(&self, process: &Process) -> Option<String> {
        if process.action != Action::Deploy || process.only_plans {
            return None;
        }
        let (install, name) = (process.install, &process.component);
        let need =
            people::needs(process.release, name).into_iter().find(|need| self.awaits(install, need))?;
        Some(format!("probe {name} of install {install} is made before a probe of {need} has passed"))
    }

    /// Whether a deploy may be said to be done: the probe that it waited for has passed, or there is none.
    pub(crate) fn is_proven(&self, install: usize, component: &str) -> bool {
        let thing = self.things.get(&(install, component.to_owned()));
        thing.is_none_or(|thing| thing.proven || !thing.exists) || self.is_unknown(install, component)
    }

    /// Whether no probe has passed of what a deploy has made.
    pub(crate) fn awaits(&self, install: usize, component: &str) -> bool {
        let thing = self.things.get(&(install, component.to_owned()));
        thing.is_some_and(|thing| thing.exists && thing.awaits) && !self.is_unknown(install, component)
    }
}
