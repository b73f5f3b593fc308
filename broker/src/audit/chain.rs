//! The chain in the store: blocks as records of the edge, each added only if nobody else has added one with
//! its number. That is all that brokers which share a database need to have one chain between them.

use remit_loops::Timestamp;
use remit_seal::document::AuditPlace;
use serde::{Deserialize, Serialize};

use super::block::{Block, Tip};
use crate::engine::Engine;
use crate::store::{Reader, StoreError};

/// Records: blocks by number.
const BLOCKS: &str = "audit";
/// Record: a block that is there; the newest is not far behind it.
const NEAR: (&str, &str) = ("audit_near", "newest");
/// Records by number: the first block that is kept, with the signed place of the one before it.
const BASES: &str = "audit_base";
/// How often the nearby block is noted.
const NEAR_EVERY: u64 = 64;
/// Blocks are read in groups whose keys begin alike.
const GROUP: usize = 100;
/// How many bases are there at once: one, and for a moment two.
const BASES_MAX: usize = 100;

/// Where a log begins that is kept no longer from its first block on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Base {
    /// The first block that is there.
    pub(crate) first: u64,
    /// The place of the block before it, signed: a DSSE envelope in JSON.
    pub(crate) checkpoint: String,
}

/// The blocks that are stored.
#[derive(Clone)]
pub(crate) struct Chain {
    engine: Engine,
}

fn key(block: u64) -> String {
    format!("{block:016}")
}

fn corrupt(what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("the audit log: {what}"))
}

fn read<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(corrupt)
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and whole numbers are always JSON")
}

/// Blocks after this one, oldest first, some of them: none only where there are none. Read past the engine, of a
/// backup, for one.
pub(super) fn group(reader: &dyn Reader, after: u64) -> Result<Vec<Block>, StoreError> {
    newer(&reader.records(BLOCKS, &prefix(after), GROUP)?, after)
}

fn newer(records: &[(String, Vec<u8>)], after: u64) -> Result<Vec<Block>, StoreError> {
    records.iter().filter(|(found, _)| *found > key(after)).map(|(_, bytes)| read(bytes)).collect()
}

/// The base of a log that is read past the engine.
pub(super) fn base(reader: &dyn Reader) -> Result<Option<Base>, StoreError> {
    reader.records(BASES, "", BASES_MAX)?.last().map(|(_, bytes)| read(bytes)).transpose()
}

/// What the keys of the group begin with that the block after this one is in.
fn prefix(after: u64) -> String {
    let mut prefix = key(after + 1);
    prefix.truncate(14);
    prefix
}

impl Chain {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// One block.
    pub(crate) async fn block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        let found = self.engine.get_record(BLOCKS, &key(number)).await?;
        found.as_deref().map(read).transpose()
    }

    /// Blocks after this one, oldest first, some of them: none only where there are none.
    pub(crate) async fn after(&self, number: u64) -> Result<Vec<Block>, StoreError> {
        newer(&self.engine.list_records(BLOCKS, &prefix(number), GROUP).await?, number)
    }

    /// Where the chain begins that is kept.
    pub(crate) async fn base(&self) -> Result<Option<Base>, StoreError> {
        let bases = self.engine.list_records(BASES, "", BASES_MAX).await?;
        bases.last().map(|(_, bytes)| read(bytes)).transpose()
    }

    /// Where the chain stands; `None` before its first block.
    pub(super) async fn tip(&self) -> Result<Option<Tip>, StoreError> {
        let near = self.engine.get_record(NEAR.0, NEAR.1).await?;
        let near = near.and_then(|bytes| String::from_utf8(bytes).ok()?.parse::<u64>().ok());
        let first = self.base().await?.map_or(1, |base| base.first);
        let mut at = near.unwrap_or(1).max(first);
        let mut newest = self.block(at).await?;
        if newest.is_none() && at > 1 {
            return Err(corrupt(format!("block {at} is missing")));
        }
        while newest.is_some()
            && let Some(next) = self.block(at + 1).await?
        {
            (at, newest) = (at + 1, Some(next));
        }
        let Some(block) = newest else { return Ok(None) };
        let header = block.header().map_err(corrupt)?;
        Ok(Some(Tip::after(&header, &block.header)))
    }

    /// The newest place; `None` before the first block.
    pub(crate) async fn place(&self) -> Result<Option<AuditPlace>, StoreError> {
        Ok(self.tip().await?.map(|tip| tip.place))
    }

    /// Adds a block; false if somebody else added one with its number.
    pub(super) async fn add(&self, number: u64, block: &Block) -> Result<bool, StoreError> {
        let added = self.engine.add_record(BLOCKS, &key(number), json(block)).await?;
        if added && number.is_multiple_of(NEAR_EVERY) {
            let noted = self.engine.put_record(NEAR.0, NEAR.1, number.to_string().into_bytes()).await;
            if let Err(error) = noted {
                // The block is there; the next note will do.
                tracing::debug!(%error, "the newest block of the audit log was not noted");
            }
        }
        Ok(added)
    }

    /// The time of a block, if it is there.
    pub(super) async fn time(&self, number: u64) -> Result<Option<Timestamp>, StoreError> {
        let Some(block) = self.block(number).await? else { return Ok(None) };
        Ok(Some(block.header().map_err(corrupt)?.at))
    }

    /// Keeps the chain from a block on; the place of the one before it was signed.
    pub(super) async fn cut(&self, from: u64, base: &Base) -> Result<(), StoreError> {
        // What says where it begins is there before anything is gone.
        self.engine.add_record(BASES, &key(base.first), json(base)).await?;
        for number in from..base.first {
            self.engine.delete_record(BLOCKS, &key(number)).await?;
        }
        for (older, _) in self.engine.list_records(BASES, "", BASES_MAX).await? {
            if older < key(base.first) {
                self.engine.delete_record(BASES, &older).await?;
            }
        }
        Ok(())
    }
}

/// How long ago a time was, in days.
pub(super) fn days_since(at: Timestamp, now: Timestamp) -> i64 {
    now.since_ms(at) / (24 * 3_600_000)
}
