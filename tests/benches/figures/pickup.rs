//! From a signal to whoever watches its object: woken, with the new state read. On the embedded store, on
//! PostgreSQL through the same broker, and there through another, each beside a bare store on which a commit
//! of the same rows is followed by a read of the state (and brought there by a notification).

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::join;
use hdrhistogram::Histogram;
use remit_broker::store::SqliteStore;
use remit_postgres::{Database, Server};
use remit_tests::figure::{Figure, Options};

use crate::broker::runtime;
use crate::engine::{Bare, disk};
use crate::load::{Load, Random, make_orgs, org_id, sample, signal};
use crate::postgres::{Raw, open};

/// Objects that the other senders signal.
const OBJECTS: usize = 1_000;
/// More objects, which are watched.
const WATCHED: usize = 100;
/// How many others send meanwhile, where others send.
const OTHERS: usize = 64;
/// Between two signals: longer than brokers gather word for each other.
const PAUSE: Duration = Duration::from_millis(15);
/// A pick-up that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(20);

type Times = Histogram<u64>;

pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let samples = options.scale(100, 10);
    let mut figures = vec![];
    if options.wants("pickup.sqlite") {
        let dir = tempfile::tempdir_in(disk())?;
        let path = dir.path().join("remit.db");
        make_orgs(SqliteStore::open(&path)?, OBJECTS + WATCHED)?;
        let rows = sample(&*SqliteStore::open(&path)?.reader(), &org_id(0))?;
        let load = Load::start(vec![SqliteStore::open(&path)?], org_id, OBJECTS)?;
        let bare = Bare::open(&dir.path().join("bare.db"), OBJECTS, rows)?;
        figures.extend(measure("pickup.sqlite", &load, 0, samples, || bare.pick_ups(samples, PAUSE))?);
        load.stop();
    }
    if options.wants("pickup.postgres") {
        let server = Arc::new(Server::start()?);
        let database = Database::on(&server)?;
        make_orgs(open(&database)?, OBJECTS + WATCHED)?;
        let rows = sample(&*open(&database)?.reader(), &org_id(0))?;
        let load = Load::start(vec![open(&database)?, open(&database)?], org_id, OBJECTS)?;
        let raw = Raw::create(&Database::on(&server)?, OBJECTS, rows)?;
        for (to, name) in [(0, "pickup.postgres_same_broker"), (1, "pickup.postgres_other_broker")] {
            let bare = || runtime()?.block_on(raw.pick_ups(samples, PAUSE, to != 0));
            figures.extend(measure(name, &load, to, samples, bare)?);
        }
        load.stop();
    }
    Ok(figures)
}

/// The first broker's signals picked up at this one: alone, and while others send.
fn measure(
    name: &str,
    load: &Load,
    to: usize,
    samples: usize,
    bare: impl Fn() -> Result<Times>,
) -> Result<Vec<Figure>> {
    let alone = pick_ups(load, to, samples, 0)?;
    let bare = bare()?;
    let busy = pick_ups(load, to, samples, OTHERS)?;
    let ms = |times: &Times, quantile| times.value_at_quantile(quantile) as f64 / 1_000.0;
    let both = [("p50", 0.5), ("p99", 0.99)];
    let of = |(label, quantile)| {
        let name = format!("{name}_{label}");
        let busy = Figure::new(format!("{name}_{OTHERS}_senders"), ms(&busy, quantile), "ms");
        [Figure::new(name, ms(&alone, quantile), "ms").against(ms(&bare, quantile)), busy]
    };
    Ok(both.into_iter().flat_map(of).collect())
}

fn pick_ups(load: &Load, to: usize, samples: usize, others: usize) -> Result<Times> {
    let (sender, watcher) = (&load.engines[0], &load.engines[to]);
    load.runtime.block_on(async {
        let sending = load.begin(others);
        let mut times = Times::new(3)?;
        for n in 0..samples {
            let id = org_id(OBJECTS + n % WATCHED);
            let mut changes = watcher.watch(&id);
            let before = watcher.query(&id).await?.context("it was made before")?.revision;
            let began = Instant::now();
            let see = async {
                loop {
                    changes.changed().await;
                    if watcher.query(&id).await?.is_some_and(|seen| seen.revision > before) {
                        return anyhow::Ok(began.elapsed());
                    }
                }
            };
            let key = format!("pick-up-{to}-{others}-{n}");
            let send = sender.submit(signal(id.clone(), key, n as u64));
            let (sent, seen) = join!(send, tokio::time::timeout(PATIENCE, see));
            sent?;
            times.record(u64::try_from(seen??.as_micros())?)?;
            tokio::time::sleep(PAUSE).await;
        }
        sending.end().await?;
        Ok(times)
    })
}

impl Bare {
    fn pick_ups(&self, samples: usize, pause: Duration) -> Result<Times> {
        let mut times = Times::new(3)?;
        let mut random = Random(11);
        for _ in 0..samples {
            let began = Instant::now();
            let object = self.batch(&mut random, 1, 0)?;
            self.read(object)?;
            times.record(u64::try_from(began.elapsed().as_micros())?)?;
            std::thread::sleep(pause);
        }
        Ok(times)
    }
}

impl Raw {
    async fn pick_ups(&self, samples: usize, pause: Duration, told: bool) -> Result<Times> {
        let (writer, reader) = (self.connect().await?, self.connect().await?);
        let (_client, mut notified) = self.listen("picked").await?;
        let mut times = Times::new(3)?;
        let mut random = Random(11);
        for _ in 0..samples {
            let began = Instant::now();
            let object = self.batch(&writer, &mut random, 1, told.then_some("picked")).await?;
            if told {
                notified.recv().await.context("the listening connection ended")?;
            }
            self.read(&reader, object).await?;
            times.record(u64::try_from(began.elapsed().as_micros())?)?;
            tokio::time::sleep(pause).await;
        }
        Ok(times)
    }
}
