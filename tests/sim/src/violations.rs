//! The named invariants, checked after every event for all that it touched. Each says which promise it keeps.

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::view::{Detail, JobView, View};

use crate::broker::Broker;
use crate::runner::Runner;
use crate::scenario::{Run, install_id, runner_id};
use crate::world::World;

/// How many attempts a runner takes at once.
pub(crate) const CAPACITY: usize = 3;
/// The longest queue of an install (TRUST.md §7).
const QUEUE_LEN_MAX: usize = 1_000;
/// The most attempts in the hands of one runner: one that changes and one that looks, for each component.
const JOBS_MAX: usize = 12;

/// What must be remembered from one check to the next.
#[derive(Default)]
pub(crate) struct Watch {
    /// Installs that something happened to since the last check.
    pub(crate) dirty: BTreeSet<usize>,
    /// Found where it happened.
    pub(crate) found: Option<String>,
    /// The greatest operation of each install that began, with the install's epoch.
    begun: BTreeMap<usize, (u64, u64)>,
    acknowledged: usize,
}

impl Watch {
    /// The brokers' memory was put back: what began after that was forgotten.
    pub(crate) fn forget(&mut self) {
        self.begun.clear();
        self.acknowledged = 0;
    }
}

impl Run {
    /// What is wrong now, if anything.
    pub(crate) fn check(&mut self) -> Option<String> {
        self.watch.dirty.append(&mut self.world.touched);
        let dirty = std::mem::take(&mut self.watch.dirty);
        let found = self.watch.found.take().or_else(|| self.world.wrong.take());
        let found = found.or_else(|| of_the_store(&self.broker)).or_else(|| self.acknowledged_is_stored());
        let mut found = found.or_else(|| self.follower.wrong.take());
        for install in dirty {
            found = found
                .or_else(|| one_change_at_a_time(&self.world, install))
                .or_else(|| what_runs_is_known(&self.broker, &self.world, install))
                .or_else(|| deleted_means_gone(&self.broker, &self.world, install))
                .or_else(|| bounded(&self.broker, &self.runners, &self.hosts[install], install))
                .or_else(|| self.in_order(install));
        }
        found
    }

    /// I4: an accepted signal is never lost. Looked at whenever somebody was told yes.
    fn acknowledged_is_stored(&mut self) -> Option<String> {
        if self.broker.acknowledged.len() == self.watch.acknowledged {
            return None;
        }
        self.watch.acknowledged = self.broker.acknowledged.len();
        let notes = self.broker.notes();
        let lost = self.broker.acknowledged.iter().rev().find(|(key, _)| !notes.keys.contains_key(key));
        let ((object, key), seq) = lost?;
        Some(format!("I4 signal {key} to {object} was acknowledged as event {seq} and is not stored"))
    }

    /// I5: operations begin in the order in which they were accepted.
    fn in_order(&mut self, install: usize) -> Option<String> {
        let view = self.broker.objects.get(&install_id(install))?.view();
        if let Some(operation) = &view.operation {
            let now = (view.epoch, operation.number);
            let before = self.watch.begun.insert(install, now).unwrap_or_default();
            if now < before {
                return Some(format!("I5 install {install} began operation {now:?} after {before:?}"));
            }
        }
        queue_is_in_order(&view).map(|wrong| format!("I5 install {install}: {wrong}"))
    }
}

/// What waits is in the order in which it was asked for, and an older deploy has given way to a newer.
fn queue_is_in_order(view: &View) -> Option<String> {
    let work: Vec<_> = view.queue.iter().filter(|queued| queued.lane == "work").collect();
    if let Some(pair) = work.windows(2).find(|pair| pair[0].number >= pair[1].number) {
        return Some(format!("operation {} waits before {}", pair[0].number, pair[1].number));
    }
    let deploys = work.iter().filter(|queued| queued.kind == "deploy").count();
    (deploys > 1).then(|| format!("{deploys} deploys wait at once"))
}

/// What the store's door saw.
fn of_the_store(broker: &Broker) -> Option<String> {
    if broker.is_stuck {
        return Some("I14 an engine goes round and round".to_owned());
    }
    let notes = broker.notes();
    if let Some(refused) = notes.refused.first() {
        return Some(format!("lost notice: {refused}"));
    }
    if let Some(twice) = &notes.twice {
        return Some(format!("I4 {twice}"));
    }
    notes.went_back.as_ref().map(|words| format!("time went back: {words}"))
}

/// I1: never two changes at once on one component, nor of two operations on one install.
fn one_change_at_a_time(world: &World, install: usize) -> Option<String> {
    let mut components = BTreeMap::new();
    let mut operations = BTreeSet::new();
    for process in world.of(install).filter(|p| p.action.mutates()) {
        let name = format!("{} attempt {} fence {}", process.job, process.attempt, process.fence);
        if let Some(other) = components.insert(&process.component, name.clone()) {
            return Some(format!("I1 two changes of one component at once: {other}, and {name}"));
        }
        operations.insert(&process.operation);
    }
    (operations.len() > 1).then(|| format!("I1 two operations of install {install} at once: {operations:?}"))
}

/// I7: an attempt of which anything still runs is not over for the broker.
fn what_runs_is_known(broker: &Broker, world: &World, install: usize) -> Option<String> {
    world.of(install).next().filter(|_| !world.is_forgotten)?;
    let Detail::Runner { jobs, .. } = broker.objects.get(&runner_id(install))?.view().detail else {
        return None;
    };
    let is_known = |name: (&String, u32, u64)| {
        jobs.iter().any(|j: &JobView| (&j.attempt.job, j.attempt.attempt, j.fence) == name)
    };
    let unknown = world.of(install).find(|process| !is_known(process.name()))?;
    Some(format!("I7 the broker takes {:?} for over, and it still runs", unknown.name()))
}

/// I9: deleted means that nothing is left.
fn deleted_means_gone(broker: &Broker, world: &World, install: usize) -> Option<String> {
    let object = broker.objects.get(&install_id(install))?;
    if object.view().status.word != "deleted" || world.is_forgotten {
        return None;
    }
    let mut things = world.things.range((install, String::new())..(install + 1, String::new()));
    let ((_, component), _) = things.find(|(_, thing)| thing.exists)?;
    Some(format!("I9 install {install} is deleted, but {component} still exists"))
}

/// I14: what waits and what is in hand is bounded for each tenant.
fn bounded(broker: &Broker, runners: &[Runner], hosts: &[usize], install: usize) -> Option<String> {
    let queue = broker.objects.get(&install_id(install)).map_or(0, |object| object.view().queue.len());
    if queue > QUEUE_LEN_MAX {
        return Some(format!("I14 {queue} operations of install {install} wait"));
    }
    if let Some(Detail::Runner { jobs, .. }) =
        broker.objects.get(&runner_id(install)).map(|object| object.view().detail)
        && jobs.len() > JOBS_MAX
    {
        return Some(format!(
            "I14 {} attempts are in the hands of the runner of install {install}",
            jobs.len()
        ));
    }
    let busy = hosts.iter().map(|runner| runners[*runner].busy()).find(|busy| *busy > CAPACITY)?;
    Some(format!("I14 a runner of install {install} has {busy} attempts in hand, and can run {CAPACITY}"))
}

/// I6 and I7, at the end: everything rests, and the world is what the loops say it is.
pub(crate) fn check_rest(run: &Run) -> Option<String> {
    for install in run.installs.iter().copied() {
        let Some(object) = run.broker.objects.get(&install_id(install)) else { continue };
        let view = object.view();
        if !matches!(view.status.word.as_str(), "active" | "deleted" | "delete_incomplete") {
            let why: Vec<String> = view.why.iter().map(|w| w.reason.clone()).collect();
            return Some(format!("I6 install {install} is still {}: {}", view.status.word, why.join("; ")));
        }
        let Detail::Install { components, .. } = view.detail else { continue };
        for component in components.into_iter().filter(|_| !run.world.is_forgotten) {
            let Some(deployed) = component.facts.deployed else { continue };
            let key = (install, component.name.clone());
            let thing = run.world.things.get(&key).cloned().unwrap_or_default();
            if !thing.exists || thing.version != deployed.release.version {
                let version = &deployed.release.version;
                let name = &component.name;
                return Some(format!(
                    "I7 {name} of install {install} is said to be at {version}; there is {thing:?}"
                ));
            }
        }
    }
    None
}
