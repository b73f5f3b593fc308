//! The engine over both stores: what is accepted is there, what is refused left nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use remit_loops::component::ToComponent;
use remit_loops::job::{Action, Failure, FailureClass, Mode, Outcome};
use remit_loops::release::ReleaseRef;
use remit_loops::view::Detail;
use remit_loops::{Actor, Body, Kind, Notice, ObjectId, RejectedCode, Signal, Timestamp};
use remit_loops::{app, component, org};
use remit_postgres::Database;

use crate::engine::{Accepted, ClockSource, Driver, Engine, Options, Submission, SubmitError, replay};
use crate::store::postgres::Address;
use crate::store::{MemoryStore, PostgresStore, Reader, SqliteStore, Store};

const PATIENCE: Duration = Duration::from_secs(180);

pub(super) fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

fn org_signal(to: &str, key: Option<&str>, signal: org::Signal) -> Submission {
    submission(to, key, Signal::Org(signal))
}

pub(super) fn submission(to: &str, key: Option<&str>, signal: Signal) -> Submission {
    let by = Actor::Person("ann".into());
    Submission { to: id(to), by, key: key.map(str::to_owned), body: Body::Signal(signal) }
}

fn pause() -> org::Signal {
    org::Signal::Pause { reason: "lunch".into() }
}

async fn create(engine: &Engine, to: &str) -> Accepted {
    let signal = match id(to).kind() {
        Kind::Org => Signal::Org(org::Signal::Create {}),
        Kind::App => Signal::App(app::Signal::Create {}),
        kind => panic!("no test creates a {kind} so"),
    };
    engine.submit(submission(to, None, signal)).await.unwrap()
}

/// Runs a test on each store, and replays the log after it.
pub(super) fn on_each_store(options: &Options, test: &impl AsyncFn(&Engine)) {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::create().unwrap();
    let shared = PostgresStore::open(Address::parse(&database.url(), None).unwrap()).unwrap();
    let stores = [MemoryStore::boxed(), SqliteStore::open(&dir.path().join("remit.db")).unwrap(), shared];
    for store in stores {
        let reader = store.reader();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let engine = {
            let _context = runtime.enter();
            Engine::start(store, options.clone()).unwrap()
        };
        runtime.block_on(async {
            tokio::time::timeout(PATIENCE, test(&engine)).await.expect("the test hangs");
            engine.stop().await;
        });
        replay(&*reader).unwrap();
    }
}

#[test]
fn an_accepted_event_shows_in_query_list_and_history() {
    on_each_store(&Options::default(), &async |engine| {
        assert!(engine.query(&id("org_a")).await.unwrap().is_none());
        let first = create(engine, "org_a").await;
        let second = engine.submit(org_signal("org_a", Some("k"), pause())).await.unwrap();
        assert!(second.seq > first.seq && !second.duplicate);
        let snapshot = engine.query(&id("org_a")).await.unwrap().unwrap();
        assert_eq!((snapshot.revision, &snapshot.object), (2, &second.snapshot.object));
        let listed = engine.list(Kind::Org, None, None, 10).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].object, snapshot.object);
        let history = engine.history(&id("org_a"), None, 10).await.unwrap();
        assert_eq!(history.iter().map(|h| h.seq).collect::<Vec<_>>(), [second.seq, first.seq]);
        assert!(!history[0].entries.is_empty(), "a pause is on the timeline");
        let older = engine.history(&id("org_a"), Some(second.seq), 10).await.unwrap();
        assert_eq!(older.len(), 1);
    });
}

#[test]
fn a_key_is_done_once_and_answered_each_time() {
    on_each_store(&Options::default(), &async |engine| {
        create(engine, "org_a").await;
        let first = engine.submit(org_signal("org_a", Some("k"), pause())).await.unwrap();
        let again = engine.submit(org_signal("org_a", Some("k"), pause())).await.unwrap();
        assert_eq!((again.seq, again.duplicate, again.snapshot.revision), (first.seq, true, 2));
        let other = engine.submit(org_signal("org_a", Some("k"), org::Signal::Resume {})).await;
        let Err(SubmitError::Rejected(rejected)) = other else { panic!("{other:?}") };
        assert_eq!(rejected.code, RejectedCode::Conflict);
        create(engine, "org_b").await;
        assert!(!engine.submit(org_signal("org_b", Some("k"), pause())).await.unwrap().duplicate);
    });
}

#[test]
fn an_old_key_is_known_after_many_newer_ones_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remit.db");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = Engine::start(SqliteStore::open(&path).unwrap(), Options::default()).unwrap();
        create(&engine, "org_a").await;
        let mut seqs = vec![];
        for n in 0..100 {
            seqs.push(engine.submit(org_signal("org_a", Some(&format!("k{n}")), pause())).await.unwrap().seq);
        }
        engine.stop().await;
        let engine = Engine::start(SqliteStore::open(&path).unwrap(), Options::default()).unwrap();
        for (n, seq) in seqs.into_iter().enumerate() {
            let again = engine.submit(org_signal("org_a", Some(&format!("k{n}")), pause())).await.unwrap();
            assert_eq!((again.seq, again.duplicate), (seq, true), "k{n}");
        }
        engine.stop().await;
    });
}

#[test]
fn one_key_sent_many_times_at_once_is_done_once() {
    on_each_store(&Options::default(), &async |engine| {
        create(engine, "org_a").await;
        let sends = (0..64).map(|_| engine.submit(org_signal("org_a", Some("k"), pause())));
        let answers = futures::future::join_all(sends).await;
        let done = answers.iter().filter(|a| !a.as_ref().unwrap().duplicate).count();
        assert_eq!(done, 1);
        assert_eq!(engine.history(&id("org_a"), None, 99).await.unwrap().len(), 2);
    });
}

#[test]
fn a_refused_event_changes_nothing_and_disturbs_nobody() {
    on_each_store(&Options::default(), &async |engine| {
        create(engine, "org_a").await;
        let bad = engine.submit(org_signal("org_b", Some("k"), pause()));
        let good = engine.submit(org_signal("org_a", Some("k"), pause()));
        let (bad, good) = tokio::join!(bad, good);
        assert!(matches!(bad, Err(SubmitError::Rejected(_))));
        assert!(good.is_ok());
        assert!(engine.query(&id("org_b")).await.unwrap().is_none());
        assert!(engine.history(&id("org_b"), None, 9).await.unwrap().is_empty());
        create(engine, "org_b").await;
        let later = engine.submit(org_signal("org_b", Some("k"), pause())).await.unwrap();
        assert!(!later.duplicate, "a refused event does not use its key up");
        assert_eq!(engine.metrics().rejected, 1);
    });
}

#[test]
fn notices_between_loops_arrive_in_the_same_commit() {
    on_each_store(&Options::default(), &async |engine| {
        create(engine, "org_a").await;
        let app = create(engine, "app_a.b").await;
        assert_eq!(app.snapshot.object.view().status.word, "active", "its org has told it so");
        engine.submit(org_signal("org_a", None, pause())).await.unwrap();
        let app = engine.query(&id("app_a.b")).await.unwrap().unwrap();
        assert!(!app.object.why().is_empty(), "it waits for its org");
        assert_eq!(engine.metrics().notices_deferred, 0);
    });
}

#[test]
fn notices_that_do_not_fit_come_with_the_next_commits() {
    let options = Options { notices_max: 3, ..Options::default() };
    on_each_store(&options, &async |engine| {
        create(engine, "org_a").await;
        for n in 0..20 {
            create(engine, &format!("app_a.b{n}")).await;
        }
        let apps: Vec<ObjectId> = (0..20).map(|n| id(&format!("app_a.b{n}"))).collect();
        let mut changes: Vec<_> = apps.iter().map(|app| engine.watch(app)).collect();
        engine.submit(org_signal("org_a", None, pause())).await.unwrap();
        for (app, changes) in apps.iter().zip(&mut changes) {
            while engine.query(app).await.unwrap().unwrap().object.why().is_empty() {
                changes.changed().await;
            }
        }
        assert!(engine.metrics().notices_deferred > 0);
    });
}

#[test]
fn a_refused_notice_is_on_the_timeline_of_the_one_that_refused_it() {
    on_each_store(&Options::default(), &async |engine| {
        create(engine, "app_nobody.b").await;
        let history = engine.history(&id("org_nobody"), None, 9).await.unwrap();
        let refused = engine.metrics().notices_refused;
        assert_eq!(
            history
                .iter()
                .filter(|h| h.entries.iter().any(|e| e.code == super::batch::NOTICE_REFUSED))
                .count() as u64,
            refused
        );
        assert!(engine.query(&id("org_nobody")).await.unwrap().is_none());
        assert!(engine.list(Kind::Org, None, None, 9).await.unwrap().is_empty());
    });
}

#[test]
fn a_watch_is_told_of_what_comes_after_it() {
    on_each_store(&Options::default(), &async |engine| {
        create(engine, "org_a").await;
        let mut changes = engine.watch(&id("org_a"));
        let mut other = engine.watch(&id("org_b"));
        engine.submit(org_signal("org_a", None, pause())).await.unwrap();
        changes.changed().await;
        let quiet = tokio::time::timeout(Duration::from_millis(20), other.changed()).await;
        // Where brokers share a store it is a hint, and one that begins to listen wakes everybody.
        assert!(quiet.is_err() || engine.is_shared(), "nothing happened to the other");
        assert_eq!(engine.metrics().watched, 2);
        drop((changes, other));
        assert_eq!(engine.metrics().watched, 0);
    });
}

#[test]
fn records_of_the_edge_are_kept() {
    on_each_store(&Options::default(), &async |engine| {
        assert!(engine.add_record("root", "org_a", b"one".to_vec()).await.unwrap());
        assert!(!engine.add_record("root", "org_a", b"two".to_vec()).await.unwrap());
        assert_eq!(engine.get_record("root", "org_a").await.unwrap().unwrap(), b"one");
        engine.put_record("root", "org_a", b"three".to_vec()).await.unwrap();
        engine.put_record("root", "orgb", b"x".to_vec()).await.unwrap();
        let listed = engine.list_records("root", "org_", 9).await.unwrap();
        assert_eq!(listed, [("org_a".to_owned(), b"three".to_vec())]);
        assert!(engine.delete_record("root", "org_a").await.unwrap());
        assert!(!engine.delete_record("root", "org_a").await.unwrap());
        assert!(engine.put_record("root", "big", vec![0; super::RECORD_LEN_MAX + 1]).await.is_err());
    });
}

#[test]
fn more_than_fits_is_refused_before_it_is_accepted() {
    let options = Options { intake_max: 8, ..Options::default() };
    on_each_store(&options, &async |engine| {
        create(engine, "org_a").await;
        let sends = (0..500).map(|n| {
            let key = format!("k{n}");
            async move { engine.submit(org_signal("org_a", Some(&key), pause())).await }
        });
        let answers = futures::future::join_all(sends).await;
        let busy = answers.iter().filter(|a| matches!(a, Err(SubmitError::Busy { .. }))).count();
        let accepted = answers.iter().filter(|a| a.is_ok()).count();
        assert!(busy > 0, "a queue of 8 takes 500 at once");
        assert_eq!(engine.metrics().busy, busy as u64);
        let pauses = engine.history(&id("org_a"), None, 999).await.unwrap().len() - 1;
        assert_eq!(pauses, accepted);
    });
}

#[test]
fn a_stopped_engine_takes_nothing_and_keeps_what_it_took() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remit.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = Engine::start(SqliteStore::open(&path).unwrap(), Options::default()).unwrap();
        create(&engine, "org_a").await;
        assert!(engine.healthy());
        engine.stop().await;
        assert!(!engine.healthy());
        let late = engine.submit(org_signal("org_a", None, pause())).await;
        assert!(matches!(late, Err(SubmitError::Stopping)));
        let again = Engine::start(SqliteStore::open(&path).unwrap(), Options::default()).unwrap();
        assert_eq!(again.query(&id("org_a")).await.unwrap().unwrap().revision, 1);
        assert!(!again.submit(org_signal("org_a", None, pause())).await.unwrap().duplicate);
    });
}

#[test]
fn the_clock_of_events_never_goes_back_even_over_a_restart() {
    let source = Arc::new(AtomicI64::new(5_000));
    let store = MemoryStore::default();
    let options = Options { clock: ClockSource::Manual(source.clone()), ..Options::default() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let engine = Engine::start(Box::new(store.clone()), options.clone()).unwrap();
        create(&engine, "org_a").await;
        engine.stop().await;
        source.store(1_000, Ordering::Release);
        let engine = Engine::start(Box::new(store.clone()), options).unwrap();
        create(&engine, "org_b").await;
        assert_eq!(engine.history(&id("org_b"), None, 1).await.unwrap()[0].at, Timestamp(5_000));
        engine.stop().await;
    });
    replay(&*store.reader() as &dyn Reader).unwrap();
}

#[test]
fn after_a_failed_commit_nothing_is_promised_any_more() {
    let store = MemoryStore::default();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = Engine::start(Box::new(store.clone()), Options::default()).unwrap();
        let before = create(&engine, "org_a").await;
        store.break_down();
        let sends = (0..20).map(|_| engine.submit(org_signal("org_a", None, pause())));
        for answer in futures::future::join_all(sends).await {
            assert!(matches!(answer, Err(SubmitError::Store(_))), "{answer:?}");
        }
        assert!(!engine.healthy());
        let late = engine.put_record("s", "k", vec![]).await.unwrap_err();
        assert_eq!(late.code(), "store.failed");
        let shown = engine.query(&id("org_a")).await.unwrap().unwrap();
        assert_eq!((shown.revision, &shown.object), (1, &before.snapshot.object), "only what is stored");
    });
}

fn task() -> component::Task {
    component::Task {
        operation: 1,
        epoch: 1,
        action: Action::Deploy,
        kind: String::new(),
        mode: Mode::Real,
        play: None,
        release: ReleaseRef { digest: "sha256:0".into(), counter: 1, version: "1".into() },
        digest: "sha256:1".into(),
        inputs: Default::default(),
        longest_run_ms: 1_000,
        input_digest: None,
        begin_by: None,
        stage: remit_loops::plan::Stage::Whole,
        word: None,
        command: None,
        gate: false,
        glass: None,
    }
}

fn notice(notice: ToComponent) -> Submission {
    let by = Actor::Person("test".into());
    Submission { to: id("cmp_a.b.c.d"), by, key: None, body: Body::Notice(Notice::Component(notice)) }
}

fn attempt(object: &remit_loops::Object) -> remit_loops::job::AttemptId {
    match object.view().detail {
        Detail::Component { job, .. } => job.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deadline_brings_a_tick_even_over_a_restart() {
    let source = Arc::new(AtomicI64::new(1_000));
    let options = Options { clock: ClockSource::Manual(source.clone()), ..Options::default() };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("remit.db");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let engine = Engine::start(SqliteStore::open(&path).unwrap(), options.clone()).unwrap();
        let begun = engine.submit(notice(ToComponent::Do(task()))).await.unwrap();
        let first = attempt(&begun.snapshot.object);
        let failure = Failure {
            class: FailureClass::Transient,
            code: "test".into(),
            message: "later".into(),
            hint: String::new(),
        };
        let ended =
            ToComponent::JobEnded { attempt: first.clone(), outcome: Outcome::Failed(failure), ran_by: None };
        let waiting = engine.submit(notice(ended)).await.unwrap();
        let deadline = waiting.snapshot.object.deadline().expect("it backs off");
        engine.stop().await;

        let engine = Engine::start(SqliteStore::open(&path).unwrap(), options).unwrap();
        let mut changes = engine.watch(&id("cmp_a.b.c.d"));
        let early = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
        assert!(early.is_err(), "its time has not come");
        source.store(deadline.0, Ordering::Release);
        tokio::time::timeout(PATIENCE, changes.changed()).await.expect("no tick came");
        let now = engine.query(&id("cmp_a.b.c.d")).await.unwrap().unwrap();
        assert_eq!(attempt(&now.object).attempt, first.attempt + 1);
        let tick = &engine.history(&id("cmp_a.b.c.d"), None, 1).await.unwrap()[0];
        assert_eq!((&tick.body, tick.at), (&Body::Tick, deadline));
        assert_eq!(engine.metrics().ticks, 1);
        engine.stop().await;
    });
    replay(&*SqliteStore::open(&path).unwrap().reader()).unwrap();
}

/// What a future has to say without a runtime.
pub(super) fn answer<T>(future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    }
}

#[test]
fn a_driven_engine_does_a_batch_when_it_is_told_to() {
    let clock = Arc::new(AtomicI64::new(1_000));
    let store = MemoryStore::default();
    let options = Options { clock: ClockSource::Manual(clock.clone()), ..Options::default() };
    let (engine, mut driver) = Engine::driven(Box::new(store.clone()), options.clone()).unwrap();
    assert!(!driver.turn(), "nothing waits");
    let mut sent =
        std::pin::pin!(engine.submit(submission("org_a", None, Signal::Org(org::Signal::Create {}))));
    assert!(answer(sent.as_mut()).is_none(), "nothing is committed before the turn");
    assert!(driver.turn());
    assert_eq!(answer(sent.as_mut()).unwrap().unwrap().snapshot.revision, 1);
    assert_eq!(driver.object(&id("org_a")).unwrap().unwrap().revision, 1);
    let mut late = std::pin::pin!(engine.submit(org_signal("org_a", None, pause())));
    assert!(answer(late.as_mut()).is_none());
    drop(driver);
    assert!(matches!(answer(late.as_mut()), Some(Err(SubmitError::Store(_)))), "it died with the driver");
    let (_engine, driver) = Engine::driven(Box::new(store), options).unwrap();
    assert_eq!(driver.object(&id("org_a")).unwrap().unwrap().revision, 1);
}

#[test]
fn engines_that_share_a_store_take_turns_on_one_object() {
    let store = MemoryStore::shared();
    let engine = || Engine::driven(Box::new(store.clone()), Options::default()).unwrap();
    let mut brokers = [engine(), engine()];
    let mut send = |broker: usize, key: &str, signal: org::Signal| {
        let (engine, driver) = &mut brokers[broker];
        let mut sent = std::pin::pin!(engine.submit(org_signal("org_a", Some(key), signal)));
        assert!(answer(sent.as_mut()).is_none());
        assert!(driver.turn());
        answer(sent.as_mut()).unwrap().unwrap()
    };
    send(0, "create", org::Signal::Create {});
    // Each finds what the other did last, however warm its cache is; keys count across them, old ones too.
    for n in 0..60 {
        let signal = if n % 2 == 0 { pause() } else { org::Signal::Resume {} };
        let accepted = send(n % 2, &format!("k{n}"), signal);
        assert_eq!((accepted.snapshot.revision, accepted.duplicate), (n as u64 + 2, false));
    }
    for n in 0..60 {
        let signal = if n % 2 == 0 { pause() } else { org::Signal::Resume {} };
        assert!(send(1 - n % 2, &format!("k{n}"), signal).duplicate, "k{n}");
    }
    replay(&store).unwrap();
}

#[test]
fn a_broker_takes_up_what_another_left() {
    let clock = Arc::new(AtomicI64::new(1_000));
    let options = Options { clock: ClockSource::Manual(clock.clone()), notices_max: 1, ..Options::default() };
    let store = MemoryStore::shared();
    let (engine, mut first) = Engine::driven(Box::new(store.clone()), options.clone()).unwrap();
    // One notice fits into the commit, so the others wait in the inbox when the first broker dies.
    for to in ["org_a", "app_a.b"] {
        let signal = match id(to).kind() {
            Kind::Org => Signal::Org(org::Signal::Create {}),
            _ => Signal::App(app::Signal::Create {}),
        };
        let mut sent = std::pin::pin!(engine.submit(submission(to, None, signal)));
        assert!(answer(sent.as_mut()).is_none());
        first.turn();
        assert!(answer(sent.as_mut()).unwrap().is_ok());
    }
    assert!(!store.inbox().unwrap().is_empty());
    drop(first);
    let (_engine, mut second) = Engine::driven(Box::new(store.clone()), options).unwrap();
    for _ in 0..10 {
        clock.fetch_add(1_000, Ordering::AcqRel);
        second.turn();
    }
    assert_eq!(store.inbox().unwrap(), []);
    replay(&store).unwrap();
}

#[test]
fn the_weight_of_an_org_counts_after_a_restart() {
    let store = MemoryStore::default();
    let first_of_a_turn = |driver: &mut Driver, engine: &Engine| {
        let mut sent = vec![];
        for n in 0..3 {
            for org in ["org_a", "org_b"] {
                sent.push(Box::pin(engine.submit(org_signal(org, Some(&format!("{org}{n}")), pause()))));
            }
        }
        sent.iter_mut().for_each(|sent| assert!(answer(sent.as_mut()).is_none()));
        driver.turn();
        let log = store.events(0, 99).unwrap();
        log.into_iter().rev().take(6).map(|event| event.object.to_string()).collect::<Vec<_>>()
    };
    let open = || Engine::driven(Box::new(store.clone()), Options::default()).unwrap();
    let (engine, mut driver) = open();
    let weight = org::Signal::SetQuotas { apps: None, installs_per_app: None, weight: Some(3) };
    let create = || org::Signal::Create {};
    for (to, signal) in [("org_a", create()), ("org_b", create()), ("org_b", weight)] {
        let mut sent = std::pin::pin!(engine.submit(org_signal(to, None, signal)));
        assert!(answer(sent.as_mut()).is_none());
        driver.turn();
        assert!(answer(sent.as_mut()).unwrap().is_ok());
    }
    drop((engine, driver));
    let (engine, mut driver) = open();
    // Newest first: one of a, three of b, and the rest of a.
    let order = first_of_a_turn(&mut driver, &engine);
    assert_eq!(order, ["org_a", "org_a", "org_b", "org_b", "org_b", "org_a"]);
}
