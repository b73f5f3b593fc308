//! Whether the broker lives, what it measures, who is calling and what it signs with.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::error::ApiError;
use super::request::{Caller, Operator};
use super::wire::{DispatchKey, ErrorBody, WhoAmI};
use crate::edge::Edge;
use crate::tokens::Holder;

/// Answers as long as the program runs.
#[utoipa::path(get, path = "/livez", tag = "system", security(()), responses((status = 200, body = String)))]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether it takes signals and hands out work now.
#[utoipa::path(
    get, path = "/readyz", tag = "system", security(()),
    responses((status = 200, body = String), (status = 503, body = ErrorBody)),
)]
pub(super) async fn readyz(State(edge): State<Arc<Edge>>) -> Result<&'static str, ApiError> {
    if edge.engine.healthy() && !edge.stopping.is_cancelled() {
        return Ok("ok\n");
    }
    let hint = "if it is not going down, look for a failed store in its log and restart it";
    let message = "the broker takes no signals now";
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "api.not_ready", message, hint))
}

/// This API's description.
#[utoipa::path(get, path = "/openapi.json", tag = "system", security(()), responses((status = 200)))]
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::document()).into_response()
}

/// The broker's figures in OpenMetrics text.
#[utoipa::path(
    get, path = "/metrics", tag = "system",
    responses((status = 200, body = String), (status = 403, body = ErrorBody)),
)]
pub(super) async fn metrics(State(edge): State<Arc<Edge>>, _operator: Operator) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], edge.metrics.text()).into_response()
}

/// Whose token this is.
#[utoipa::path(get, path = "/v1/whoami", tag = "system", responses((status = 200, body = WhoAmI)))]
pub(super) async fn whoami(caller: Caller) -> Json<WhoAmI> {
    let Holder { name, scope } = Arc::unwrap_or_clone(caller.0);
    Json(WhoAmI { name, scope })
}

/// The public key of the broker's envelopes, to be named in a trust root; while keys change, the next one.
#[utoipa::path(get, path = "/v1/dispatch-key", tag = "system", responses((status = 200, body = DispatchKey)))]
pub(super) async fn dispatch_key(State(edge): State<Arc<Edge>>, _caller: Caller) -> Json<DispatchKey> {
    let newest = edge.dispatch.public().pop().expect("there is a key from the first start on");
    Json(super::dispatch_keys::public(newest))
}
