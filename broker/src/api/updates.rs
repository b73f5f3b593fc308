//! Updates, looked at before they happen: what waits for an install, and whom a release would change.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use remit_loops::release::Release;
use remit_loops::release::changes::changes;
use remit_loops::{Kind, ObjectId};
use remit_seal::{Digest, verify};
use serde::Deserialize;

use super::error::ApiError;
use super::objects::{find, limit};
use super::request::{Params, Target};
use super::wire::ErrorBody;
use super::wire::updates::{PreviewItem, PreviewPage, Updates, WaitingRelease};
use crate::edge::Edge;

/// How many of the next windows are shown.
const WINDOWS_SHOWN: usize = 5;

/// When an install takes releases: its policy, its next windows, and what waits, with what would change.
#[utoipa::path(
    get, path = "/v1/objects/{id}/updates", tag = "updates", params(("id" = String, Path)),
    responses((status = 200, body = Updates), (status = 404, body = ErrorBody)),
)]
pub(super) async fn updates(
    State(edge): State<Arc<Edge>>,
    target: Target,
) -> Result<Json<Updates>, ApiError> {
    let id = target.install()?;
    let snapshot = find(&edge, id).await?;
    let Some(install) = snapshot.object.as_install() else { return Err(ApiError::no_object(id)) };
    let windows = install.next_windows(edge.engine.now(), WINDOWS_SHOWN).unwrap_or_default();
    let known = releases_of(&edge, id.parent().as_ref()).await?;
    let updates = install.updates();
    let mut waiting = vec![];
    for offer in &updates.inbox {
        let release = known.iter().find(|release| release.digest == offer.release.digest);
        let changes = release.map(|release| changes(install.release(), release)).unwrap_or_default();
        let notes = notes(&edge, id, &offer.release.digest).await;
        waiting.push(WaitingRelease { offer: offer.clone(), notes, changes });
    }
    let version = install.release().map(|release| release.version.clone());
    Ok(Json(Updates { updates, version, windows, waiting }))
}

/// The notes of a signed release; none of one that is gone or proves nothing any more.
async fn notes(edge: &Edge, install: &ObjectId, digest: &str) -> String {
    let org = install.org_name();
    let (Ok(digest), Ok(Some(root))) = (digest.parse::<Digest>(), edge.trust.newest(org).await) else {
        return String::new();
    };
    let Ok(signed) = edge.artifacts.release(org, &digest).await else { return String::new() };
    let verified = verify::release(&root, &signed, edge.engine.now().0);
    verified.map(|release| release.get().notes.clone()).unwrap_or_default()
}

async fn releases_of(edge: &Edge, app: Option<&ObjectId>) -> Result<Vec<Release>, ApiError> {
    let Some(app) = app else { return Ok(vec![]) };
    let snapshot = edge.engine.query(app).await?;
    let releases = snapshot.and_then(|s| s.object.as_app().map(|app| app.releases().to_vec()));
    Ok(releases.unwrap_or_default())
}

/// Of which release, and which page.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviewQuery {
    version: Option<String>,
    after: Option<ObjectId>,
    limit: Option<usize>,
}

/// Who would change by a release of the app (the newest, if none is named), when, and what.
#[utoipa::path(
    get, path = "/v1/objects/{id}/preview", tag = "updates",
    params(
        ("id" = String, Path), ("version" = Option<String>, Query),
        ("after" = Option<String>, Query), ("limit" = Option<usize>, Query),
    ),
    responses(
        (status = 200, body = PreviewPage), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody),
    ),
)]
pub(super) async fn preview(
    State(edge): State<Arc<Edge>>,
    target: Target,
    Params(query): Params<PreviewQuery>,
) -> Result<Json<PreviewPage>, ApiError> {
    let limit = limit(query.limit)?;
    let release = release(&edge, &target.id, query.version.as_deref()).await?;
    let at = edge.engine.now();
    let page = edge.engine.list(Kind::Install, Some(&target.id), query.after.as_ref(), limit).await?;
    let next = page.last().filter(|_| page.len() == limit).map(|last| last.id.clone());
    let item = |snapshot: &crate::engine::Snapshot| {
        let install = snapshot.object.as_install()?;
        Some(PreviewItem {
            install: snapshot.id.clone(),
            policy: install.policy(),
            version: install.release().map(|own| own.version.clone()),
            preview: install.preview(at, &release)?,
        })
    };
    let installs = page.iter().filter_map(item).collect();
    Ok(Json(PreviewPage { version: release.version.clone(), at, installs, next }))
}

/// The release of this version of the app, or its newest.
async fn release(edge: &Edge, app: &ObjectId, version: Option<&str>) -> Result<Release, ApiError> {
    let snapshot = find(edge, app).await?;
    let Some(found) = snapshot.object.as_app() else {
        return Err(ApiError::not_found(&format!("app {app}")));
    };
    let mut releases = found.releases().iter().rev();
    let release = match version {
        Some(version) => releases.find(|release| release.version == version),
        None => releases.next(),
    };
    release.cloned().ok_or_else(|| {
        let message = match version {
            Some(version) => format!("{app} has no release {version}"),
            None => format!("{app} has no release yet"),
        };
        ApiError::unprocessable("api.release_unknown", message, "`remit release list` shows what there is")
    })
}
