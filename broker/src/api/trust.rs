//! Trust roots as they follow one another, what is revoked beside them, and the broker's dispatch keys.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use remit_loops::{Kind, ObjectId, Timestamp};
use remit_seal::document::{Algorithm, KeySpec, Root};
use remit_seal::verify::{self, Verified};

use super::error::ApiError;
use super::orgs::{check_root, is_alive};
use super::request::{Body, IdempotencyKey, KeyId, Operator, Tenant, Whole};
use super::wire::{
    DispatchKey, DispatchKeyInfo, DispatchKeyList, ErrorBody, NewRestriction, RootInfo, RootList,
    RootPublished, Standing,
};
use crate::audit::Facts;
use crate::edge::Edge;
use crate::trust::{self, Error};

/// The longest reason of a revocation, in bytes.
const REASON_LEN_MAX: usize = 512;

/// Every trust root of the org, oldest first: the way from a pinned one to the newest.
#[utoipa::path(
    get, path = "/v1/orgs/{org}/roots", tag = "trust", params(("org" = String, Path)),
    responses((status = 200, body = RootList), (status = 404, body = ErrorBody)),
)]
pub(super) async fn roots(State(edge): State<Arc<Edge>>, tenant: Tenant) -> Result<Json<RootList>, ApiError> {
    let all = edge.trust.all(tenant.org.name()).await?;
    if all.is_empty() {
        return Err(ApiError::no_object(&tenant.org));
    }
    let roots = all.iter().filter_map(|bytes| info(bytes)).collect();
    Ok(Json(RootList { roots }))
}

fn info(bytes: &[u8]) -> Option<RootInfo> {
    let root = verify::first_root(bytes, &trust::digest(bytes)?).ok()?;
    let (created, expires) = trust::times(root.get());
    let (version, sha256) = (root.get().version, root.digest().hex());
    Some(RootInfo { version, sha256, created, expires, root: String::from_utf8(bytes.to_vec()).ok()? })
}

/// Publishes the next trust root: signed by the thresholds of the newest and of itself.
#[utoipa::path(
    post, path = "/v1/orgs/{org}/roots", tag = "trust",
    params(("org" = String, Path), ("idempotency-key" = String, Header)),
    request_body(content = String, content_type = "application/json", description = "the root, DSSE"),
    responses(
        (status = 200, body = RootPublished), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody),
        (status = 422, body = ErrorBody),
    ),
)]
pub(super) async fn publish_root(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    _key: IdempotencyKey,
    Whole(signed): Whole,
) -> Result<(Extension<Facts>, Json<RootPublished>), ApiError> {
    let org = tenant.org.name();
    let signed = signed.to_vec();
    if let Some(root) = unverified(&signed) {
        check_root(&edge, org, root.get())?;
    }
    let published = edge.trust.publish(org, signed).await?;
    let (root, duplicate) = published.ok_or_else(|| ApiError::no_object(&tenant.org))?;
    let (version, sha256) = (root.get().version, root.digest().hex());
    if !duplicate {
        tracing::warn!(org, version, by = tenant.caller.0.name, "a trust root was published");
    }
    let facts = Facts(vec![("root_version", version.to_string()), ("root", sha256.clone())]);
    Ok((Extension(facts), Json(RootPublished { version, sha256, duplicate })))
}

/// Signed by itself at least; whether it follows is decided when it is published.
fn unverified(bytes: &[u8]) -> Option<Verified<Root>> {
    verify::first_root(bytes, &trust::digest(bytes)?).ok()
}

/// What runners are told beside the root: revoked keys and floors.
#[utoipa::path(
    get, path = "/v1/orgs/{org}/trust", tag = "trust", params(("org" = String, Path)),
    responses((status = 200, body = Standing), (status = 404, body = ErrorBody)),
)]
pub(super) async fn standing(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
) -> Result<Json<Standing>, ApiError> {
    if !is_alive(&edge, &tenant.org).await? {
        return Err(ApiError::no_object(&tenant.org));
    }
    Ok(Json(shown(edge.trust.standing(tenant.org.name()).await?)))
}

fn shown(standing: trust::Standing) -> Standing {
    let trust::Standing { revoked, floors, changed_ms } = standing;
    Standing { revoked, floors, changed: Timestamp(changed_ms) }
}

/// Takes keys and old releases away, for good; runners that wait for work learn it at once.
#[utoipa::path(
    post, path = "/v1/orgs/{org}/trust", tag = "trust", request_body = NewRestriction,
    params(("org" = String, Path), ("idempotency-key" = String, Header)),
    responses((status = 200, body = Standing), (status = 404, body = ErrorBody), (status = 422, body = ErrorBody)),
)]
pub(super) async fn restrict(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    _key: IdempotencyKey,
    Body(new): Body<NewRestriction>,
) -> Result<(Extension<Facts>, Json<Standing>), ApiError> {
    if !is_alive(&edge, &tenant.org).await? {
        return Err(ApiError::no_object(&tenant.org));
    }
    check_restriction(&new)?;
    let org = tenant.org.name();
    let revoked = new.revoke.keys().cloned().collect::<Vec<_>>().join(" ");
    let floors: Vec<String> = new.floors.iter().map(|(line, floor)| format!("{line}={floor}")).collect();
    let facts = Facts(vec![("revoked", revoked.clone()), ("floors", floors.join(" "))]);
    let standing = edge.trust.restrict(org, new.revoke, new.floors).await?;
    tracing::warn!(org, revoked, by = tenant.caller.0.name, "trust was restricted");
    Ok((Extension(facts), Json(shown(standing))))
}

fn check_restriction(new: &NewRestriction) -> Result<(), ApiError> {
    let refuse = |message: &str| {
        let hint = "name a floor `app/channel`, and give each key a reason of 1 to 512 bytes in one line";
        Err(ApiError::unprocessable("api.restriction_invalid", message, hint))
    };
    let is_line = |line: &String| {
        line.split_once('/').is_some_and(|(app, channel)| verify::is_name(app) && verify::is_name(channel))
    };
    if !new.floors.keys().all(is_line) {
        return refuse("a floor is not of `app/channel`");
    }
    let is_reason =
        |text: &String| (1..=REASON_LEN_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    if !new.revoke.values().all(is_reason) {
        return refuse("a key has no reason, or one that is too long or no single line");
    }
    if new.floors.is_empty() && new.revoke.is_empty() {
        return refuse("it takes nothing away");
    }
    Ok(())
}

/// The keys that the broker signs with.
#[utoipa::path(get, path = "/v1/dispatch-keys", tag = "trust", responses((status = 200, body = DispatchKeyList)))]
pub(super) async fn dispatch_keys(
    State(edge): State<Arc<Edge>>,
    _caller: super::request::Caller,
) -> Result<Json<DispatchKeyList>, ApiError> {
    Ok(Json(list(&edge)))
}

fn list(edge: &Edge) -> DispatchKeyList {
    let states = ["current", "next"];
    let keys = edge.dispatch.ids().into_iter().zip(edge.dispatch.public()).zip(states);
    let info = |((id, key), state): ((String, KeySpec), &str)| DispatchKeyInfo {
        id,
        state: state.to_owned(),
        key: public(key),
    };
    DispatchKeyList { keys: keys.map(info).collect() }
}

/// A key as it crosses the API.
pub(super) fn public(key: KeySpec) -> DispatchKey {
    let algorithm = match key.algorithm {
        Algorithm::Ed25519 => "ed25519",
        Algorithm::EcdsaP256Sha256 => "ecdsa-p256-sha256",
    };
    DispatchKey { algorithm: algorithm.to_owned(), spki: key.spki }
}

/// Makes the next dispatch key, once. From now on everything is signed by both, until one is retired.
#[utoipa::path(
    post, path = "/v1/dispatch-keys", tag = "trust", params(("idempotency-key" = String, Header)),
    responses((status = 200, body = DispatchKeyList), (status = 403, body = ErrorBody)),
)]
pub(super) async fn next_dispatch_key(
    State(edge): State<Arc<Edge>>,
    operator: Operator,
    _key: IdempotencyKey,
) -> Result<(Extension<Facts>, Json<DispatchKeyList>), ApiError> {
    let is_new = edge.dispatch.make_next().map_err(|e| ApiError::internal("api.internal", &e))?;
    if is_new {
        tracing::warn!(by = operator.0.0.name, "the next dispatch key was made");
    }
    let facts = Facts(vec![("keys", edge.dispatch.ids().join(" "))]);
    Ok((Extension(facts), Json(list(&edge))))
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
    if edge.dispatch.retire(&id).map_err(|e| ApiError::internal("api.internal", &e))? {
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

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => error.into(),
            Error::Refused(refusal @ remit_seal::Refusal::RootVersion { .. }) => {
                let hint = "fetch the newest root with `remit keys root fetch` and rotate from that";
                Self::conflict(refusal.code(), refusal.to_string(), hint)
            }
            Error::Refused(refusal) => Self::refusal("the trust root", &refusal),
            Error::NamesRevoked(_) => {
                let hint = "drop that key from the root: a revoked key never comes back";
                Self::unprocessable("api.root_names_revoked", error.to_string(), hint)
            }
            Error::TooMany => {
                let hint = "publish a root without the revoked keys";
                Self::too_many("api.too_many_restrictions", error.to_string(), hint)
            }
            Error::NoSuchKey(_) => {
                let hint = "see the ids with `remit keys root inspect`; a root key goes only by a new root";
                Self::unprocessable("api.key_unknown", error.to_string(), hint)
            }
        }
    }
}
