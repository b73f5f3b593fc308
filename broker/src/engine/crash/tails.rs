//! Power lost at every commit: the write-ahead log ends there, or in the middle, or in rubbish.
//!
//! What was acknowledged before the end of what is left is there, a commit is there whole or not at all, and
//! the states are what the log says.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::task::{Context, Poll, Waker};

use remit_loops::{Actor, Body};

use super::{keyed_events, nth_signal, replay};
use crate::engine::{ClockSource, Engine, Options, Submission};
use crate::store::{SqliteStore, sqlite};

const COMMITS: usize = 60;

/// The end of a commit in the write-ahead log, and what had been acknowledged by then.
struct Commit {
    end: usize,
    acknowledged: BTreeSet<String>,
}

fn submission(n: usize) -> Submission {
    let (to, signal) = nth_signal(n);
    Submission {
        to,
        by: Actor::Person("load".into()),
        key: Some(format!("k{n}")),
        body: Body::Signal(signal),
    }
}

/// Runs, and copies the files while the store is still open, as a power cut would leave them.
fn run(database: &Path, kept: &Path) -> Vec<Commit> {
    // Small enough that notices go through the inbox too, and signals wait for the next commit.
    let clock = ClockSource::Manual(Arc::new(AtomicI64::new(1_000)));
    let options = Options { notices_max: 3, clock, ..Options::default() };
    let (engine, mut driver) = Engine::driven(SqliteStore::open(database).unwrap(), options).unwrap();
    let (mut acknowledged, mut sent, mut context) =
        (BTreeSet::new(), vec![], Context::from_waker(Waker::noop()));
    let mut commits = vec![];
    for number in 0..COMMITS {
        for _ in 0..1 + number * 7 % 23 {
            let mut answer = Box::pin(engine.submit(submission(sent.len())));
            assert!(answer.as_mut().poll(&mut context).is_pending(), "nothing is promised before the commit");
            sent.push(Some(answer));
        }
        assert!(driver.turn());
        for (n, slot) in sent.iter_mut().enumerate() {
            let answered = slot.as_mut().map(|answer| answer.as_mut().poll(&mut context));
            if let Some(Poll::Ready(answer)) = answered {
                *slot = None;
                acknowledged.extend(answer.is_ok().then(|| format!("k{n}")));
            }
        }
        let end = std::fs::metadata(sqlite::beside(database, "-wal")).unwrap().len();
        commits.push(Commit { end: usize::try_from(end).unwrap(), acknowledged: acknowledged.clone() });
    }
    for suffix in ["", "-wal"] {
        std::fs::copy(sqlite::beside(database, suffix), sqlite::beside(kept, suffix)).unwrap();
    }
    commits
}

/// What is there when the write-ahead log is this.
fn found(dir: &Path, database: &[u8], wal: &[u8]) -> BTreeSet<String> {
    let copy = dir.join("copy.db");
    for suffix in ["-wal", "-shm", ".lock"] {
        let _ = std::fs::remove_file(sqlite::beside(&copy, suffix));
    }
    std::fs::write(&copy, database).unwrap();
    std::fs::write(sqlite::beside(&copy, "-wal"), wal).unwrap();
    let store = SqliteStore::open(&copy).unwrap();
    let reader = store.reader();
    replay(&*reader).unwrap();
    keyed_events(&*reader).into_keys().collect()
}

#[test]
fn a_commit_is_there_whole_or_not_at_all_wherever_the_log_ends() {
    let dir = tempfile::tempdir().unwrap();
    let kept = dir.path().join("kept.db");
    let commits = run(&dir.path().join("live.db"), &kept);
    assert!(commits.iter().all(|commit| !commit.acknowledged.is_empty()));
    let database = std::fs::read(&kept).unwrap();
    let wal = std::fs::read(sqlite::beside(&kept, "-wal")).unwrap();
    let nothing = BTreeSet::new();
    for (number, commit) in commits.iter().enumerate() {
        let before = number.checked_sub(1).map_or(&nothing, |before| &commits[before].acknowledged);
        let start = number.checked_sub(1).map_or(0, |before| commits[before].end);
        let whole = &wal[..commit.end];
        assert_eq!(found(dir.path(), &database, whole), commit.acknowledged, "commit {number}, whole");
        let rubbish = [whole, &[0xa5; 5_000]].concat();
        assert_eq!(found(dir.path(), &database, &rubbish), commit.acknowledged, "and rubbish after it");
        if number == 0 {
            continue;
        }
        for cut in [commit.end - 1, (start + commit.end) / 2, start + 1] {
            assert_eq!(found(dir.path(), &database, &wal[..cut]), *before, "commit {number}, torn at {cut}");
        }
        let mut flipped = whole.to_vec();
        flipped[commit.end - 100] ^= 1;
        assert_eq!(found(dir.path(), &database, &flipped), *before, "commit {number}, one bit turned");
    }
}
