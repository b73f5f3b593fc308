//! Artefacts and signed releases: taken in by digest, verified before they count.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use remit_loops::release::Release;
use remit_loops::view::Detail;
use remit_loops::{Actor, Body as EventBody, ObjectId, RejectedCode, Signal, app};
use remit_seal::verify::Verified;
use remit_seal::{document, verify};
use serde::Deserialize;

use super::error::ApiError;
use super::request::{DigestPath, IdempotencyKey, Params, Tenant, Whole};
use super::wire::{ErrorBody, ReleaseAccepted};
use crate::artifacts::Drawer;
use crate::edge::Edge;
use crate::engine::{Submission, SubmitError};
use crate::summary;

/// Takes an artefact in. Repeating it is harmless, so it needs no idempotency key.
#[utoipa::path(
    put, path = "/v1/orgs/{org}/artifacts/{digest}", tag = "releases",
    params(("org" = String, Path), ("digest" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses(
        (status = 200, description = "it was here"), (status = 201, description = "it is new"),
        (status = 413, body = ErrorBody), (status = 422, body = ErrorBody),
    ),
)]
pub(super) async fn put_artifact(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    DigestPath(digest): DigestPath,
    request: Request,
) -> Result<StatusCode, ApiError> {
    let _stream = super::stream_permit(&edge)?;
    let bytes = request.into_body().into_data_stream();
    let is_new = edge.artifacts.put(tenant.org.name(), &digest, bytes).await?;
    Ok(if is_new { StatusCode::CREATED } else { StatusCode::OK })
}

/// Whether an artefact is here, and how large.
#[utoipa::path(
    head, path = "/v1/orgs/{org}/artifacts/{digest}", tag = "releases",
    params(("org" = String, Path), ("digest" = String, Path)),
    responses((status = 200, description = "content-length is its size"), (status = 404)),
)]
pub(super) async fn head_artifact(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    DigestPath(digest): DigestPath,
) -> Result<Response, ApiError> {
    let size = edge.artifacts.size(Drawer::Artifacts, tenant.org.name(), &digest).await?;
    let size = size.ok_or_else(|| ApiError::not_found("such artefact"))?;
    Ok(([(header::CONTENT_LENGTH, HeaderValue::from(size))], ()).into_response())
}

/// How a release comes out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublishQuery {
    #[serde(default)]
    hold: bool,
}

/// Publishes a signed release: verified by the org's pinned root, every artefact there, its
/// counter greater than the newest of its channel.
#[utoipa::path(
    post, path = "/v1/orgs/{org}/releases", tag = "releases",
    params(
        ("org" = String, Path), ("idempotency-key" = String, Header),
        ("hold" = Option<bool>, Query, description = "out for nobody until it is promoted or rolled out"),
    ),
    request_body(content = String, content_type = "application/json", description = "the release, DSSE"),
    responses(
        (status = 200, body = ReleaseAccepted), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 422, body = ErrorBody),
    ),
)]
pub(super) async fn publish(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    IdempotencyKey(key): IdempotencyKey,
    Params(how): Params<PublishQuery>,
    Whole(signed): Whole,
) -> Result<Json<ReleaseAccepted>, ApiError> {
    let org = tenant.org.name();
    let root = edge.trust.judge(org).await?.ok_or_else(|| ApiError::no_object(&tenant.org))?;
    let verified = verify::release(&root, &signed, edge.engine.now().0)
        .map_err(|e| ApiError::refusal("the release", &e))?;
    let app = tenant.org.child(&verified.get().app).map_err(|e| {
        ApiError::unprocessable("api.name_invalid", format!("the release's app: {e}"), "rename the app")
    })?;
    check_artifacts(&edge, org, verified.get()).await?;
    let release = summary::of(verified.get(), &verified.digest());
    let is_published = check_counter(&edge, &app, &release).await?;
    if is_published {
        keep_more_signed(&edge, org, &root, &verified, signed).await?;
        return Ok(Json(ReleaseAccepted { app, release, duplicate: true }));
    }
    super::admit::check_room(&edge, &app).await?;
    edge.artifacts.put_release(org, &verified.digest(), signed).await?;
    ensure_app(&edge, &app, tenant.caller.actor(), &key).await?;
    let signal = Signal::App(app::Signal::Publish { release: release.clone(), hold: how.hold });
    let by = tenant.caller.actor();
    let submission = Submission { to: app.clone(), by, key: Some(key), body: EventBody::Signal(signal) };
    let duplicate = edge.engine.submit(submission).await?.duplicate;
    Ok(Json(ReleaseAccepted { app, release, duplicate }))
}

/// The same release with another signature: a second person's, that it may destroy.
async fn keep_more_signed(
    edge: &Edge,
    org: &str,
    root: &Verified<document::Root>,
    release: &Verified<document::Release>,
    signed: Bytes,
) -> Result<(), ApiError> {
    let kept = edge.artifacts.release(org, &release.digest()).await?;
    let kept = verify::kept_release(root, &kept, edge.engine.now().0);
    // One whose key was revoked since counts for nothing.
    let is_less = kept.map_or(true, |kept| kept.signers() < release.signers());
    if is_less {
        edge.artifacts.put_release(org, &release.digest(), signed).await?;
    }
    Ok(())
}

async fn check_artifacts(edge: &Edge, org: &str, release: &document::Release) -> Result<(), ApiError> {
    for component in &release.components {
        let there = edge.artifacts.size(Drawer::Artifacts, org, &component.digest).await?;
        let what = match there {
            Some(size) if size == component.size => continue,
            Some(size) => format!("has {size} bytes here, not {}", component.size),
            None => "is not here".to_owned(),
        };
        let message = format!("the artefact {} of component {} {what}", component.digest, component.name);
        let hint = "PUT every artefact before the release; `remit release create` does";
        return Err(ApiError::unprocessable("api.artifact_missing", message, hint));
    }
    Ok(())
}

/// Answers whether this very release was published before.
async fn check_counter(edge: &Edge, app: &ObjectId, release: &Release) -> Result<bool, ApiError> {
    let Some(snapshot) = edge.engine.query(app).await? else { return Ok(false) };
    let view = snapshot.object.view();
    let Detail::App { releases, .. } = view.detail else { return Ok(false) };
    if view.status.word == "deleted" {
        return Ok(false);
    }
    if releases.iter().any(|r| r.digest == release.digest) {
        return Ok(true);
    }
    let newest = releases.iter().filter(|r| r.channel == release.channel).map(|r| r.counter).max();
    match newest {
        Some(newest) if release.counter <= newest => {
            let message = format!(
                "the release has counter {}, but channel {} of {app} is at {newest}",
                release.counter, release.channel
            );
            let hint = format!("cut it again with a counter of {} or more", newest + 1);
            Err(ApiError::conflict("api.release_counter", message, hint))
        }
        Some(_) | None => Ok(false),
    }
}

async fn ensure_app(edge: &Edge, app: &ObjectId, by: Actor, key: &str) -> Result<(), ApiError> {
    let body = EventBody::Signal(Signal::App(app::Signal::Create {}));
    let submission = Submission { to: app.clone(), by, key: Some(format!("{key}:create")), body };
    match edge.engine.submit(submission).await {
        Ok(_) => Ok(()),
        Err(SubmitError::Rejected(r)) if r.code == RejectedCode::Exists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A signed release, as it was published.
#[utoipa::path(
    get, path = "/v1/orgs/{org}/releases/{digest}", tag = "releases",
    params(("org" = String, Path), ("digest" = String, Path)),
    responses((status = 200, body = String, content_type = "application/json"), (status = 404, body = ErrorBody)),
)]
pub(super) async fn get(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    DigestPath(digest): DigestPath,
) -> Result<Response, ApiError> {
    let signed: Bytes = edge.artifacts.release(tenant.org.name(), &digest).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], signed).into_response())
}
