//! What every store must do. Each check runs on each of them; a new store joins in `stores`.

use std::sync::Arc;

use remit_loops::{Kind, ObjectId, Timestamp};
use remit_postgres::{Database, Guard, Server};
use tempfile::TempDir;

use crate::store::postgres::Address;
use crate::store::{
    EventWrite, LogEnd, MemoryStore, ObjectWrite, PostgresStore, Reader, SqliteStore, Store, StoreError,
    StoredEvent, Transaction, key_hash,
};

fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

/// An empty store of each kind, and what they need to be there.
struct Stores {
    all: Vec<Box<dyn Store>>,
    // After the stores: they are on them.
    _database: Database,
    _dir: TempDir,
}

fn stores() -> Stores {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::create().unwrap();
    let sqlite = SqliteStore::open(&dir.path().join("remit.db")).unwrap();
    let all = vec![MemoryStore::boxed(), sqlite, postgres(&database)];
    Stores { all, _database: database, _dir: dir }
}

fn postgres(database: &Database) -> Box<dyn Store> {
    PostgresStore::open(Address::parse(&database.url(), None).unwrap()).unwrap()
}

fn on_each(check: fn(&mut dyn Store)) {
    stores().all.iter_mut().for_each(|store| check(&mut **store));
}

/// Appends an event and moves the object on to it.
fn append(tx: &mut dyn Transaction, to: &str, key: Option<&str>, body: &str, at: i64) -> u64 {
    let loaded = tx.load(&id(to)).unwrap();
    let (prev_seq, revision) = loaded.as_ref().map_or((0, 0), |o| (o.last_seq, o.revision));
    let row = loaded.map_or_else(|| tx.create(&id(to)).unwrap(), |o| o.row);
    let (at, body) = (Timestamp(at), body.as_bytes());
    let seq = tx.append(&EventWrite { row, prev_seq, at, key, by: b"by", body, entries: b"" }).unwrap();
    let deadline = None;
    let (revision, last_seq) = (revision + 1, seq);
    let keys = key.unwrap_or_default().as_bytes();
    tx.write(&ObjectWrite { row, revision, last_seq, deadline, version: 1, state: body, keys }).unwrap();
    seq
}

fn set_deadline(store: &mut dyn Store, of: &str, deadline: Option<i64>) {
    let mut tx = store.begin().unwrap();
    let o = tx.load(&id(of)).unwrap().unwrap();
    let deadline = deadline.map(Timestamp);
    let (row, revision, last_seq) = (o.row, o.revision, o.last_seq);
    let (version, state, keys) = (1, &o.state[..], &o.keys[..]);
    tx.write(&ObjectWrite { row, revision, last_seq, deadline, version, state, keys }).unwrap();
    tx.commit().unwrap();
}

fn bodies(events: &[StoredEvent]) -> Vec<&str> {
    events.iter().map(|e| std::str::from_utf8(&e.body).unwrap()).collect()
}

#[test]
fn what_is_committed_is_read_and_nothing_else() {
    on_each(|store| {
        let reader = store.reader();
        let mut tx = store.begin().unwrap();
        let seq = append(&mut *tx, "org_a", Some("k"), "one", 5);
        assert_eq!(tx.load(&id("org_a")).unwrap().unwrap().state, b"one", "a batch sees its own writes");
        assert!(tx.create(&id("org_a")).is_err(), "an object is made once");
        assert_eq!(reader.object(&id("org_a")).unwrap(), None, "nobody else sees them yet");
        assert_eq!(reader.log_end().unwrap(), LogEnd::default());
        tx.commit().unwrap();
        let object = reader.object(&id("org_a")).unwrap().unwrap();
        assert_eq!((object.revision, object.last_seq, object.version), (1, seq, 1));
        assert_eq!(reader.log_end().unwrap(), LogEnd { seq, at: Timestamp(5) });
        let event = &reader.history(&id("org_a"), None, 9).unwrap()[0];
        assert_eq!(
            (event.key.as_deref(), &event.by[..], &event.body[..]),
            (Some("k"), &b"by"[..], &b"one"[..])
        );
        assert!(event.entries.is_empty());
    });
}

#[test]
fn a_dropped_batch_leaves_nothing() {
    on_each(|store| {
        let mut tx = store.begin().unwrap();
        append(&mut *tx, "org_a", Some("k"), "one", 1);
        tx.push_inbox(&id("org_a"), b"by", b"body").unwrap();
        tx.put_record("s", "k", b"v", false).unwrap();
        drop(tx);
        let reader = store.reader();
        assert_eq!(reader.object(&id("org_a")).unwrap(), None);
        assert!(reader.events(0, 9).unwrap().is_empty());
        assert!(reader.inbox().unwrap().is_empty());
        assert_eq!(reader.record("s", "k").unwrap(), None);
        let mut tx = store.begin().unwrap();
        append(&mut *tx, "org_a", None, "two", 1);
        tx.commit().unwrap();
        assert_eq!(bodies(&reader.events(0, 9).unwrap()), ["two"]);
    });
}

#[test]
fn older_keys_belong_to_their_object() {
    on_each(|store| {
        let mut tx = store.begin().unwrap();
        let seq = append(&mut *tx, "org_a", Some("k"), "one", 1);
        append(&mut *tx, "org_b", None, "two", 1);
        let row = |tx: &mut dyn Transaction, of| tx.load(&id(of)).unwrap().unwrap().row;
        let (a, b) = (row(&mut *tx, "org_a"), row(&mut *tx, "org_b"));
        let older = [(key_hash("k"), seq), (key_hash("l"), seq + 5)];
        assert_eq!(tx.older_keys(a).unwrap(), [], "nobody put it in the table yet");
        tx.spill_keys(a, &older[..1]).unwrap();
        assert_eq!(tx.older_keys(a).unwrap(), older[..1], "even before the commit");
        tx.commit().unwrap();
        assert_eq!(store.reader().object(&id("org_a")).unwrap().unwrap().keys, b"k");
        let mut tx = store.begin().unwrap();
        tx.spill_keys(a, &older[1..]).unwrap();
        assert_eq!(tx.older_keys(a).unwrap(), older);
        assert_eq!(tx.older_keys(b).unwrap(), []);
        let newer = tx.newer_keys(&[(b, 0), (a, older[0].1)]).unwrap();
        assert_eq!(newer, [vec![], older[1..].to_vec()], "in the order in which they were asked for");
        assert_eq!(tx.event(seq).unwrap().unwrap().body, b"one");
        assert_eq!(tx.event(seq + 9).unwrap(), None);
    });
}

#[test]
fn blocks_of_old_keys_go_and_newer_ones_stay() {
    on_each(|store| {
        let mut tx = store.begin().unwrap();
        let name = |n: usize| format!("k{n}");
        let append = |(n, at)| (key_hash(&name(n)), append(&mut *tx, "org_a", Some(&name(n)), "x", at));
        let keys: Vec<_> = [10, 20, 30, 40].into_iter().enumerate().map(append).collect();
        let row = tx.load(&id("org_a")).unwrap().unwrap().row;
        keys.chunks(2).for_each(|block| tx.spill_keys(row, block).unwrap());
        tx.commit().unwrap();
        let mut expire = |limit, left: usize| {
            let mut tx = store.begin().unwrap();
            let seen = tx.expire_keys(Timestamp(30), limit).unwrap();
            tx.commit().unwrap();
            let mut tx = store.begin().unwrap();
            assert_eq!(tx.older_keys(row).unwrap(), keys[4 - left..]);
            seen
        };
        assert_eq!(expire(1, 4), 1, "one of the block is young yet");
        assert_eq!(expire(9, 2), 1, "it goes on where it was, and not too far");
        assert_eq!(expire(9, 2), 0);
    });
}

#[test]
fn history_follows_one_object_through_the_log() {
    on_each(|store| {
        let mut seqs = vec![];
        for n in 0..10 {
            let mut tx = store.begin().unwrap();
            seqs.push(append(&mut *tx, "org_a", None, &format!("a{n}"), n));
            append(&mut *tx, "org_b", None, &format!("b{n}"), n);
            tx.commit().unwrap();
        }
        let reader = store.reader();
        let page = reader.history(&id("org_a"), None, 3).unwrap();
        assert_eq!(bodies(&page), ["a9", "a8", "a7"]);
        let page = reader.history(&id("org_a"), Some(page[2].seq), 2).unwrap();
        assert_eq!(bodies(&page), ["a6", "a5"]);
        // A place that is another object's event counts as a place all the same.
        let page = reader.history(&id("org_a"), Some(seqs[2] + 1), 9).unwrap();
        assert_eq!(bodies(&page), ["a2", "a1", "a0"]);
        assert!(reader.history(&id("org_a"), Some(seqs[0]), 9).unwrap().is_empty());
        assert!(reader.history(&id("org_c"), None, 9).unwrap().is_empty());
        assert_eq!(bodies(&reader.events(seqs[8], 2).unwrap()), ["b8", "a9"]);
    });
}

#[test]
fn a_list_is_of_one_kind_under_one_object_page_by_page() {
    on_each(|store| {
        let mut tx = store.begin().unwrap();
        let made =
            ["org_a", "org_a-b", "app_a.x", "app_a.y", "app_a-b.x", "ins_a.x.i", "ins_a.x-y.i", "run_a.x.i"];
        for object in made {
            append(&mut *tx, object, None, "x", 1);
        }
        tx.commit().unwrap();
        let reader = store.reader();
        let list = |kind, under: Option<&str>, after: Option<&str>, limit| -> Vec<String> {
            let (under, after) = (under.map(id), after.map(id));
            let found = reader.list(kind, under.as_ref(), after.as_ref(), limit).unwrap();
            found.iter().map(|o| o.id.to_string()).collect()
        };
        assert_eq!(list(Kind::Org, None, None, 9), ["org_a", "org_a-b"]);
        assert_eq!(list(Kind::Org, Some("org_a"), None, 9), ["org_a"]);
        assert_eq!(list(Kind::App, Some("org_a"), None, 9), ["app_a.x", "app_a.y"]);
        assert_eq!(list(Kind::App, Some("org_a"), None, 1), ["app_a.x"]);
        assert_eq!(list(Kind::App, Some("org_a"), Some("app_a.x"), 9), ["app_a.y"]);
        assert_eq!(list(Kind::App, None, None, 9), ["app_a-b.x", "app_a.x", "app_a.y"]);
        assert_eq!(list(Kind::Install, Some("app_a.x"), None, 9), ["ins_a.x.i"]);
        assert_eq!(list(Kind::Install, Some("org_a"), None, 9), ["ins_a.x-y.i", "ins_a.x.i"]);
        assert_eq!(list(Kind::Runner, Some("ins_a.x.i"), None, 9), ["run_a.x.i"]);
        assert!(list(Kind::Component, None, None, 9).is_empty());
    });
}

#[test]
fn deadlines_are_found_again() {
    on_each(|store| {
        let mut tx = store.begin().unwrap();
        for object in ["org_a", "org_b", "org_c"] {
            append(&mut *tx, object, None, "x", 1);
        }
        tx.commit().unwrap();
        set_deadline(store, "org_a", Some(20));
        set_deadline(store, "org_b", Some(10));
        set_deadline(store, "org_c", Some(5));
        set_deadline(store, "org_c", None);
        let wanted = [(Timestamp(10), id("org_b")), (Timestamp(20), id("org_a"))];
        let deadlines = |until, limit| store.reader().deadlines(Timestamp(until), limit).unwrap();
        assert_eq!(deadlines(99, 9), wanted);
        assert_eq!(deadlines(10, 9), wanted[..1]);
        assert_eq!(deadlines(99, 1), wanted[..1]);
    });
}

#[test]
fn the_inbox_keeps_its_order_and_gives_each_notice_once() {
    on_each(|store| {
        let mut tx = store.begin().unwrap();
        for n in 0..5 {
            tx.push_inbox(&id("org_a"), b"by", format!("n{n}").as_bytes()).unwrap();
        }
        tx.commit().unwrap();
        let mut tx = store.begin().unwrap();
        let taken = tx.take_inbox(2).unwrap();
        assert_eq!(taken.iter().map(|n| &n.body[..]).collect::<Vec<_>>(), [b"n0", b"n1"]);
        tx.push_inbox(&id("org_b"), b"by", b"n5").unwrap();
        tx.commit().unwrap();
        let rest = store.reader().inbox().unwrap();
        assert_eq!(rest.iter().map(|n| &n.body[..]).collect::<Vec<_>>(), [b"n2", b"n3", b"n4", b"n5"]);
        assert_eq!(rest[3].to, id("org_b"));
        let mut tx = store.begin().unwrap();
        assert_eq!(tx.take_inbox(9).unwrap(), rest);
        drop(tx);
        assert_eq!(store.reader().inbox().unwrap(), rest, "a dropped batch took nothing");
    });
}

#[test]
fn records_are_written_listed_and_removed() {
    on_each(|store| {
        let mut tx = store.begin().unwrap();
        assert!(tx.put_record("s", "a1", b"one", true).unwrap());
        assert!(!tx.put_record("s", "a1", b"two", true).unwrap());
        assert!(tx.put_record("s", "a2", b"two", false).unwrap());
        assert!(tx.put_record("s", "b", b"three", false).unwrap());
        assert!(tx.put_record("t", "a1", b"four", false).unwrap());
        assert!(tx.delete_record("s", "b").unwrap());
        assert!(!tx.delete_record("s", "b").unwrap());
        tx.commit().unwrap();
        let reader = store.reader();
        assert_eq!(reader.record("s", "a1").unwrap().unwrap(), b"one");
        let listed = reader.records("s", "a", 9).unwrap();
        assert_eq!(listed.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), ["a1", "a2"]);
        assert_eq!(reader.records("s", "a", 1).unwrap().len(), 1);
        assert!(reader.records("s", "b", 9).unwrap().is_empty());
    });
}

/// A random run gives the same on every store: the differential that finds what nobody thought of.
#[test]
fn random_batches_leave_the_same_in_every_store() {
    for seed in 1..=20 {
        let dir = tempfile::tempdir().unwrap();
        let expected = random_run(&mut *MemoryStore::boxed(), seed);
        let mut sqlite = SqliteStore::open(&dir.path().join("remit.db")).unwrap();
        assert_eq!(expected, random_run(&mut *sqlite, seed), "seed {seed}");
        if seed % 4 == 0 {
            let database = Database::create().unwrap();
            assert_eq!(expected, random_run(&mut *postgres(&database), seed), "seed {seed}");
        }
    }
}

fn random_run(store: &mut dyn Store, seed: u64) -> String {
    let mut state = seed;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for at in 0..40 {
        let mut tx = store.begin().unwrap();
        for _ in 0..random(8) {
            let object = format!("org_o{}", random(5));
            match random(6) {
                0..3 => {
                    let key = format!("k{at}-{}", random(9));
                    append(&mut *tx, &object, Some(&key), "x", at);
                }
                3 => tx.push_inbox(&id(&object), b"by", &at.to_be_bytes()).unwrap(),
                4 => assert!(tx.expire_keys(Timestamp(at - 20), 5).unwrap() <= 5),
                _ => _ = tx.put_record("s", &object, &at.to_be_bytes(), random(2) == 0).unwrap(),
            }
        }
        match random(4) {
            0 => drop(tx),
            _ => tx.commit().unwrap(),
        }
        let mut tx = store.begin().unwrap();
        tx.take_inbox(random(3) as usize).unwrap();
        tx.commit().unwrap();
    }
    content(&*store.reader())
}

/// All there is; places in the log and numbers of objects by their order, for a shared store has gaps.
fn content(reader: &dyn Reader) -> String {
    let events = reader.events(0, 9_999).unwrap();
    let place = |seq: u64| events.iter().take_while(|e| e.seq <= seq).count();
    let log: Vec<_> = events
        .iter()
        .map(|e| (place(e.seq), e.object.to_string(), place(e.prev_seq), e.at, e.key.clone()))
        .collect();
    let objects = reader.list(Kind::Org, None, None, 99).unwrap();
    let objects: Vec<_> =
        objects.into_iter().map(|o| (o.id, o.revision, place(o.last_seq), o.state, o.keys)).collect();
    let (inbox, records) = (reader.inbox().unwrap(), reader.records("s", "", 99).unwrap());
    let inbox: Vec<_> = inbox.into_iter().map(|n| (n.to, n.body)).collect();
    format!("{log:#?}\n{objects:#?}\n{inbox:?}\n{records:?}")
}

#[test]
fn two_brokers_cannot_have_one_database() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remit.db");
    let first = SqliteStore::open(&path).unwrap();
    let second = SqliteStore::open(&path).err().expect("it is held");
    assert!(matches!(second, StoreError::Locked { .. }));
    assert_eq!(second.code(), "store.locked");
    drop(first);
    SqliteStore::open(&path).unwrap();
}

#[test]
fn a_database_of_a_newer_broker_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remit.db");
    drop(SqliteStore::open(&path).unwrap());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    let error = SqliteStore::open(&path).err().expect("it is newer");
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remit.db");
    std::fs::write(&path, vec![b'x'; 8_192]).unwrap();
    assert_eq!(SqliteStore::open(&path).err().expect("it is rubbish").code(), "store.corrupt");
    let nowhere = dir.path().join("no/such/place.db");
    assert_eq!(SqliteStore::open(&nowhere).err().expect("no such place").code(), "store.open");
}

#[test]
fn the_write_ahead_log_stays_bounded_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remit.db");
    let mut store = SqliteStore::open(&path).unwrap();
    let big = "x".repeat(1 << 20);
    let mut longest = 0;
    for n in 0..200 {
        let mut tx = store.begin().unwrap();
        append(&mut *tx, &format!("org_o{}", n % 3), None, &big, n);
        tx.commit().unwrap();
        longest = longest.max(dir.path().join("remit.db-wal").metadata().unwrap().len());
    }
    // 400 MiB were written; at most 256 of them ever wait.
    assert!(longest <= 260 << 20, "{longest}");
    assert_eq!(store.reader().events(0, 999).unwrap().len(), 200);
}

#[test]
fn a_database_whose_clock_is_set_back_gives_no_earlier_times() {
    let database = Database::create().unwrap();
    let mut store = postgres(&database);
    let mut tx = store.begin().unwrap();
    append(&mut *tx, "org_a", None, "one", 5);
    tx.commit().unwrap();
    let mut tx = store.begin().unwrap();
    let now = tx.clock().unwrap().unwrap();
    tx.load(&id("org_a")).unwrap().unwrap();
    let ahead = now.plus_ms(3_600_000);
    append(&mut *tx, "org_a", None, "two", ahead.0);
    tx.commit().unwrap();
    let mut tx = store.begin().unwrap();
    assert!(tx.clock().unwrap().unwrap() < ahead);
    tx.load(&id("org_a")).unwrap().unwrap();
    assert_eq!(tx.clock().unwrap().unwrap(), ahead, "the object has had an event at that time");
}

#[test]
fn a_guarded_server_is_reached_by_tls_with_a_password_and_not_otherwise() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, password) = (made.cert.pem(), "a secret".to_owned());
    let key = made.signing_key.serialize_pem();
    let guard = Guard { certificate: certificate.clone(), key, password: password.clone() };
    let database = Database::on(&Arc::new(Server::start_guarded(&guard).unwrap())).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap().cert.pem();
    for (name, pem) in [("right", &certificate), ("wrong", &other)] {
        std::fs::write(dir.path().join(name), pem).unwrap();
    }
    let open = |roots: &str, password: Option<&str>| {
        let url = format!("{}?sslrootcert={}", database.bare_url(), dir.path().join(roots).display());
        PostgresStore::open(Address::parse(&url, password).unwrap())
    };
    assert!(open("right", Some(&password)).is_ok());
    let by_tls = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE ssl AND application_name = 'remit-broker'";
    let _store = open("right", Some(&password)).unwrap();
    assert_eq!(database.psql(by_tls).unwrap(), "1");
    for (roots, given) in [("right", None), ("right", Some("another")), ("wrong", Some(&password[..]))] {
        let error = open(roots, given).err().expect("it is refused").to_string();
        assert!(!error.contains(&password), "{error}");
    }
}

#[test]
fn pages_lie_beside_a_state_and_are_written_one_by_one() {
    on_each(|store| {
        let reader = store.reader();
        let mut tx = store.begin().unwrap();
        append(&mut *tx, "app_a.b", None, "one", 1);
        append(&mut *tx, "app_a.c", None, "one", 1);
        let (row, other) = {
            let mut row = |of: &str| tx.load(&id(of)).unwrap().unwrap().row;
            (row("app_a.b"), row("app_a.c"))
        };
        for (row, number, page) in [(row, 7, "seven"), (row, 1 << 40, "far"), (other, 7, "another's")] {
            tx.write_page(row, number, Some(page.as_bytes())).unwrap();
        }
        assert_eq!(reader.pages(row).unwrap(), [], "nobody else sees them yet");
        tx.commit().unwrap();
        let sorted = |mut pages: Vec<(u64, Vec<u8>)>| {
            pages.sort();
            pages
        };
        assert_eq!(sorted(reader.pages(row).unwrap()), [(7, b"seven".to_vec()), (1 << 40, b"far".to_vec())]);
        let mut tx = store.begin().unwrap();
        assert_eq!(sorted(tx.pages(row).unwrap()).len(), 2);
        tx.write_page(row, 7, Some(b"changed")).unwrap();
        tx.write_page(row, 1 << 40, None).unwrap();
        drop(tx);
        assert_eq!(reader.pages(row).unwrap().len(), 2, "a dropped batch leaves them as they were");
        let mut tx = store.begin().unwrap();
        tx.load(&id("app_a.b")).unwrap();
        tx.write_page(row, 7, Some(b"changed")).unwrap();
        tx.write_page(row, 1 << 40, None).unwrap();
        tx.commit().unwrap();
        assert_eq!(reader.pages(row).unwrap(), [(7, b"changed".to_vec())]);
        assert_eq!(reader.pages(other).unwrap(), [(7, b"another's".to_vec())]);
    });
}
