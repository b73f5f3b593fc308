//! How long the log is kept: old blocks go, and the signed place of the last of them stays, so that what is
//! kept is proved from there on.

use remit_seal::document::{AuditCheckpoint, AuditPlace};

use super::chain::{Base, days_since};
use super::{Audit, Block};
use crate::dispatch::DispatchKeys;
use crate::store::StoreError;

/// Blocks go in steps of this many, so that brokers that share a database choose the same ones.
const STEP: u64 = 1_000;

/// Lets one step of old blocks go, if there is one.
pub(super) async fn cut(audit: &Audit, keys: &DispatchKeys, newest: &AuditPlace) -> Result<(), StoreError> {
    let first = audit.chain.base().await?.map_or(1, |base| base.first);
    let from = (first + STEP) - (first % STEP);
    // The newest blocks stay, however old they are.
    if newest.block < from + STEP {
        return Ok(());
    }
    let is_old = match audit.chain.time(from).await? {
        Some(at) => days_since(at, audit.engine.now()) >= i64::from(audit.options.keep_days),
        None => false,
    };
    if !is_old && newest.block - first < audit.options.blocks_max {
        return Ok(());
    }
    let Some(last) = audit.chain.block(from - 1).await? else { return Ok(()) };
    let checkpoint = AuditCheckpoint { place: place_of(&last)?, at_ms: audit.engine.now().0 };
    let signed = keys.sign_audit(&checkpoint).await.map_err(|e| StoreError::Failed(e.to_string()))?;
    let checkpoint = String::from_utf8_lossy(&signed).into_owned();
    tracing::info!(first = from, "older blocks of the audit log are kept no longer");
    audit.chain.cut(first, &Base { first: from, checkpoint }).await
}

fn place_of(block: &Block) -> Result<AuditPlace, StoreError> {
    let header = block.header().map_err(StoreError::Corrupt)?;
    Ok(super::block::Tip::after(&header, &block.header).place)
}
