//! The committer: one thread that takes what waits, runs it as a batch, and lets the outcome out.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use remit_loops::{Kind, Object, ObjectId, Timestamp};
use tokio::runtime::Handle;

use crate::engine::Options;
use crate::engine::batch::{Batch, Input};
use crate::engine::codec;
use crate::engine::committed::{Failed, Held};
use crate::engine::intake::{Closed, Intake, Item};
use crate::engine::keys::OlderKeys;
use crate::engine::metrics::count;
use crate::engine::shared::Shared;
use crate::engine::timers::Timers;
use crate::store::{Reader, Store, StoreError};

/// How long an idempotency key is kept, milliseconds: seven days.
const KEY_KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// How often old keys are looked for, milliseconds.
const EXPIRE_EVERY_MS: i64 = 60_000;
/// How many log rows one search for old keys goes through, so that it holds up nothing for long.
const EXPIRE_MAX: usize = 2_000;
/// When to give a tick again to an object that a tick did not move past its deadline, milliseconds.
const TICK_AGAIN_MS: i64 = 10_000;

/// How often a broker that shares its database looks for what another has left, milliseconds.
const LOOK_EVERY_MS: i64 = 1_000;
/// So long overdue, a tick was left by a broker that is gone, milliseconds.
const LEFT_AFTER_MS: i64 = 2_000;
/// When to try again what another broker held, milliseconds.
const HELD_AGAIN_MS: i64 = 5;
/// How often a batch is run again at once when another broker was faster.
const CONFLICTS_MAX: u32 = 8;
/// How many orgs are read at once.
const ORGS_PAGE: usize = 100;
/// When to go on after the store was away, milliseconds.
const AWAY_AGAIN_MS: i64 = 200;

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
    reader: Arc<dyn Reader>,
    shared: Arc<Shared>,
    options: Options,
    timers: Timers,
    older_keys: OlderKeys,
    /// The runtime that the engine was started in, if it was one.
    runtime: Option<Handle>,
    carried: Vec<Item>,
    /// From when on the inbox is to be looked at, if it is.
    inbox_at: Option<Timestamp>,
    /// When to look for what other brokers left; never, if there are none.
    look_at: Option<Timestamp>,
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
        weigh_orgs(&*reader, &shared.intake)?;
        let mut timers = Timers::default();
        let (inbox_at, look_at) = match &shared.peers {
            Some(_) => (None, Some(Timestamp(0))),
            None => {
                for (at, id) in reader.deadlines(Timestamp(i64::MAX), usize::MAX)? {
                    timers.set(&id, Some(at));
                }
                ((!reader.inbox()?.is_empty()).then_some(Timestamp(0)), None)
            }
        };
        Ok(Self {
            store,
            reader,
            shared,
            options,
            timers,
            older_keys: OlderKeys::default(),
            runtime: Handle::try_current().ok(),
            carried: vec![],
            inbox_at,
            look_at,
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
            let wait_ms = if self.carried.is_empty() { self.sleep_ms(self.shared.clock.now()) } else { 0 };
            let work = self.gather(Instant::now() + Duration::from_millis(wait_ms));
            if !work.is_empty() {
                return Some(work);
            }
            if work.closed {
                return None;
            }
        }
    }

    fn sleep_ms(&self, now: Timestamp) -> u64 {
        let max = self.shared.clock.sleep_ms_max();
        let next = [self.timers.next(), self.inbox_at, self.look_at].into_iter().flatten().min();
        let wait = next.map_or(max, |at| at.since_ms(now).min(max));
        u64::try_from(wait).unwrap_or_default()
    }

    /// What there is to do now, or comes until then.
    fn gather(&mut self, until: Instant) -> Work {
        let mut items = std::mem::take(&mut self.carried);
        let room = self.options.batch_max.saturating_sub(items.len());
        let taken = self.shared.intake.take(room, until);
        items.extend(taken.items);
        let now = self.shared.clock.now();
        let mut due = self.timers.due(now, self.options.batch_max);
        if self.look_at.is_some_and(|at| at <= now) {
            self.look_at = Some(now.plus_ms(LOOK_EVERY_MS));
            self.inbox_at = Some(now);
            due.extend(self.left_behind(now));
        }
        let inbox_waits = self.inbox_at.is_some_and(|at| at <= now);
        Work { due, items, inbox_waits, closed: taken.closed }
    }

    /// Objects whose tick no other broker has given them. A store that is away is found out by the batch.
    fn left_behind(&self, now: Timestamp) -> Vec<ObjectId> {
        let found = self.reader.deadlines(now.plus_ms(-LEFT_AFTER_MS), self.options.batch_max);
        found.unwrap_or_default().into_iter().map(|(_, id)| id).collect()
    }

    /// Runs a batch; false when the store has failed and nothing more is taken.
    fn work(&mut self, work: Work) -> bool {
        let Err(error) = self.batch(work).and_then(|()| self.expire_keys()) else { return true };
        if error.is_passing() {
            return true;
        }
        tracing::error!(%error, code = error.code(), "the store failed; the engine takes nothing more");
        self.shared.intake.close(Closed::Failed(error.to_string()));
        self.fail_rest(&error);
        false
    }

    /// Runs a batch, again if another broker was faster.
    fn batch(&mut self, mut work: Work) -> Result<(), StoreError> {
        for tries in 1.. {
            let Err(failed) = self.attempt(&mut work) else {
                self.shared.store_is_away.store(false, Ordering::Release);
                return Ok(());
            };
            let error = failed.error.clone();
            // It was told of keys that were not stored, with places that nobody has: it is asked for anew.
            self.older_keys = OlderKeys::default();
            if matches!(error, StoreError::Conflict(_)) && tries < CONFLICTS_MAX {
                count(&self.shared.counters.conflicts);
                work.items = failed.into_items();
                continue;
            }
            if error.is_passing() {
                self.put_off(&work.due, &error);
            } else {
                // Closed before anybody hears of it: who is told of the failure finds the engine failed.
                self.shared.intake.close(Closed::Failed(error.to_string()));
            }
            failed.answer();
            return Err(error);
        }
        Ok(())
    }

    /// The store is away: what came by itself is done later, what somebody asked for they must ask again.
    fn put_off(&mut self, due: &[ObjectId], error: &StoreError) {
        if !self.shared.store_is_away.swap(true, Ordering::AcqRel) {
            tracing::warn!(%error, "the store is away");
        }
        let again = self.shared.clock.now().plus_ms(AWAY_AGAIN_MS);
        due.iter().for_each(|id| self.timers.set(id, Some(again)));
        self.inbox_at = self.inbox_at.map(|_| again);
    }

    fn attempt(&mut self, work: &mut Work) -> Result<(), Failed> {
        let began = Instant::now();
        let shared = self.shared.clone();
        let items = std::mem::take(&mut work.items);
        let size = items.len();
        let tx = match self.store.begin() {
            Ok(tx) => tx,
            Err(error) => return Err(Failed::new(error, Held { carried: items, ..Held::default() })),
        };
        let input = Input {
            inbox_waits: work.inbox_waits,
            due: &work.due,
            items,
            notices_max: self.options.notices_max,
        };
        let committed = Batch::new(tx, &mut self.older_keys, &shared).run(input)?;
        shared.counters.committed(size, began.elapsed());
        let rest = committed.let_out(&shared, &mut self.timers, self.runtime.as_ref());
        self.carried = rest.carried;
        self.inbox_at = match (rest.inbox_waits, rest.passed_over) {
            (true, _) => Some(Timestamp(0)),
            (false, true) => Some(shared.clock.now().plus_ms(HELD_AGAIN_MS)),
            (false, false) => self.inbox_at.filter(|_| !work.inbox_waits),
        };
        self.slow_down(&work.due, shared.clock.now());
        Ok(())
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

/// What each org may give a turn. Nearly all give one, and do not say so: theirs need not be decoded,
/// which for orgs with a thousand apps would take longer than all the rest of a start.
fn weigh_orgs(reader: &dyn Reader, intake: &Intake) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let page = reader.list(Kind::Org, None, after.as_ref(), ORGS_PAGE)?;
        for stored in page.iter().filter(|stored| says_weight(&stored.state)) {
            if let (Object::Org(org), _) = codec::decode_read(stored, reader)? {
                intake.weigh(stored.id.org_name(), org.quotas().weight);
            }
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last.id),
            None => return Ok(()),
        }
    }
}

/// Whether an encoded org says what it weighs. One that holds the word for another reason is decoded in vain.
fn says_weight(state: &[u8]) -> bool {
    const WORD: &[u8] = br#""weight""#;
    state.windows(WORD.len()).any(|window| window == WORD)
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
