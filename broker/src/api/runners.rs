//! One-time tokens for runners.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use remit_loops::{Body as EventBody, Object, RejectedCode, Signal, runner};

use super::error::ApiError;
use super::request::{IdempotencyKey, Target};
use super::wire::{ErrorBody, RunnerToken};
use crate::edge::Edge;
use crate::engine::{Submission, SubmitError};
use crate::tokens;

/// How long a runner may take to enrol.
const TOKEN_MS: i64 = 60 * 60_000;

/// Makes a one-time token for an install's runner, unless a declared role makes one needless. It is shown this
/// once; an older one is void.
#[utoipa::path(
    post, path = "/v1/objects/{id}/runner-token", tag = "runners",
    params(("id" = String, Path), ("idempotency-key" = String, Header)),
    responses((status = 200, body = RunnerToken), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
)]
pub(super) async fn make_token(
    State(edge): State<Arc<Edge>>,
    target: Target,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Json<RunnerToken>, ApiError> {
    let install = target.install()?.clone();
    let no_install = || ApiError::no_object(&install);
    let runner = install.runner().ok_or_else(no_install)?;
    edge.engine.query(&install).await?.ok_or_else(no_install)?;
    let root = edge.root_digest(&install).await?.ok_or_else(no_install)?;
    let (place, needs_token) = match edge.engine.query(&runner).await?.map(|found| found.object) {
        Some(object) => match &*object {
            Object::Runner(runner) => (runner.place().cloned(), runner.needs_token()),
            _ => (None, true),
        },
        None => (None, true),
    };
    let all = |token: Option<(String, i64)>| {
        let (token, expires_ms) = token.unzip();
        Json(RunnerToken {
            install: install.clone(),
            token,
            expires_ms,
            place: place.clone(),
            root_sha256: root.hex(),
            broker: edge.rpc_url.clone(),
            ca_pem: edge.authority.pem().to_owned(),
        })
    };
    if !needs_token {
        return Ok(all(None));
    }
    let token = tokens::mint(install.name()).map_err(|e| ApiError::internal("api.internal", &e))?;
    let expires = edge.engine.now().plus_ms(TOKEN_MS);
    let token_sha256 = hex::encode(tokens::sha256(&token));
    let body = EventBody::Signal(Signal::Runner(runner::Signal::Expect { token_sha256, expires }));
    let submission = Submission { to: runner, by: target.caller.actor(), key: Some(key), body };
    match edge.engine.submit(submission).await {
        Ok(accepted) if !accepted.duplicate => {}
        Ok(_) => return Err(shown_once()),
        // The key was seen with another token, which cannot be shown again.
        Err(SubmitError::Rejected(r)) if r.code == RejectedCode::Conflict => return Err(shown_once()),
        Err(error) => return Err(error.into()),
    }
    Ok(all(Some((token.to_string(), expires.0))))
}

fn shown_once() -> ApiError {
    let message = "this Idempotency-Key has made a token already, and a token is shown only once";
    let hint = "send a new Idempotency-Key: it makes a new token and the old one is void";
    ApiError::conflict("api.token_shown_once", message, hint)
}
