//! A whole store's audit log, looked through: of a backup, or of a broker that stands still. Every block follows
//! from the one before, and every event that an entry names is in the log as it was.

use remit_seal::document::{AuditCheckpoint, AuditPlace};
use remit_seal::dsse::{Envelope, PayloadType};

use super::chain::{base, group};
use super::verify::{Broken, Proof, Proved};
use crate::engine::event_digest;
use crate::store::{Reader, StoreError};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The chain; `None` in a store that has no audit log yet.
    pub proved: Option<Proved>,
    /// How many events were compared with what the entries say of them.
    pub events: u64,
}

/// Why it is not whole.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain.
    #[error(transparent)]
    Broken(#[from] Broken),
    /// An event is not the one that was written down.
    #[error("event {seq} is not the one that the audit log has written down")]
    Event {
        /// Its place in the log of events.
        seq: u64,
    },
}

/// Looks a store's audit log through; `kept` is a place that it must have passed through.
pub fn look_through(reader: &dyn Reader, kept: Option<AuditPlace>) -> Result<Looked, Damaged> {
    let from = base(reader)?.map(|base| unverified(&base.checkpoint)).transpose()?;
    let mut after = from.as_ref().map_or(0, |place| place.block);
    let (begins, mut events) = (after, 0);
    let mut proof = Proof::new(from, kept);
    loop {
        let blocks = group(reader, after)?;
        if blocks.is_empty() {
            break;
        }
        blocks.iter().try_for_each(|block| proof.block(block))?;
        after += blocks.len() as u64;
        events += compare(reader, &mut proof)?;
    }
    let proved = proof.finish()?;
    Ok(Looked { proved: (after > begins).then_some(proved), events })
}

fn compare(reader: &dyn Reader, proof: &mut Proof) -> Result<u64, Damaged> {
    let events = proof.take_events();
    for (seq, digest) in &events {
        let found = reader.events(seq - 1, 1)?;
        if found.first().is_none_or(|event| event.seq != *seq || event_digest(event).hex() != *digest) {
            return Err(Damaged::Event { seq: *seq });
        }
    }
    Ok(events.len() as u64)
}

/// What a base says; whoever reads a store as a file believes it anyway.
fn unverified(checkpoint: &str) -> Result<AuditPlace, StoreError> {
    let bad = |e: remit_seal::Refusal| StoreError::Corrupt(format!("the audit log's base: {e}"));
    let envelope = Envelope::parse(checkpoint.as_bytes(), PayloadType::Audit).map_err(bad)?;
    let checkpoint: AuditCheckpoint = remit_seal::strict::from_slice(&envelope.payload).map_err(bad)?;
    Ok(checkpoint.place)
}
