//! A journal of many segments: bounded, proved whole over all of them, and forged nowhere.

use std::fs;

use super::super::*;
use super::{accepted, attempt, ended};
use crate::storage::disk::tests::crash::fast_dir;

const INSTALL: &str = "ins_demo.shop.acme";
const LEN_MAX: u64 = 8192;

/// Attempts one after the other, each carried to its end.
fn filled(dir: &Path, attempts: u32) -> Journal {
    filled_with(dir, 1..=attempts)
}

fn filled_with(dir: &Path, attempts: std::ops::RangeInclusive<u32>) -> Journal {
    let journal = Journal::open_bounded(dir, INSTALL, LEN_MAX).unwrap();
    for n in attempts {
        for entry in [accepted(n), Entry::Begun { attempt: attempt(n) }, ended(n)] {
            journal.append_blocking(entry).unwrap();
        }
        if n != 7 {
            journal.append_blocking(Entry::Reported { attempt: attempt(n), taken: true }).unwrap();
        }
    }
    journal
}

fn code(answer: Result<Whole, Error>) -> &'static str {
    answer.map_or_else(|error| error.code(), |_| "whole")
}

#[tokio::test]
async fn segments_are_bounded_and_read_as_one() {
    let temp = fast_dir();
    let journal = filled(temp.path(), 100);
    let segments = scan::segments(temp.path()).unwrap();
    assert!(segments.len() > 2, "{segments:?}");
    for number in &segments {
        let len = fs::metadata(scan::path(temp.path(), *number)).unwrap().len();
        assert!(len < 4 * LEN_MAX, "segment {number} has {len} bytes");
    }
    let whole = verify(temp.path(), &Asked::default()).unwrap();
    let records = journal.state().records;
    assert_eq!((whole.records, whole.read), (records, records));
    assert_eq!((whole.segments, whole.checkpoints), (segments.len(), segments.len() - 1));
    let state = journal.state().snapshot();
    drop(journal);
    let journal = Journal::open_bounded(temp.path(), INSTALL, LEN_MAX).unwrap();
    assert_eq!(journal.state().snapshot(), state, "the newest segment says it all");
    assert_eq!(journal.state().open.len(), 1, "attempt 7 was never reported");

    let mut read = Vec::new();
    loop {
        let after = read.last().copied().unwrap_or(0);
        let page = journal.page(after, 50).await.unwrap();
        if page.is_empty() {
            break;
        }
        read.extend(page.iter().map(|record| record.n));
    }
    assert_eq!(read, (1..=whole.records).collect::<Vec<_>>());
    assert!(journal.outcome_of(&attempt(1)).await.unwrap().is_some(), "from the first segment");
    assert!(journal.outcome_of(&attempt(101)).await.unwrap().is_none());
}

#[test]
fn a_segment_that_is_missing_changed_or_swapped_is_found() {
    let temp = fast_dir();
    drop(filled(temp.path(), 40));
    let path = |number| scan::path(temp.path(), number);
    let second = fs::read(path(2)).unwrap();
    fs::rename(path(2), temp.path().join("away")).unwrap();
    assert_eq!(code(verify(temp.path(), &Asked::default())), "journal.corrupt");
    fs::write(path(2), &second[..second.len() - 9]).unwrap();
    assert_eq!(code(verify(temp.path(), &Asked::default())), "journal.corrupt", "torn, and not the last");
    fs::write(path(2), &second).unwrap();
    assert_eq!(code(verify(temp.path(), &Asked::default())), "whole");
    // Who moves old segments elsewhere proves the rest from its start.
    fs::remove_file(path(1)).unwrap();
    assert_eq!(code(verify(temp.path(), &Asked::default())), "journal.read_failed");
    assert_eq!(code(verify(temp.path(), &Asked { from: Some(2), ..Asked::default() })), "whole");

    let checkpoint = checkpoint::path(temp.path(), 3);
    let other = fs::read(checkpoint::path(temp.path(), 2)).unwrap();
    let own = fs::read(&checkpoint).unwrap();
    let from = Asked { from: Some(2), ..Asked::default() };
    fs::write(&checkpoint, other).unwrap();
    assert_eq!(code(verify(temp.path(), &from)), "journal.corrupt", "another segment's checkpoint");
    let text = String::from_utf8(own).unwrap();
    fs::write(&checkpoint, text.replacen("\"sig\":\"", "\"sig\":\"AAAA", 1)).unwrap();
    assert_eq!(code(verify(temp.path(), &from)), "journal.checkpoint_wrong");
}

#[tokio::test]
async fn a_kept_checkpoint_proves_that_the_chain_was_written_anew() {
    let temp = fast_dir();
    let journal = filled(temp.path(), 12);
    let kept = journal.checkpoint().await.unwrap();
    let (_, key) = journal.newest();
    journal.append_blocking(accepted(100)).unwrap();
    drop(journal);
    let asked = |key: &str| Asked { from: None, checkpoint: Some(kept.clone()), key: Some(key.to_owned()) };
    assert_eq!(code(verify(temp.path(), &asked(&key))), "whole");
    assert_eq!(code(verify(temp.path(), &asked(&"0".repeat(64)))), "journal.checkpoint_wrong");

    // Whoever has the machine has the key too, and writes the journal anew without one attempt.
    let forged = fast_dir();
    fs::copy(temp.path().join("key.pem"), forged.path().join("key.pem")).unwrap();
    drop(filled(forged.path(), 40));
    assert_eq!(code(verify(forged.path(), &Asked::default())), "whole", "it is whole in itself");
    assert_eq!(code(verify(forged.path(), &asked(&key))), "journal.corrupt", "and not what was signed");
    let shorter = fast_dir();
    fs::copy(temp.path().join("key.pem"), shorter.path().join("key.pem")).unwrap();
    drop(filled(shorter.path(), 2));
    assert_eq!(code(verify(shorter.path(), &asked(&key))), "journal.checkpoint_wrong");
}

#[test]
#[ignore = "writes a million records; run by hand: cargo test -p remit-runner -- --ignored million --nocapture"]
fn a_million_records_are_proved() {
    let temp = fast_dir();
    let journal = Journal::open(temp.path(), INSTALL).unwrap();
    drop(journal);
    // Written without waiting for the disk at each: what is measured is the proof.
    let path = scan::path(temp.path(), 1);
    let before = scan::scan(&path, None, |_| {}).unwrap();
    let mut file = std::io::BufWriter::new(fs::OpenOptions::new().append(true).open(&path).unwrap());
    let (mut n, mut head) = (before.records, before.head);
    while n < 1_000_000 {
        let i = u32::try_from(n / 4 + 1).unwrap();
        let reported = Entry::Reported { attempt: attempt(i), taken: true };
        for entry in [accepted(i), Entry::Begun { attempt: attempt(i) }, ended(i), reported] {
            n += 1;
            let (line, digest) = record::encode(&Record { n, at_ms: 1, prev: head.hex(), entry });
            std::io::Write::write_all(&mut file, &line).unwrap();
            head = digest;
        }
    }
    drop(file);
    let began = std::time::Instant::now();
    let whole = verify(temp.path(), &Asked::default()).unwrap();
    println!("{} records, {} bytes proved in {:?}", whole.records, whole.len, began.elapsed());
    assert_eq!(whole.head, head);
}

/// What the broker signed of a journal is held against it: cut, or gone on with in another way.
#[test]
fn a_journal_that_was_set_back_is_not_the_one_that_the_broker_acknowledged() {
    let temp = fast_dir();
    let log = super::super::scan::path(temp.path(), 1);
    let broker = super::super::acknowledgement::tests::broker();
    drop(filled(temp.path(), 2));
    let older = fs::read(&log).unwrap();
    let journal = filled(temp.path(), 3);
    let records = journal.state().records;
    let head = journal.head();
    broker.acknowledge(temp.path(), records, head);
    drop(journal);
    let whole = verify(temp.path(), &Asked::default()).unwrap();
    assert_eq!(whole.acknowledged.unwrap().said.records, records);

    fs::write(&log, &older).unwrap();
    let cut = verify(temp.path(), &Asked::default()).unwrap_err();
    assert_eq!(cut.code(), "journal.checkpoint_wrong", "{cut}");
    // Other attempts: the same ones again would be the very same chain wherever their milliseconds are the same.
    drop(filled_with(temp.path(), 11..=14));
    let other = verify(temp.path(), &Asked::default()).unwrap_err();
    assert!(other.to_string().contains("that the broker acknowledged"), "{other}");
}
