//! The audit log over the API: entries for people, blocks for whoever proves them. An org's token reads what is
//! its org's; of the rest it gets digests, so that it can prove the chain all the same.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use remit_seal::document::AuditCheckpoint;
use serde::Deserialize;

use super::error::ApiError;
use super::objects::limit;
use super::request::{Caller, Number, Params};
use super::wire::{AuditBlocks, AuditEntry, AuditList, ErrorBody};
use crate::edge::Edge;

/// How many blocks one answer goes through.
const BLOCKS_MAX: u64 = 500;

/// Which page of whose entries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    org: Option<String>,
    before: Option<Number>,
    limit: Option<usize>,
}

/// Decisions, the newest first; an org's token sees its own only. `next` is there while older ones may be.
#[utoipa::path(
    get, path = "/v1/audit", tag = "audit",
    params(
        ("org" = Option<String>, Query, description = "only this org's"),
        ("before" = Option<u64>, Query, description = "only of older blocks: the `next` of an answer"),
        ("limit" = Option<usize>, Query),
    ),
    responses((status = 200, body = AuditList), (status = 404, body = ErrorBody)),
)]
pub(super) async fn list(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Result<Json<AuditList>, ApiError> {
    let limit = limit(query.limit)?;
    let org = query.org.as_deref();
    if org.is_some() && !caller.may_read(org) {
        return Err(ApiError::not_found(&format!("org {}", org.unwrap_or_default())));
    }
    let chain = edge.audit.chain();
    let newest = chain.place().await?.map_or(0, |place| place.block);
    let mut block = query.before.map_or(newest, |before| before.0.saturating_sub(1).min(newest));
    let (mut entries, until) = (vec![], block.saturating_sub(BLOCKS_MAX));
    while block > until && entries.len() < limit {
        let Some(found) = chain.block(block).await? else { break };
        let wanted = found.read().rev().filter(|entry| {
            let own = entry.org.as_deref();
            caller.may_read(own) && (org.is_none() || own == org)
        });
        entries.extend(wanted.map(|entry| AuditEntry { block, entry }));
        block -= 1;
    }
    let first = chain.base().await?.map_or(1, |base| base.first);
    Ok(Json(AuditList { entries, next: (block >= first).then_some(block + 1) }))
}

/// Which blocks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BlocksQuery {
    after: Option<Number>,
}

/// Blocks as they are stored, oldest first, with the place where the log stands, signed now. Entries of others
/// are left out; their digests stand in the headers.
#[utoipa::path(
    get, path = "/v1/audit/blocks", tag = "audit",
    params(("after" = Option<u64>, Query, description = "the number of a block; otherwise all that are kept")),
    responses((status = 200, body = AuditBlocks), (status = 404, body = ErrorBody)),
)]
pub(super) async fn blocks(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    Params(query): Params<BlocksQuery>,
) -> Result<Json<AuditBlocks>, ApiError> {
    let chain = edge.audit.chain();
    let place = chain.place().await?.ok_or_else(|| ApiError::not_found("audit log yet"))?;
    let base = chain.base().await?;
    let kept = base.as_ref().map_or(0, |base| base.first - 1);
    let found = chain.after(query.after.map_or(kept, |n| n.0).max(kept)).await?;
    let may_see = |entry: &crate::audit::Entry| caller.may_read(entry.org.as_deref());
    let blocks = found.into_iter().map(|block| block.seen_by(may_see)).collect();
    let checkpoint = AuditCheckpoint { place, at_ms: edge.engine.now().0 };
    let signed = edge.dispatch.sign_audit(&checkpoint).await?;
    let keys = edge.dispatch.public();
    Ok(Json(AuditBlocks {
        checkpoint: String::from_utf8_lossy(&signed).into_owned(),
        keys: keys.into_iter().map(super::dispatch_keys::public).collect(),
        base: base.map(|base| base.checkpoint),
        blocks,
    }))
}
