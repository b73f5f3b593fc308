//! `kill -9` at any moment: whatever was acknowledged is there, and states are what the log says.
//!
//! The test runs this very program again as a child that takes events and notes each
//! acknowledgement in a file, kills it, and looks at what is left. The database goes on from kill
//! to kill.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use remit_loops::{Actor, Body, ObjectId, Signal, app, org};

use crate::engine::{Engine, Options, Submission, SubmitError, replay};
use crate::store::postgres::Address;
use crate::store::{PostgresStore, Reader, SqliteStore};

mod brokers;
mod tails;

const DIR: &str = "REMIT_CRASH_DIR";
const URL: &str = "REMIT_CRASH_URL";
const ROUNDS: usize = 5;
/// How many signals a round acknowledges at least: together more than a hundred thousand.
const ROUND_ACKS: usize = 20_000;
/// So many that a slow disk, too, takes them in few commits.
const SENDERS: usize = 200;
const OBJECTS: usize = 40;
/// Only a hang takes so long, however slow the disk.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut seen = 0;
    for round in 0..ROUNDS {
        let mut child = start_child(dir.path(), round, None);
        // Kills come at other moments of the batch each time: after another number of acknowledgements.
        wait_for(seen + ROUND_ACKS + 97 * round, dir.path(), &mut child);
        child.kill();
        let store = SqliteStore::open(&database(dir.path())).unwrap();
        seen = check_acknowledged(&*store.reader(), &read_acks(dir.path()));
    }
    // The log goes on from kill to kill: played once at the end, it shows what any of them did.
    replay(&*SqliteStore::open(&database(dir.path())).unwrap().reader()).unwrap();
    assert!(seen > 100_000, "{seen} events are no load");
}

/// The child's part; it never ends by itself.
#[test]
#[ignore = "a part of what_was_acknowledged_survives_kill_9"]
fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let round = std::env::var("REMIT_CRASH_ROUND").unwrap();
    let store = match std::env::var(URL) {
        Ok(url) => PostgresStore::open(Address::parse(&url, None).unwrap()).unwrap(),
        Err(_) => SqliteStore::open(&database(Path::new(&dir))).unwrap(),
    };
    let acks = File::options().create(true).append(true).open(acks(Path::new(&dir))).unwrap();
    // Small enough that notices go through the inbox too.
    let options = Options { notices_max: 5, ..Options::default() };
    let engine = Engine::start(store, options).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let acks = Arc::new(acks);
        let senders =
            (0..SENDERS).map(|s| tokio::spawn(send(engine.clone(), acks.clone(), format!("{round}-{s}"))));
        futures::future::join_all(senders).await;
    });
}

async fn send(engine: Engine, acks: Arc<File>, sender: String) {
    for n in 0_usize.. {
        let (to, signal) = nth_signal(n);
        let key = format!("{sender}-{n}");
        let submission = Submission {
            to: to.clone(),
            by: Actor::Person("load".into()),
            key: Some(key.clone()),
            body: Body::Signal(signal),
        };
        loop {
            match engine.submit(submission.clone()).await {
                // One write for one line: a kill leaves it whole or not there.
                Ok(accepted) => {
                    (&*acks).write_all(format!("{to} {key} {}\n", accepted.seq).as_bytes()).unwrap();
                }
                Err(SubmitError::Rejected(_)) => {}
                Err(SubmitError::Unavailable(_)) => continue,
                Err(error) => panic!("{error}"),
            }
            break;
        }
    }
}

fn nth_signal(n: usize) -> (ObjectId, Signal) {
    let org: ObjectId = format!("org_o{}", n % OBJECTS).parse().unwrap();
    let app = org.child(&format!("a{}", n % 7)).unwrap();
    let reason = || "x".repeat(n % 300);
    match n / OBJECTS % 5 {
        0 => (org, Signal::Org(org::Signal::Create {})),
        1 => (app, Signal::App(app::Signal::Create {})),
        2 => (org, Signal::Org(org::Signal::Pause { reason: reason() })),
        3 => (org, Signal::Org(org::Signal::Resume {})),
        _ => (app, Signal::App(app::Signal::Pause { reason: reason() })),
    }
}

fn database(dir: &Path) -> PathBuf {
    dir.join("remit.db")
}

fn acks(dir: &Path) -> PathBuf {
    dir.join("acknowledged")
}

/// A process that takes events until it is killed; a test that fails leaves none of them behind.
struct Taker(Child);

impl Taker {
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_child(dir: &Path, round: usize, url: Option<&str>) -> Taker {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "engine::crash::child", "--ignored"]).env(DIR, dir);
    url.map(|url| command.env(URL, url));
    command.env("REMIT_CRASH_ROUND", round.to_string());
    Taker(command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap())
}

fn wait_for(lines: usize, dir: &Path, child: &mut Taker) {
    let until = Instant::now() + PATIENCE;
    while count_acks(dir) < lines {
        assert!(Instant::now() < until, "the child is too slow");
        assert!(child.0.try_wait().unwrap().is_none(), "the child ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn count_acks(dir: &Path) -> usize {
    std::fs::read(acks(dir)).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count()
}

fn read_acks(dir: &Path) -> Vec<(ObjectId, String, u64)> {
    let text = std::fs::read_to_string(acks(dir)).unwrap_or_default();
    let whole = text.lines().filter(|line| line.split(' ').count() == 3);
    let parse = |line: &str| {
        let mut parts = line.split(' ');
        let mut next = || parts.next().unwrap();
        Some((next().parse().unwrap(), next().to_owned(), next().parse().ok()?))
    };
    whole.filter_map(parse).collect()
}

/// Every acknowledged event is in the log once, where its answer said.
fn check_acknowledged(reader: &dyn Reader, acks: &[(ObjectId, String, u64)]) -> usize {
    let log = keyed_events(reader);
    for (object, key, seq) in acks {
        let found = log.get(key).unwrap_or_else(|| panic!("{key} was acknowledged and is not there"));
        assert_eq!(found, &(object.clone(), *seq), "{key}");
    }
    acks.len()
}

/// The events that came with a key, by it; each key once.
fn keyed_events(reader: &dyn Reader) -> HashMap<String, (ObjectId, u64)> {
    let (mut log, mut after) = (HashMap::new(), 0);
    loop {
        let page = reader.events(after, 1_000).unwrap();
        let Some(last) = page.last() else { return log };
        after = last.seq;
        for event in page {
            let Some(key) = event.key else { continue };
            let twice = log.insert(key.clone(), (event.object, event.seq));
            assert_eq!(twice, None, "{key} was done twice");
        }
    }
}
