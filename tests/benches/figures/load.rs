//! Senders of signals over one engine, or over several that share a database.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use remit_broker::engine::{self, Engine, Submission};
use remit_broker::store::{Reader, Store};
use remit_loops::{Actor, Body, Kind, ObjectId, Signal, app, org};
use tokio::runtime::Runtime;

use crate::broker::runtime;

/// How many make objects at once.
const MAKERS: usize = 256;

/// The objects that signals go to: one for each number.
pub(crate) type Targets = fn(usize) -> ObjectId;

/// The sizes of what one signal writes, bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) key: usize,
    pub(crate) sender: usize,
    pub(crate) body: usize,
    pub(crate) entries: usize,
    pub(crate) state: usize,
}

/// What the senders of one run achieved.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) signals: u64,
    pub(crate) seconds: f64,
    pub(crate) commits: u64,
    /// Batches that were run again because another broker was faster.
    pub(crate) conflicts: u64,
}

impl Sent {
    pub(crate) fn add(&mut self, more: Sent) {
        self.signals += more.signals;
        self.seconds += more.seconds;
        self.commits += more.commits;
        self.conflicts += more.conflicts;
    }

    pub(crate) fn rate(&self) -> f64 {
        self.signals as f64 / self.seconds
    }
}

pub(crate) fn org_id(n: usize) -> ObjectId {
    ObjectId::new(Kind::Org, &[&format!("o{n}")]).expect("a letter and digits are a name")
}

/// A signal that changes an org or an app, and nothing else.
pub(crate) fn signal(to: ObjectId, key: String, n: u64) -> Submission {
    let reason = || "maintenance".to_owned();
    let signal = match (to.kind(), n % 2) {
        (Kind::App, 0) => Signal::App(app::Signal::Pause { reason: reason() }),
        (Kind::App, _) => Signal::App(app::Signal::Resume {}),
        (_, 0) => Signal::Org(org::Signal::Pause { reason: reason() }),
        (_, _) => Signal::Org(org::Signal::Resume {}),
    };
    Submission { to, by: bench(), key: Some(key), body: Body::Signal(signal) }
}

pub(crate) fn bench() -> Actor {
    Actor::Person("bench".into())
}

/// Makes so many orgs, and sends the first one a signal.
pub(crate) fn make_orgs(store: Box<dyn Store>, orgs: usize) -> Result<()> {
    let load = Load::start(vec![store], org_id, orgs)?;
    let engine = &load.engines[0];
    let made: Result<()> = load.runtime.block_on(async {
        let makers = (0..MAKERS).map(|maker| {
            let engine = engine.clone();
            tokio::spawn(async move {
                for n in (maker..orgs).step_by(MAKERS) {
                    let body = Body::Signal(Signal::Org(org::Signal::Create {}));
                    engine.submit(Submission { to: org_id(n), by: bench(), key: None, body }).await?;
                }
                anyhow::Ok(())
            })
        });
        for maker in makers.collect::<Vec<_>>() {
            maker.await??;
        }
        engine.submit(signal(org_id(0), key(next_run(), 0, 0), 0)).await?;
        Ok(())
    });
    load.stop();
    made
}

/// What the newest signal to this object wrote.
pub(crate) fn sample(reader: &dyn Reader, id: &ObjectId) -> Result<Rows> {
    let event = reader.history(id, None, 1)?.remove(0);
    let object = reader.object(id)?.expect("it was made before");
    let (key, sender, body) = (event.key.map_or(0, |key| key.len()), event.by.len(), event.body.len());
    Ok(Rows { key, sender, body, entries: event.entries.len(), state: object.state.len() })
}

/// Engines over the prepared objects; senders come and go.
pub(crate) struct Load {
    pub(crate) runtime: Runtime,
    pub(crate) engines: Vec<Engine>,
    targets: Targets,
    /// How many of the objects get signals.
    pub(crate) objects: usize,
}

impl Load {
    /// Starts an engine on each of these stores.
    pub(crate) fn start(stores: Vec<Box<dyn Store>>, targets: Targets, objects: usize) -> Result<Self> {
        let runtime = runtime()?;
        let entered = runtime.enter();
        let start = |store| Engine::start(store, engine::Options::default());
        let engines = stores.into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
        drop(entered);
        Ok(Self { runtime, engines, targets, objects })
    }

    /// So many senders for so long, the same number at each engine.
    pub(crate) fn run(&self, senders: usize, long: Duration) -> Result<Sent> {
        self.runtime.block_on(async {
            let sending = self.begin(senders);
            // The first part warms the caches and is not counted.
            tokio::time::sleep(long / 4).await;
            let (before, began) = (self.counted(), Instant::now());
            tokio::time::sleep(long).await;
            let (after, took) = (self.counted(), began.elapsed());
            sending.end().await?;
            Ok(Sent {
                signals: after.signals - before.signals,
                seconds: took.as_secs_f64(),
                commits: after.commits - before.commits,
                conflicts: after.conflicts - before.conflicts,
            })
        })
    }

    /// Starts the senders, on the runtime that this is called in.
    pub(crate) fn begin(&self, senders: usize) -> Sending {
        let run = next_run();
        let stop = Arc::new(AtomicBool::new(false));
        let engines = self.engines.iter().cycle();
        let send = |(sender, engine): (usize, &Engine)| {
            let (engine, stop, targets, objects) = (engine.clone(), stop.clone(), self.targets, self.objects);
            tokio::spawn(async move {
                let mut random = Random(run << 20 | sender as u64);
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let to = targets(random.below(objects));
                    engine.submit(signal(to, key(run, sender, n), random.next())).await?;
                }
                Ok(())
            })
        };
        Sending { tasks: (0..senders).zip(engines).map(send).collect(), stop }
    }

    fn counted(&self) -> Sent {
        let mut sum = Sent::default();
        for metrics in self.engines.iter().map(Engine::metrics) {
            let (signals, commits, conflicts) = (metrics.accepted, metrics.commits, metrics.conflicts);
            sum.add(Sent { signals, seconds: 0.0, commits, conflicts });
        }
        sum
    }

    pub(crate) fn stop(self) {
        self.engines.iter().for_each(|engine| self.runtime.block_on(engine.stop()));
    }
}

/// Senders at work; each sends the next signal when the last one is accepted.
pub(crate) struct Sending {
    tasks: Vec<tokio::task::JoinHandle<Result<()>>>,
    stop: Arc<AtomicBool>,
}

impl Sending {
    pub(crate) async fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}

/// A number that no other run has, in this process or in another on the same database: no key comes twice.
fn next_run() -> u64 {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    u64::from(std::process::id()) << 16 | RUNS.fetch_add(1, Ordering::Relaxed)
}

fn key(run: u64, sender: usize, n: u64) -> String {
    format!("{run:010x}-{sender:04x}-{n:016x}")
}

pub(crate) fn blob(len: usize) -> Vec<u8> {
    vec![b'x'; len]
}

/// A small generator of numbers, the same in each run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).map_or(0, |n| n % bound)
    }
}
