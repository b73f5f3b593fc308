//! The committer: one thread that takes what waits, runs it as a batch, and lets the outcome out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remit_loops::{ObjectId, Timestamp};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::engine::Options;
use crate::engine::batch::{Batch, Input};
use crate::engine::cache::Cache;
use crate::engine::clock::Clock;
use crate::engine::intake::{Closed, Intake, Item};
use crate::engine::keys::OlderKeys;
use crate::engine::metrics::Counters;
use crate::engine::timers::Timers;
use crate::engine::watch::Watchers;
use crate::store::{Store, StoreError};

/// How long an idempotency key is kept, milliseconds: seven days.
const KEY_KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// How often old keys are looked for, milliseconds.
const EXPIRE_EVERY_MS: i64 = 60_000;
/// How many log rows one search for old keys goes through, so that it holds up nothing for long.
const EXPIRE_MAX: usize = 2_000;
/// When to give a tick again to an object that a tick did not move past its deadline, milliseconds.
const TICK_AGAIN_MS: i64 = 10_000;

/// What the committer and the engine's handles share.
pub(super) struct Shared {
    pub(super) intake: Intake,
    pub(super) cache: Cache,
    pub(super) watchers: Watchers,
    pub(super) counters: Counters,
    pub(super) clock: Clock,
    /// Becomes true when the committer has ended and the store is closed.
    pub(super) ended: watch::Sender<bool>,
}

/// What a batch will be about.
struct Work {
    due: Vec<ObjectId>,
    items: Vec<Item>,
    inbox_waits: bool,
    /// Nothing more will come in.
    closed: bool,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.due.is_empty() && self.items.is_empty() && !self.inbox_waits
    }
}

/// The thread's own things.
pub(super) struct Committer {
    store: Box<dyn Store>,
    shared: Arc<Shared>,
    options: Options,
    timers: Timers,
    older_keys: OlderKeys,
    /// The runtime that the engine was started in, if it was one.
    runtime: Option<Handle>,
    carried: Vec<Item>,
    inbox_waits: bool,
    expire_at: Timestamp,
}

impl Committer {
    /// Takes up what the store left: deadlines and notices of the last run.
    pub(super) fn new(
        store: Box<dyn Store>,
        shared: Arc<Shared>,
        options: Options,
    ) -> Result<Self, StoreError> {
        let reader = store.reader();
        let mut timers = Timers::default();
        for (at, id) in reader.deadlines()? {
            timers.set(&id, Some(at));
        }
        let inbox_waits = !reader.inbox()?.is_empty();
        Ok(Self {
            store,
            shared,
            options,
            timers,
            older_keys: OlderKeys::default(),
            runtime: Handle::try_current().ok(),
            carried: vec![],
            inbox_waits,
            expire_at: Timestamp(0),
        })
    }

    /// Works until the intake is closed and empty, or a commit fails.
    pub(super) fn run(mut self) {
        let _guard = EndGuard(self.shared.clone());
        while let Some(work) = self.wait_for_work() {
            if !self.work(work) {
                break;
            }
        }
        drop(self);
    }

    /// Does what waits now as one batch; false if nothing waits.
    pub(super) fn turn(&mut self) -> bool {
        let work = self.gather(Instant::now());
        !work.is_empty() && self.work(work)
    }

    /// When the next object wants a tick.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Waits for something to do; `None` when there will never be anything again.
    fn wait_for_work(&mut self) -> Option<Work> {
        loop {
            let idle = self.carried.is_empty() && !self.inbox_waits;
            let wait_ms = if idle { self.sleep_ms(self.shared.clock.now()) } else { 0 };
            let work = self.gather(Instant::now() + Duration::from_millis(wait_ms));
            if !work.is_empty() {
                return Some(work);
            }
            if work.closed {
                return None;
            }
        }
    }

    /// What there is to do now, or comes until then.
    fn gather(&mut self, until: Instant) -> Work {
        let mut items = std::mem::take(&mut self.carried);
        let room = self.options.batch_max.saturating_sub(items.len());
        let taken = self.shared.intake.take(room, until);
        items.extend(taken.items);
        let due = self.timers.due(self.shared.clock.now(), self.options.batch_max);
        Work { due, items, inbox_waits: self.inbox_waits, closed: taken.closed }
    }

    /// Runs a batch; false when the store has failed and nothing more is taken.
    fn work(&mut self, work: Work) -> bool {
        let Err(error) = self.batch(&work.due, work.items).and_then(|()| self.expire_keys()) else {
            return true;
        };
        tracing::error!(%error, code = error.code(), "the store failed; the engine takes nothing more");
        self.shared.intake.close(Closed::Failed(error.to_string()));
        self.fail_rest(&error);
        false
    }

    fn sleep_ms(&self, now: Timestamp) -> u64 {
        let max = self.shared.clock.sleep_ms_max();
        let wait = self.timers.next().map_or(max, |at| at.since_ms(now).min(max));
        u64::try_from(wait).unwrap_or_default()
    }

    fn batch(&mut self, due: &[ObjectId], items: Vec<Item>) -> Result<(), StoreError> {
        let began = Instant::now();
        let shared = self.shared.clone();
        let at = shared.clock.stamp();
        let size = items.len();
        let tx = match self.store.begin() {
            Ok(tx) => tx,
            Err(error) => {
                shared.intake.close(Closed::Failed(error.to_string()));
                items.into_iter().for_each(|item| item.fail(&error));
                return Err(error);
            }
        };
        let input =
            Input { at, inbox_waits: self.inbox_waits, due, items, notices_max: self.options.notices_max };
        match Batch::new(tx, &mut self.older_keys, &shared.cache, &shared.counters).run(input) {
            Ok(committed) => {
                shared.counters.committed(size, began.elapsed());
                let Shared { cache, counters, watchers, .. } = &*shared;
                let runtime = self.runtime.as_ref();
                let rest = committed.let_out(cache, counters, watchers, &mut self.timers, runtime);
                (self.inbox_waits, self.carried) = (rest.inbox_waits, rest.carried);
                self.slow_down(due, at);
                Ok(())
            }
            Err(failed) => {
                let error = failed.error.clone();
                // Closed before anybody hears of it: who is told of the failure finds the engine failed.
                shared.intake.close(Closed::Failed(error.to_string()));
                failed.answer();
                Err(error)
            }
        }
    }

    /// An object that still is due after its tick gets the next one later, not at once.
    fn slow_down(&mut self, ticked: &[ObjectId], at: Timestamp) {
        for id in ticked {
            if self.timers.of(id).is_some_and(|deadline| deadline <= at) {
                tracing::warn!(object = %id, "a tick did not move the object past its deadline");
                self.timers.set(id, Some(at.plus_ms(TICK_AGAIN_MS)));
            }
        }
    }

    fn expire_keys(&mut self) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        if now < self.expire_at {
            return Ok(());
        }
        let mut tx = self.store.begin()?;
        let seen = tx.expire_keys(Timestamp(now.0.saturating_sub(KEY_KEPT_MS)), EXPIRE_MAX)?;
        tx.commit()?;
        if seen < EXPIRE_MAX {
            self.expire_at = now.plus_ms(EXPIRE_EVERY_MS);
        }
        Ok(())
    }

    fn fail_rest(&mut self, error: &StoreError) {
        let rest = std::mem::take(&mut self.carried);
        let waiting = self.shared.intake.take(usize::MAX, Instant::now()).items;
        rest.into_iter().chain(waiting).for_each(|item| item.fail(error));
    }
}

/// However the committer ends, by a panic too: nothing more is taken, and whoever waits for the end hears of it.
pub(super) struct EndGuard(pub(super) Arc<Shared>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        let reason = "the committer ended unexpectedly; see the log".to_owned();
        let error = StoreError::Failed(reason.clone());
        self.0.intake.close(Closed::Failed(reason));
        self.0.intake.take(usize::MAX, Instant::now()).items.into_iter().for_each(|item| item.fail(&error));
        self.0.ended.send_replace(true);
    }
}
