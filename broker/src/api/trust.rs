//! Trust roots as they follow one another, and what is revoked beside them.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use remit_loops::Timestamp;
use remit_seal::document::Root;
use remit_seal::verify::{self, Verified};

use super::error::ApiError;
use super::orgs::{check_root, is_alive};
use super::request::{Body, IdempotencyKey, Tenant, Whole};
use super::wire::{ErrorBody, NewRestriction, RootInfo, RootList, RootPublished, Standing};
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
