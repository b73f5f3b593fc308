//! Proving an audit log: block by block, against a place that was signed and kept elsewhere, and what runners
//! told of their receipts against itself. No store, no clock: the command line does the same with a file.

use std::collections::BTreeMap;

use remit_seal::Digest;
use remit_seal::document::AuditPlace;

use super::block::{Block, Entry, FORMAT, Header};
use super::told::{Told, Tolds};

/// What is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A block is not what was written, or does not follow from the one before it.
    #[error("block {block} of the audit log is not what was written: {why}")]
    Block {
        /// Which.
        block: u64,
        /// What does not agree.
        why: String,
    },
    /// It is not the log that was signed.
    #[error("the audit log is not the one that was signed: {why}")]
    Forked {
        /// Where they part.
        why: String,
    },
}

impl Broken {
    /// The stable code, with a section in `docs/errors/audit.md`.
    pub fn code(&self) -> &'static str {
        match self {
            Broken::Block { .. } => "audit.broken",
            Broken::Forked { .. } => "audit.forked",
        }
    }
}

/// A log that was proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// Where it ends.
    pub place: AuditPlace,
    /// The first block that was read.
    pub first: u64,
    /// How many entries could be read.
    pub read: u64,
    /// Entries of others, of which only the digests are known.
    pub hidden: u64,
    /// Runners whose receipts went back, or changed.
    pub forks: Vec<(Told, Told)>,
}

/// A proof in the making.
#[derive(Debug)]
pub struct Proof {
    /// The place that the next block must follow from.
    from: AuditPlace,
    first: u64,
    /// A place that was signed, and whether the log passed through it.
    kept: Option<AuditPlace>,
    met: bool,
    read: u64,
    hidden: u64,
    told: Tolds,
    /// What people asked of objects, by its place in the log of events.
    events: BTreeMap<u64, String>,
}

impl Proof {
    /// From the first block of a log, or, where older blocks are kept no more, from the signed place before.
    pub fn new(base: Option<AuditPlace>, kept: Option<AuditPlace>) -> Self {
        let beginning = AuditPlace { chain: String::new(), block: 0, entries: 0, head: Digest::of(b"") };
        let from = base.unwrap_or(beginning);
        let (first, met) = (from.block + 1, kept.as_ref() == Some(&from));
        Self { from, first, kept, met, read: 0, hidden: 0, told: Tolds::default(), events: BTreeMap::new() }
    }

    /// Takes the next block in.
    pub fn block(&mut self, block: &Block) -> Result<(), Broken> {
        let number = self.from.block + 1;
        let bad = |why: String| Broken::Block { block: number, why };
        let header = block.header().map_err(bad)?;
        self.follows(&header).map_err(bad)?;
        if header.entries.len() != block.entries.len() || header.entries.is_empty() {
            return Err(bad(format!("it names {} entries", header.entries.len())));
        }
        for ((n, digest), text) in (header.first..).zip(&header.entries).zip(&block.entries) {
            match text {
                None => self.hidden += 1,
                Some(text) if Digest::of(text.as_bytes()) == *digest => {
                    self.entry(n, text).map_err(|why| bad(format!("entry {n}: {why}")))?;
                }
                Some(_) => return Err(bad(format!("entry {n} was changed"))),
            }
        }
        let entries = header.first + header.entries.len() as u64 - 1;
        let head = Digest::of(block.header.as_bytes());
        self.from = AuditPlace { chain: header.chain, block: number, entries, head };
        self.meet()
    }

    fn follows(&self, header: &Header) -> Result<(), String> {
        let Self { from, .. } = self;
        if header.version != FORMAT {
            return Err(format!("its version is {}, this program knows {FORMAT}", header.version));
        }
        if header.block != from.block + 1 {
            return Err(format!("it is numbered {}", header.block));
        }
        if header.prev != from.head || header.first != from.entries + 1 {
            return Err("it does not follow from the block before it".to_owned());
        }
        if !from.chain.is_empty() && header.chain != from.chain {
            return Err("it is of another log".to_owned());
        }
        Ok(())
    }

    fn entry(&mut self, n: u64, text: &str) -> Result<(), String> {
        let entry: Entry = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if entry.n != n {
            return Err(format!("it is numbered {}", entry.n));
        }
        self.read += 1;
        if let (Some(seq), Some(event)) = (entry.facts.get("seq"), entry.facts.get("event"))
            && let Ok(seq) = seq.parse()
        {
            self.events.insert(seq, event.clone());
        }
        self.told.hear(&entry);
        Ok(())
    }

    fn meet(&mut self) -> Result<(), Broken> {
        let Some(kept) = self.kept.as_ref().filter(|kept| kept.block == self.from.block) else {
            return Ok(());
        };
        if *kept == self.from {
            self.met = true;
            return Ok(());
        }
        let why = format!("block {} has the digest {}, signed was {}", kept.block, self.from.head, kept.head);
        Err(Broken::Forked { why })
    }

    /// What people asked of objects as it stands in the entries so far: digests by place in the log of events.
    pub(crate) fn take_events(&mut self) -> BTreeMap<u64, String> {
        std::mem::take(&mut self.events)
    }

    /// The whole was read.
    pub fn finish(self) -> Result<Proved, Broken> {
        if let Some(kept) = self.kept.filter(|_| !self.met) {
            let why = if kept.block < self.first {
                format!("it is kept from block {} on, and block {} was signed", self.first, kept.block)
            } else {
                format!("it has {} blocks, and block {} was signed", self.from.block, kept.block)
            };
            return Err(Broken::Forked { why });
        }
        let (first, read, hidden, forks) = (self.first, self.read, self.hidden, self.told.into_forks());
        Ok(Proved { place: self.from, first, read, hidden, forks })
    }
}
