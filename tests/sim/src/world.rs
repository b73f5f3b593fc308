//! The customer's world: what exists in it and which processes change it. The loops never see it.

use std::collections::BTreeMap;

use remit_loops::job::Action;

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
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) processes: BTreeMap<u64, Process>,
    pub(crate) things: BTreeMap<(usize, String), Thing>,
    /// Every (install, sequence number) that was begun, and how often.
    pub(crate) begun: BTreeMap<(usize, u64), u32>,
    next_process: u64,
}

impl World {
    pub(crate) fn spawn(&mut self, process: Process, seq: u64) -> u64 {
        self.next_process += 1;
        *self.begun.entry((process.install, seq)).or_default() += 1;
        if process.action == Action::Deploy {
            // From its first moment on, something of it may be there.
            self.thing(process.install, &process.component).exists = true;
        }
        self.processes.insert(self.next_process, process);
        self.next_process
    }

    pub(crate) fn thing(&mut self, install: usize, component: &str) -> &mut Thing {
        self.things.entry((install, component.to_owned())).or_default()
    }

    /// The process ends well: the world is as it wanted.
    pub(crate) fn finish(&mut self, pid: u64, version: &str) {
        let Some(process) = self.processes.remove(&pid) else { return };
        let thing = self.thing(process.install, &process.component);
        match process.action {
            Action::Deploy => *thing = Thing { exists: true, drifted: false, version: version.to_owned() },
            Action::Destroy => *thing = Thing::default(),
            Action::Drift => {}
        }
    }

    /// The process is dead; what it has done so far stays.
    pub(crate) fn kill(&mut self, pid: u64) {
        self.processes.remove(&pid);
    }

    pub(crate) fn is_running(&self, pid: u64) -> bool {
        self.processes.contains_key(&pid)
    }
}
