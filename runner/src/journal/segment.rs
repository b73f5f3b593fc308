//! One file of records: reading it whole, cutting a torn tail, appending durably.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use remit_seal::Digest;

use super::record::{self, Entry, RECORD_LEN_MAX, Record};
use super::{Error, State};
use crate::data_dir;
use crate::fault::now_ms;

/// Space that is held back so that an attempt that has begun can always record its end.
const BALLAST_LEN: u64 = 1 << 20;

/// What a whole reading found.
#[derive(Clone, Debug)]
pub struct Scan {
    /// How many whole records.
    pub records: u64,
    /// How many bytes they take.
    pub len: u64,
    /// How many bytes of an unfinished append come after them.
    pub torn: u64,
    /// The digest of the last one.
    pub head: Digest,
}

/// Reads every record in order; checks length, checksum, number and chain.
pub(super) fn scan(path: &Path, mut each: impl FnMut(Record)) -> Result<Scan, Error> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let mut scan = Scan { records: 0, len: 0, torn: 0, head: Digest::of(b"") };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(scan),
        Err(error) => return Err(read_error(error)),
    };
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = (&mut reader).take(RECORD_LEN_MAX as u64 + 64);
        bounded.read_until(b'\n', &mut line).map_err(read_error)?;
        if line.is_empty() {
            return Ok(scan);
        }
        let bad = |why| Error::Corrupt { path: path.to_owned(), n: scan.records + 1, offset: scan.len, why };
        match record::decode(&line) {
            Ok((record, digest)) => {
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

/// Appends to the file.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    ballast: PathBuf,
    file: File,
    len: u64,
    records: u64,
    head: Digest,
    damaged: bool,
}

impl Writer {
    /// Opens the file, reads it whole, cuts a torn tail.
    pub(super) fn open(path: PathBuf, ballast: PathBuf) -> Result<(Self, State), Error> {
        let mut state = State::default();
        let scan = scan(&path, |record| state.apply(&record))?;
        state.head = scan.head;
        let write_error = |source| Error::Write { path: path.clone(), source };
        let file = open_append(&path).map_err(write_error)?;
        if scan.torn > 0 {
            tracing::warn!(bytes = scan.torn, "cutting an unfinished record off the journal");
            cut(&file, scan.len).map_err(write_error)?;
        }
        data_dir::sync_parent(&path).map_err(write_error)?;
        let writer = Self {
            ballast,
            file,
            len: scan.len,
            records: scan.records,
            head: scan.head,
            damaged: false,
            path,
        };
        Ok((writer, state))
    }

    pub(super) fn head(&self) -> Digest {
        self.head
    }

    /// Writes one record and waits for the disk.
    pub(super) fn append(&mut self, entry: Entry) -> Result<Record, Error> {
        let opens = entry.opens();
        let record = Record { n: self.records + 1, at_ms: now_ms(), prev: self.head.hex(), entry };
        let (line, digest) = record::encode(&record);
        if opens { self.hold_ballast() } else { Ok(()) }
            .and_then(|()| self.write(&line))
            .or_else(|error| self.write_with_ballast(error, opens, &line))
            .map_err(|source| Error::Write { path: self.path.clone(), source })?;
        self.len += line.len() as u64;
        self.records = record.n;
        self.head = digest;
        Ok(record)
    }

    /// Mends what a failed write left, and holds space back again.
    pub(super) fn make_ready(&mut self) -> io::Result<()> {
        self.mend()?;
        self.hold_ballast()
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if line.len() > RECORD_LEN_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the record is too long"));
        }
        self.mend()?;
        let written = self.file.write_all(line).and_then(|()| self.file.sync_data());
        self.damaged = written.is_err();
        written
    }

    /// An ending may use the space that was held back; a beginning may not.
    fn write_with_ballast(&mut self, error: io::Error, opens: bool, line: &[u8]) -> io::Result<()> {
        if opens || error.kind() != io::ErrorKind::StorageFull {
            return Err(error);
        }
        data_dir::remove_file(&self.ballast)?;
        self.write(line)
    }

    /// After a failed write nothing in memory is believed: the file is opened and read anew.
    fn mend(&mut self) -> io::Result<()> {
        if !self.damaged {
            return Ok(());
        }
        self.file = open_append(&self.path)?;
        cut(&self.file, self.len)?;
        let scan = scan(&self.path, |_| {}).map_err(io::Error::other)?;
        if scan.head != self.head || scan.len != self.len {
            return Err(io::Error::other("the journal on disk is not the one that was written"));
        }
        self.damaged = false;
        Ok(())
    }

    fn hold_ballast(&self) -> io::Result<()> {
        if std::fs::metadata(&self.ballast).is_ok_and(|m| m.len() == BALLAST_LEN) {
            return Ok(());
        }
        let file =
            OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&self.ballast)?;
        let held = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, BALLAST_LEN);
        match held {
            Ok(()) => file.sync_all(),
            // A file system that cannot reserve space: the promise is weaker there, not broken.
            Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(BALLAST_LEN),
            Err(errno) => {
                data_dir::remove_file(&self.ballast)?;
                Err(errno.into())
            }
        }
    }
}

fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

fn cut(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)?;
    file.sync_all()
}
