//! The model of lock, lease and fence beside the simulation: every step of an attempt that changes
//! something is one that the model can take, and then both are in the same state.

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::job::Outcome;
use remit_loops::view::JobView;
use remit_model::action::Action;
use remit_model::design::Design;
use remit_model::state::{Message, Phase, Slot, State, Word};
use remit_model::step::step;

/// Why the brokers' word about attempts may just have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Signals and notices.
    #[default]
    Other,
    /// A runner asked to start.
    Asked { host: usize },
    /// A runner said a last word.
    Ended { generation: u64, fence: u64, word: Word },
    /// A person gave up what a former host had begun.
    Declared,
    /// Another host enrolled.
    Replaced,
}

/// The models of all components of all installs.
#[derive(Default)]
pub(crate) struct Follower {
    parts: BTreeMap<(usize, String), Part>,
    hosts: BTreeMap<usize, Vec<Action>>,
    generations: BTreeMap<usize, u64>,
    /// Installs of which there is nothing to compare: see `forget`.
    off: BTreeSet<usize>,
    /// Where an install's models began anew.
    bases: BTreeMap<usize, Base>,
    /// Steps that the models took.
    pub(crate) steps: u64,
    /// A step that a model would not take.
    pub(crate) wrong: Option<String>,
}

/// The first host of an install that its models know, and the generation before its.
#[derive(Clone, Copy, Default)]
struct Base {
    host: usize,
    generation: u64,
}

struct Part {
    state: State,
    /// The model's fence for each of production: there are others between them.
    fences: BTreeMap<u64, u32>,
    last: Vec<Action>,
}

/// The model's word for an outcome.
pub(crate) fn word(outcome: &Outcome) -> Word {
    match outcome {
        Outcome::Succeeded(_) => Word::Done,
        Outcome::Failed(_) | Outcome::Cancelled { .. } => Word::Failed,
    }
}

impl Follower {
    /// The brokers' memory was put back. They catch up with their runners by numbers that the model does not
    /// have; until an install has come to rest there is nothing to compare.
    pub(crate) fn forget(&mut self, installs: &[usize]) {
        let wrong = self.wrong.take();
        let (off, steps) = (installs.iter().copied().collect(), self.steps);
        *self = Self { off, steps, wrong, ..Self::default() };
    }

    /// Whether an install's steps are not compared.
    pub(crate) fn is_off(&self, install: usize) -> bool {
        self.off.contains(&install)
    }

    /// The install is at rest, this host is its only one, and nothing is in anybody's hands: from now on the
    /// models follow again.
    pub(crate) fn begin_anew(&mut self, install: usize, host: usize, generation: u64) {
        self.off.remove(&install);
        self.bases.insert(install, Base { host, generation: generation.saturating_sub(1) });
    }

    /// The action as the models of an install count hosts; none of a host that they do not know.
    fn local(&self, install: usize, mut action: Action) -> Option<Action> {
        let base = self.bases.get(&install).copied().unwrap_or_default();
        match &mut action {
            Action::Accept { host, .. }
            | Action::Refuse { host, .. }
            | Action::Look { host }
            | Action::Begin { host, .. }
            | Action::Ask { host, .. }
            | Action::GiveUp { host, .. }
            | Action::Spawn { host, .. }
            | Action::Finish { host, .. }
            | Action::Stop { host, .. }
            | Action::Say { host, .. }
            | Action::Settle { host, .. }
            | Action::OrphanEnds { host, .. }
            | Action::Crash { host }
            | Action::Restart { host }
            | Action::Copy { host }
            | Action::Terminate { host } => *host = host.checked_sub(base.host)?,
            Action::Offer
            | Action::Cancel
            | Action::LeaseExpires
            | Action::End { .. }
            | Action::DeclareLost
            | Action::Backup
            | Action::Restore
            | Action::Replace
            | Action::BreakLock => {}
        }
        Some(action)
    }

    fn local_cause(&self, install: usize, cause: Cause) -> Cause {
        let base = self.bases.get(&install).copied().unwrap_or_default();
        match cause {
            Cause::Asked { host } => Cause::Asked { host: host.saturating_sub(base.host) },
            Cause::Ended { generation, fence, word } => {
                Cause::Ended { generation: generation.saturating_sub(base.generation), fence, word }
            }
            Cause::Other | Cause::Declared | Cause::Replaced => cause,
        }
    }

    /// A step of one attempt, if the model knows the attempt.
    pub(crate) fn attempt(
        &mut self,
        install: usize,
        component: &str,
        fence: u64,
        action: impl Fn(u32) -> Action,
    ) {
        let key = (install, component.to_owned());
        let Some(fence) = self.parts.get(&key).and_then(|part| part.fences.get(&fence)) else { return };
        let Some(action) = self.local(install, action(*fence)) else { return };
        let Some(part) = self.parts.get_mut(&key) else { return };
        let taken = part.take(action);
        self.note(install, component, taken);
    }

    /// A runner says again how an attempt ended. One that it would not take before the brokers were put back
    /// is new to the model when it comes with the same name and fence: it is refused there now.
    pub(crate) fn says_again(&mut self, install: usize, component: &str, fence: u64, host: usize) {
        let Some(part) = self.parts.get(&(install, component.to_owned())) else { return };
        let (Some(fence_there), Some(Action::Restart { host: there })) =
            (part.fences.get(&fence), self.local(install, Action::Restart { host }))
        else {
            return;
        };
        let knows = |host: &remit_model::state::Host| {
            host.high >= *fence_there || host.journal.contains_key(fence_there)
        };
        if part.state.hosts.get(there).is_some_and(|host| !knows(host)) {
            self.attempt(install, component, fence, |fence| Action::Refuse { host, fence });
        }
    }

    /// Something that happened to a host.
    pub(crate) fn host(&mut self, install: usize, action: Action) {
        let Some(action) = self.local(install, action).filter(|_| !self.is_off(install)) else { return };
        // What happens before a component's first attempt is remembered for its model.
        self.hosts.entry(install).or_default().push(action);
        let range = (install, String::new())..(install + 1, String::new());
        let taken: Vec<_> =
            self.parts.range_mut(range).map(|((_, name), part)| (name.clone(), part.take(action))).collect();
        for (component, taken) in taken {
            self.note(install, &component, taken);
        }
    }

    /// Another generation speaks: its host is there.
    pub(crate) fn enrolled(&mut self, install: usize, generation: u64) {
        if self.is_off(install) {
            return;
        }
        let generation =
            generation.saturating_sub(self.bases.get(&install).map_or(0, |base| base.generation));
        let known = self.generations.insert(install, generation.max(1)).unwrap_or(1);
        (known..generation).for_each(|_| self.host(install, Action::Replace));
    }

    /// Compares with what the brokers hold now of an install's attempts.
    pub(crate) fn observe(&mut self, install: usize, jobs: &[JobView], cause: Cause) {
        if self.is_off(install) {
            return;
        }
        let cause = self.local_cause(install, cause);
        for job in jobs.iter().filter(|job| job.action.mutates()) {
            let key = (install, job.component.clone());
            if !self.parts.contains_key(&key) {
                let mut part = Part { state: State::new(), fences: BTreeMap::new(), last: vec![] };
                let known = self.hosts.get(&install).into_iter().flatten();
                let taken: Result<Vec<()>, String> = known.map(|action| part.take(*action)).collect();
                self.parts.insert(key, part);
                self.note(install, &job.component, taken.map(drop));
            }
        }
        let range = (install, String::new())..(install + 1, String::new());
        let names: Vec<String> = self.parts.range(range).map(|((_, name), _)| name.clone()).collect();
        for name in names {
            let job = jobs.iter().find(|job| job.action.mutates() && job.component == name);
            let Some(part) = self.parts.get_mut(&(install, name.clone())) else { continue };
            let taken = part.observe(job, cause);
            self.note(install, &name, taken);
        }
    }

    fn note(&mut self, install: usize, component: &str, taken: Result<(), String>) {
        self.steps += 1;
        if let (Err(words), None) = (taken, &self.wrong) {
            self.wrong = Some(format!("model: {component} of install {install}: {words}"));
        }
    }
}

impl Part {
    fn take(&mut self, action: Action) -> Result<(), String> {
        if self.last.len() == 30 {
            self.last.remove(0);
        }
        self.last.push(action);
        match step(&Design::HostLock.rules(), &self.state, action) {
            Some(next) => {
                self.state = next;
                self.forget();
                Ok(())
            }
            None => Err(format!("{action:?} is no step from {:?} after {:?}", self.state, self.last)),
        }
    }

    /// What is long over takes no part any more: a model of days stays as small as one of minutes.
    fn forget(&mut self) {
        let oldest = self.state.broker.fence.saturating_sub(8);
        let is_old = |fence: u32| fence <= oldest;
        self.state.net.retain(|message| match message {
            Message::Envelope { fence, .. } | Message::Answer { fence, .. } | Message::Last { fence, .. } => {
                !is_old(*fence)
            }
        });
        self.state.broker.words.retain(|fence, _| !is_old(*fence));
        self.state.seen.started.retain(|fence| !is_old(*fence));
        self.fences.retain(|_, fence| !is_old(*fence));
    }

    fn observe(&mut self, job: Option<&JobView>, cause: Cause) -> Result<(), String> {
        let before = self.state.broker.slot;
        let now = job.map(|job| (self.fences.get(&job.fence).copied(), phase(&job.state)));
        if let Some(slot) = before
            && now.is_none_or(|(fence, _)| fence != Some(slot.fence))
        {
            self.over(slot, cause)?;
        }
        if let Some(job) = job
            && !self.fences.contains_key(&job.fence)
        {
            self.take(Action::Offer)?;
            self.fences.insert(job.fence, self.state.broker.fence);
        }
        if let (Some(slot), Some((_, phase))) = (self.state.broker.slot, now) {
            match (slot.phase, phase) {
                (was, is) if was == is => {}
                (Phase::Offered, Phase::Running | Phase::Stopping) => {
                    let Cause::Asked { host } = cause else {
                        return Err(format!("attempt {} runs, and nobody asked: {cause:?}", slot.fence));
                    };
                    self.take(Action::Ask { host, fence: slot.fence })?;
                }
                (Phase::Running, Phase::Stopping) => self.take(Action::Cancel)?,
                (was, is) => return Err(format!("attempt {} was {was:?} and is {is:?}", slot.fence)),
            }
        }
        let now = job.and_then(|job| {
            self.fences.get(&job.fence).map(|fence| Slot { fence: *fence, phase: phase(&job.state) })
        });
        if self.state.broker.slot == now {
            return Ok(());
        }
        Err(format!("the model has {:?}, the brokers have {now:?} after {cause:?}", self.state.broker.slot))
    }

    /// The attempt is over for the brokers: by whose word?
    fn over(&mut self, slot: Slot, cause: Cause) -> Result<(), String> {
        let fence_of = |fence: u64| self.fences.get(&fence).copied();
        match cause {
            Cause::Ended { generation, fence, word } if fence_of(fence) == Some(slot.fence) => {
                let generation = u32::try_from(generation).unwrap_or(u32::MAX);
                self.take(Action::End { generation, fence: slot.fence, word })
            }
            Cause::Declared if slot.phase == Phase::Unconfirmed => self.take(Action::DeclareLost),
            _ if slot.phase == Phase::Offered => self.take(Action::Cancel),
            _ => Err(format!("attempt {} is over, and nobody said so: {cause:?}", slot.fence)),
        }
    }
}

fn phase(state: &str) -> Phase {
    match state {
        "offered" => Phase::Offered,
        "running" => Phase::Running,
        "stopping" => Phase::Stopping,
        _ => Phase::Unconfirmed,
    }
}
