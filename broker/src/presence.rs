//! Which runners are there: kept in memory, told to their loops only when it changes.
//!
//! A poll that is outstanding is presence enough; silence counts from the end of the last
//! word. Nothing is written per heartbeat. Brokers that share a database tell each other whom
//! they have heard, in one record a broker: a runner is lost when nobody has.

mod shared;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use remit_loops::runner::{self, Info, Report};
use remit_loops::{Actor, Body, Kind, Object, ObjectId};

use crate::engine::{Engine, Submission, SubmitError};
use crate::store::StoreError;

/// How often silence is looked for, as a part of the silence that means lost; and never less often than this.
const SWEEPS: u32 = 12;
const SWEEP_EVERY_MAX: Duration = Duration::from_secs(5);
/// A sweep that comes so many sweeps late says that this broker was stopped or starved, not that runners were
/// silent.
const PAUSE: u32 = 3;
const PAGE: usize = 500;

/// One runner as this broker heard of it.
#[derive(Clone, Debug)]
struct Seen {
    generation: u64,
    boot: Option<String>,
    last: Instant,
    /// Calls of it that are being answered.
    calls: u32,
    /// Its loop knows that it is there.
    is_told: bool,
}

/// Who is there.
#[derive(Clone, Debug)]
pub(crate) struct Presence {
    /// So long a silence means that a runner is lost.
    silence: Duration,
    seen: Arc<Mutex<HashMap<ObjectId, Seen>>>,
}

/// Runners with their generations.
type Runners = Vec<(ObjectId, u64)>;

/// A call that is being answered: while it lasts, the runner is there.
#[derive(Debug)]
pub(crate) struct Call {
    presence: Presence,
    runner: ObjectId,
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(seen) = self.presence.lock().get_mut(&self.runner) {
            seen.calls = seen.calls.saturating_sub(1);
            seen.last = Instant::now();
        }
    }
}

impl Presence {
    /// Nobody is there yet; who is silent for longer than this is lost.
    pub(crate) fn new(silence: Duration) -> Self {
        Self { silence, seen: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectId, Seen>> {
        self.seen.lock().expect("nobody panics while holding it")
    }

    /// How many runners are there.
    pub(crate) fn count(&self) -> usize {
        self.lock().values().filter(|s| s.is_told).count()
    }

    /// Counts a call of a runner's current generation. `true`: its loop must be told that it is there.
    pub(crate) fn begin(&self, runner: &ObjectId, generation: u64, boot: Option<&str>) -> (Call, bool) {
        let mut all = self.lock();
        let now = Instant::now();
        let fresh = || Seen { generation, boot: None, last: now, calls: 0, is_told: false };
        let seen = all.entry(runner.clone()).or_insert_with(fresh);
        if seen.generation != generation || (boot.is_some() && seen.boot.as_deref() != boot) {
            seen.is_told = false;
            seen.generation = generation;
            seen.boot = boot.map(str::to_owned);
        }
        seen.calls += 1;
        seen.last = now;
        let must_tell = !std::mem::replace(&mut seen.is_told, true);
        (Call { presence: self.clone(), runner: runner.clone() }, must_tell)
    }

    /// Tells a runner's loop that it is there. If that fails, the next call tries again.
    pub(crate) async fn tell_seen(&self, engine: &Engine, runner: &ObjectId, generation: u64, info: Info) {
        let report = Report::Seen { generation, info };
        if let Err(error) = engine.submit(submission(runner, report)).await {
            tracing::warn!(%runner, %error, "could not tell that a runner is there");
            if let Some(seen) = self.lock().get_mut(runner) {
                seen.is_told = false;
            }
        }
    }

    /// After a start: whoever was there may be silent by now, and has as long as anybody to speak.
    pub(crate) async fn remember(&self, engine: &Engine) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = engine.list(Kind::Runner, None, after.as_ref(), PAGE).await?;
            for snapshot in &page {
                if let Object::Runner(runner) = &*snapshot.object
                    && matches!(runner.presence(), runner::Presence::Online { .. })
                {
                    let (generation, boot) = (runner.generation(), Some(runner.info().boot.clone()));
                    let seen = Seen { generation, boot, last: Instant::now(), calls: 0, is_told: true };
                    self.lock().insert(snapshot.id.clone(), seen);
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.id.clone()),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Tells the loops of runners that have been silent for too long, for ever.
    pub(crate) async fn watch(self, engine: Engine) {
        let mut peers = engine.is_shared().then(|| shared::Peers::new(self.silence));
        let every = SWEEP_EVERY_MAX.min(self.silence / SWEEPS);
        let mut swept = Instant::now();
        loop {
            tokio::time::sleep(every).await;
            let now = Instant::now();
            if now - swept > every * PAUSE {
                self.excuse(now);
            }
            swept = now;
            let silent = self.take_silent(now);
            let lost = match &mut peers {
                None => silent,
                Some(peers) => match peers.meet(&engine, &self, silent).await {
                    Ok(lost) => lost,
                    Err(error) => {
                        tracing::warn!(%error, "cannot ask the other brokers which runners they have heard");
                        continue;
                    }
                },
            };
            self.report_lost(&engine, lost).await;
        }
    }

    /// This broker itself was not there for a while: silence counts from now.
    fn excuse(&self, now: Instant) {
        self.lock().values_mut().for_each(|seen| seen.last = now);
    }

    /// Who was heard within this time.
    fn heard_within(&self, time: Duration, now: Instant) -> Runners {
        let is_heard = |s: &Seen| s.calls > 0 || now.saturating_duration_since(s.last) <= time;
        let all = self.lock();
        all.iter()
            .filter(|(_, s)| s.is_told && is_heard(s))
            .map(|(id, s)| (id.clone(), s.generation))
            .collect()
    }

    /// Takes over runners that nobody watches: they have as long as anybody to speak.
    fn adopt(&self, runners: Runners) {
        let (mut all, now) = (self.lock(), Instant::now());
        for (id, generation) in runners {
            let seen = Seen { generation, boot: None, last: now, calls: 0, is_told: true };
            all.entry(id).or_insert(seen);
        }
    }

    async fn report_lost(&self, engine: &Engine, lost: Runners) {
        for (runner, generation) in lost {
            let Err(error) = engine.submit(submission(&runner, Report::Lost { generation })).await else {
                continue;
            };
            tracing::info!(%runner, %error, "could not tell that a runner is lost");
            // A loop that has gone on to another generation does not want to hear it; a store that is away
            // for a moment must hear it later.
            if !matches!(error, SubmitError::Rejected(_)) {
                self.adopt(vec![(runner, generation)]);
            }
        }
    }

    /// Takes those out that are silent; a later word begins anew.
    fn take_silent(&self, now: Instant) -> Runners {
        let mut silent = vec![];
        self.lock().retain(|runner, seen| {
            let is_silent = seen.calls == 0 && now.saturating_duration_since(seen.last) > self.silence;
            if is_silent && seen.is_told {
                silent.push((runner.clone(), seen.generation));
            }
            !is_silent
        });
        silent
    }
}

fn submission(runner: &ObjectId, report: Report) -> Submission {
    Submission { to: runner.clone(), by: Actor::Runner, key: None, body: Body::Report(report) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Options;
    use crate::store::MemoryStore;

    const SILENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_loss_that_could_not_be_told_is_told_later() {
        let presence = Presence::new(SILENCE);
        let lost = vec![("run_demo.shop.acme".parse().unwrap(), 1)];
        let store = MemoryStore::default();
        let engine = Engine::start(Box::new(store.clone()), Options::default()).unwrap();
        presence.report_lost(&engine, lost.clone()).await;
        let later = Instant::now() + 2 * SILENCE;
        assert!(presence.take_silent(later).is_empty(), "its loop said that it knows of no such runner");
        store.break_down();
        presence.report_lost(&engine, lost.clone()).await;
        assert_eq!(presence.take_silent(later), lost);
    }

    #[test]
    fn a_broker_that_was_paused_blames_nobody() {
        let presence = Presence::new(SILENCE);
        let id: ObjectId = "run_demo.shop.acme".parse().unwrap();
        drop(presence.begin(&id, 1, Some("a")));
        let later = Instant::now() + 2 * SILENCE;
        presence.excuse(later);
        assert!(presence.take_silent(later + SILENCE).is_empty());
        assert_eq!(presence.take_silent(later + 2 * SILENCE), [(id, 1)]);
    }

    #[test]
    fn a_runner_is_told_of_once_and_again_after_silence() {
        let presence = Presence::new(SILENCE);
        let id: ObjectId = "run_demo.shop.acme".parse().unwrap();
        let (poll, told) = presence.begin(&id, 1, Some("a"));
        assert!(told);
        let (call, told) = presence.begin(&id, 1, None);
        assert!(!told, "a call without a boot is the same runner");
        drop(call);
        let later = Instant::now() + 2 * SILENCE;
        assert!(presence.take_silent(later).is_empty(), "an outstanding poll is presence");
        drop(poll);
        assert!(presence.take_silent(Instant::now()).is_empty());
        assert_eq!(presence.take_silent(later), [(id.clone(), 1)]);
        assert!(presence.take_silent(later).is_empty(), "once");
        assert!(presence.begin(&id, 1, Some("a")).1);
        assert!(presence.begin(&id, 1, Some("b")).1, "a new boot is news");
        assert!(presence.begin(&id, 2, Some("b")).1, "so is a new generation");
    }
}
