//! The broker's dispatch keys: shown, changed, given up.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use remit_loops::{Kind, ObjectId};
use remit_seal::document::{Algorithm, KeySpec};

use super::error::ApiError;
use super::orgs::is_alive;
use super::request::{Caller, IdempotencyKey, KeyId, Operator};
use super::wire::{DispatchKey, DispatchKeyInfo, DispatchKeyList, ErrorBody, Scope, SigningTrouble};
use crate::audit::Facts;
use crate::dispatch::{self, Trouble};
use crate::edge::Edge;
use crate::signer::Signer;
use crate::signer::kms::Fault;

/// What each is called, the current one first.
const STATES: [&str; 2] = ["current", "next"];

/// The keys that the broker signs with. Where in KMS they are, and what is the matter there, is for the
/// operator only.
#[utoipa::path(get, path = "/v1/dispatch-keys", tag = "trust", responses((status = 200, body = DispatchKeyList)))]
pub(super) async fn dispatch_keys(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
) -> Result<Json<DispatchKeyList>, ApiError> {
    Ok(Json(list(&edge, caller.0.scope == Scope::Operator)))
}

fn list(edge: &Edge, for_operator: bool) -> DispatchKeyList {
    let info = |(key, state): (Arc<dispatch::DispatchKey>, &str)| {
        let (place, kms) = match &key.signer {
            Signer::File(_) => ("file", None),
            Signer::Kms(kms) => ("kms", for_operator.then(|| kms.reference().to_string())),
        };
        DispatchKeyInfo {
            id: key.id(),
            state: state.to_owned(),
            key: public(key.signer.public()),
            place: place.to_owned(),
            kms,
            made: Some(key.made),
            due: Some(key.due()),
        }
    };
    let keys = edge.dispatch.keys().into_iter().zip(STATES).map(info).collect();
    let trouble = edge.dispatch.trouble().filter(|_| for_operator).map(trouble);
    DispatchKeyList { keys, trouble }
}

fn trouble(of: Trouble) -> SigningTrouble {
    SigningTrouble { since: of.since, code: of.code.to_owned(), message: of.words, hint: of.hint }
}

/// A key as it crosses the API.
pub(super) fn public(key: KeySpec) -> DispatchKey {
    let algorithm = match key.algorithm {
        Algorithm::Ed25519 => "ed25519",
        Algorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
    };
    DispatchKey { algorithm: algorithm.to_owned(), spki: key.spki }
}

/// Makes the next dispatch key, once; the broker's settings say whether it is in a file or in KMS. From now
/// on everything is signed by both, until one is retired.
#[utoipa::path(
    post, path = "/v1/dispatch-keys", tag = "trust", params(("idempotency-key" = String, Header)),
    responses(
        (status = 200, body = DispatchKeyList), (status = 403, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 422, body = ErrorBody), (status = 503, body = ErrorBody),
    ),
)]
pub(super) async fn next_dispatch_key(
    State(edge): State<Arc<Edge>>,
    operator: Operator,
    _key: IdempotencyKey,
) -> Result<(Extension<Facts>, Json<DispatchKeyList>), ApiError> {
    if edge.dispatch.make_next().await? {
        tracing::warn!(by = operator.0.0.name, "the next dispatch key was made");
    }
    let facts = Facts(vec![("keys", edge.dispatch.ids().join(" "))]);
    Ok((Extension(facts), Json(list(&edge, true))))
}

/// Gives one of two dispatch keys up, when every org's newest root names the other.
#[utoipa::path(
    delete, path = "/v1/dispatch-keys/{key}", tag = "trust",
    params(("key" = String, Path), ("idempotency-key" = String, Header)),
    responses((status = 204), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
)]
pub(super) async fn retire_dispatch_key(
    State(edge): State<Arc<Edge>>,
    operator: Operator,
    KeyId(id): KeyId,
    _key: IdempotencyKey,
) -> Result<StatusCode, ApiError> {
    let rest: Vec<String> = edge.dispatch.ids().into_iter().filter(|held| *held != id).collect();
    if !rest.is_empty() {
        check_not_needed(&edge, &rest).await?;
    }
    if edge.dispatch.retire(&id)? {
        tracing::warn!(key = id, by = operator.0.0.name, "a dispatch key was retired");
        return Ok(StatusCode::NO_CONTENT);
    }
    if rest.is_empty() {
        let message = "this is the only dispatch key";
        let hint = "make the next one first: `remit keys dispatch rotate`";
        return Err(ApiError::conflict("api.dispatch_key_needed", message, hint));
    }
    Err(ApiError::not_found("such dispatch key"))
}

async fn check_not_needed(edge: &Edge, rest: &[String]) -> Result<(), ApiError> {
    for name in edge.trust.without_dispatch(rest).await? {
        let Ok(org) = ObjectId::new(Kind::Org, &[&name]) else { continue };
        if is_alive(edge, &org).await? {
            let message = format!("the newest trust root of org {name} does not name the other dispatch key");
            let hint = "let its vendor publish one that does: `remit keys root rotate`, then `remit keys root publish`";
            return Err(ApiError::conflict("api.dispatch_key_needed", message, hint));
        }
    }
    Ok(())
}

impl From<dispatch::Error> for ApiError {
    fn from(error: dispatch::Error) -> Self {
        let message = error.to_string();
        match error {
            dispatch::Error::Same { .. } => {
                let hint = "make another key in KMS, start the broker with --dispatch-kms for it (or let the alias mean it), and rotate then";
                Self::conflict("kms.same_key", message, hint)
            }
            dispatch::Error::Kms(error) => match error.fault() {
                Fault::Throttled | Fault::Away => {
                    Self::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), message, error.hint())
                }
                _ => Self::unprocessable(error.code(), message, error.hint()),
            },
            other => Self::internal("api.internal", &other),
        }
    }
}
