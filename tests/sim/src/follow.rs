//! The model of lock, lease and fence beside the simulation: every step of an attempt that changes
//! something is one that the model can take, and then both are in the same state.

use std::collections::BTreeMap;

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
    is_off: bool,
    /// Steps that the models took.
    pub(crate) steps: u64,
    /// A step that a model would not take.
    pub(crate) wrong: Option<String>,
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
    /// From now on there is nothing to compare: the brokers' memory was put back.
    pub(crate) fn turn_off(&mut self) {
        self.is_off = true;
        self.parts.clear();
    }

    /// A step of one attempt, if the model knows the attempt.
    pub(crate) fn attempt(
        &mut self,
        install: usize,
        component: &str,
        fence: u64,
        action: impl Fn(u32) -> Action,
    ) {
        let Some(part) = self.parts.get_mut(&(install, component.to_owned())) else { return };
        let Some(fence) = part.fences.get(&fence).copied() else { return };
        let taken = part.take(action(fence));
        self.note(install, component, taken);
    }

    /// Something that happened to a host.
    pub(crate) fn host(&mut self, install: usize, action: Action) {
        if self.is_off {
            return;
        }
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
        let known = self.generations.insert(install, generation.max(1)).unwrap_or(1);
        (known..generation).for_each(|_| self.host(install, Action::Replace));
    }

    /// Compares with what the brokers hold now of an install's attempts.
    pub(crate) fn observe(&mut self, install: usize, jobs: &[JobView], cause: Cause) {
        if self.is_off {
            return;
        }
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
