//! A crash at every write, sync, rename and removal of the journal and of the lock's record: clean, torn
//! at each byte, and with all lost that was not synced. What was acknowledged is there afterwards, what
//! was not is there whole or not at all, and the next process goes on from it.

use std::collections::BTreeSet;

use super::super::*;
use super::{accepted, attempt, ended};
use crate::account::lock::Locks;
use crate::storage::data_dir::DataDir;
use crate::storage::disk::Op;
use crate::storage::disk::tests::crash::{self, Crash};

const INSTALL: &str = "ins_demo.shop.acme";
/// So short that segments turn within a few attempts.
const LEN_MAX: u64 = 2048;

/// What had been acknowledged when so many operations had been asked.
#[derive(Clone, Debug, Default)]
struct Acknowledged {
    ops: usize,
    records: u64,
    seq_high: u64,
}

/// A journal's life, with what was acknowledged after each step.
fn lived(dir: &Path, attempts: u32) -> (Vec<Op>, Vec<Acknowledged>) {
    let broker = super::super::acknowledgement::tests::broker();
    crash::begin();
    let mut acknowledged = vec![Acknowledged::default()];
    let journal = Journal::open_bounded(dir, INSTALL, LEN_MAX).unwrap();
    let mut say = |journal: &Journal| {
        let state = journal.state();
        let (records, seq_high) = (state.records, state.seq_high);
        acknowledged.push(Acknowledged { ops: crash::count(), records, seq_high });
    };
    say(&journal);
    for n in 1..=attempts {
        let reported = Entry::Reported { attempt: attempt(n), taken: true };
        for entry in [accepted(n), Entry::Begun { attempt: attempt(n) }, ended(n), reported] {
            journal.append_blocking(entry).unwrap();
            say(&journal);
        }
        let records = journal.state().records;
        let head = journal.head();
        broker.acknowledge(dir, records, head);
    }
    drop(journal);
    (crash::end(), acknowledged)
}

/// Opens what a crash left; every record that was acknowledged is there, and at most the one in hand more.
fn check(ops: &[Op], n: usize, how: Crash, before: &Acknowledged, dirs: (&Path, &Path)) {
    let at = || format!("{how:?} after {n} of {}: {:?}", ops.len(), n.checked_sub(1).map(|i| &ops[i]));
    let journal = Journal::open_bounded(dirs.1, INSTALL, LEN_MAX).unwrap_or_else(|e| panic!("{e}: {}", at()));
    let found = journal.state().clone();
    assert!(found.records >= before.records, "{} of {}: {}", found.records, before.records, at());
    assert!(found.records <= before.records + 3, "{} after {}: {}", found.records, before.records, at());
    assert!(found.seq_high >= before.seq_high, "{}", at());
    journal.append_blocking(accepted(1000)).unwrap_or_else(|e| panic!("{e}: {}", at()));
    drop(journal);
    let whole = verify(dirs.1, &Asked::default()).unwrap_or_else(|e| panic!("{e}: {}", at()));
    assert!(whole.records > before.records, "{}", at());
}

#[test]
fn a_journal_that_crashed_anywhere_goes_on_with_all_that_it_acknowledged() {
    let (from, to) = (crash::fast_dir(), crash::fast_dir());
    let (ops, acknowledged) = lived(from.path(), 5);
    let turned = ops.iter().filter(|op| matches!(op, Op::Create(path) if path.ends_with("000002.log")));
    assert_eq!(turned.count(), 1, "a segment turns on the way");
    let dirs = (from.path(), to.path());
    let gone = crash::everywhere(&ops, dirs, |n, how| {
        let before = acknowledged.iter().rfind(|a| a.ops <= n).unwrap();
        check(&ops, n, how, before, dirs);
    });
    crash::say("journal, checkpoints and acknowledgements", gone);
    assert!(gone.points > 60 && gone.images > 4_000, "{gone:?}");
}

#[tokio::test]
async fn a_lock_that_crashed_anywhere_keeps_every_fence_that_was_taken() {
    let (from, to) = (crash::fast_dir(), crash::fast_dir());
    let dir = DataDir::open(from.path()).unwrap();
    crash::begin();
    let mut taken = vec![(0, 0)];
    let locks = Locks::new(&dir);
    for fence in [3, 4, 9] {
        let attempt = Attempt { fence, ..attempt(1) };
        let held = locks.take("network", &attempt, fence).await.unwrap();
        taken.push((crash::count(), fence));
        held.release().await.unwrap();
    }
    let ops = crash::end();
    let mut seen = BTreeSet::new();
    for n in 0..=ops.len() {
        let (_, fence) = *taken.iter().rfind(|(count, _)| *count <= n).unwrap();
        for how in crash::crashes(&ops, n) {
            crash::image(&ops, n, how, (dir.root(), to.path()));
            let after = DataDir::open(to.path()).unwrap();
            // Before the first was taken there is none to be refused.
            if fence > 0 {
                let again = Attempt { fence, ..attempt(2) };
                let stale = Locks::new(&after).take("network", &again, 1).await.map(|_| ());
                let code = stale.expect_err("taken twice").code();
                assert_eq!(code, "runner.fence_stale", "fence {fence} twice: {how:?} after {n}");
            }
            let next = Attempt { fence: 10, ..attempt(2) };
            drop(Locks::new(&after).take("network", &next, 1).await.unwrap());
            seen.insert(fence);
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [0, 3, 4, 9]);
}
