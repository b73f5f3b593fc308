//! Tears, flips and losses of the journal.

use super::*;
use crate::outcome::{Class, Failure};

mod crashes;
mod segments;

pub(super) fn attempt(n: u32) -> Attempt {
    Attempt { job: "job_demo.shop.acme.network.e1.o1".to_owned(), attempt: n, fence: u64::from(n) }
}

pub(super) fn accepted(n: u32) -> Entry {
    Entry::Accepted(Accepted {
        attempt: attempt(n),
        counted: Counted { seq: u64::from(n), keys: vec!["a-key".to_owned()], since_ms: 1 },
        envelope: "e".to_owned(),
        release: "r".to_owned(),
        release_counter: 3,
        channel: "stable".to_owned(),
        rollback_floor: 2,
        task: Task {
            component: "network".to_owned(),
            kind: "script".to_owned(),
            operation: "deploy".to_owned(),
            class: remit_seal::document::Class::Change,
            rehearsal: false,
        },
        policy: None,
        break_glass: None,
        permit: None,
        consent: Consented::default(),
    })
}

pub(super) fn ended(n: u32) -> Entry {
    let outcome = Outcome::Failed(Failure::new(Class::Bug, "x.y", "no", "look"));
    Entry::Ended { attempt: attempt(n), outcome, approvals: Vec::new() }
}

fn filled(dir: &Path) -> Journal {
    let journal = Journal::open(dir, "ins_demo.shop.acme").unwrap();
    for entry in [accepted(1), Entry::Begun { attempt: attempt(1) }, ended(1), accepted(2)] {
        journal.append_blocking(entry).unwrap();
    }
    journal
}

fn segment_path(dir: &Path) -> PathBuf {
    scan::path(dir, 1)
}

fn check_whole(dir: &Path) -> Result<Whole, Error> {
    verify(dir, &Asked::default())
}

fn reopen(dir: &Path) -> Result<Journal, Error> {
    Journal::open(dir, "ins_demo.shop.acme")
}

#[test]
fn what_was_appended_is_there_after_opening_again() {
    let temp = tempfile::tempdir().unwrap();
    let head = filled(temp.path()).head();
    let journal = reopen(temp.path()).unwrap();
    assert_eq!(journal.head(), head);
    let state = journal.state();
    assert_eq!((state.seq_high, state.records), (2, 6));
    assert_eq!(state.ran["stable"], Ran { counter: 3, back_to: 2 });
    assert_eq!(state.made["network"], "r");
    let first = &state.open[&attempt(1)];
    assert!(first.begun && matches!(first.outcome, Some(Outcome::Failed(_))));
    assert!(!state.open[&attempt(2)].begun);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_and_the_rest_kept() {
    let temp = tempfile::tempdir().unwrap();
    drop(filled(temp.path()));
    let path = segment_path(temp.path());
    let whole = std::fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
    for end in last + 1..whole.len() {
        std::fs::write(&path, &whole[..end]).unwrap();
        let journal = reopen(temp.path()).unwrap();
        assert_eq!(journal.state().records, 5, "torn at {end}");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), last as u64);
    }
    let mut holes = whole.clone();
    holes[last + 20..last + 40].fill(0);
    std::fs::write(&path, &holes).unwrap();
    assert_eq!(reopen(temp.path()).unwrap().state().records, 5);
}

#[test]
fn any_flipped_bit_before_the_tail_is_found() {
    let temp = tempfile::tempdir().unwrap();
    drop(filled(temp.path()));
    let path = segment_path(temp.path());
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len() - 1).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        match check_whole(temp.path()) {
            Err(error) => assert_eq!(error.code(), "journal.corrupt"),
            Ok(_) => panic!("a flip at {at} was not seen"),
        }
    }
}

#[test]
fn a_record_that_was_left_out_or_changed_with_its_checksum_is_found() {
    let temp = tempfile::tempdir().unwrap();
    drop(filled(temp.path()));
    let path = segment_path(temp.path());
    let whole = std::fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
    let without = [lines[0], lines[1], lines[3], lines[4], lines[5]].concat();
    std::fs::write(&path, without).unwrap();
    assert_eq!(check_whole(temp.path()).unwrap_err().code(), "journal.corrupt");

    let (mut record, _) = record::decode(lines[1]).unwrap();
    record.at_ms += 1;
    let (forged, _) = record::encode(&record);
    let changed = [lines[0], &forged, lines[2], lines[3], lines[4], lines[5]].concat();
    std::fs::write(&path, changed).unwrap();
    assert_eq!(check_whole(temp.path()).unwrap_err().code(), "journal.corrupt");
}

#[test]
fn a_journal_that_is_not_there_is_not_whole() {
    let temp = tempfile::tempdir().unwrap();
    assert_eq!(check_whole(temp.path()).unwrap_err().code(), "journal.read_failed");
}

#[test]
fn a_journal_of_another_install_is_not_taken() {
    let temp = tempfile::tempdir().unwrap();
    drop(filled(temp.path()));
    let error = Journal::open(temp.path(), "ins_demo.shop.other").unwrap_err();
    assert_eq!(error.code(), "journal.foreign");
}

#[tokio::test]
async fn pages_and_outcomes_are_read_back() {
    let temp = tempfile::tempdir().unwrap();
    let journal = filled(temp.path());
    let page = journal.page(1, 2).await.unwrap();
    assert_eq!(page.iter().map(|r| r.n).collect::<Vec<_>>(), [2, 3]);
    assert!(journal.outcome_of(&attempt(1)).await.unwrap().is_some());
    assert!(journal.outcome_of(&attempt(2)).await.unwrap().is_none());
    journal.append(Entry::Reported { attempt: attempt(1), taken: true }).await.unwrap();
    assert!(journal.state().is_finished(&attempt(1)));
}

#[tokio::test]
async fn what_was_refused_for_good_is_over_and_other_refusals_are_not() {
    let temp = tempfile::tempdir().unwrap();
    let journal = filled(temp.path());
    let refused = |n| Entry::Refused {
        attempt: attempt(n),
        envelope: "e".to_owned(),
        code: "seal.expired".to_owned(),
        message: "late".to_owned(),
    };
    let outcome = Outcome::Refused { code: "seal.expired".to_owned(), message: "late".to_owned() };
    let journalled = [
        refused(3),
        refused(4),
        Entry::Ended { attempt: attempt(4), outcome: outcome.clone(), approvals: Vec::new() },
    ];
    for entry in journalled.into_iter().chain([Entry::Reported { attempt: attempt(1), taken: true }]) {
        journal.append(entry).await.unwrap();
    }
    drop(journal);
    let journal = reopen(temp.path()).unwrap();
    let over: Vec<u32> = (1..=4).filter(|n| journal.state().is_finished(&attempt(*n))).collect();
    assert_eq!(over, [1, 4], "what a stranger sent under an attempt's name ends nothing");
    assert_eq!(journal.outcome_of(&attempt(4)).await.unwrap(), Some(outcome));
    assert!(!journal.state().open.contains_key(&attempt(4)), "nothing of it is to be recovered or reported");

    let mut state = journal.state().clone();
    let ended = |n| Record { n: 9, at_ms: 0, prev: String::new(), entry: ended(n) };
    (5..1_000).for_each(|n| state.apply(&ended(n)));
    assert!(!state.is_finished(&attempt(4)) && state.is_finished(&attempt(999)), "the memory is bounded");
    assert!(state.is_finished(&attempt(1)), "refusals push nothing else out");
}
