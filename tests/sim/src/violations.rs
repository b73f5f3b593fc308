//! The named invariants, checked after every event. Each says which promise it keeps.

use std::collections::BTreeMap;

use remit_loops::view::{Detail, JobView};

use crate::broker::Broker;
use crate::scenario::install_id;
use crate::world::World;

/// What is wrong now, if anything.
pub(crate) fn check(broker: &Broker, world: &World, installs: usize) -> Option<String> {
    one_change_at_a_time(world)
        .or_else(|| no_envelope_twice(world))
        .or_else(|| nothing_acknowledged_is_lost(broker))
        .or_else(|| no_notice_is_lost(broker))
        .or_else(|| what_runs_is_known(broker, world))
        .or_else(|| deleted_means_gone(broker, world, installs))
}

/// I1: never two changes at once on one component, nor of two operations on one install.
fn one_change_at_a_time(world: &World) -> Option<String> {
    let mut by_component = BTreeMap::new();
    let mut by_install = BTreeMap::new();
    for process in world.processes.values().filter(|p| p.action.mutates()) {
        let name = format!("{} attempt {} fence {}", process.job, process.attempt, process.fence);
        if let Some(other) = by_component.insert((process.install, process.component.clone()), name.clone()) {
            return Some(format!("I1 two changes of one component at once: {other}, and {name}"));
        }
        let operation = by_install.entry(process.install).or_insert_with(|| process.operation.clone());
        if *operation != process.operation {
            return Some(format!("I1 two operations at once: {operation} and {}", process.operation));
        }
    }
    None
}

/// I2: no envelope begun twice.
fn no_envelope_twice(world: &World) -> Option<String> {
    let twice = world.begun.iter().find(|(_, times)| **times > 1);
    twice.map(|((install, seq), times)| format!("I2 envelope {seq} of install {install} begun {times} times"))
}

/// I4: an accepted signal is never lost.
fn nothing_acknowledged_is_lost(broker: &Broker) -> Option<String> {
    let lost = broker.acknowledged.difference(&broker.keys).next();
    lost.map(|(object, key)| format!("I4 signal {key} to {object} was acknowledged and is not stored"))
}

/// I7: an attempt of which anything still runs is not over for the broker.
fn what_runs_is_known(broker: &Broker, world: &World) -> Option<String> {
    for process in world.processes.values() {
        let runner = broker.object(&install_id(process.install).runner()?);
        let Detail::Runner { jobs, .. } = runner.view().detail else { continue };
        let is_it = |j: &JobView| (&j.attempt.job, j.attempt.attempt, j.fence) == process.name();
        if !jobs.iter().any(is_it) {
            return Some(format!("I7 the broker takes {:?} for over, and it still runs", process.name()));
        }
    }
    None
}

/// A notice between loops is taken, or is for something that is over.
fn no_notice_is_lost(broker: &Broker) -> Option<String> {
    broker.refused.first().map(|refused| format!("lost notice: {refused}"))
}

/// I9: deleted means that nothing is left.
fn deleted_means_gone(broker: &Broker, world: &World, installs: usize) -> Option<String> {
    for install in 0..installs {
        let Some(object) = broker.objects.get(&install_id(install)) else { continue };
        if object.view().status.word != "deleted" {
            continue;
        }
        let left = world.things.iter().find(|((i, _), thing)| *i == install && thing.exists);
        if let Some(((_, component), _)) = left {
            return Some(format!("I9 install {install} is deleted, but {component} still exists"));
        }
    }
    None
}

/// I6 and I7, at the end: everything rests, and the world is what the loops say it is.
pub(crate) fn check_rest(broker: &Broker, world: &World, installs: usize) -> Option<String> {
    for install in 0..installs {
        let Some(object) = broker.objects.get(&install_id(install)) else { continue };
        let view = object.view();
        if !matches!(view.status.word.as_str(), "active" | "deleted" | "delete_incomplete") {
            let why: Vec<String> = view.why.iter().map(|w| w.reason.clone()).collect();
            return Some(format!("I6 install {install} is still {}: {}", view.status.word, why.join("; ")));
        }
        let Detail::Install { components, .. } = view.detail else { continue };
        for component in components {
            let Some(deployed) = component.facts.deployed else { continue };
            let thing = world.things.get(&(install, component.name.clone())).cloned().unwrap_or_default();
            if !thing.exists || thing.version != deployed.release.version {
                let version = &deployed.release.version;
                return Some(format!(
                    "I7 {} of install {install} is said to be at {version}; there is {thing:?}",
                    component.name
                ));
            }
        }
    }
    None
}
