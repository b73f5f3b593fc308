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
    /// For a removal by a deploy: the counter of its release, which may say that less is needed now.
    /// A person may have skipped a step of it, and with that has said so, too.
    pub(crate) drops_by: Option<u64>,
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
    /// What it may need: by the deploy that succeeded last, and by every one that began after that.
    pub(crate) needs: BTreeSet<String>,
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
            let needs = people::needs(process.release, &process.component);
            let thing = self.thing(install, &process.component);
            thing.exists = true;
            thing.needs.extend(needs);
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
            Action::Deploy => {
                let missing = people::needs(process.release, name).into_iter().find(|need| !exists(need))?;
                Some(format!("I5 {name} of install {install} is made before {missing}, which it needs"))
            }
            Action::Destroy => {
                let mut others = self.things.range((install, String::new())..(install + 1, String::new()));
                let still = |named: &String| {
                    process.drops_by.is_none_or(|counter| people::needs(counter, named).contains(name))
                };
                let needs_it = |thing: &Thing| thing.exists && thing.needs.contains(name);
                let ((_, other), _) = others.find(|((_, named), thing)| needs_it(thing) && still(named))?;
                Some(format!("I5 {name} of install {install} is destroyed before {other}, which needs it"))
            }
            Action::Drift | Action::Adopt => None,
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
        let needs = people::needs(process.release, &process.component);
        let thing = self.thing(install, &process.component);
        match process.action {
            Action::Deploy => {
                *thing = Thing { exists: true, drifted: false, version: version.to_owned(), needs }
            }
            Action::Destroy => *thing = Thing::default(),
            Action::Drift | Action::Adopt => {}
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
