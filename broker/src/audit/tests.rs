//! The log as it is written and proved: by one broker and by several, with changed rows, set-back stores and
//! blocks that are kept no longer.

use std::path::Path;
use std::sync::Arc;

use remit_loops::{Actor, Body, ObjectId, Signal, Timestamp, org};
use remit_postgres::Database;
use remit_seal::Digest;
use remit_seal::document::{AuditCheckpoint, AuditPlace, Checkpoint};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::dispatch::DispatchKeys;
use crate::engine::{self, Engine, Submission};
use crate::store::postgres::Address;
use crate::store::{MemoryStore, PostgresStore, Reader, SqliteStore, Store, sqlite};

/// A broker as far as the log goes.
struct Broker {
    engine: Engine,
    audit: Arc<Audit>,
    keys: Arc<DispatchKeys>,
    closing: CancellationToken,
    writer: JoinHandle<()>,
}

impl Broker {
    async fn start(store: Box<dyn Store>, keys: &Path, options: Options) -> Self {
        // It connects to its database before it is there.
        let started = tokio::task::block_in_place(|| Engine::start(store, engine::Options::default()));
        let engine = started.unwrap();
        let keys = Arc::new(DispatchKeys::open(keys, None).await.unwrap());
        let audit = Arc::new(Audit::new(engine.clone(), options));
        let closing = CancellationToken::new();
        let writer = tokio::spawn(run(audit.clone(), keys.clone(), closing.clone()));
        Self { engine, audit, keys, closing, writer }
    }

    async fn put(&self, n: usize) -> AuditPlace {
        let id: ObjectId = "org_demo".parse().unwrap();
        self.audit.put(of(&id, "ann", "test").fact("n", n)).await.unwrap()
    }

    async fn ask(&self, org: &str, signal: org::Signal) {
        let (to, by) = (org.parse().unwrap(), Actor::Person("ann".into()));
        let body = Body::Signal(Signal::Org(signal));
        self.engine.submit(Submission { to, by, key: None, body }).await.unwrap();
    }

    async fn signed(&self, place: AuditPlace, at_ms: i64) -> Kept {
        let signed = self.keys.sign_audit(&AuditCheckpoint { place, at_ms }).await.unwrap();
        Kept { signed: String::from_utf8(signed).unwrap(), keys: self.keys.public() }
    }

    async fn blocks(&self) -> Vec<Block> {
        let mut after = self.audit.chain().base().await.unwrap().map_or(0, |base| base.first - 1);
        let mut all = vec![];
        loop {
            let mut some = self.audit.chain().after(after).await.unwrap();
            if some.is_empty() {
                return all;
            }
            after += some.len() as u64;
            all.append(&mut some);
        }
    }

    async fn stop(self) {
        self.closing.cancel();
        self.writer.await.unwrap();
        self.engine.stop().await;
    }
}

fn prove(blocks: &[Block], kept: Option<AuditPlace>) -> Result<Proved, Broken> {
    let mut proof = Proof::new(None, kept);
    blocks.iter().try_for_each(|block| proof.block(block))?;
    proof.finish()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_ask_is_followed_over_a_restart_and_a_changed_event_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("broker.db");
    for round in 0..2 {
        let broker =
            Broker::start(SqliteStore::open(&database).unwrap(), dir.path(), Options::default()).await;
        if round == 0 {
            broker.ask("org_demo", org::Signal::Create {}).await;
        }
        for n in 0..100 {
            broker.ask("org_demo", org::Signal::Pause { reason: format!("round {round} {n}") }).await;
        }
        broker.stop().await;
    }
    let look = || look_through(&*sqlite::open_copy(&database).unwrap(), None);
    let looked = look().unwrap();
    assert_eq!(looked.events, 201);
    assert_eq!(looked.proved.unwrap().read, 202);
    let changed = "CAST(replace(CAST(body AS TEXT), 'round 1 7', 'round 9 7') AS BLOB)";
    let sql = format!("UPDATE events SET body = {changed} WHERE seq = 109");
    assert_eq!(rusqlite::Connection::open(&database).unwrap().execute(&sql, []).unwrap(), 1);
    assert!(matches!(look().unwrap_err(), Damaged::Event { seq: 109 }));
}

/// A database that brokers share, opened once more.
fn shared(database: &Database) -> Box<dyn Store> {
    let address = Address::parse(&database.url(), None).unwrap();
    tokio::task::block_in_place(|| PostgresStore::open(address).unwrap())
}

/// What stands in a shared database now.
fn look_into(database: &Database) -> Result<Looked, Damaged> {
    let store = shared(database);
    tokio::task::block_in_place(move || look_through(&*store.reader(), None))
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_on_postgresql_write_one_chain_of_all_that_was_asked() {
    let (dir, database) = (tempfile::tempdir().unwrap(), Database::create().unwrap());
    let mut brokers = vec![];
    for _ in 0..3 {
        brokers.push(Broker::start(shared(&database), dir.path(), Options::default()).await);
    }
    brokers[0].ask("org_demo", org::Signal::Create {}).await;
    let work = brokers.iter().enumerate().map(|(b, broker)| async move {
        let mut places = vec![];
        for n in 0..20 {
            places.push(broker.put(n).await);
            broker.ask("org_demo", org::Signal::Pause { reason: format!("broker {b} {n},") }).await;
        }
        places
    });
    let places: Vec<AuditPlace> = futures::future::join_all(work).await.concat();
    // Where brokers share a database, an event is taken in when nothing can come before it any more.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let looked = loop {
        let looked = look_into(&database).unwrap();
        if looked.events == 61 {
            break looked;
        }
        assert!(tokio::time::Instant::now() < deadline, "{looked:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(
        looked.proved.unwrap().read,
        1 + 60 + 61,
        "the beginning, what was put, what was asked; once each"
    );
    let blocks = brokers[1].blocks().await;
    for kept in places {
        prove(&blocks, Some(kept)).unwrap();
    }
    for broker in brokers {
        broker.stop().await;
    }
    let text = "convert_from(body, 'UTF8')";
    let sql = format!(
        "UPDATE events SET body = convert_to(replace({text}, 'broker 1 7,', 'broker 1 8,'), 'UTF8')
         WHERE {text} LIKE '%broker 1 7,%' RETURNING seq"
    );
    let changed: u64 = database.psql(&sql).unwrap().lines().next().unwrap().parse().unwrap();
    assert!(matches!(look_into(&database).unwrap_err(), Damaged::Event { seq } if seq == changed));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_a_block_is_found() {
    let (dir, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let broker = Broker::start(Box::new(store), dir.path(), Options::default()).await;
    for n in 0..10 {
        broker.put(n).await;
    }
    let blocks = broker.blocks().await;
    let whole = prove(&blocks, None).unwrap();
    assert_eq!((whole.read, whole.hidden), (11, 0));
    let hidden: Vec<Block> = blocks.iter().cloned().map(|block| block.seen_by(|_| false)).collect();
    let proved = prove(&hidden, Some(whole.place.clone())).unwrap();
    assert_eq!((proved.read, proved.hidden), (0, 11), "proved without reading any of it");
    let spoilt = |spoil: &dyn Fn(&mut Vec<Block>)| {
        let mut blocks = blocks.clone();
        spoil(&mut blocks);
        prove(&blocks, Some(whole.place.clone())).unwrap_err().code()
    };
    let swap = |text: &mut String, from: &str, to: &str| *text = text.replace(from, to);
    assert_eq!(spoilt(&|b| swap(b[4].entries[0].as_mut().unwrap(), "ann", "bob")), "audit.broken");
    assert_eq!(spoilt(&|b| swap(&mut b[4].header, "\"log\":0", "\"log\":1")), "audit.broken");
    assert_eq!(spoilt(&|b| drop(b.remove(4))), "audit.broken");
    assert_eq!(spoilt(&|b| b.swap(4, 5)), "audit.broken");
    assert_eq!(spoilt(&|b| b.truncate(8)), "audit.forked");
    assert_eq!(spoilt(&|b| b[4].entries.clear()), "audit.broken");
    let last = |b: &mut Vec<Block>| {
        let last = b.last_mut().unwrap();
        swap(&mut last.header, "\"version\":1,", "\"version\":1, ");
    };
    assert_eq!(spoilt(&last), "audit.forked");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_was_set_back_cannot_deny_what_it_signed() {
    let (dir, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let broker = Broker::start(Box::new(store.clone()), dir.path(), Options::default()).await;
    for n in 0..5 {
        broker.put(n).await;
    }
    let backup = store.backup();
    let mut place = broker.put(5).await;
    for n in 6..9 {
        place = broker.put(n).await;
    }
    let kept = broker.signed(place.clone(), 100).await;
    broker.stop().await;

    let restored = Broker::start(Box::new(backup), dir.path(), Options::default()).await;
    let shorter = restored.put(99).await;
    let now = restored.signed(shorter, 200).await;
    assert_eq!(prove(&restored.blocks().await, Some(place.clone())).unwrap_err().code(), "audit.forked");
    let back = Evidence::Log { kept: kept.clone(), now, headers: vec![] };
    assert!(judge(&back).unwrap().1.contains("went back"), "{:?}", judge(&back));

    let mut longer = restored.put(100).await;
    for n in 101..110 {
        longer = restored.put(n).await;
    }
    let blocks = restored.blocks().await;
    assert_eq!(prove(&blocks, Some(place.clone())).unwrap_err().code(), "audit.forked");
    let is_from = |block: &&Block| block.header().unwrap().block >= place.block;
    let headers: Vec<String> = blocks.iter().filter(is_from).map(|block| block.header.clone()).collect();
    let now = restored.signed(longer, 300).await;
    let forked = Evidence::Log { kept: kept.clone(), now: now.clone(), headers: headers.clone() };
    assert!(judge(&forked).unwrap().1.contains("two digests"), "{:?}", judge(&forked));
    let cut = Evidence::Log { kept: kept.clone(), now: now.clone(), headers: headers[1..].to_vec() };
    assert!(judge(&cut).is_err(), "headers that begin elsewhere prove nothing");
    let itself = Evidence::Log { kept: now.clone(), now, headers };
    assert!(judge(&itself).is_err(), "who said one thing twice did not contradict themselves");
    restored.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn old_blocks_go_and_what_is_kept_is_proved_from_a_signed_place() {
    let (dir, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let options = Options { blocks_max: 1_500, ..Options::default() };
    let broker = Broker::start(Box::new(store.clone()), dir.path(), options).await;
    for n in 0..2_600 {
        broker.put(n).await;
    }
    let newest = broker.audit.chain().place().await.unwrap().unwrap();
    keep::cut(&broker.audit, &broker.keys, &newest).await.unwrap();
    let base = broker.audit.chain().base().await.unwrap().unwrap();
    assert_eq!(base.first, 1_000);
    assert!(broker.audit.chain().block(999).await.unwrap().is_none());
    let looked = look_through(&*store.reader(), Some(newest)).unwrap().proved.unwrap();
    assert_eq!((looked.first, looked.read), (1_000, 2_601 - 999));
    let after = broker.put(1).await;
    broker.stop().await;
    let again = Broker::start(Box::new(store), dir.path(), options).await;
    assert_eq!(again.put(2).await.block, after.block + 1, "it goes on where it stood");
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_authentications_are_counted_in_one_entry() {
    let (dir, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let broker = Broker::start(Box::new(store), dir.path(), Options::default()).await;
    for _ in 0..10_000 {
        broker.audit.refuse("api", "no token");
    }
    let (audit, engine) = (broker.audit.clone(), broker.engine.clone());
    broker.closing.cancel();
    broker.writer.await.unwrap();
    let blocks = audit.chain().after(0).await.unwrap();
    let entries: Vec<Entry> = blocks.iter().flat_map(|block| block.read().collect::<Vec<_>>()).collect();
    let failed: Vec<&Entry> = entries.iter().filter(|e| e.code == "authentication.failed").collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].facts["api no token"], "10000");
    engine.stop().await;
}

/// A runner's word with its signature.
fn told(records: u64, head: &str, at_ms: i64) -> New {
    let (key, head) = (SigningKey::ed25519_from_seed(&[5; 32]), Digest::of(head.as_bytes()));
    let install: ObjectId = "ins_demo.shop.acme".parse().unwrap();
    let checkpoint = Checkpoint { install: install.to_string(), segment: 1, records, head, at_ms };
    let signed = Envelope::sign(PayloadType::Checkpoint, &checkpoint, &[&key]).unwrap().to_bytes();
    of(&install, "run_demo.shop.acme", TOLD)
        .fact("identity", "1.1")
        .fact("records", records)
        .fact("head", head.hex())
        .fact("checkpoint", String::from_utf8(signed).unwrap())
        .fact("key", serde_json::to_string(&key.public()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_whose_receipts_went_back_is_found_and_proved() {
    let (dir, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let broker = Broker::start(Box::new(store), dir.path(), Options::default()).await;
    for (records, head, at) in [(4, "a", 1), (9, "b", 2), (14, "c", 3)] {
        broker.audit.put(told(records, head, at)).await.unwrap();
    }
    assert!(prove(&broker.blocks().await, None).unwrap().forks.is_empty());
    broker.audit.put(told(11, "d", 4)).await.unwrap();
    broker.audit.put(told(11, "e", 5)).await.unwrap();
    let forks = prove(&broker.blocks().await, None).unwrap().forks;
    assert_eq!(forks.len(), 2);
    let evidence = |(first, second): &(Told, Told)| {
        let (first, second) = (Box::new(first.clone()), Box::new(second.clone()));
        judge(&Evidence::Receipts { first, second })
    };
    assert!(evidence(&forks[0]).unwrap().1.contains("went back from 14 to 11"));
    assert!(evidence(&forks[1]).unwrap().1.contains("two digests"));
    let mut made_up = forks[1].clone();
    made_up.1.head = Digest::of(b"f").hex();
    assert!(evidence(&made_up).is_err(), "what nobody signed proves nothing");
    broker.stop().await;
}

#[test]
fn an_entry_is_bounded() {
    let new = of(&"org_demo".parse().unwrap(), "a".repeat(100_000), "test");
    let new = (0..100).fold(new, |new, n| new.fact(&n.to_string(), "ä".repeat(50_000)));
    let (block, _) = block::Tip::none("c".into()).next(Timestamp(1), 0, vec![(new, "s".into())]);
    assert!(block.entries[0].as_ref().unwrap().len() < 80_000);
    let reader: &dyn Reader = &MemoryStore::default();
    assert_eq!(look_through(reader, None).unwrap(), Looked { proved: None, events: 0 });
}
