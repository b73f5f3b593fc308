//! The newest segment: appending durably, closing it at its bound, beginning the next.

use std::io;
use std::path::{Path, PathBuf};

use remit_seal::Digest;

use super::checkpoint::{self, Signer};
use super::record::{self, Entry, RECORD_LEN_MAX, Record};
use super::scan::{self, Start};
use super::{Error, Snapshot, State};
use crate::error::now_ms;
use crate::storage::data_dir::{self, write_atomic};
use crate::storage::disk::{self, DurableFile};

/// Space that is held back so that an attempt that has begun can always record its end.
const BALLAST_LEN: u64 = 1 << 20;
/// The longest first record of a segment; with more in hand the segment grows on.
const SNAPSHOT_LEN_MAX: usize = RECORD_LEN_MAX / 2;

/// Appends to the newest segment.
#[derive(Debug)]
pub(super) struct Writer {
    dir: PathBuf,
    number: u32,
    file: DurableFile,
    len: u64,
    len_max: u64,
    records: u64,
    head: Digest,
    damaged: bool,
    /// The next segment, of which nobody knows how much of it is on disk.
    abandoned: Option<PathBuf>,
    signer: Signer,
}

impl Writer {
    /// Opens the newest segment, reads it whole, cuts a torn tail.
    pub(super) fn open(dir: &Path, signer: Signer, len_max: u64) -> Result<(Self, State), Error> {
        let number = newest(dir)?;
        let path = scan::path(dir, number);
        let mut state = State::default();
        let mut first = None;
        let start = (number == 1).then(Start::first);
        let scan = scan::scan(&path, start, |record| {
            first.get_or_insert(matches!(record.entry, Entry::Continued { .. }));
            state.apply(&record);
        })?;
        state.head = scan.head;
        if number > 1 && first != Some(true) {
            let why = "a later segment begins with what the earlier ones amount to".to_owned();
            return Err(Error::Corrupt { path, n: scan.records, offset: 0, why });
        }
        let write_error = |source| Error::Write { path: path.clone(), source };
        let file = DurableFile::append(&path).map_err(write_error)?;
        if scan.torn > 0 {
            tracing::warn!(bytes = scan.torn, "cutting an unfinished record off the journal");
            cut(&file, scan.len).map_err(write_error)?;
        }
        disk::sync_parent(&path).map_err(write_error)?;
        let writer = Self {
            dir: dir.to_owned(),
            number,
            file,
            len: scan.len,
            len_max,
            records: scan.records,
            head: scan.head,
            damaged: false,
            abandoned: None,
            signer,
        };
        Ok((writer, state))
    }

    pub(super) fn head(&self) -> Digest {
        self.head
    }

    /// How many records there are, and the digest of the last.
    pub(super) fn place(&self) -> (u64, Digest) {
        (self.records, self.head)
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn signer(&self) -> &Signer {
        &self.signer
    }

    /// The chain as it is now, signed.
    pub(super) fn checkpoint(&self) -> io::Result<Vec<u8>> {
        self.signer.sign(self.number, self.records, self.head)
    }

    fn path(&self) -> PathBuf {
        scan::path(&self.dir, self.number)
    }

    /// Writes one record and waits for the disk.
    pub(super) fn append(
        &mut self,
        entry: Entry,
        amounts_to: impl FnOnce() -> Snapshot,
    ) -> Result<Record, Error> {
        let opens = entry.opens();
        let path = self.path();
        if entry.may_turn() && self.len >= self.len_max {
            self.turn(amounts_to()).map_err(|source| Error::Write { path: path.clone(), source })?;
        }
        let record = Record { n: self.records + 1, at_ms: now_ms(), prev: self.head.hex(), entry };
        let (line, digest) = record::encode(&record);
        if opens { self.hold_ballast() } else { Ok(()) }
            .and_then(|()| self.write(&line))
            .or_else(|error| self.write_with_ballast(error, opens, &line))
            .map_err(|source| Error::Write { path, source })?;
        self.len += line.len() as u64;
        self.records = record.n;
        self.head = digest;
        Ok(record)
    }

    /// Closes the segment with a signed checkpoint and begins the next with all that is needed of it.
    fn turn(&mut self, snapshot: Snapshot) -> io::Result<()> {
        self.mend()?;
        let entry = Entry::Continued { snapshot: Box::new(snapshot) };
        let record = Record { n: self.records + 1, at_ms: now_ms(), prev: self.head.hex(), entry };
        let (line, digest) = record::encode(&record);
        if line.len() > SNAPSHOT_LEN_MAX {
            return Ok(());
        }
        write_atomic(&checkpoint::path(&self.dir, self.number), &self.checkpoint()?)?;
        let next = scan::path(&self.dir, self.number + 1);
        // Until it is known to be whole it must not be found beside more of the old one.
        self.abandoned = Some(next.clone());
        let mut file = DurableFile::append(&next)?;
        file.set_len(0)?;
        file.write(&line)?;
        file.sync()?;
        disk::sync_parent(&next)?;
        self.abandoned = None;
        self.number += 1;
        self.file = file;
        self.len = line.len() as u64;
        self.records = record.n;
        self.head = digest;
        Ok(())
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
        let written = self.file.write(line).and_then(|()| self.file.sync());
        self.damaged = written.is_err();
        written
    }

    /// An ending may use the space that was held back; a beginning may not.
    fn write_with_ballast(&mut self, error: io::Error, opens: bool, line: &[u8]) -> io::Result<()> {
        if opens || error.kind() != io::ErrorKind::StorageFull {
            return Err(error);
        }
        data_dir::remove_file(&self.ballast())?;
        self.write(line)
    }

    /// After a failed write nothing in memory is believed: the file is opened and read anew.
    fn mend(&mut self) -> io::Result<()> {
        if let Some(next) = &self.abandoned {
            disk::remove(next)?;
            disk::sync_parent(next)?;
            self.abandoned = None;
        }
        if !self.damaged {
            return Ok(());
        }
        let path = self.path();
        self.file = DurableFile::append(&path)?;
        cut(&self.file, self.len)?;
        let start = (self.number == 1).then(Start::first);
        let scan = scan::scan(&path, start, |_| {}).map_err(io::Error::other)?;
        if scan.head != self.head || scan.len != self.len {
            return Err(io::Error::other("the journal on disk is not the one that was written"));
        }
        self.damaged = false;
        Ok(())
    }

    fn ballast(&self) -> PathBuf {
        self.dir.join("ballast")
    }

    fn hold_ballast(&self) -> io::Result<()> {
        let path = self.ballast();
        if std::fs::metadata(&path).is_ok_and(|m| m.len() == BALLAST_LEN) {
            return Ok(());
        }
        let held = DurableFile::create(&path)?.reserve(BALLAST_LEN);
        if held.is_err() {
            data_dir::remove_file(&path)?;
        }
        held
    }
}

/// The newest segment. One that a crash left without its whole first record was never gone on with:
/// it is taken away, and the one before it is the newest.
fn newest(dir: &Path) -> Result<u32, Error> {
    let Some(number) = scan::segments(dir)?.pop() else { return Ok(1) };
    let path = scan::path(dir, number);
    if number == 1 || scan::scan(&path, None, |_| {})?.len > 0 {
        return Ok(number);
    }
    let write_error = |source| Error::Write { path: path.clone(), source };
    disk::remove(&path).and_then(|()| disk::sync_parent(&path)).map_err(write_error)?;
    Ok(number - 1)
}

fn cut(file: &DurableFile, len: u64) -> io::Result<()> {
    file.set_len(len)?;
    file.sync()
}
