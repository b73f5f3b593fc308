//! The broker's audit log: every decision that somebody with rights took here, hash-chained, in the store.
//!
//! What people ask of objects is in the log of events, with its commit; the writer follows that log. The rest
//! (tokens, keys, roots, certificates, envelopes, failed authentications) is told here, and who waits for the
//! answer has it when the block is on disk. A restored broker goes on from an older block, and whoever keeps a
//! signed place of a newer one can prove that.

mod block;
mod chain;
mod evidence;
mod keep;
#[cfg(test)]
mod tests;
mod told;
mod verify;
mod whole;
mod writer;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use remit_loops::{ObjectId, Timestamp};
use remit_seal::document::AuditPlace;
use tokio::sync::{mpsc, oneshot};

use crate::engine::Engine;
use crate::store::StoreError;

pub(crate) use block::New;
pub use block::{Block, Entry, Header};
pub(crate) use chain::Chain;
pub use evidence::{Evidence, Kept, Word, judge};
pub(crate) use told::TOLD;
pub use told::Told;
pub use verify::{Broken, Proof, Proved};
pub use whole::{Damaged, Looked, look_through};
pub(crate) use writer::run;

/// How many decisions may wait to be written; who comes then waits too.
const WAITING_MAX: usize = 4_096;

/// How long the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Blocks that are older go.
    pub keep_days: u32,
    /// More blocks than this are not kept.
    pub blocks_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep_days: 400, blocks_max: 2_000_000 }
    }
}

/// What the answer to a request adds to its entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts(pub(crate) Vec<(&'static str, String)>);

/// A decision on its way to the writer.
struct Asked {
    new: New,
    reply: oneshot::Sender<Result<AuditPlace, StoreError>>,
}

/// Failed authentications since they were last written down, by door and code.
#[derive(Debug, Default)]
struct Refused {
    counts: BTreeMap<(&'static str, &'static str), u64>,
    since: Option<Timestamp>,
}

/// The audit log of this broker.
pub(crate) struct Audit {
    engine: Engine,
    chain: Chain,
    options: Options,
    inbox: mpsc::Sender<Asked>,
    /// Taken by the writer.
    asked: Mutex<Option<mpsc::Receiver<Asked>>>,
    refused: Mutex<Refused>,
}

impl Audit {
    /// Kept in the engine's records.
    pub(crate) fn new(engine: Engine, options: Options) -> Self {
        let (inbox, asked) = mpsc::channel(WAITING_MAX);
        let chain = Chain::new(engine.clone());
        let (asked, refused) = (Mutex::new(Some(asked)), Mutex::default());
        Self { engine, chain, options, inbox, asked, refused }
    }

    /// Writes a decision down. `Ok`: it is on disk, in the block of this place.
    pub(crate) async fn put(&self, new: New) -> Result<AuditPlace, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Asked { new, reply }).await.map_err(|_| StoreError::Stopped)?;
        answer.await.unwrap_or(Err(StoreError::Stopped))
    }

    /// Counts somebody who could not show who they are. The codes are few, so this is bounded.
    pub(crate) fn refuse(&self, door: &'static str, code: &'static str) {
        let mut refused = self.refused();
        refused.since.get_or_insert_with(|| self.engine.now());
        *refused.counts.entry((door, code)).or_default() += 1;
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stored blocks.
    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }
}

/// A decision about an object.
pub(crate) fn of(object: &ObjectId, by: impl Into<String>, code: &'static str) -> New {
    let org = Some(object.org_name().to_owned());
    New { org, by: by.into(), code, about: object.to_string(), facts: BTreeMap::new() }
}
