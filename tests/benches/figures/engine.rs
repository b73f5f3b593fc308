//! Signals that the engine accepts durably, beside bare SQLite that writes the same rows in
//! batches of the same size on the same file system: an append-only log and a state row.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use remit_broker::store::SqliteStore;
use remit_tests::figure::{Figure, Options};

use crate::load::{Load, Random, Rows, Sent, blob, make_orgs, org_id, sample};

const SENDERS: [usize; 3] = [1, 64, 1_000];

pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for objects in options.scale([1_000, 100_000], [100, 1_000]) {
        let name = |senders| format!("engine.signals_{senders}_senders_{objects}_objects");
        if !SENDERS.iter().any(|senders| options.wants(&name(*senders))) {
            continue;
        }
        let dir = tempfile::tempdir_in(disk())?;
        let path = dir.path().join("remit.db");
        make_orgs(SqliteStore::open(&path)?, objects)?;
        let rows = sample(&*SqliteStore::open(&path)?.reader(), &org_id(0))?;
        let bare = Bare::open(&dir.path().join("bare.db"), objects, rows)?;
        let load = Load::start(vec![SqliteStore::open(&path)?], org_id, objects)?;
        // As the bare limit: with a write-ahead log that has its full size.
        load.run(256, Duration::from_secs(2))?;
        for senders in SENDERS.into_iter().filter(|senders| options.wants(&name(*senders))) {
            let mut rates = Rates::default();
            for _ in 0..options.scale(ROUNDS, 1) {
                rates.round(&load, &bare, senders, Duration::from_millis(ROUND_MS))?;
            }
            eprintln!("  {}: {rates:?}", name(senders));
            figures.push(Figure::new(name(senders), rates.engine.rate(), "1/s").against(rates.bare()));
        }
        load.stop();
    }
    Ok(figures)
}

/// Where databases lie: the build directory, for a temporary one may lie in memory, where nothing ever waits
/// for a disk.
pub(crate) fn disk() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR").unwrap_or(".").into()
}

/// How often engine and bare limit take turns: what else the machine does then hits both.
const ROUNDS: usize = 6;
const ROUND_MS: u64 = 1_000;

/// What the rounds gave; of the bare limit `(rows, seconds)`.
#[derive(Debug, Default)]
struct Rates {
    engine: Sent,
    bare: (u64, f64),
}

impl Rates {
    fn round(&mut self, load: &Load, bare: &Bare, senders: usize, long: Duration) -> Result<()> {
        let sent = load.run(senders, long)?;
        self.engine.add(sent);
        let batch = sent.signals.div_ceil(sent.commits.max(1));
        let (rows, seconds) = bare.run(usize::try_from(batch)?, long)?;
        self.bare.0 += rows;
        self.bare.1 += seconds;
        Ok(())
    }

    fn bare(&self) -> f64 {
        self.bare.0 as f64 / self.bare.1
    }
}

/// Bare SQLite: the same rows with nothing around them.
pub(crate) struct Bare {
    connection: rusqlite::Connection,
    objects: usize,
    rows: Rows,
}

impl Bare {
    pub(crate) fn open(path: &Path, objects: usize, rows: Rows) -> Result<Self> {
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
    pub(crate) fn run(&self, batch: usize, long: Duration) -> Result<(u64, f64)> {
        let mut random = Random(7);
        let (mut done, began) = (0, Instant::now());
        while began.elapsed() < long {
            self.batch(&mut random, batch, done)?;
            done += batch as u64;
        }
        Ok((done, began.elapsed().as_secs_f64()))
    }

    /// One commit; answers the object that it wrote last.
    pub(crate) fn batch(&self, random: &mut Random, size: usize, done: u64) -> Result<usize> {
        let (sender, body) = (blob(self.rows.sender), blob(self.rows.body));
        let (entries, state) = (blob(self.rows.entries), blob(self.rows.state));
        let insert = "INSERT INTO events (object, at, sender, body, entries) VALUES (?1, ?2, ?3, ?4, ?5)";
        let update = "UPDATE objects SET last = ?2, state = ?3 WHERE row = ?1";
        let mut object = 0;
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for _ in 0..size {
            object = random.below(self.objects);
            let event = rusqlite::params![object, done, sender, body, entries];
            self.connection.prepare_cached(insert)?.execute(event)?;
            let written = rusqlite::params![object, done, state];
            self.connection.prepare_cached(update)?.execute(written)?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(object)
    }

    /// The length of an object's state.
    pub(crate) fn read(&self, object: usize) -> Result<usize> {
        let mut read = self.connection.prepare_cached("SELECT state FROM objects WHERE row = ?1")?;
        Ok(read.query_row([object], |row| row.get_ref(0)?.as_blob().map(<[u8]>::len).map_err(Into::into))?)
    }
}
