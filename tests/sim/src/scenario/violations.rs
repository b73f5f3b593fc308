//! The named invariants, checked after every event for all that it touched. Each says which promise it keeps.

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::ObjectId;
use remit_loops::view::{Detail, JobView, View};

use super::Run;
use crate::broker::Broker;
use crate::names::{app_id, install_id, runner_id};
use crate::runner::Runner;
use crate::world::{Thing, World};

/// How many attempts a runner takes at once.
pub(crate) const CAPACITY: usize = 3;
/// The longest queue of an install: what the loops promise (I14 in docs/proof.md), said a second time.
const QUEUE_LEN_MAX: usize = 1_000;
/// The most attempts in the hands of one runner: one that changes and one that looks, for each component.
const JOBS_MAX: usize = 12;

/// How long an object may be due while brokers are there, milliseconds.
const DUE_MS_MAX: i64 = 60_000;

/// How long nobody looks at the app to which nothing happens, while something is unwell, milliseconds.
const LOOK_AT_APP_MS: i64 = 300_000;

/// Why an operation lets others go first.
const TIMES: [&str; 2] = ["waiting.window", "waiting.freeze"];

/// What must be remembered from one check to the next.
#[derive(Default)]
pub(crate) struct Watch {
    /// Installs that something happened to since the last check.
    pub(crate) dirty: BTreeSet<usize>,
    /// Something happened to the app.
    pub(crate) app_is_dirty: bool,
    /// When it was looked at, while something was unwell.
    looked_at_app_ms: i64,
    /// Found where it happened.
    pub(crate) found: Option<String>,
    /// The greatest operation of each install that began, with the install's epoch.
    begun: BTreeMap<usize, (u64, u64)>,
    /// Operations that were seen to wait for a time, and may be passed by.
    passed_by: BTreeSet<(usize, u64, u64)>,
    acknowledged: usize,
    /// An object that is due, and since when.
    due: Option<(ObjectId, i64)>,
    /// When somebody looked for those that are due.
    looked_ms: i64,
}

impl Watch {
    /// I6: an object that asked to be looked at is looked at while brokers are there.
    pub(crate) fn nobody_comes(&mut self, due: Option<&ObjectId>, now_ms: i64) {
        let before = self.due.take();
        self.due = due.map(|due| match before {
            Some((object, since_ms)) if object == *due && now_ms - self.looked_ms < DUE_MS_MAX => {
                (object, since_ms)
            }
            Some(_) | None => (due.clone(), now_ms),
        });
        self.looked_ms = now_ms;
        if let Some((object, since_ms)) = self.due.as_ref().filter(|due| now_ms - due.1 > DUE_MS_MAX) {
            let seconds = (now_ms - since_ms) / 1_000;
            self.found.get_or_insert(format!("I6 {object} is due, and nobody has come for {seconds} s"));
        }
    }

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
        let found = found.or_else(|| self.follower.wrong.take());
        let found = self.rules_keep_to_it().or_else(|| self.health_is_as_seen()).or(found);
        let app_is_dirty = std::mem::take(&mut self.watch.app_is_dirty);
        let mut found = found.or_else(|| self.rollouts_as_promised(app_is_dirty));
        for install in dirty {
            found = found
                .or_else(|| one_change_at_a_time(&self.world, install))
                .or_else(|| what_runs_is_known(&self.broker, &self.world, install))
                .or_else(|| deleted_means_gone(&self.broker, &self.world, install))
                .or_else(|| bounded(&self.broker, &self.runners, &self.hosts[install], install))
                .or_else(|| self.in_order(install))
                .or_else(|| self.as_promised(install));
        }
        found
    }

    /// What rules did since the last check is what the release lets them.
    fn rules_keep_to_it(&mut self) -> Option<String> {
        let acted = std::mem::take(&mut self.broker.notes().acted);
        let mut wrong = None;
        for acted in acted {
            let view = self.broker.object(&acted.of).view();
            wrong = wrong.or(self.promises.acted(&acted, &view));
        }
        wrong
    }

    /// What timelines said of health since the last check is what probes saw.
    fn health_is_as_seen(&mut self) -> Option<String> {
        let told = std::mem::take(&mut self.broker.notes().told);
        told.iter().filter_map(|told| self.promises.told(told, &self.world)).next()
    }

    /// Rollouts keep to what was asked for, and count what is unwell.
    fn rollouts_as_promised(&mut self, app_is_dirty: bool) -> Option<String> {
        let is_up = self.broker.is_up(self.now_ms);
        let is_time = self.now_ms - self.watch.looked_at_app_ms > LOOK_AT_APP_MS;
        if !(app_is_dirty || is_time && self.promises.watches_unwell()) {
            return None;
        }
        self.watch.looked_at_app_ms = self.now_ms;
        let (view, at) = (self.broker.object(&app_id()).view(), self.broker.notes().last);
        let found = self.promises.look_at_app(&view);
        found.or_else(|| self.promises.look_at_unwell(&view, at).filter(|_| is_up))
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

    /// I5: operations begin in the order in which they were accepted, but for those that wait for a window or a
    /// freeze: they let others go first.
    fn in_order(&mut self, install: usize) -> Option<String> {
        let view = self.broker.objects.get(&install_id(install))?.view();
        if let Some(operation) = &view.operation {
            let now = (view.epoch, operation.number);
            let before = self.watch.begun.get(&install).copied().unwrap_or_default();
            self.watch.begun.insert(install, now.max(before));
            let has_waited = self.watch.passed_by.contains(&(install, now.0, now.1));
            if now < before && !has_waited {
                return Some(format!("I5 install {install} began operation {now:?} after {before:?}"));
            }
        }
        let is_held = |number: u64| {
            let name = format!("operation {number} (");
            let times = view.why.iter().filter(|why| TIMES.contains(&why.code.as_str()));
            times.into_iter().any(|why| why.reason.starts_with(&name))
        };
        let waiting = view.queue.iter().filter(|queued| is_held(queued.number));
        let waiting = waiting.map(|queued| (install, view.epoch, queued.number));
        self.watch.passed_by.extend(waiting);
        queue_is_in_order(&view).map(|wrong| format!("I5 install {install}: {wrong}"))
    }
}

impl Run {
    /// What people were promised of updates, and what is left out because nothing of it changed.
    fn as_promised(&mut self, install: usize) -> Option<String> {
        let view = self.broker.objects.get(&install_id(install))?.view();
        self.promises.look(install, &view, &self.world)
    }
}

/// The most deploys that wait at once: one that passes windows and freezes, a newer that passes windows, and a
/// still newer that passes nothing.
const DEPLOYS_MAX: usize = 3;

/// What waits is in the order in which it was asked for, and an older deploy has given way to a newer.
fn queue_is_in_order(view: &View) -> Option<String> {
    let work: Vec<_> = view.queue.iter().filter(|queued| queued.lane == "work").collect();
    if let Some(pair) = work.windows(2).find(|pair| pair[0].number >= pair[1].number) {
        return Some(format!("operation {} waits before {}", pair[0].number, pair[1].number));
    }
    let deploys = work.iter().filter(|queued| queued.kind == "deploy").count();
    (deploys > DEPLOYS_MAX).then(|| format!("{deploys} deploys wait at once"))
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
    for process in world.of(install).filter(|p| p.mutates()) {
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
    world.of(install).next()?;
    let Detail::Runner { jobs, .. } = broker.objects.get(&runner_id(install))?.view().detail else {
        return None;
    };
    let is_known = |name: (&String, u32, u64)| {
        jobs.iter().any(|j: &JobView| (&j.attempt.job, j.attempt.attempt, j.fence) == name)
    };
    let unknown = world.of(install).find(|p| !is_known(p.name()) && !world.is_forgotten(p))?;
    Some(format!("I7 the broker takes {:?} for over, and it still runs", unknown.name()))
}

/// I9: deleted means that nothing is left.
fn deleted_means_gone(broker: &Broker, world: &World, install: usize) -> Option<String> {
    let object = broker.objects.get(&install_id(install))?;
    if object.view().status.word != "deleted" {
        return None;
    }
    let mut things = world.things.range((install, String::new())..(install + 1, String::new()));
    let is_left = |name: &String, thing: &Thing| thing.exists && !world.is_unknown(install, name);
    let ((_, component), _) = things.find(|((_, name), thing)| is_left(name, thing))?;
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
        for component in components.into_iter().filter(|c| !run.world.is_unknown(install, &c.name)) {
            let Some(deployed) = component.facts.deployed else { continue };
            if run.world.awaits(install, &component.name) {
                let name = &component.name;
                return Some(format!(
                    "probe {name} of install {install} rests, and no probe of it has passed"
                ));
            }
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
