//! The customer's world: what exists in it and which processes change it. The loops never see it.

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::job::Action;

use crate::people;

/// A process of a tool.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) install: usize,
    pub(crate) component: String,
    pub(crate) action: Action,
    pub(crate) job: String,
    pub(crate) attempt: u32,
    pub(crate) fence: u64,
    /// The operation's number in its install, with the install's epoch.
    pub(crate) operation: String,
    /// The counter of its release.
    pub(crate) release: u64,
    /// The counter of the release that the install goes by now.
    pub(crate) goes_by: u64,
    /// It is of an operation that mends single components, whatever the others are like.
    pub(crate) mends: bool,
}

impl Process {
    /// What the broker calls it.
    pub(crate) fn name(&self) -> (&String, u32, u64) {
        (&self.job, self.attempt, self.fence)
    }
}

/// What there is of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Thing {
    pub(crate) exists: bool,
    pub(crate) drifted: bool,
    pub(crate) version: String,
    /// The counter of the release by which a deploy began last.
    pub(crate) begun_by: u64,
    /// The counter of the release of the last deploy that the runner was asked for, whatever came of it.
    pub(crate) asked_by: u64,
}

#[derive(Default)]
pub(crate) struct World {
    /// By install and number.
    pub(crate) processes: BTreeMap<(usize, u64), Process>,
    pub(crate) things: BTreeMap<(usize, String), Thing>,
    /// Every (runner, sequence number) that was begun.
    begun: BTreeSet<(usize, u64)>,
    /// The brokers' memory was put back: what they know of the world is of yesterday.
    pub(crate) is_forgotten: bool,
    /// What went wrong when something was started.
    pub(crate) wrong: Option<String>,
    /// The installs that something happened to since this was emptied last.
    pub(crate) touched: BTreeSet<usize>,
    next_process: u64,
}

impl World {
    pub(crate) fn spawn(&mut self, process: Process, runner: usize, seq: u64) -> u64 {
        self.next_process += 1;
        let install = process.install;
        self.touched.insert(install);
        if !self.begun.insert((runner, seq)) {
            self.wrong = Some(format!("I2 envelope {seq} of install {install} begun twice"));
        }
        if let Some(wrong) = self.out_of_order(&process).filter(|_| !self.is_forgotten) {
            self.wrong = Some(wrong);
        }
        if process.action == Action::Deploy {
            // From its first moment on, something of it may be there.
            let thing = self.thing(install, &process.component);
            (thing.exists, thing.begun_by) = (true, process.release);
        }
        self.processes.insert((install, self.next_process), process);
        self.next_process
    }

    /// I5: what it needs is there before a component is made, and what needs it is gone before it goes.
    fn out_of_order(&self, process: &Process) -> Option<String> {
        let (install, name) = (process.install, &process.component);
        let thing = |name: &String| self.things.get(&(install, name.clone()));
        let exists = |name: &String| thing(name).is_some_and(|thing| thing.exists);
        match process.action {
            Action::Deploy if process.mends => None,
            Action::Deploy => {
                let release = people::release(process.release);
                let component = release.components.iter().find(|c| c.name == *name)?;
                let missing = component.needs.iter().find(|need| !exists(need))?;
                Some(format!("I5 {name} of install {install} is made before {missing}, which it needs"))
            }
            Action::Destroy => {
                let mut others = self.things.range((install, String::new())..(install + 1, String::new()));
                let needs = |counter: u64, named: &String| {
                    let release = people::release(counter);
                    let component = release.components.into_iter().find(|c| c.name == *named);
                    component.map(|c| c.needs.contains(name))
                };
                let needs_it = |other: &Thing, named: &String| {
                    // From the moment of an offer on, the broker goes by what the new release says.
                    let newer = [other.asked_by.max(other.begun_by), process.goes_by];
                    let still = newer.iter().all(|counter| needs(*counter, named).unwrap_or(true));
                    other.exists && still && needs(other.begun_by, named) == Some(true)
                };
                let ((_, other), _) = others.find(|((_, named), other)| needs_it(other, named))?;
                Some(format!("I5 {name} of install {install} is destroyed before {other}, which needs it"))
            }
            Action::Drift => None,
        }
    }

    pub(crate) fn of(&self, install: usize) -> impl Iterator<Item = &Process> {
        self.processes.range((install, 0)..(install + 1, 0)).map(|(_, process)| process)
    }

    pub(crate) fn thing(&mut self, install: usize, component: &str) -> &mut Thing {
        self.things.entry((install, component.to_owned())).or_default()
    }

    /// The process ends well: the world is as it wanted.
    pub(crate) fn finish(&mut self, install: usize, pid: u64, version: &str) {
        let Some(process) = self.processes.remove(&(install, pid)) else { return };
        self.touched.insert(install);
        let thing = self.thing(install, &process.component);
        match process.action {
            Action::Deploy => (thing.drifted, thing.version) = (false, version.to_owned()),
            Action::Destroy => *thing = Thing { asked_by: thing.asked_by, ..Thing::default() },
            Action::Drift => {}
        }
    }

    /// The process is dead; what it has done so far stays.
    pub(crate) fn kill(&mut self, install: usize, pid: u64) {
        self.processes.remove(&(install, pid));
        self.touched.insert(install);
    }

    pub(crate) fn is_running(&self, install: usize, pid: u64) -> bool {
        self.processes.contains_key(&(install, pid))
    }
}
