//! The customer's world: what exists in it and which processes change it. The loops never see it.

mod health;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use remit_loops::job::Action;
use remit_loops::plan::Changes;
use remit_loops::plan::Plan;
use remit_loops::runner::JobSpec;

use crate::people;
pub(crate) use health::{Cure, Look, Looks};

/// A process of a tool.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) install: usize,
    pub(crate) component: String,
    pub(crate) action: Action,
    /// It only plans: it changes nothing.
    pub(crate) only_plans: bool,
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
    /// When it began.
    pub(crate) began_ms: i64,
}

impl Process {
    /// What the broker calls it.
    pub(crate) fn name(&self) -> (&String, u32, u64) {
        (&self.job, self.attempt, self.fence)
    }

    /// Whether it may change something.
    pub(crate) fn mutates(&self) -> bool {
        self.action.mutates() && !self.only_plans
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
    /// The recipe that it was made by; none while it is half made.
    pub(crate) recipe: Option<String>,
    /// It does not do its work.
    pub(crate) ill: Option<Cure>,
    /// A deploy has made it, by a release with a probe, and none has passed yet.
    pub(crate) awaits: bool,
    /// The probe that its deploy waits for has passed, in its time.
    pub(crate) proven: bool,
    /// The operation whose deploy made it.
    pub(crate) made_by: String,
}

#[derive(Default)]
pub(crate) struct World {
    /// By install and number.
    pub(crate) processes: BTreeMap<(usize, u64), Process>,
    pub(crate) things: BTreeMap<(usize, String), Thing>,
    /// Every (runner, sequence number) that was begun.
    begun: BTreeSet<(usize, u64)>,
    /// What was changed since the brokers' store was copied, if it was.
    since_backup: Option<BTreeSet<(usize, String)>>,
    /// Components that were changed behind the back of brokers who were put back, until one of those
    /// brokers' own changes of them succeeds: nobody can know more of them than that.
    unknown: BTreeSet<(usize, String)>,
    /// Attempts that were under way when the brokers were put back, and that they need not know.
    forgotten: BTreeSet<(String, u32, u64)>,
    /// What went wrong when something was started.
    pub(crate) wrong: Option<String>,
    /// The installs that something happened to since this was emptied last.
    pub(crate) touched: BTreeSet<usize>,
    /// What probes saw.
    pub(crate) looks: Looks,
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
        if let Some(wrong) = self.out_of_order(&process).or_else(|| self.before_its_probe(&process)) {
            self.wrong = Some(wrong);
        }
        if process.mutates() {
            let component = (install, process.component.clone());
            if self.is_forgotten(&process) {
                self.unknown.insert(component.clone());
            }
            self.since_backup.as_mut().map(|changed| changed.insert(component));
        }
        if process.action == Action::Deploy && process.mutates() {
            // From its first moment on, something of it may be there.
            let needs = people::needs(process.release, &process.component);
            let thing = self.thing(install, &process.component);
            thing.exists = true;
            (thing.awaits, thing.proven) = (false, false);
            thing.recipe = None;
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
            _ if process.only_plans => None,
            Action::Deploy => {
                let is_missing = |need: &String| !exists(need) && !self.is_unknown(install, need);
                let missing = people::needs(process.release, name).into_iter().find(is_missing)?;
                Some(format!("I5 {name} of install {install} is made before {missing}, which it needs"))
            }
            Action::Destroy => {
                let mut others = self.things.range((install, String::new())..(install + 1, String::new()));
                let still = |named: &String| {
                    process.drops_by.is_none_or(|counter| people::needs(counter, named).contains(name))
                };
                let needs_it = |thing: &Thing| thing.exists && thing.needs.contains(name);
                let is_known = |named: &String| !self.is_unknown(install, named);
                let ((_, other), _) =
                    others.find(|((_, named), thing)| needs_it(thing) && still(named) && is_known(named))?;
                Some(format!("I5 {name} of install {install} is destroyed before {other}, which needs it"))
            }
            Action::Drift | Action::Adopt | Action::Run | Action::Health => None,
        }
    }

    /// The brokers' store is copied.
    pub(crate) fn back_up(&mut self) {
        let changing = self.processes.iter().filter(|(_, process)| process.mutates());
        let changing = changing.map(|((install, _), process)| (*install, process.component.clone()));
        self.since_backup = Some(changing.collect());
    }

    /// The copy is put back, while these attempts are in the hands of runners.
    pub(crate) fn put_back(&mut self, in_hand: impl Iterator<Item = (String, u32, u64)>) {
        self.unknown.extend(self.since_backup.take().unwrap_or_default());
        self.forgotten.extend(in_hand);
    }

    /// Whether the brokers cannot know how a component is.
    pub(crate) fn is_unknown(&self, install: usize, component: &str) -> bool {
        self.unknown.contains(&(install, component.to_owned()))
    }

    /// Whether the brokers need not know of a process.
    pub(crate) fn is_forgotten(&self, process: &Process) -> bool {
        self.forgotten.contains(&(process.job.clone(), process.attempt, process.fence))
    }

    /// What an attempt would change, as the world is now.
    pub(crate) fn plan(&self, install: usize, spec: &JobSpec) -> Plan {
        let thing = self.things.get(&(install, spec.component.clone())).cloned().unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        let made_of =
            (&thing.recipe, thing.exists, thing.drifted, spec.release.counter, spec.action.as_str());
        (install, &spec.component, &spec.inputs, made_of).hash(&mut hasher);
        let replaces = spec.release.counter.is_multiple_of(5) && spec.component == "database";
        let (replace, update) = if replaces { (1, 0) } else { (0, 1) };
        let changes = match (spec.action, thing.exists) {
            (Action::Destroy, _) => Changes { delete: 1, ..Changes::default() },
            (_, false) => Changes { create: 1, ..Changes::default() },
            (_, true) => Changes { replace, update, ..Changes::default() },
        };
        Plan {
            digest: format!("sha256:{:016x}", hasher.finish()),
            changes,
            list: vec![],
            more: 1,
            customer_approval_needed: spec.component == "database" && install % 3 == 2,
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
        if !process.mutates() {
            return;
        }
        if !self.is_forgotten(&process) {
            self.unknown.remove(&(install, process.component.clone()));
        }
        let needs = people::needs(process.release, &process.component);
        let recipe = people::recipe(process.release, &process.component);
        let thing = self.thing(install, &process.component);
        match process.action {
            Action::Deploy => {
                let (version, ill) = (version.to_owned(), thing.cured_by(process.release));
                *thing = Thing { exists: true, version, needs, recipe, ill, ..Thing::default() };
                self.made(&process);
            }
            Action::Destroy => *thing = Thing::default(),
            Action::Drift | Action::Adopt | Action::Run | Action::Health => {}
        }
    }

    /// The process is dead; what it has done so far stays.
    pub(crate) fn kill(&mut self, install: usize, pid: u64) {
        self.processes.remove(&(install, pid));
        self.touched.insert(install);
    }

    /// When a process began, if it is there.
    pub(crate) fn began_ms(&self, install: usize, pid: u64) -> Option<i64> {
        self.processes.get(&(install, pid)).map(|process| process.began_ms)
    }

    pub(crate) fn is_running(&self, install: usize, pid: u64) -> bool {
        self.processes.contains_key(&(install, pid))
    }
}
