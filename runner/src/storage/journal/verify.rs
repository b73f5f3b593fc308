//! Proving a journal whole, without changing it: chain, checkpoints, and what segments say of each other.

use std::path::Path;

use remit_seal::Digest;
use remit_seal::document::{Checkpoint, KeySpec};
use remit_seal::verify::{Verified, checkpoint};

use super::acknowledgement::{self, Acknowledged};
use super::checkpoint::path as checkpoint_path;
use super::record::{Entry, Record};
use super::scan::{self, Scan, Start};
use super::{Error, State};
use crate::storage::data_dir::read_bounded;

const CHECKPOINT_LEN_MAX: u64 = 64 * 1024;

/// What is to be proved, beside the chain.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The first segment to read: earlier ones were moved elsewhere.
    pub from: Option<u32>,
    /// A checkpoint that was kept elsewhere: the chain must have passed through it.
    pub checkpoint: Option<Vec<u8>>,
    /// The id of the only key whose checkpoints count.
    pub key: Option<String>,
}

/// A journal that was proved whole.
#[derive(Clone, Debug)]
pub struct Whole {
    /// How many records were read.
    pub read: u64,
    /// The number of the last one.
    pub records: u64,
    /// How many segments were read.
    pub segments: usize,
    /// How many checkpoints were found right.
    pub checkpoints: usize,
    /// How many bytes the records take.
    pub len: u64,
    /// How many bytes of an unfinished append come after them.
    pub torn: u64,
    /// The digest of the last one.
    pub head: Digest,
    /// The id of the key that signs checkpoints.
    pub key: Option<String>,
    /// What the broker acknowledged, if it did: the chain passes through it.
    pub acknowledged: Option<Acknowledged>,
}

/// Proves the journal in a directory.
pub fn verify(dir: &Path, asked: &Asked) -> Result<Whole, Error> {
    let mut segments = scan::segments(dir)?;
    let from = asked.from.unwrap_or(1);
    segments.retain(|number| *number >= from);
    if segments.first() != Some(&from) {
        let source = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::Read { path: scan::path(dir, from), source });
    }
    let mut proof = Proof::new(dir, asked)?;
    for number in segments {
        proof.segment(number)?;
    }
    proof.finish()
}

struct Proof<'a> {
    dir: &'a Path,
    asked: &'a Asked,
    state: State,
    key: Option<KeySpec>,
    /// The kept checkpoint, once a key to verify it with is known.
    kept: Option<Checkpoint>,
    met: bool,
    /// What the broker acknowledged, until the chain has passed through it.
    unmet: Option<Acknowledged>,
    last: Option<(u32, Scan)>,
    whole: Whole,
}

impl<'a> Proof<'a> {
    fn new(dir: &'a Path, asked: &'a Asked) -> Result<Self, Error> {
        let head = Digest::of(b"");
        let acknowledged = acknowledgement::read(dir)?;
        let unmet = acknowledged.clone();
        let whole = Whole {
            read: 0,
            records: 0,
            segments: 0,
            checkpoints: 0,
            len: 0,
            torn: 0,
            head,
            key: None,
            acknowledged,
        };
        let kept = asked.checkpoint.as_deref().map(|bytes| unverified(dir, bytes)).transpose()?;
        let (state, key, met, last) = (State::default(), None, false, None);
        Ok(Self { dir, asked, state, key, kept, met, unmet, last, whole })
    }

    fn segment(&mut self, number: u32) -> Result<(), Error> {
        let path = scan::path(self.dir, number);
        let bad = |n, why: &str| Error::Corrupt { path: path.clone(), n, offset: 0, why: why.to_owned() };
        let start = match &self.last {
            Some((before, scan)) if *before + 1 == number && scan.torn == 0 => Some(Start::after(scan)),
            Some((_, scan)) => return Err(bad(scan.records + 1, "segments before it are missing or torn")),
            None if number == 1 => Some(Start::first()),
            None => None,
        };
        let mut wrong = None;
        let mut read = 0;
        let scan = scan::scan(&path, start, |record| {
            read += 1;
            if let Err(why) = self.record(&record) {
                wrong.get_or_insert((record.n, why));
            }
        })?;
        if let Some((n, why)) = wrong {
            return Err(bad(n, why));
        }
        self.state.head = scan.head;
        self.whole.read += read;
        self.whole.segments += 1;
        self.whole.len += scan.len;
        (self.whole.records, self.whole.torn, self.whole.head) = (scan.records, scan.torn, scan.head);
        self.closing(number, &scan)?;
        self.last = Some((number, scan));
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Result<(), &'static str> {
        match &record.entry {
            Entry::Keyed { key } => self.key = Some(key.clone()),
            Entry::Continued { snapshot } => {
                let is_known = self.whole.read > 0;
                if is_known && **snapshot != self.state.snapshot() {
                    return Err("it does not say what the records before it amount to");
                }
                self.key.clone_from(&snapshot.key);
            }
            _ => {}
        }
        self.state.apply(record);
        if let Some(kept) = self.kept.as_ref().filter(|kept| kept.records == record.n) {
            let digest = super::record::encode(record).1;
            self.met = kept.head == digest;
            if !self.met {
                return Err("the chain is not the one that was signed in the checkpoint");
            }
        }
        self.pass_acknowledged(record)
    }

    /// The broker signed that it was told of this very record.
    fn pass_acknowledged(&mut self, record: &Record) -> Result<(), &'static str> {
        let Some(said) = self.unmet.as_ref().map(|unmet| &unmet.said).filter(|said| said.records <= record.n)
        else {
            return Ok(());
        };
        // Records before the first that is read were moved elsewhere: nothing is said of them.
        if said.records == record.n && said.head != super::record::encode(record).1 {
            return Err("the chain is not the one that the broker acknowledged");
        }
        self.unmet = None;
        Ok(())
    }

    /// The checkpoint that was written when the segment was closed.
    fn closing(&mut self, number: u32, scan: &Scan) -> Result<(), Error> {
        let path = checkpoint_path(self.dir, number);
        let read_error = |source| Error::Read { path: path.clone(), source };
        let Some(bytes) = read_bounded(&path, CHECKPOINT_LEN_MAX).map_err(read_error)? else {
            return Ok(());
        };
        let signed = self.believe(&path, &bytes)?;
        let said = signed.get();
        // One that stands beside an open segment was written before a crash: the segment has gone on.
        let fits = said.segment == number && said.records <= scan.records;
        if !fits || (said.records == scan.records && said.head != scan.head) {
            let why = "its checkpoint was signed over another chain".to_owned();
            return Err(Error::Corrupt { path, n: scan.records, offset: 0, why });
        }
        self.whole.checkpoints += 1;
        Ok(())
    }

    fn believe(&self, path: &Path, bytes: &[u8]) -> Result<Verified<Checkpoint>, Error> {
        let bad = |why: String| Error::Checkpoint { path: path.to_owned(), why };
        let key = self.key.as_ref().ok_or_else(|| bad("the journal names no key".to_owned()))?;
        let id = key.id().map_err(|e| bad(e.to_string()))?;
        if let Some(wanted) = self.asked.key.as_ref().filter(|wanted| **wanted != id) {
            return Err(bad(format!("the journal's key is {id}, not {wanted}")));
        }
        let signed = checkpoint(key, bytes).map_err(|e| bad(e.to_string()))?;
        match &self.state.install {
            Some(install) if *install != signed.get().install => {
                Err(bad("it is another install's".to_owned()))
            }
            _ => Ok(signed),
        }
    }

    fn finish(mut self) -> Result<Whole, Error> {
        let path = self.dir.join("checkpoint");
        if let Some(bytes) = &self.asked.checkpoint {
            self.believe(&path, bytes)?;
            if !self.met {
                let records = self.whole.records;
                let why = format!("the chain, which has {records} records, does not pass through it");
                return Err(Error::Checkpoint { path, why });
            }
            self.whole.checkpoints += 1;
        }
        if let Some(unmet) = &self.unmet {
            let (records, said) = (self.whole.records, unmet.said.records);
            let why = format!("the chain has {records} records, and the broker was told of {said}");
            return Err(Error::Checkpoint { path: self.dir.join("seen.json"), why });
        }
        self.whole.key = self.key.as_ref().and_then(|key| key.id().ok());
        if let Some(wanted) = self.asked.key.as_ref().filter(|wanted| self.whole.key.as_ref() != Some(wanted))
        {
            let why = format!("the journal's key is not {wanted}");
            return Err(Error::Checkpoint { path, why });
        }
        Ok(self.whole)
    }
}

/// What a checkpoint says, to know which record to look at; it is verified once the key is known.
fn unverified(dir: &Path, bytes: &[u8]) -> Result<Checkpoint, Error> {
    use remit_seal::dsse::{Envelope, PayloadType};
    let bad = |why: String| Error::Checkpoint { path: dir.join("checkpoint"), why };
    let envelope = Envelope::parse(bytes, PayloadType::Checkpoint).map_err(|e| bad(e.to_string()))?;
    remit_seal::strict::from_slice(&envelope.payload).map_err(|e| bad(e.to_string()))
}
