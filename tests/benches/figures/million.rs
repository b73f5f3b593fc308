//! A million objects beside a thousand: what a signal costs on the embedded store and on PostgreSQL, how long
//! the engine takes to start, and how much memory it holds.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use remit_broker::engine::{self, Engine};
use remit_broker::store::postgres::Address;
use remit_broker::store::{EventWrite, ObjectWrite, PostgresStore, Row, SqliteStore, Store, Transaction};
use remit_loops::event::Effect;
use remit_loops::{Body, Event, Kind, Object, ObjectId, Signal, Timestamp, app, org};
use remit_postgres::{Database, Server as PostgresServer};
use remit_tests::figure::{Figure, Options};

use crate::broker::{Server, ready};
use crate::engine::{Bare, disk};
use crate::load::{Load, Sent, bench, sample};

/// Apps of one org.
const APPS: usize = 1_000;
const SENDERS: [usize; 2] = [1, 64];
/// How many orgs, with their apps, are made in one commit.
const ORGS_AT_ONCE: usize = 8;
/// The format of states that this writes; the engine refuses another one.
const STATE_VERSION: u32 = 1;
/// How many rows a commit of the bare limit has: half of the senders wait while the others are committed.
const BARE_BATCH: usize = 32;
const ROUNDS: usize = 4;
const ROUND: Duration = Duration::from_secs(1);
const STARTS: usize = 5;
/// How long senders work before memory in use is measured.
const WORK: Duration = Duration::from_secs(10);

pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let wants =
        |area: &str| options.filter.as_deref().is_none_or(|f| area.contains(f) || f.starts_with(area));
    let mut figures = if wants("million.") { embedded(options)? } else { vec![] };
    if wants("million_postgres.") {
        figures.extend(shared(options)?);
    }
    Ok(figures)
}

/// What a signal costs on PostgreSQL.
fn shared(options: &Options) -> Result<Vec<Figure>> {
    let server = Arc::new(PostgresServer::start()?);
    let (few, many) = (Database::on(&server)?, Database::on(&server)?);
    let open = |database: &Database| -> Result<Box<dyn Store>> {
        let address = Address::parse(&database.url(), None).map_err(anyhow::Error::msg)?;
        Ok(PostgresStore::open(address)?)
    };
    let orgs = options.scale(1_000, 10);
    make(&mut *open(&few)?, 1)?;
    let began = Instant::now();
    make(&mut *open(&many)?, orgs)?;
    eprintln!("  made {} objects in {} s on PostgreSQL", orgs * (APPS + 1), began.elapsed().as_secs());
    // What the server would find out about its tables by itself, some minutes later.
    [&few, &many].into_iter().try_for_each(|database| database.psql("ANALYZE").map(drop))?;
    costs("million_postgres", open(&few)?, open(&many)?, orgs, options)
}

fn embedded(options: &Options) -> Result<Vec<Figure>> {
    let dir = tempfile::tempdir_in(disk())?;
    let (few, many) = (dir.path().join("few.db"), dir.path().join("many.db"));
    let orgs = options.scale(1_000, 10);
    make(&mut *SqliteStore::open(&few)?, 1)?;
    let began = Instant::now();
    make(&mut *SqliteStore::open(&many)?, orgs)?;
    let size = many.metadata()?.len() >> 20;
    eprintln!("  made {} objects in {} s, {size} MiB", orgs * (APPS + 1), began.elapsed().as_secs());
    let mut figures = starts(&few, &many)?;
    figures.extend(memory((&few, 1), (&many, orgs), options.scale(WORK, Duration::from_secs(1)))?);
    let (at_few, at_many) = (SqliteStore::open(&few)?, SqliteStore::open(&many)?);
    figures.extend(costs("million", at_few, at_many, orgs, options)?);
    figures.extend(bare_costs(&few, dir.path(), orgs, options)?);
    Ok(figures)
}

fn app_id(n: usize) -> ObjectId {
    let (org, app) = (format!("o{}", n / APPS), format!("a{}", n % APPS));
    ObjectId::new(Kind::App, &[&org, &app]).expect("a letter and digits are a name")
}

/// An object on its way to the store.
struct Made {
    row: Row,
    object: Object,
    revision: u64,
    last_seq: u64,
}

/// Makes orgs with their apps as the engine would: each event is applied, logged, and what it tells others
/// is delivered.
fn make(store: &mut dyn Store, orgs: usize) -> Result<()> {
    for first in (0..orgs).step_by(ORGS_AT_ONCE) {
        let mut tx = store.begin()?;
        for org in first..orgs.min(first + ORGS_AT_ONCE) {
            make_org(&mut *tx, org)?;
        }
        tx.commit()?;
    }
    Ok(())
}

fn make_org(tx: &mut dyn Transaction, org: usize) -> Result<()> {
    let mut made: HashMap<ObjectId, Made> = HashMap::with_capacity(APPS + 1);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let at = Timestamp(i64::try_from(now.as_millis())?);
    let org_id = ObjectId::new(Kind::Org, &[&format!("o{org}")])?;
    let create_org = (org_id, Body::Signal(Signal::Org(org::Signal::Create {})));
    let create_app = |n| (app_id(org * APPS + n), Body::Signal(Signal::App(app::Signal::Create {})));
    for (id, body) in std::iter::once(create_org).chain((0..APPS).map(create_app)) {
        let mut queue = VecDeque::from([(id, bench(), body)]);
        while let Some((id, by, body)) = queue.pop_front() {
            if !made.contains_key(&id) {
                let (row, object) = (tx.create(&id)?, Object::new(&id));
                made.insert(id.clone(), Made { row, object, revision: 0, last_seq: 0 });
            }
            let Some(target) = made.get_mut(&id) else { continue };
            let event = Event { at, by, body };
            let mut entries = vec![];
            for effect in target.object.apply(&event)? {
                match effect {
                    Effect::Record(entry) => entries.push(entry),
                    Effect::Tell { to, notice } => {
                        queue.push_back((to, remit_loops::Actor::Object(id.clone()), Body::Notice(notice)));
                    }
                    Effect::WakeRunner(_) => {}
                }
            }
            let entries = if entries.is_empty() { vec![] } else { serde_json::to_vec(&entries)? };
            target.last_seq = tx.append(&EventWrite {
                row: target.row,
                prev_seq: target.last_seq,
                at,
                key: None,
                by: &serde_json::to_vec(&event.by)?,
                body: &serde_json::to_vec(&event.body)?,
                entries: &entries,
            })?;
            target.revision += 1;
        }
    }
    for Made { row, object, revision, last_seq } in made.into_values() {
        let (version, deadline) = (STATE_VERSION, object.deadline());
        let state = serde_json::to_vec(&object)?;
        tx.write(&ObjectWrite { row, revision, last_seq, deadline, version, state: &state, keys: &[] })?;
    }
    Ok(())
}

/// What one signal costs, alone and with 64 senders: to any of all, and to a thousand of them.
fn costs(
    area: &str,
    few: Box<dyn Store>,
    many: Box<dyn Store>,
    orgs: usize,
    options: &Options,
) -> Result<Vec<Figure>> {
    let few = Load::start(vec![few], app_id, APPS)?;
    let mut many = Load::start(vec![many], app_id, APPS)?;
    let mut figures = vec![];
    for senders in SENDERS {
        let (mut at_few, mut at_some, mut at_all) = (Sent::default(), Sent::default(), Sent::default());
        for _ in 0..options.scale(ROUNDS, 1) {
            at_few.add(few.run(senders, ROUND)?);
            many.objects = APPS;
            at_some.add(many.run(senders, ROUND)?);
            many.objects = orgs * APPS;
            at_all.add(many.run(senders, ROUND)?);
        }
        eprintln!("  {senders} senders: a thousand {at_few:?}, of a million {at_some:?}, all {at_all:?}");
        let us = |sent: &Sent| 1e6 / sent.rate();
        for (name, sent) in [("any_of_a_million", &at_all), ("a_thousand_of_a_million", &at_some)] {
            let name = format!("{area}.signal_{senders}_senders_to_{name}");
            figures.push(Figure::new(name, us(sent), "us").against(us(&at_few)));
        }
    }
    [few, many].into_iter().for_each(Load::stop);
    Ok(figures)
}

/// The same rows in bare SQLite with as many objects.
fn bare_costs(few: &Path, dir: &Path, orgs: usize, options: &Options) -> Result<Vec<Figure>> {
    let rows = sample(&*SqliteStore::open(few)?.reader(), &app_id(0))?;
    let few = Bare::open(&dir.join("bare_few.db"), APPS, rows)?;
    let many = Bare::open(&dir.join("bare_many.db"), orgs * APPS, rows)?;
    let (mut at_few, mut at_many) = (Sent::default(), Sent::default());
    for _ in 0..options.scale(ROUNDS, 1) {
        for (bare, sum) in [(&few, &mut at_few), (&many, &mut at_many)] {
            let (signals, seconds) = bare.run(BARE_BATCH, ROUND)?;
            sum.add(Sent { signals, seconds, ..Sent::default() });
        }
    }
    let us = |sent: &Sent| 1e6 / sent.rate();
    Ok(vec![Figure::new("million.bare_rows_to_any_of_a_million", us(&at_many), "us").against(us(&at_few))])
}

/// How long the engine takes to start.
fn starts(few: &Path, many: &Path) -> Result<Vec<Figure>> {
    let runtime = crate::broker::runtime()?;
    let start = |path: &Path| {
        let entered = runtime.enter();
        let began = Instant::now();
        let engine = Engine::start(SqliteStore::open(path)?, engine::Options::default())?;
        let took = began.elapsed();
        drop(entered);
        runtime.block_on(engine.stop());
        anyhow::Ok(took.as_secs_f64() * 1_000.0)
    };
    let (mut at_few, mut at_many) = (vec![], vec![]);
    for _ in 0..STARTS {
        at_few.push(start(few)?);
        at_many.push(start(many)?);
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Ok(vec![Figure::new("million.start", median(&mut at_many), "ms").against(median(&mut at_few))])
}

/// What a process with the engine holds in memory: idle, and after signals to any of the objects.
fn memory(few: (&Path, usize), many: (&Path, usize), work: Duration) -> Result<Vec<Figure>> {
    let resident = |(path, orgs): (&Path, usize), work: Duration| {
        let directory = tempfile::Builder::new().prefix("remit-figures-").tempdir()?;
        std::fs::write(directory.path().join("database"), path.as_os_str().as_encoded_bytes())?;
        std::fs::write(directory.path().join("orgs"), orgs.to_string())?;
        std::fs::write(directory.path().join("work"), work.as_secs().to_string())?;
        anyhow::Ok(Server::start_in("stored", directory)?.resident_kib()? / 1_024.0)
    };
    let mut figures = vec![];
    for (name, work) in [("million.memory_idle", Duration::ZERO), ("million.memory_in_use", work)] {
        figures.push(Figure::new(name, resident(many, work)?, "MiB").against(resident(few, work)?));
    }
    Ok(figures)
}

/// An engine on a database named in the directory, after so much work; says so, and waits.
pub(crate) fn serve(directory: &Path) -> Result<()> {
    let database = std::fs::read_to_string(directory.join("database"))?;
    let work = Duration::from_secs(std::fs::read_to_string(directory.join("work"))?.parse()?);
    let database = Path::new(&database);
    let orgs: usize = std::fs::read_to_string(directory.join("orgs"))?.parse()?;
    let load = Load::start(vec![SqliteStore::open(database)?], app_id, orgs * APPS)?;
    if !work.is_zero() {
        load.run(64, work)?;
    }
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    load.runtime.block_on(async { ready(nowhere, nowhere) })?;
    load.stop();
    Ok(())
}
