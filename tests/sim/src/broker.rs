//! The vendor's side of the simulation: production engines over one store that outlives them.
//! An engine runs only when it is told to, and dies when it is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, Waker};

use remit_broker::engine::{ClockSource, Driver, Engine, Options, Submission, SubmitError};
use remit_broker::store::{MemoryStore, Store};
use remit_loops::{Object, ObjectId, RejectedCode, Timestamp};

use crate::bugs::Bug;
use crate::store::{Crash, Door};

/// The most turns that one event may lead to; more is a loop.
const TURNS_MAX: usize = 100_000;

/// What the sender of an event learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Duplicate,
    Rejected(RejectedCode),
    /// The connection broke: it may have been stored or not.
    Unknown,
}

/// One engine, with what drives it.
struct Running {
    engine: Engine,
    driver: Driver,
}

pub(crate) struct Broker {
    door: Door,
    engines: Vec<Option<Running>>,
    clock: Arc<AtomicI64>,
    options: Options,
    /// How far the brokers' clock is off, milliseconds.
    pub(crate) skew_ms: i64,
    /// All objects as they were committed last.
    pub(crate) objects: BTreeMap<ObjectId, Object>,
    /// Signals whose senders were told yes, and the place of the event: kept outside the broker.
    pub(crate) acknowledged: BTreeMap<(ObjectId, String), u64>,
    pub(crate) down_until_ms: i64,
    /// Objects changed since this was emptied last.
    pub(crate) touched: BTreeSet<ObjectId>,
    /// An engine went round and round.
    pub(crate) is_stuck: bool,
    backup: Option<MemoryStore>,
}

impl Broker {
    /// So many engines, whose batches carry at most so many notices.
    pub(crate) fn new(engines: usize, notices_max: usize, bug: Option<Bug>) -> Self {
        let clock = Arc::new(AtomicI64::new(0));
        let options = Options {
            notices_max,
            // Small, so that states are read back from the store as well.
            cache_bytes_max: 64 << 10,
            clock: ClockSource::Manual(clock.clone()),
            ..Options::default()
        };
        Self {
            door: Door::new(engines > 1, bug),
            engines: (0..engines).map(|_| None).collect(),
            clock,
            options,
            skew_ms: 0,
            objects: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            down_until_ms: 0,
            touched: BTreeSet::new(),
            is_stuck: false,
            backup: None,
        }
    }

    pub(crate) fn is_up(&self, now_ms: i64) -> bool {
        now_ms >= self.down_until_ms
    }

    pub(crate) fn engines(&self) -> usize {
        self.engines.len()
    }

    pub(crate) fn object(&self, id: &ObjectId) -> Object {
        self.objects.get(id).cloned().unwrap_or_else(|| Object::new(id))
    }

    pub(crate) fn notes(&self) -> std::sync::MutexGuard<'_, crate::store::Notes> {
        self.door.notes()
    }

    /// One submission to one of the engines: decided, committed, and only then answered.
    pub(crate) fn submit(&mut self, now_ms: i64, which: usize, event: Submission, crash: Crash) -> Answer {
        self.set_clock(now_ms);
        let keyed = event.key.as_ref().map(|key| (event.to.clone(), key.clone()));
        self.start(which);
        self.notes().crash = crash;
        let Some(Running { engine, driver }) = &mut self.engines[which] else { return Answer::Unknown };
        let engine = engine.clone();
        let mut submitted = pin!(engine.submit(event));
        let mut context = Context::from_waker(Waker::noop());
        let mut turns = 0;
        let answered = loop {
            if let Poll::Ready(answered) = submitted.as_mut().poll(&mut context) {
                break answered;
            }
            driver.turn();
            turns += 1;
            if turns > TURNS_MAX {
                self.is_stuck = true;
                return Answer::Unknown;
            }
        };
        let answer = match answered {
            Ok(accepted) => {
                if let Some(keyed) = keyed {
                    self.acknowledged.entry(keyed).or_insert(accepted.seq);
                }
                if accepted.duplicate { Answer::Duplicate } else { Answer::Accepted }
            }
            Err(SubmitError::Rejected(rejected)) => Answer::Rejected(rejected.code),
            Err(
                SubmitError::Busy { .. }
                | SubmitError::Stopping
                | SubmitError::Unavailable(_)
                | SubmitError::Store(_),
            ) => Answer::Unknown,
        };
        let died = crash != Crash::None && self.notes().crash == Crash::None;
        if died {
            self.engines[which] = None;
        }
        self.run(now_ms);
        answer
    }

    /// Lets every engine do what waits: ticks that are due, notices of earlier batches.
    pub(crate) fn run(&mut self, now_ms: i64) {
        self.set_clock(now_ms);
        for which in 0..self.engines.len() {
            self.start(which);
            let Some(Running { driver, .. }) = &mut self.engines[which] else { continue };
            let turns = (0..TURNS_MAX).take_while(|_| driver.turn()).count();
            self.is_stuck |= turns == TURNS_MAX;
        }
        self.notes().crash = Crash::None;
        self.look();
    }

    fn set_clock(&self, now_ms: i64) {
        self.clock.store(now_ms + self.skew_ms, Ordering::Release);
        if self.engines.len() > 1 {
            self.notes().clock = Some(Timestamp(now_ms + self.skew_ms));
        }
    }

    fn start(&mut self, which: usize) {
        if self.engines[which].is_none() {
            let started = Engine::driven(Box::new(self.door.clone()), self.options.clone());
            self.engines[which] = started.ok().map(|(engine, driver)| Running { engine, driver });
        }
    }

    /// An engine's process dies.
    pub(crate) fn kill(&mut self, which: usize) {
        self.engines[which] = None;
    }

    /// Learns what was committed.
    fn look(&mut self) {
        let touched = std::mem::take(&mut self.notes().touched);
        let reader = Store::reader(&self.door.inner);
        for id in touched {
            if let Ok(Some(stored)) = reader.object(&id)
                && let Ok(object) = serde_json::from_slice(&stored.state)
            {
                self.objects.insert(id.clone(), object);
            }
            self.touched.insert(id);
        }
    }

    /// Keeps a copy of all that is stored.
    pub(crate) fn back_up(&mut self) {
        self.backup = Some(self.door.inner.backup());
    }

    /// Puts the copy back, if there is one. What was accepted since then is gone, and everybody knows.
    pub(crate) fn restore(&mut self) -> bool {
        let Some(store) = self.backup.take() else { return false };
        self.engines.iter_mut().for_each(|engine| *engine = None);
        self.door.inner = store;
        let reader = Store::reader(&self.door.inner);
        let end = reader.log_end().map_or(0, |end| end.seq);
        self.acknowledged.retain(|_, seq| *seq <= end);
        {
            let mut notes = self.door.notes();
            notes.keys.retain(|_, seq| *seq <= end);
            notes.meant.retain(|_, seq| *seq <= end);
            notes.newest.clear();
            notes.last = reader.log_end().map_or(Timestamp(0), |end| end.at);
        }
        let ids: Vec<ObjectId> = self.objects.keys().cloned().collect();
        for id in ids {
            match reader.object(&id).ok().flatten().map(|stored| serde_json::from_slice(&stored.state)) {
                Some(Ok(object)) => drop(self.objects.insert(id.clone(), object)),
                Some(Err(_)) | None => drop(self.objects.remove(&id)),
            }
            self.touched.insert(id);
        }
        true
    }
}
