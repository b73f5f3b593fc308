//! Orgs and their tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use remit_loops::id::is_name;
use remit_loops::{Body as EventBody, Kind, ObjectId, RejectedCode, Signal, org};
use remit_seal::verify;

use super::error::ApiError;
use super::request::{Body, IdempotencyKey, Name, Operator, Tenant};
use super::wire::{ErrorBody, NewOrg, NewToken, OrgCreated, TokenList, TokenMade};
use crate::audit::Facts;
use crate::edge::Edge;
use crate::engine::{Submission, SubmitError};
use crate::tokens::OPERATOR;
use crate::trust;

/// Makes an org and pins its trust root.
#[utoipa::path(
    post, path = "/v1/orgs", tag = "orgs", request_body = NewOrg,
    params(("idempotency-key" = String, Header)),
    responses((status = 200, body = OrgCreated), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)),
)]
pub(super) async fn create(
    State(edge): State<Arc<Edge>>,
    operator: Operator,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewOrg>,
) -> Result<(Extension<Facts>, Json<OrgCreated>), ApiError> {
    let org = ObjectId::new(Kind::Org, &[&new.name])
        .map_err(|e| ApiError::unprocessable("api.name_invalid", e.to_string(), "choose another name"))?;
    let now = edge.engine.now();
    let root = verify::root(new.root.as_bytes(), None, now.0)
        .map_err(|e| ApiError::refusal("the trust root", &e))?;
    check_root(&edge, &new.name, root.get())?;
    let _making = edge.making_org.lock().await;
    let all = edge.trust.all(&new.name).await?;
    let is_same = all.iter().any(|bytes| trust::digest(bytes) == Some(root.digest()));
    let pinned = all.last();
    if pinned.is_some() && !is_same && is_alive(&edge, &org).await? {
        let message = format!("org {} exists and has another trust root", new.name);
        return Err(ApiError::conflict("api.org_exists", message, "choose another name, or use that root"));
    }
    if !is_same {
        edge.trust.pin(&new.name, &root, new.root.into_bytes()).await?;
    }
    let body = EventBody::Signal(Signal::Org(org::Signal::Create {}));
    let submission = Submission { to: org.clone(), by: operator.0.actor(), key: Some(key), body };
    let duplicate = match edge.engine.submit(submission).await {
        Ok(accepted) => accepted.duplicate,
        Err(SubmitError::Rejected(r)) if r.code == RejectedCode::Exists && is_same => true,
        Err(error) => return Err(error.into()),
    };
    let root_sha256 = root.digest().hex();
    let facts = Facts(vec![("org", org.to_string()), ("root", root_sha256.clone())]);
    Ok((Extension(facts), Json(OrgCreated { org, root_sha256, duplicate })))
}

pub(super) fn check_root(edge: &Edge, org: &str, root: &remit_seal::document::Root) -> Result<(), ApiError> {
    if root.vendor != org {
        let message = format!("the trust root is of `{}`, not of `{org}`", root.vendor);
        return Err(ApiError::unprocessable("api.root_wrong_org", message, "make a root for this org"));
    }
    if edge.dispatch.ids().iter().any(|id| root.dispatch.keys.contains(id)) {
        return Ok(());
    }
    let message = "the trust root does not let this broker's dispatch key sign jobs";
    let hint = "take the key from GET /v1/dispatch-key into the root's dispatch role and sign it again";
    Err(ApiError::unprocessable("api.root_without_dispatch", message, hint))
}

pub(super) async fn is_alive(edge: &Edge, org: &ObjectId) -> Result<bool, ApiError> {
    Ok(edge.is_alive(org).await?)
}

/// Makes a token for an org. It is shown this once.
#[utoipa::path(
    post, path = "/v1/orgs/{org}/tokens", tag = "orgs", request_body = NewToken,
    params(("org" = String, Path), ("idempotency-key" = String, Header)),
    responses((status = 200, body = TokenMade), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)),
)]
pub(super) async fn make_token(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    _key: IdempotencyKey,
    Body(new): Body<NewToken>,
) -> Result<(Extension<Facts>, Json<TokenMade>), ApiError> {
    // Of this name there is one, and who did what must be told apart.
    if !is_name(&new.name) || new.name == OPERATOR {
        let message = format!("`{}` is no name", new.name.escape_debug());
        let hint = "use 1 to 40 of a-z, 0-9 and -, beginning with a letter, and not `operator`";
        return Err(ApiError::unprocessable("api.name_invalid", message, hint));
    }
    if !is_alive(&edge, &tenant.org).await? {
        return Err(ApiError::no_object(&tenant.org));
    }
    let org = tenant.org.name().to_owned();
    let token = edge.tokens.make(&org, &new.name).await?;
    let facts = Facts(vec![("token", new.name.clone())]);
    Ok((Extension(facts), Json(TokenMade { name: new.name, org, token: token.to_string() })))
}

/// The tokens of an org, without the tokens themselves.
#[utoipa::path(
    get, path = "/v1/orgs/{org}/tokens", tag = "orgs", params(("org" = String, Path)),
    responses((status = 200, body = TokenList), (status = 404, body = ErrorBody)),
)]
pub(super) async fn list_tokens(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
) -> Result<Json<TokenList>, ApiError> {
    Ok(Json(TokenList { tokens: edge.tokens.list(tenant.org.name()).await? }))
}

/// Makes a token worthless, within five seconds everywhere.
#[utoipa::path(
    delete, path = "/v1/orgs/{org}/tokens/{name}", tag = "orgs",
    params(("org" = String, Path), ("name" = String, Path), ("idempotency-key" = String, Header)),
    responses((status = 204), (status = 404, body = ErrorBody)),
)]
pub(super) async fn revoke_token(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    Name(name): Name,
    _key: IdempotencyKey,
) -> Result<StatusCode, ApiError> {
    if edge.tokens.revoke(tenant.org.name(), &name).await? {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(ApiError::not_found(&format!("token {name}")))
}
