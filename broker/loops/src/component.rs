//! The event loop of one component of one install: its attempts, retries and facts.
//!
//! It takes tasks from its install, makes attempts of them, tries again what may work the
//! next time, and says how it ended. A word about any attempt but the current one changes
//! nothing.

pub(crate) mod facts;
mod learn;
pub(crate) mod message;
mod view;

pub use facts::{Deployed, Drift, Facts, Removed, Settled};
pub use message::{Signal, Task, ToComponent};

use serde::{Deserialize, Serialize};

use crate::event::{Body, Effect, Event, record_at, wrong_kind};
use crate::id::ObjectId;
use crate::install::message::ToInstall;
use crate::job::{Action, AttemptId, Failure, FailureClass, Mode, Outcome};
use crate::notice::Notice;
use crate::rejected::{Rejected, RejectedCode};
use crate::runner::message::JobSpec;
use crate::runner::message::{Boot, ToRunner};
use crate::time::Timestamp;
use crate::timeline::Level;
use crate::wake::{self, Wake};

/// How many attempts a task gets when its failures may end by themselves.
pub const ATTEMPTS_MAX: u32 = 4;

/// How long it waits before the second, third and fourth attempt, milliseconds.
const BACKOFF_MS: [i64; 3] = [1_000, 5_000, 25_000];

/// A component of an install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    id: ObjectId,
    since: Timestamp,
    epoch: u64,
    /// Whether its facts are of the real world or of rehearsals; unknown before its first task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    facts: Facts,
    /// The task that changes it, if any.
    work: Option<Current>,
    /// The task that only looks, if any; never beside one that changes.
    read: Option<Current>,
    /// The last attempt made, so that no two ever have one name.
    last: Option<AttemptId>,
}

/// A task in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Current {
    task: Task,
    id: AttemptId,
    /// Attempts made of this task, this one among them.
    tries: u32,
    phase: Phase,
    since: Timestamp,
    /// The component was unfinished when the attempt began.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    was_unfinished: bool,
}

/// How far an attempt is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    /// The runner may take it.
    Offered,
    /// The runner is at it.
    Running,
    /// It failed; the next attempt comes at this time.
    BackingOff { until: Timestamp, failure: Failure },
    /// It was told to stop and has not said yet that it did.
    Stopping { reason: String },
}

impl Current {
    fn is_begun(&self) -> bool {
        match self.phase {
            Phase::Running | Phase::Stopping { .. } => true,
            Phase::Offered | Phase::BackingOff { .. } => false,
        }
    }
}

impl Component {
    pub(crate) fn new(id: ObjectId) -> Self {
        let facts = Facts::default();
        Self { id, since: Timestamp(0), epoch: 0, mode: None, facts, work: None, read: None, last: None }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.epoch > 0
    }

    pub(crate) fn wake(&self) -> Option<(Timestamp, Wake)> {
        let wakes = |current: &Current| {
            let begin_by = current.task.begin_by;
            match current.phase {
                Phase::BackingOff { until, .. } => [(Some(until), Wake::Retry), (begin_by, Wake::BeginBy)],
                Phase::Offered => [(None, Wake::Retry), (begin_by, Wake::BeginBy)],
                Phase::Running | Phase::Stopping { .. } => [(None, Wake::Retry), (None, Wake::BeginBy)],
            }
        };
        wake::first(self.current().flat_map(wakes))
    }

    fn current(&self) -> impl Iterator<Item = &Current> {
        self.work.iter().chain(self.read.iter())
    }

    pub(crate) fn apply(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        match &event.body {
            Body::Notice(Notice::Component(notice)) => self.notice(event.at, notice),
            Body::Signal(crate::event::Signal::Component(Signal::RetryNow {})) => self.retry_now(event.at),
            Body::Tick => Ok(self.tick(event.at)),
            Body::Signal(_)
            | Body::Report(_)
            | Body::Notice(
                Notice::Parent(_)
                | Notice::Child(_)
                | Notice::App(_)
                | Notice::Install(_)
                | Notice::Runner(_),
            ) => Err(wrong_kind(&self.id, event)),
        }
    }

    fn notice(&mut self, at: Timestamp, notice: &ToComponent) -> Result<Vec<Effect>, Rejected> {
        match notice {
            ToComponent::Do(task) => self.start(at, task),
            ToComponent::Stop { operation, reason } => Ok(self.stop(at, *operation, reason)),
            ToComponent::JobStarted(id) => self.started(at, id),
            ToComponent::JobEnded { attempt, outcome, ran_by } => {
                self.ended(at, attempt, outcome, ran_by.as_ref())
            }
        }
    }

    fn start(&mut self, at: Timestamp, task: &Task) -> Result<Vec<Effect>, Rejected> {
        if task.epoch < self.epoch {
            return Err(Rejected::new(RejectedCode::Stale, "the task is of an install that is gone"));
        }
        if task.epoch > self.epoch {
            self.begin_epoch(at, task.epoch);
        }
        if let Some(current) = self.work.as_ref() {
            if !task.is_work() {
                return Ok(vec![self.tell_install(task.operation, cancelled("a change is under way"))]);
            }
            let message = format!("operation {} is at it", current.task.operation);
            return Err(Rejected::new(RejectedCode::Conflict, message));
        }
        // Work is never held up by a look: the look ends, the runner serialises the rest.
        let mut effects = self.read.take().map(|read| self.abandon(&read)).unwrap_or_default();
        if self.mode.replace(task.mode).is_some_and(|before| before != task.mode) {
            // It was promoted: what was rehearsed is not there.
            self.facts = Facts::default();
        }
        let current = self.attempt(at, task.clone(), 1);
        effects.extend(self.offer(at, &current));
        self.take_up(current);
        if task.mutates() {
            self.facts.settled = None;
        }
        Ok(effects)
    }

    fn begin_epoch(&mut self, at: Timestamp, epoch: u64) {
        let id = self.id.clone();
        *self = Self { epoch, since: at, ..Self::new(id) };
    }

    /// Mints the next attempt; its name is used once in the life of the component.
    fn attempt(&mut self, at: Timestamp, task: Task, tries: u32) -> Current {
        let job = AttemptId::job_of(&self.id, self.epoch, task.operation, task.action);
        let attempt = match &self.last {
            Some(last) if last.is_beside(&job) => last.attempt + 1,
            Some(_) | None => 1,
        };
        let id = AttemptId { job, attempt };
        self.last = Some(id.clone());
        Current { task, id, tries, phase: Phase::Offered, since: at, was_unfinished: self.facts.unfinished }
    }

    fn offer(&self, at: Timestamp, current: &Current) -> Option<Effect> {
        let task = &current.task;
        let deployed = self.facts.deployed.as_ref().map(|deployed| deployed.at);
        let play = task.play.as_ref().filter(|_| task.mode == Mode::Sandbox);
        let spec = JobSpec {
            id: current.id.clone(),
            component: self.id.name().to_owned(),
            action: task.action,
            kind: task.kind.clone(),
            mode: task.mode,
            release: task.release.clone(),
            inputs: task.inputs.clone(),
            longest_run_ms: task.longest_run_ms,
            act: play.map(|play| play.act(&current.id, at, deployed)),
            begin_by: task.begin_by,
            stage: task.stage.clone(),
            command: task.command.clone(),
            glass: task.glass.clone(),
        };
        self.tell_runner(Notice::Runner(ToRunner::Offer(spec)))
    }

    fn abandon(&self, read: &Current) -> Vec<Effect> {
        let reason = "a change is about to start";
        let revoke = self.tell_runner(Notice::Runner(ToRunner::Revoke {
            attempt: read.id.clone(),
            reason: reason.into(),
        }));
        let ended = self.tell_install(read.task.operation, cancelled(reason));
        revoke.into_iter().chain([ended]).collect()
    }

    fn stop(&mut self, at: Timestamp, operation: u64, reason: &str) -> Vec<Effect> {
        let of_operation = |c: &Current| c.task.operation == operation;
        let slot = match (&self.work, &self.read) {
            (Some(work), _) if of_operation(work) => &mut self.work,
            (_, Some(read)) if of_operation(read) => &mut self.read,
            (Some(_) | None, Some(_) | None) => return vec![],
        };
        let Some(current) = slot else { return vec![] };
        match current.phase {
            Phase::Offered | Phase::Running => {
                current.phase = Phase::Stopping { reason: reason.to_owned() };
                current.since = at;
                let revoke = Notice::Runner(ToRunner::Revoke {
                    attempt: current.id.clone(),
                    reason: reason.to_owned(),
                });
                self.tell_runner(revoke).into_iter().collect()
            }
            Phase::BackingOff { .. } => {
                *slot = None;
                vec![self.tell_install(operation, cancelled(reason))]
            }
            Phase::Stopping { .. } => vec![],
        }
    }

    /// The task in hand whose current attempt this is.
    fn slot(&mut self, id: &AttemptId) -> Result<&mut Option<Current>, Rejected> {
        // While it backs off, the attempt it had is over: a second word about it comes too late.
        let is_it = |slot: &Option<Current>| {
            slot.as_ref().is_some_and(|c| c.id == *id && !matches!(c.phase, Phase::BackingOff { .. }))
        };
        if is_it(&self.work) {
            Ok(&mut self.work)
        } else if is_it(&self.read) {
            Ok(&mut self.read)
        } else {
            let message = format!("attempt {} of {} is not the current one", id.attempt, id.job);
            Err(Rejected::new(RejectedCode::Stale, message))
        }
    }

    fn started(&mut self, at: Timestamp, id: &AttemptId) -> Result<Vec<Effect>, Rejected> {
        let Some(current) = self.slot(id)? else { return Ok(vec![]) };
        if current.phase == Phase::Offered {
            current.phase = Phase::Running;
            current.since = at;
        }
        let (operation, mutates) = (current.task.operation, current.task.mutates());
        let deploys = mutates && current.task.action == Action::Deploy;
        self.facts.may_exist |= deploys;
        self.facts.removed = self.facts.removed.take().filter(|_| !deploys);
        self.facts.unfinished |= mutates;
        Ok(vec![self.tell(Notice::Install(ToInstall::TaskStarted { operation, attempt: id.attempt }))])
    }

    fn ended(
        &mut self,
        at: Timestamp,
        id: &AttemptId,
        outcome: &Outcome,
        ran_by: Option<&Boot>,
    ) -> Result<Vec<Effect>, Rejected> {
        let slot = self.slot(id)?;
        let Some(mut current) = slot.take() else { return Ok(vec![]) };
        match outcome {
            Outcome::Succeeded(success) => {
                self.learn(at, &current, success, ran_by);
                Ok(vec![self.tell_install(current.task.operation, outcome.clone())])
            }
            Outcome::Failed(failure) => {
                if let Phase::Stopping { reason } = &current.phase {
                    return Ok(vec![self.tell_install(current.task.operation, cancelled(reason))]);
                }
                if failure.class == FailureClass::Refused {
                    // Nothing of it was begun, not even where the runner found that only at the last moment.
                    self.facts.unfinished = current.was_unfinished;
                }
                let wait_ms = BACKOFF_MS.get(current.tries as usize - 1);
                match wait_ms {
                    Some(wait_ms) if current.task.is_retryable(failure) && current.tries < ATTEMPTS_MAX => {
                        let until = at.plus_ms(*wait_ms);
                        current.phase = Phase::BackingOff { until, failure: failure.clone() };
                        current.since = at;
                        let entry = retry_entry(&current, failure, *wait_ms);
                        self.take_up(current);
                        Ok(vec![entry])
                    }
                    Some(_) | None => Ok(vec![self.tell_install(current.task.operation, outcome.clone())]),
                }
            }
            Outcome::Cancelled { .. } => Ok(vec![self.tell_install(current.task.operation, outcome.clone())]),
        }
    }

    fn take_up(&mut self, current: Current) {
        if current.task.is_work() { self.work = Some(current) } else { self.read = Some(current) }
    }

    fn tick(&mut self, at: Timestamp) -> Vec<Effect> {
        let due = |slot: &Option<Current>| {
            slot.as_ref().is_some_and(|c| matches!(c.phase, Phase::BackingOff { until, .. } if until <= at))
        };
        let mut effects = self.give_back(at);
        for which in [due(&self.work).then_some(true), due(&self.read).then_some(false)].into_iter().flatten()
        {
            let slot = if which { &mut self.work } else { &mut self.read };
            let Some(current) = slot.take() else { continue };
            let next = self.attempt(at, current.task, current.tries + 1);
            effects.extend(self.offer(at, &next));
            self.take_up(next);
        }
        effects
    }

    /// Gives back what has not begun when its time is over: it waits for another.
    fn give_back(&mut self, at: Timestamp) -> Vec<Effect> {
        let is_over = |c: &&Current| c.task.begin_by.is_some_and(|by| by <= at) && !c.is_begun();
        let over: Vec<u64> = self.current().filter(is_over).map(|c| c.task.operation).collect();
        over.into_iter().flat_map(|operation| self.stop(at, operation, "its time to begin is over")).collect()
    }

    fn retry_now(&mut self, at: Timestamp) -> Result<Vec<Effect>, Rejected> {
        let Some((until, _)) = self.wake() else {
            return Err(Rejected::new(
                RejectedCode::Conflict,
                format!("{} is not waiting to try again", self.id),
            ));
        };
        Ok(self.tick(at.max(until)))
    }

    fn tell(&self, notice: Notice) -> Effect {
        let to = self.id.parent().expect("a component's id always has an install above it");
        Effect::Tell { to, notice }
    }

    fn tell_install(&self, operation: u64, outcome: Outcome) -> Effect {
        self.tell(Notice::Install(ToInstall::TaskEnded { operation, outcome, facts: self.facts.clone() }))
    }

    fn tell_runner(&self, notice: Notice) -> Option<Effect> {
        self.id.runner().map(|to| Effect::Tell { to, notice })
    }
}

fn cancelled(message: &str) -> Outcome {
    Outcome::Cancelled { message: message.to_owned() }
}

fn retry_entry(current: &Current, failure: &Failure, wait_ms: i64) -> Effect {
    let text = format!(
        "attempt {} of {} failed ({}): {}; the next comes in {} s",
        current.id.attempt,
        current.task.action.as_str(),
        failure.code,
        failure.message,
        wait_ms / 1_000
    );
    record_at(Level::Warning, "attempt.failed", text)
}
