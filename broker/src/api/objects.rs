//! Queries: objects as they are and were, and what happened to them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use remit_loops::{Kind, ObjectId};
use serde::Deserialize;

use super::error::ApiError;
use super::past;
use super::request::{Caller, Number, Params, Target};
use super::wire::{ErrorBody, ObjectList, ObjectView, PAGE_LEN_MAX, Timeline, TimelineEntry};
use crate::edge::Edge;
use crate::engine::{HistoryItem, Snapshot};

const PAGE_LEN: usize = 100;

/// Which page of which objects.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    kind: Kind,
    under: Option<ObjectId>,
    after: Option<ObjectId>,
    limit: Option<usize>,
}

pub(super) fn limit(asked: Option<usize>) -> Result<usize, ApiError> {
    match asked.unwrap_or(PAGE_LEN) {
        limit if (1..=PAGE_LEN_MAX).contains(&limit) => Ok(limit),
        limit => Err(ApiError::parameter_invalid(format!("limit is {limit}"))),
    }
}

/// Objects of a kind, by id; an org's token sees its own only.
#[utoipa::path(
    get, path = "/v1/objects", tag = "objects",
    params(
        ("kind" = Kind, Query), ("under" = Option<String>, Query, description = "all that this object is or holds"),
        ("after" = Option<String>, Query), ("limit" = Option<usize>, Query),
    ),
    responses((status = 200, body = ObjectList), (status = 404, body = ErrorBody)),
)]
pub(super) async fn list(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    Params(query): Params<ListQuery>,
) -> Result<Json<ObjectList>, ApiError> {
    let limit = limit(query.limit)?;
    let under = caller.below(query.under)?;
    let found = edge.engine.list(query.kind, under.as_ref(), query.after.as_ref(), limit).await?;
    let next = found.last().filter(|_| found.len() == limit).map(|last| last.id.clone());
    Ok(Json(ObjectList { objects: found.iter().map(show).collect(), next }))
}

/// A snapshot as the API shows it.
pub(super) fn show(snapshot: &Snapshot) -> ObjectView {
    ObjectView { revision: snapshot.revision, view: snapshot.object.view() }
}

/// The object of this id, as it is now.
pub(super) async fn find(edge: &Edge, id: &ObjectId) -> Result<Snapshot, ApiError> {
    edge.engine.query(id).await?.ok_or_else(|| ApiError::no_object(id))
}

/// When an object is to be shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GetQuery {
    at: Option<String>,
}

/// One object, whole: as it is now, or as it was at a time.
#[utoipa::path(
    get, path = "/v1/objects/{id}", tag = "objects",
    params(
        ("id" = String, Path),
        ("at" = Option<String>, Query, description = "a time: RFC 3339, or milliseconds since the Unix epoch"),
    ),
    responses(
        (status = 200, body = ObjectView), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody),
    ),
)]
pub(super) async fn get(
    State(edge): State<Arc<Edge>>,
    target: Target,
    Params(query): Params<GetQuery>,
) -> Result<Json<ObjectView>, ApiError> {
    let now = find(&edge, &target.id).await?;
    match query.at {
        None => Ok(Json(show(&now))),
        Some(at) => Ok(Json(past::view(&edge, &target.id, past::time(&at)?).await?)),
    }
}

/// The components and the runner of an install.
pub(super) async fn parts(edge: &Edge, install: &ObjectId) -> Result<Vec<ObjectId>, ApiError> {
    let components = edge.engine.list(Kind::Component, Some(install), None, PAGE_LEN_MAX).await?;
    Ok(components.into_iter().map(|s| s.id).chain(install.runner()).collect())
}

/// Which page of a timeline.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TimelineQuery {
    before: Option<Number>,
    limit: Option<usize>,
}

/// What happened to an object, the newest first; to an install's components and runner too.
#[utoipa::path(
    get, path = "/v1/objects/{id}/timeline", tag = "objects",
    params(("id" = String, Path), ("before" = Option<u64>, Query), ("limit" = Option<usize>, Query)),
    responses((status = 200, body = Timeline), (status = 404, body = ErrorBody)),
)]
pub(super) async fn timeline(
    State(edge): State<Arc<Edge>>,
    target: Target,
    Params(query): Params<TimelineQuery>,
) -> Result<Json<Timeline>, ApiError> {
    let limit = limit(query.limit)?;
    find(&edge, &target.id).await?;
    Ok(Json(page(&edge, &target.id, query.before.map(|n| n.0), limit).await?))
}

/// The place in the log of the last event of an object and its parts, whether it left a line or not.
pub(super) async fn newest(edge: &Edge, id: &ObjectId) -> Result<u64, ApiError> {
    let mut newest = 0;
    for object in timeline_of(edge, id).await? {
        let last = edge.engine.history(&object, None, 1).await?;
        newest = last.first().map_or(newest, |item| item.seq.max(newest));
    }
    Ok(newest)
}

/// Whose lines an object's timeline holds.
async fn timeline_of(edge: &Edge, id: &ObjectId) -> Result<Vec<ObjectId>, ApiError> {
    let mut objects = vec![id.clone()];
    if id.kind() == Kind::Install {
        objects.extend(parts(edge, id).await?);
    }
    Ok(objects)
}

/// A page of a timeline, put together from all whose it is.
pub(super) async fn page(
    edge: &Edge,
    id: &ObjectId,
    before: Option<u64>,
    limit: usize,
) -> Result<Timeline, ApiError> {
    let (mut entries, mut known_from) = (vec![], None);
    for object in timeline_of(edge, id).await? {
        let items = edge.engine.history(&object, before, limit).await?;
        if items.len() == limit {
            // Older ones of this object were not read: what others had before that is left for later.
            known_from = known_from.max(items.last().map(|oldest| oldest.seq));
        }
        entries.extend(items.into_iter().flat_map(|item| lines(&object, item)));
    }
    entries.retain(|e: &TimelineEntry| known_from.is_none_or(|from| e.seq >= from));
    entries.sort_by_key(|e| std::cmp::Reverse(e.seq));
    let mut next = known_from;
    if let Some(beyond) = entries.get(limit).map(|e| e.seq) {
        // An event's lines stay together.
        let kept = entries.iter().take_while(|e| e.seq > beyond).count();
        let kept = if kept == 0 { entries.iter().take_while(|e| e.seq == beyond).count() } else { kept };
        if kept < entries.len() {
            entries.truncate(kept);
            next = entries.last().map(|e| e.seq);
        }
    }
    Ok(Timeline { entries, next })
}

fn lines(object: &ObjectId, item: HistoryItem) -> Vec<TimelineEntry> {
    let HistoryItem { seq, at, by, entries, .. } = item;
    let line = |entry: remit_loops::timeline::Entry| TimelineEntry {
        object: object.clone(),
        seq,
        at,
        by: by.clone(),
        code: entry.code,
        text: entry.text,
        level: entry.level,
    };
    // Stable sorting keeps this order: the last line of an event is its newest.
    entries.into_iter().rev().map(line).collect()
}
