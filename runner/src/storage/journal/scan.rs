//! Reading segments: every record's length, checksum, number and place in the chain.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use remit_seal::Digest;

use super::Error;
use super::record::{self, RECORD_LEN_MAX, Record};

const ENDING: &str = ".log";

/// What reading a segment found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    /// The number of its last record.
    pub(super) records: u64,
    /// How many bytes its whole records take.
    pub(super) len: u64,
    /// How many bytes of an unfinished append come after them.
    pub(super) torn: u64,
    /// The digest of the last record.
    pub(super) head: Digest,
}

/// Where a segment begins: the number and digest of the record before its first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) records: u64,
    pub(super) head: Digest,
}

impl Start {
    /// Of the first segment.
    pub(super) fn first() -> Self {
        Self { records: 0, head: Digest::of(b"") }
    }

    /// Where another has ended.
    pub(super) fn after(scan: &Scan) -> Self {
        Self { records: scan.records, head: scan.head }
    }
}

/// The file of a segment.
pub(super) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}{ENDING}"))
}

/// The numbers of all segments that are there, in order.
pub(super) fn segments(dir: &Path) -> Result<Vec<u32>, Error> {
    let read_error = |source| Error::Read { path: dir.to_owned(), source };
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(read_error)? {
        let name = entry.map_err(read_error)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(ENDING));
        numbers.extend(number.and_then(|digits| digits.parse::<u32>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads every record of a segment in order. Without a start its first record is believed as to
/// where it begins: who proves the whole gives one.
pub(super) fn scan(path: &Path, start: Option<Start>, mut each: impl FnMut(Record)) -> Result<Scan, Error> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let from = start.unwrap_or(Start::first());
    let mut scan = Scan { records: from.records, len: 0, torn: 0, head: from.head };
    let mut is_placed = start.is_some();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(scan),
        Err(error) => return Err(read_error(error)),
    };
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(RECORD_LEN_MAX as u64 + 64);
        bounded.read_until(b'\n', &mut line).map_err(read_error)?;
        if line.is_empty() {
            return Ok(scan);
        }
        let (n, offset) = (scan.records + 1, scan.len);
        let bad = |why| Error::Corrupt { path: path.to_owned(), n, offset, why };
        match record::decode(&line) {
            Ok((record, digest)) => {
                if !std::mem::replace(&mut is_placed, true) {
                    let head = Digest::from_hex(&record.prev).map_err(|e| bad(e.to_string()))?;
                    (scan.records, scan.head) = (record.n.saturating_sub(1), head);
                }
                check_place(&record, &scan).map_err(bad)?;
                scan.records += 1;
                scan.len += line.len() as u64;
                scan.head = digest;
                each(record);
            }
            Err(why) => {
                let last = reader.fill_buf().map_err(read_error)?.is_empty();
                if !(last && is_torn(&line)) {
                    return Err(bad(why));
                }
                scan.torn = line.len() as u64;
                return Ok(scan);
            }
        }
    }
}

fn check_place(record: &Record, before: &Scan) -> Result<(), String> {
    if record.n != before.records + 1 {
        return Err(format!("it is numbered {}", record.n));
    }
    if record.prev != before.head.hex() {
        return Err("it does not follow from the record before it".to_owned());
    }
    Ok(())
}

/// An append that a crash cut short has no end, or holes where pages were not written.
fn is_torn(line: &[u8]) -> bool {
    !line.ends_with(b"\n") || line.contains(&0)
}

/// A segment's first record; `None` when there is none.
pub(super) fn first(path: &Path) -> Result<Option<Record>, Error> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read_error)?;
    let mut line = Vec::new();
    let mut reader = BufReader::new(file).take(RECORD_LEN_MAX as u64 + 64);
    reader.read_until(b'\n', &mut line).map_err(read_error)?;
    Ok(record::decode(&line).ok().map(|(record, _)| record))
}
