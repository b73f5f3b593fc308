//! Signals that the engine accepts durably, beside bare SQLite that writes the same rows in
//! batches of the same size on the same file system: an append-only log and a state row.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use remit_broker::engine::{self, Engine, Submission};
use remit_broker::store::SqliteStore;
use remit_loops::{Actor, Body, Kind, ObjectId, Signal, org};
use remit_tests::figure::{Figure, Options};

const SENDERS: [usize; 3] = [1, 64, 1_000];

pub(crate) fn figures(options: &Options) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for objects in options.scale([1_000, 100_000], [100, 1_000]) {
        let name = |senders| format!("engine.signals_{senders}_senders_{objects}_objects");
        if !SENDERS.iter().any(|senders| options.wants(&name(*senders))) {
            continue;
        }
        // In the build directory: a temporary one may lie in memory, where nothing ever waits for a disk.
        let dir = tempfile::tempdir_in(option_env!("CARGO_TARGET_TMPDIR").unwrap_or("."))?;
        let path = dir.path().join("remit.db");
        prepare(&path, objects)?;
        let rows = sample(&path)?;
        let bare = Bare::open(&dir.path().join("bare.db"), objects, rows)?;
        let load = Load::start(&path, objects)?;
        for senders in SENDERS.into_iter().filter(|senders| options.wants(&name(*senders))) {
            let mut rates = Rates::default();
            for _ in 0..options.scale(ROUNDS, 1) {
                rates.round(&load, &bare, senders, Duration::from_millis(ROUND_MS))?;
            }
            eprintln!("  {}: {rates:?}", name(senders));
            figures.push(Figure::new(name(senders), rates.engine(), "1/s").against(rates.bare()));
        }
        load.stop();
    }
    Ok(figures)
}

/// How often engine and bare limit take turns: what else the machine does then hits both.
const ROUNDS: usize = 6;
const ROUND_MS: u64 = 1_000;

/// What the rounds gave: `(signals, seconds, commits)` of the engine, `(rows, seconds)` of the bare limit.
#[derive(Debug, Default)]
struct Rates {
    engine: (u64, f64, u64),
    bare: (u64, f64),
}

impl Rates {
    fn round(&mut self, load: &Load, bare: &Bare, senders: usize, long: Duration) -> anyhow::Result<()> {
        let (signals, seconds, commits) = load.run(senders, long)?;
        self.engine.0 += signals;
        self.engine.1 += seconds;
        self.engine.2 += commits;
        let batch = signals.div_ceil(commits.max(1));
        let (rows, seconds) = bare.run(usize::try_from(batch)?, long)?;
        self.bare.0 += rows;
        self.bare.1 += seconds;
        Ok(())
    }

    fn engine(&self) -> f64 {
        self.engine.0 as f64 / self.engine.1
    }

    fn bare(&self) -> f64 {
        self.bare.0 as f64 / self.bare.1
    }
}

/// The sizes of what one signal writes, bytes.
struct Rows {
    sender: usize,
    body: usize,
    entries: usize,
    state: usize,
}

fn org_id(n: usize) -> ObjectId {
    ObjectId::new(Kind::Org, &[&format!("o{n}")]).expect("a letter and digits are a name")
}

fn signal(to: ObjectId, key: String, n: u64) -> Submission {
    let signal = match n % 2 {
        0 => org::Signal::Pause { reason: "maintenance".into() },
        _ => org::Signal::Resume {},
    };
    Submission {
        to,
        by: Actor::Person("bench".into()),
        key: Some(key),
        body: Body::Signal(Signal::Org(signal)),
    }
}

/// Makes the objects.
fn prepare(path: &Path, objects: usize) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let engine = Engine::start(SqliteStore::open(path)?, engine::Options::default())?;
        let makers = (0..256).map(|maker| {
            let engine = engine.clone();
            tokio::spawn(async move {
                for n in (maker..objects).step_by(256) {
                    let body = Body::Signal(Signal::Org(org::Signal::Create {}));
                    let by = Actor::Person("bench".into());
                    engine.submit(Submission { to: org_id(n), by, key: None, body }).await?;
                }
                anyhow::Ok(())
            })
        });
        for maker in makers.collect::<Vec<_>>() {
            maker.await??;
        }
        engine.submit(signal(org_id(0), "sample".into(), 0)).await?;
        engine.stop().await;
        Ok(())
    })
}

/// What a signal to one of the objects wrote.
fn sample(path: &Path) -> anyhow::Result<Rows> {
    let reader = SqliteStore::open(path)?.reader();
    let event = reader.history(&org_id(0), None, 1)?.remove(0);
    let object = reader.object(&org_id(0))?.expect("it was made before");
    let (sender, body, entries) = (event.by.len(), event.body.len(), event.entries.len());
    Ok(Rows { sender, body, entries, state: object.state.len() })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// The engine over the prepared objects; senders come and go.
struct Load {
    runtime: tokio::runtime::Runtime,
    engine: Engine,
    objects: usize,
    run: AtomicU64,
}

impl Load {
    fn start(path: &Path, objects: usize) -> anyhow::Result<Self> {
        let runtime = runtime()?;
        let entered = runtime.enter();
        let engine = Engine::start(SqliteStore::open(path)?, engine::Options::default())?;
        drop(entered);
        let load = Self { runtime, engine, objects, run: AtomicU64::new(0) };
        // As the bare limit: with a write-ahead log that has its full size.
        load.run(256, Duration::from_secs(2))?;
        Ok(load)
    }

    /// Accepted signals, in how many seconds, by how many commits.
    fn run(&self, senders: usize, long: Duration) -> anyhow::Result<(u64, f64, u64)> {
        let run = self.run.fetch_add(1, Ordering::Relaxed);
        let (engine, objects) = (&self.engine, self.objects);
        self.runtime.block_on(async {
            let stop = Arc::new(AtomicBool::new(false));
            let send = |sender| tokio::spawn(send(engine.clone(), stop.clone(), objects, run, sender));
            let tasks: Vec<_> = (0..senders).map(send).collect();
            // The first part warms the caches and is not counted.
            tokio::time::sleep(long / 4).await;
            let (before, began) = (engine.metrics(), Instant::now());
            tokio::time::sleep(long).await;
            let (after, took) = (engine.metrics(), began.elapsed());
            stop.store(true, Ordering::Relaxed);
            for task in tasks {
                task.await??;
            }
            Ok((after.accepted - before.accepted, took.as_secs_f64(), after.commits - before.commits))
        })
    }

    fn stop(self) {
        self.runtime.block_on(self.engine.stop());
    }
}

/// One sender: the next signal goes when the last one is accepted.
async fn send(
    engine: Engine,
    stop: Arc<AtomicBool>,
    objects: usize,
    run: u64,
    sender: usize,
) -> anyhow::Result<()> {
    let mut random = Random(run << 20 | sender as u64);
    let mut n = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let key = format!("{run:04x}-{sender:04x}-{n:016x}");
        engine.submit(signal(org_id(random.below(objects)), key, random.next())).await?;
        n += 1;
    }
    Ok(())
}

/// Bare SQLite: the same rows with nothing around them.
struct Bare {
    connection: rusqlite::Connection,
    objects: usize,
    rows: Rows,
}

impl Bare {
    fn open(path: &Path, objects: usize, rows: Rows) -> anyhow::Result<Self> {
        let connection = rusqlite::Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full; PRAGMA cache_size = -131072;
             PRAGMA wal_autocheckpoint = 12288;
             CREATE TABLE events
                 (seq INTEGER PRIMARY KEY, object INTEGER, at INTEGER, sender BLOB, body BLOB, entries BLOB);
             CREATE TABLE objects (row INTEGER PRIMARY KEY, last INTEGER, state BLOB);
             BEGIN;",
        )?;
        let state = blob(rows.state);
        for n in 0..objects {
            let insert = "INSERT INTO objects (row, last, state) VALUES (?1, 0, ?2)";
            connection.prepare_cached(insert)?.execute(rusqlite::params![n, state])?;
        }
        connection.execute_batch("COMMIT")?;
        let bare = Self { connection, objects, rows };
        // Until its write-ahead log has its full size once, each commit pays for a longer file.
        bare.run(256, Duration::from_secs(2))?;
        Ok(bare)
    }

    /// Rows written, in how many seconds.
    fn run(&self, batch: usize, long: Duration) -> anyhow::Result<(u64, f64)> {
        let (sender, body) = (blob(self.rows.sender), blob(self.rows.body));
        let (entries, state) = (blob(self.rows.entries), blob(self.rows.state));
        let insert = "INSERT INTO events (object, at, sender, body, entries) VALUES (?1, ?2, ?3, ?4, ?5)";
        let update = "UPDATE objects SET last = ?2, state = ?3 WHERE row = ?1";
        let mut random = Random(7);
        let (mut done, began) = (0, Instant::now());
        while began.elapsed() < long {
            self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            for _ in 0..batch {
                let object = random.below(self.objects);
                let event = rusqlite::params![object, done, sender, body, entries];
                self.connection.prepare_cached(insert)?.execute(event)?;
                let written = rusqlite::params![object, done, state];
                self.connection.prepare_cached(update)?.execute(written)?;
                done += 1;
            }
            self.connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok((done, began.elapsed().as_secs_f64()))
    }
}

fn blob(len: usize) -> Vec<u8> {
    vec![b'x'; len]
}

/// A small generator of numbers, the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next()).map_or(0, |n| n % bound)
    }
}
