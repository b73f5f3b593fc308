//! One change at a time to a component: a queue in this process, and a record where all runners of
//! the install see it.
//!
//! The record keeps the greatest fence, and an attempt with one that is not greater is refused. It never
//! times out: it is freed when nothing of its holder runs any more, and taken over only when that is
//! proven, or when the customer has signed that the holder is gone.

pub mod backend;
pub mod kubernetes;
pub mod owner;
pub mod record;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::backoff::Backoff;
use crate::error::Coded;
use crate::outcome::Attempt;
use crate::process::confine::cgroup;
use crate::process::{Mark, end_all};
use crate::storage::data_dir::DataDir;
use backend::{Found, Place, Unwritten, Version};
use owner::{Owner, Verdict};
use record::{Phase, Record};

/// How often a record is looked at again after a write whose end is not known, or that came too late.
const TRIES: u32 = 5;

/// Why the lock was not given, or is not what it was.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An attempt with this fence or a later one held it before.
    #[error("fence {offered} is not above {held}, which held the lock of `{component}` before")]
    Stale {
        /// The component.
        component: String,
        /// The attempt's.
        offered: u64,
        /// The record's.
        held: u64,
    },
    /// Somebody holds it who is not proven to be gone.
    #[error("the lock of `{}` is held by {}, for {}, since {}", .0.component, .0.owner, .0.attempt, view::when(.0.since_ms))]
    Elsewhere(Box<Record>),
    /// It was taken away from its holder.
    #[error("the lock of `{}` was taken over by {}, for {}", .0.component, .0.owner, .0.attempt)]
    Lost(Box<Record>),
    /// The record cannot be read or written.
    #[error("the lock record {place} cannot be used")]
    Io {
        /// Where.
        place: String,
        /// Why.
        source: io::Error,
        /// What to look at.
        hint: String,
    },
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Stale { .. } => "runner.fence_stale",
            Error::Elsewhere(_) => "runner.lock_held",
            Error::Lost(_) => "runner.lock_lost",
            Error::Io { .. } => "runner.lock_io",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Stale { .. } => "nothing to do: the next attempt has a greater fence".to_owned(),
            Error::Elsewhere(record) => format!(
                "it goes on by itself when the holder is done; if that machine is gone for good, the customer says so: \
                 remit-runner break-lock {} --key customer.key",
                record.holding()
            ),
            Error::Lost(_) => "look at what that other runner did; the next attempt waits for it".to_owned(),
            Error::Io { hint, .. } => hint.clone(),
        }
    }
}

/// The locks of all components.
#[derive(Debug)]
pub struct Locks {
    place: Place,
    me: Owner,
    generation: u64,
    queues: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    seen: Seen,
}

/// The newest record of each component that this process has read or written.
type Seen = Arc<Mutex<BTreeMap<String, Record>>>;

/// A component's turn in this process: nobody else in it takes or holds the component meanwhile.
#[derive(Debug)]
pub struct Turn<'a> {
    locks: &'a Locks,
    component: String,
    guard: Arc<OwnedMutexGuard<()>>,
}

/// A component's lock, held. Dropping it frees the component in this process; `release` also says so in the
/// record.
#[derive(Debug)]
pub struct Held {
    place: Place,
    seen: Seen,
    record: Record,
    version: Version,
    _guard: Arc<OwnedMutexGuard<()>>,
}

impl Locks {
    /// The locks in this data directory.
    pub fn new(dir: &DataDir) -> Self {
        Self::at(Place::folder(dir), Owner::this(dir.id()), 0)
    }

    /// The locks in a place, for this process of a runner of this generation.
    pub fn at(place: Place, me: Owner, generation: u64) -> Self {
        Self { place, me, generation, queues: Mutex::default(), seen: Seen::default() }
    }

    /// Waits until nobody else in this process has the component.
    pub async fn turn(&self, component: &str) -> Turn<'_> {
        let queue = {
            let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
            queues.entry(component.to_owned()).or_default().clone()
        };
        let guard = Arc::new(queue.lock_owned().await);
        Turn { locks: self, component: component.to_owned(), guard }
    }

    /// Waits for the component in this process, then takes it, if no other holds it.
    pub async fn take(&self, component: &str, attempt: &Attempt, seq: u64) -> Result<Held, Error> {
        self.turn(component).await.take(attempt, (seq, 0), |_| false).await
    }

    /// Says in the record that an attempt of an earlier process of this runner, which is proven to be gone, holds
    /// the component no more.
    pub async fn free(&self, component: &str, attempt: &Attempt) -> Result<(), Error> {
        let turn = self.turn(component).await;
        let Some(Found { record, version }) = self.read(component).await? else { return Ok(()) };
        let own = record.owner.runner.is_empty() || record.owner.runner == self.me.runner;
        if !own || record.attempt != *attempt || !record.is_held() {
            return Ok(());
        }
        turn.hold(record, version).release().await
    }

    /// The greatest sequence number and fence of any record seen, of those that still count where numbers are
    /// counted since then: a broker that knows less is told.
    pub fn high(&self, since_ms: i64) -> (u64, u64) {
        let seen = lock(&self.seen);
        let counts = seen.values().filter(|record| record.counted_ms >= since_ms);
        counts.fold((0, 0), |(seq, fence), r| (seq.max(r.seq), fence.max(r.attempt.fence)))
    }

    async fn read(&self, component: &str) -> Result<Option<Found>, Error> {
        let found = self.place.read(component).await.map_err(|e| unusable(&self.place, component, e))?;
        if let Some(found) = &found {
            note(&self.seen, &found.record);
        }
        Ok(found)
    }
}

impl Turn<'_> {
    /// Takes it with a strictly greater fence, by its sequence number and since when its fence is counted; durable
    /// when it returns. `broken` says of a holding whether the
    /// customer has signed that its holder is gone.
    pub async fn take(
        &self,
        attempt: &Attempt,
        counted: (u64, i64),
        broken: impl Fn(&str) -> bool,
    ) -> Result<Held, Error> {
        let Locks { place, me, generation, .. } = self.locks;
        let mut mine = Record::taken(&self.component, attempt, counted, *generation, me.clone());
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let mut tries = 0;
        loop {
            let found = self.locks.read(&self.component).await?;
            if let Some(found) = &found {
                // The answer to an earlier write was lost, and the write was not.
                if found.record == mine {
                    return Ok(self.hold(mine, found.version.clone()));
                }
                self.may_take(&found.record, &mine, &broken).await?;
                // Whoever counts since later has learnt more; this one counts on from there.
                mine.counted_ms = mine.counted_ms.max(found.record.counted_ms);
            }
            tries += 1;
            match place.write(&mine, found.as_ref().map(|f| &f.version)).await {
                Ok(version) => return Ok(self.hold(mine, version)),
                Err(Unwritten::Unsure(error)) if tries >= TRIES => {
                    return Err(unusable(place, &self.component, error));
                }
                Err(Unwritten::Changed) if tries >= TRIES => {
                    let busy = io::Error::other("others write it all the time");
                    return Err(unusable(place, &self.component, busy));
                }
                Err(Unwritten::Changed) => {}
                Err(Unwritten::Unsure(_)) => backoff.wait().await,
            }
        }
    }

    fn hold(&self, record: Record, version: Version) -> Held {
        note(&self.locks.seen, &record);
        let (place, seen) = (self.locks.place.clone(), self.locks.seen.clone());
        Held { place, seen, record, version, _guard: self.guard.clone() }
    }

    /// Whether a component whose record says this may be taken. What a dead holder left is ended first.
    async fn may_take(
        &self,
        found: &Record,
        mine: &Record,
        broken: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let (held, offered) = (found.attempt.fence, mine.attempt.fence);
        if mine.counted_ms <= found.counted_ms && offered <= held {
            let component = self.component.clone();
            return Err(Error::Stale { component, offered, held });
        }
        if !found.is_held() {
            return Ok(());
        }
        match self.locks.judge(&found.owner) {
            Verdict::Itself | Verdict::Dead { orphans: false } => {}
            Verdict::Dead { orphans: true } => end_orphans(found, &self.locks.me).await,
            Verdict::Alive | Verdict::Unproven if broken(&found.holding()) => {
                tracing::warn!(component = self.component, owner = %found.owner, attempt = %found.attempt, "the lock is taken over by the customer's word");
            }
            Verdict::Alive | Verdict::Unproven => return Err(Error::Elsewhere(Box::new(found.clone()))),
        }
        Ok(())
    }
}

impl Locks {
    fn judge(&self, owner: &Owner) -> Verdict {
        // Whoever wrote there held the data directory, and this process holds it now.
        if self.place.is_private() && owner.process != self.me.process {
            return Verdict::Dead { orphans: owner.boot == self.me.boot };
        }
        self.me.judges(owner)
    }
}

/// Ends what an attempt of a dead process on this machine has left, and waits until it is gone.
async fn end_orphans(found: &Record, me: &Owner) {
    // A record of the first form does not say whose it was: it was this directory's.
    let runner = if found.owner.runner.is_empty() { &me.runner } else { &found.owner.runner };
    let mark = Mark { attempt: found.attempt.mark(), runner: runner.clone() };
    let killed = end_all(None, &mark, &cgroup::Home::find(runner).cgroup(&mark.attempt)).await;
    tracing::warn!(component = found.component, attempt = %found.attempt, killed, "the lock of a dead process is taken over");
}

impl Held {
    /// Says in the record that it may be changing things from now on. Fails when the lock was taken away: then
    /// nothing may begin.
    pub async fn begin(&mut self) -> Result<(), Error> {
        self.turn_to(Phase::Running).await
    }

    /// Says in the record that it is free. The fence stays.
    pub async fn release(mut self) -> Result<(), Error> {
        self.turn_to(Phase::Free).await
    }

    /// What the record says.
    pub fn record(&self) -> &Record {
        &self.record
    }

    async fn turn_to(&mut self, phase: Phase) -> Result<(), Error> {
        let wanted = self.record.in_phase(phase);
        let component = wanted.component.clone();
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(2));
        let mut last = io::Error::other("others write it all the time");
        for _ in 0..TRIES {
            match self.place.write(&wanted, Some(&self.version)).await {
                Ok(version) => return self.became(wanted, version),
                Err(Unwritten::Changed) => {}
                Err(Unwritten::Unsure(error)) => {
                    last = error;
                    backoff.wait().await;
                }
            }
            match self.place.read(&component).await {
                Ok(Some(found)) if found.record == wanted => return self.became(wanted, found.version),
                Ok(Some(found)) if found.record == self.record => self.version = found.version,
                Ok(Some(found)) => {
                    note(&self.seen, &found.record);
                    return Err(Error::Lost(Box::new(found.record)));
                }
                Ok(None) => last = io::Error::other("somebody has removed it"),
                Err(error) => last = error,
            }
        }
        Err(unusable(&self.place, &component, last))
    }

    fn became(&mut self, record: Record, version: Version) -> Result<(), Error> {
        note(&self.seen, &record);
        (self.record, self.version) = (record, version);
        Ok(())
    }
}

fn unusable(place: &Place, component: &str, source: io::Error) -> Error {
    Error::Io { place: place.of(component), source, hint: place.hint() }
}

fn note(seen: &Seen, record: &Record) {
    lock(seen).insert(record.component.clone(), record.clone());
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic while holding it leaves a map that is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
