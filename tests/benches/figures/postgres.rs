//! Signals on PostgreSQL, with one broker and with three on one database, beside raw PostgreSQL on the same
//! server: as many connections, each of which appends 64 log rows and updates their state rows a commit.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::join;
use remit_broker::store::postgres::Address;
use remit_broker::store::{PostgresStore, Store};
use remit_postgres::{Database, Server};
use remit_tests::figure::{Figure, Options};
use tokio::sync::mpsc::{Receiver, channel};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, NoTls, Statement};

use crate::load::{Load, Random, Rows, Sent, blob, make_orgs, org_id, sample};

const OBJECTS: usize = 1_000;
const BROKERS: [usize; 2] = [1, 3];
const SENDERS: [usize; 2] = [64, 1_000];
/// How many rows a commit of the bare limit has.
const BATCH: usize = 64;
/// How often brokers and bare limit take turns: what else the machine does then hits both.
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(1);

pub(crate) fn figures(options: &Options) -> Result<Vec<Figure>> {
    let name = |brokers, senders| format!("postgres.signals_{brokers}_brokers_{senders}_senders");
    let all = BROKERS.iter().flat_map(|brokers| SENDERS.map(|senders| (*brokers, senders)));
    let wanted: Vec<_> = all.filter(|(brokers, senders)| options.wants(&name(*brokers, *senders))).collect();
    if wanted.is_empty() {
        return Ok(vec![]);
    }
    let server = Arc::new(Server::start()?);
    let (rows, one) = brokers(&server, BROKERS[0])?;
    let (_, three) = brokers(&server, BROKERS[1])?;
    let raw = Raw::create(&Database::on(&server)?, OBJECTS, rows)?;
    let mut figures = vec![];
    for (brokers, senders) in wanted {
        let load = if brokers == 1 { &one } else { &three };
        let (mut ours, mut bare) = (Sent::default(), Sent::default());
        for _ in 0..options.scale(ROUNDS, 1) {
            ours.add(load.run(senders, ROUND)?);
            bare.add(raw.run(brokers, ROUND)?);
        }
        let name = name(brokers, senders);
        eprintln!("  {name}: {ours:?}, bare {bare:?}");
        figures.push(Figure::new(name, ours.rate(), "1/s").against(bare.rate()));
    }
    [one, three].into_iter().for_each(Load::stop);
    Ok(figures)
}

/// So many brokers on a database of their own with the objects, and what a signal writes there.
fn brokers(server: &Arc<Server>, count: usize) -> Result<(Rows, Load)> {
    let database = Database::on(server)?;
    make_orgs(open(&database)?, OBJECTS)?;
    let rows = sample(&*open(&database)?.reader(), &org_id(0))?;
    let stores = (0..count).map(|_| open(&database)).collect::<Result<_>>()?;
    Ok((rows, Load::start(stores, org_id, OBJECTS)?))
}

/// A broker's store on this database.
pub(crate) fn open(database: &Database) -> Result<Box<dyn Store>> {
    let address = Address::parse(&database.url(), None).map_err(anyhow::Error::msg)?;
    Ok(PostgresStore::open(address)?)
}

/// Raw PostgreSQL: the same rows with nothing around them.
pub(crate) struct Raw {
    url: String,
    objects: usize,
    rows: Rows,
    next: AtomicI64,
}

/// One of its connections.
pub(crate) struct Connection {
    client: Client,
    append: Statement,
    update: Statement,
    read: Statement,
}

const TABLES: &str = "
    CREATE TABLE objects (row bigint PRIMARY KEY, last bigint NOT NULL, state bytea NOT NULL)
        WITH (fillfactor = 70);
    ALTER TABLE objects ALTER state SET STORAGE EXTERNAL;
    CREATE TABLE events (seq bigint PRIMARY KEY, object bigint NOT NULL, at bigint NOT NULL, key text,
        sender bytea NOT NULL, body bytea NOT NULL, entries bytea)";
const APPEND: &str = "INSERT INTO events SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::text[],
    $5::bytea[], $6::bytea[], $7::bytea[])";
const UPDATE: &str = "UPDATE objects o SET last = n.last, state = n.state
    FROM unnest($1::int8[], $2::int8[], $3::bytea[]) AS n(row, last, state) WHERE o.row = n.row";

impl Raw {
    pub(crate) fn create(database: &Database, objects: usize, rows: Rows) -> Result<Self> {
        let raw = Self { url: database.url(), objects, rows, next: AtomicI64::new(1) };
        database.psql(TABLES)?;
        let state = rows.state;
        let fill = "SELECT n, 0, convert_to(repeat('x'";
        database.psql(&format!(
            "INSERT INTO objects {fill}, {state}), 'UTF8') FROM generate_series(0, {objects} - 1) n"
        ))?;
        Ok(raw)
    }

    /// Commits of so many connections at once, for so long.
    fn run(&self, connections: usize, long: Duration) -> Result<Sent> {
        std::thread::scope(|scope| {
            let work = |random| move || self.work(random, long);
            let threads: Vec<_> = (0..connections).map(|n| scope.spawn(work(n as u64 + 1))).collect();
            let mut all = Sent::default();
            for thread in threads {
                let one = thread.join().map_err(|_| anyhow::anyhow!("a connection's thread panicked"))??;
                all.signals += one.signals;
                all.commits += one.commits;
                all.seconds = one.seconds.max(all.seconds);
            }
            Ok(all)
        })
    }

    fn work(&self, seed: u64, long: Duration) -> Result<Sent> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let connection = self.connect().await?;
            let mut random = Random(seed);
            let (mut sent, mut began) = (Sent::default(), Instant::now());
            let mut warm = false;
            while !warm || began.elapsed() < long {
                if !warm && began.elapsed() > long / 4 {
                    (sent, began, warm) = (Sent::default(), Instant::now(), true);
                }
                self.batch(&connection, &mut random, BATCH, None).await?;
                sent.signals += BATCH as u64;
                sent.commits += 1;
            }
            sent.seconds = began.elapsed().as_secs_f64();
            Ok(sent)
        })
    }

    pub(crate) async fn connect(&self) -> Result<Connection> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        tokio::spawn(connection);
        // As the broker has it: rows are locked in the order in which they are given.
        client
            .batch_execute(
                "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
                 SET plan_cache_mode = force_generic_plan",
            )
            .await?;
        let (append, update) = (client.prepare(APPEND).await?, client.prepare(UPDATE).await?);
        let read = client.prepare("SELECT state FROM objects WHERE row = $1").await?;
        Ok(Connection { client, append, update, read })
    }

    /// One commit, in one round trip, with a notification of this channel if one is given; answers an object
    /// that it wrote.
    pub(crate) async fn batch(
        &self,
        on: &Connection,
        random: &mut Random,
        size: usize,
        channel: Option<&str>,
    ) -> Result<i64> {
        let objects: Vec<i64> = (0..size).map(|_| random.below(self.objects) as i64).collect();
        let first = self.next.fetch_add(size as i64, Ordering::Relaxed);
        let seqs: Vec<i64> = (first..).take(size).collect();
        let times = vec![first; size];
        let text = |len| String::from_utf8(blob(len)).map(|text| vec![text; size]);
        let (keys, senders) = (text(self.rows.key)?, vec![blob(self.rows.sender); size]);
        let bodies = vec![blob(self.rows.body); size];
        let entries = vec![blob(self.rows.entries); size];
        let changed: Vec<i64> = objects.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let (lasts, states) = (vec![first; changed.len()], vec![blob(self.rows.state); changed.len()]);
        let logged: [&(dyn ToSql + Sync); 7] = [&seqs, &objects, &times, &keys, &senders, &bodies, &entries];
        let moved: [&(dyn ToSql + Sync); 3] = [&changed, &lasts, &states];
        let end = channel.map_or("COMMIT".to_owned(), |channel| format!("NOTIFY {channel}; COMMIT"));
        let (begun, appended, updated, committed) = join!(
            on.client.batch_execute("BEGIN"),
            on.client.execute(&on.append, &logged),
            on.client.execute(&on.update, &moved),
            on.client.batch_execute(&end),
        );
        begun?;
        appended?;
        updated?;
        committed?;
        Ok(objects[0])
    }

    /// The length of an object's state.
    pub(crate) async fn read(&self, on: &Connection, object: i64) -> Result<usize> {
        let row = on.client.query_one(&on.read, &[&object]).await?;
        Ok(row.try_get::<_, &[u8]>(0)?.len())
    }

    /// What is notified on a channel, for as long as the client is kept.
    pub(crate) async fn listen(&self, name: &str) -> Result<(Client, Receiver<()>)> {
        let (client, mut connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        let (to, notified) = channel(1);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if matches!(message, AsyncMessage::Notification(_)) && to.send(()).await.is_err() {
                    return;
                }
            }
        });
        client.batch_execute(&format!("LISTEN {name}")).await?;
        Ok((client, notified))
    }
}
