//! Rollback permits: taken in when the org's root believes them, shown with the release that they lead back to.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use remit_loops::release::Permit;
use remit_loops::view::Detail;
use remit_loops::{Body as EventBody, Signal, Timestamp, app};
use remit_seal::document::{PermitScope, RollbackPermit};
use remit_seal::verify;

use super::error::ApiError;
use super::request::{IdempotencyKey, Tenant, Whole};
use super::wire::{ErrorBody, PermitAccepted};
use crate::audit::Facts;
use crate::edge::Edge;
use crate::engine::Submission;

/// Takes a signed rollback permit in; jobs of the release that it leads back to carry it from now on.
#[utoipa::path(
    post, path = "/v1/orgs/{org}/rollback-permits", tag = "releases",
    params(("org" = String, Path), ("idempotency-key" = String, Header)),
    request_body(content = String, content_type = "application/json", description = "the permit, DSSE"),
    responses(
        (status = 200, body = PermitAccepted), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 422, body = ErrorBody),
    ),
)]
pub(super) async fn permit_rollback(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    IdempotencyKey(key): IdempotencyKey,
    Whole(signed): Whole,
) -> Result<(Extension<Facts>, Json<PermitAccepted>), ApiError> {
    let org = tenant.org.name();
    let root = edge.trust.judge(org).await?.ok_or_else(|| ApiError::no_object(&tenant.org))?;
    let verified = verify::permit(&root, &signed, edge.engine.now().0)
        .map_err(|e| ApiError::refusal("the rollback permit", &e))?;
    let RollbackPermit { app, channel, scope, from, to, reason, until_ms, .. } = verified.get().clone();
    let app = tenant.org.child(&app).map_err(|_| ApiError::no_object(&tenant.org))?;
    let snapshot = edge.engine.query(&app).await?.ok_or_else(|| ApiError::no_object(&app))?;
    let Detail::App { releases, .. } = snapshot.object.view().detail else {
        return Err(ApiError::no_object(&app));
    };
    let release =
        releases.into_iter().find(|r| r.channel == channel && r.counter == to).ok_or_else(|| {
            let message = format!("{app} has no release with counter {to} in channel {channel}");
            ApiError::unprocessable("api.permit_release", message, "see `remit release list`")
        })?;
    let sha256 = verified.digest().hex();
    edge.permits.keep(org, &release.digest, &verified, signed.to_vec()).await?;
    let install = match scope {
        PermitScope::Channel => None,
        PermitScope::Install(name) => Some(name),
    };
    let facts = Facts(vec![
        ("permit", sha256.clone()),
        ("channel", channel.clone()),
        ("install", install.clone().unwrap_or_default()),
        ("from", from.to_string()),
        ("to", to.to_string()),
    ]);
    let until = Timestamp(until_ms);
    let permit = Permit { sha256: sha256.clone(), install: install.clone(), from, reason, until };
    let signal = Signal::App(app::Signal::PermitRollback { channel, to, permit });
    let by = tenant.caller.actor();
    let submission = Submission { to: app.clone(), by, key: Some(key), body: EventBody::Signal(signal) };
    edge.engine.submit(submission).await?;
    tracing::warn!(org, %app, from, to, by = tenant.caller.0.name, "a rollback was permitted");
    Ok((
        Extension(facts),
        Json(PermitAccepted { app, version: release.version, install, from, to, until, sha256 }),
    ))
}
