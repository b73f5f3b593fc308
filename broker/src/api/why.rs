//! Why: of one object with all that holds it up, and of everything below an org or an app.

mod keys;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use remit_loops::{Kind, ObjectId, Waiting};
use serde::Deserialize;

use super::error::ApiError;
use super::objects::{find, limit, parts};
use super::request::{Caller, Params, Target};
use super::wire::{ErrorBody, Reason, Why, WhyItem, WhyPage};
use crate::edge::Edge;
use crate::engine::Snapshot;

/// How many of an object's newest events are looked through for what a reason rests on.
const EVENTS_MAX: usize = 200;
/// How many reasons of one object a page of many holds.
const REASONS_MAX: usize = 5;
/// The kinds that a page goes through, in this order; an install speaks for its components and its runner.
const KINDS: [Kind; 3] = [Kind::Org, Kind::App, Kind::Install];

/// Why an object is not done yet, since when, by what evidence, and what would end it.
#[utoipa::path(
    get, path = "/v1/objects/{id}/why", tag = "objects", params(("id" = String, Path)),
    responses((status = 200, body = Why), (status = 404, body = ErrorBody)),
)]
pub(super) async fn one(State(edge): State<Arc<Edge>>, target: Target) -> Result<Json<Why>, ApiError> {
    let own = find(&edge, &target.id).await?;
    let mut waiting = reasons(&edge, &own).await?;
    for related in related(&edge, &target.id).await? {
        if let Some(snapshot) = edge.engine.query(&related).await? {
            waiting.extend(reasons(&edge, &snapshot).await?);
        }
    }
    dedup(&mut waiting);
    for reason in &mut waiting {
        reason.event = event_of(&edge, reason).await?;
    }
    Ok(Json(Why { sentence: sentence(&own, &waiting), waiting }))
}

/// What the object says itself, and what its loop cannot know.
async fn reasons(edge: &Edge, of: &Snapshot) -> Result<Vec<Reason>, ApiError> {
    let reason =
        |waiting: Waiting| Reason { object: of.id.clone(), urgency: waiting.urgency(), event: None, waiting };
    let mut all = of.object.why();
    all.extend(keys::reason(edge, of).await?);
    Ok(all.into_iter().map(reason).collect())
}

fn sentence(of: &Snapshot, waiting: &[Reason]) -> String {
    let (id, status) = (&of.id, of.object.view().status);
    match waiting {
        [] => format!("{id} is {}: {}", status.word, status.description),
        [one] => format!("{id} is {}: {}", status.word, one.waiting.reason),
        [first, rest @ ..] => {
            format!("{id} is {}: {} (and {} more)", status.word, first.waiting.reason, rest.len())
        }
    }
}

fn dedup(reasons: &mut Vec<Reason>) {
    let mut seen: Vec<Waiting> = vec![];
    reasons.retain(|reason| {
        let w = &reason.waiting;
        let is_new = !seen.iter().any(|s| s.code == w.code && s.reason == w.reason && s.on == w.on);
        if is_new {
            seen.push(w.clone());
        }
        is_new
    });
}

/// The event since which a reason holds: the newest of that time.
async fn event_of(edge: &Edge, reason: &Reason) -> Result<Option<u64>, ApiError> {
    let newest = edge.engine.history(&reason.object, None, EVENTS_MAX).await?;
    Ok(newest.into_iter().find(|item| item.at == reason.waiting.since).map(|item| item.seq))
}

/// The others whose reasons count: below an install its components and its runner, above it its parents.
async fn related(edge: &Edge, id: &ObjectId) -> Result<Vec<ObjectId>, ApiError> {
    let mut related = vec![];
    if id.kind() == Kind::Install {
        related.extend(parts(edge, id).await?);
    }
    let mut above = id.parent();
    while let Some(parent) = above {
        above = parent.parent();
        related.push(parent);
    }
    Ok(related)
}

/// Which part of everything below an object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WhyQuery {
    under: Option<ObjectId>,
    after: Option<ObjectId>,
    limit: Option<usize>,
}

/// Every org, app and install below an object (or of the caller) that is not done, the most urgent of
/// the page first. A page goes through `limit` objects.
#[utoipa::path(
    get, path = "/v1/why", tag = "objects",
    params(
        ("under" = Option<String>, Query, description = "all that this object is or holds"),
        ("after" = Option<String>, Query), ("limit" = Option<usize>, Query),
    ),
    responses((status = 200, body = WhyPage), (status = 404, body = ErrorBody)),
)]
pub(super) async fn all(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    Params(query): Params<WhyQuery>,
) -> Result<Json<WhyPage>, ApiError> {
    let limit = limit(query.limit)?;
    let under = caller.below(query.under)?;
    let mut looked_at: Vec<Snapshot> = vec![];
    let from = query.after.as_ref().map(ObjectId::kind);
    let begin = KINDS.iter().position(|kind| Some(*kind) == from).unwrap_or(0);
    for kind in &KINDS[begin..] {
        let after = query.after.as_ref().filter(|after| after.kind() == *kind);
        let room = limit - looked_at.len();
        if room > 0 {
            looked_at.extend(edge.engine.list(*kind, under.as_ref(), after, room).await?);
        }
    }
    let next = looked_at.last().filter(|_| looked_at.len() == limit).map(|last| last.id.clone());
    let mut items = vec![];
    for snapshot in &looked_at {
        items.extend(item(&edge, snapshot).await?);
    }
    items.sort_by_key(|item: &WhyItem| (item.urgency, item.since));
    Ok(Json(WhyPage { items, looked_at: looked_at.len() as u64, next }))
}

/// What an object has to say, if it is not done; an install with its runner.
async fn item(edge: &Edge, snapshot: &Snapshot) -> Result<Option<WhyItem>, ApiError> {
    let mut waiting = reasons(edge, snapshot).await?;
    if let Some(runner) = snapshot.id.runner()
        && let Some(runner) = edge.engine.query(&runner).await?
    {
        let says_so = waiting.iter().any(|r| r.waiting.on.as_ref() == Some(&runner.id));
        let is_new = |r: &Reason| !(says_so && r.waiting.code.starts_with("waiting.runner"));
        waiting.extend(reasons(edge, &runner).await?.into_iter().filter(is_new));
    }
    dedup(&mut waiting);
    waiting.sort_by_key(|reason| reason.urgency);
    let Some(first) = waiting.first() else { return Ok(None) };
    let (urgency, since) = (first.urgency, first.waiting.since);
    let sentence = sentence(snapshot, &waiting);
    let more = waiting.len().saturating_sub(REASONS_MAX) as u64;
    waiting.truncate(REASONS_MAX);
    let status = snapshot.object.view().status.word;
    Ok(Some(WhyItem { object: snapshot.id.clone(), status, urgency, since, sentence, waiting, more }))
}
