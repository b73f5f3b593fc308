//! Webhooks of an org: making, listing and removing endpoints, what they were told, a test and a replay.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use http::StatusCode;
use remit_loops::id::is_name;

use super::error::ApiError;
use super::request::{Body, IdempotencyKey, Name, Tenant};
use super::wire::{Deliveries, Delivery, ErrorBody, NewWebhook, Replay, WebhookList, WebhookMade};
use crate::audit::Facts;
use crate::edge::Edge;
use crate::webhooks::{
    self, EVENTS_MAX, Endpoint, Error, PER_ORG_MAX, Refused, SecretError, URL_LEN_MAX, is_class,
};

/// Makes an endpoint. The answer is the only time that its secret is shown.
#[utoipa::path(
    post, path = "/v1/orgs/{org}/webhooks", tag = "webhooks", request_body = NewWebhook,
    params(("org" = String, Path), ("idempotency-key" = String, Header)),
    responses((status = 200, body = WebhookMade), (status = 409, body = ErrorBody), (status = 422, body = ErrorBody)),
)]
pub(super) async fn create(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    _key: IdempotencyKey,
    Body(new): Body<NewWebhook>,
) -> Result<(Extension<Facts>, Json<WebhookMade>), ApiError> {
    check(&edge, &new)?;
    let secret = edge.webhooks.create(tenant.org.name(), &new.name, &new.url, &new.events).await?;
    let NewWebhook { name, url, events } = new;
    // The URL may hold a secret of its owner's: it is not written down.
    let facts = Facts(vec![("webhook", name.clone()), ("events", events.join(" "))]);
    Ok((Extension(facts), Json(WebhookMade { name, url, events, secret: secret.to_string() })))
}

fn check(edge: &Edge, new: &NewWebhook) -> Result<(), ApiError> {
    if !is_name(&new.name) {
        let message = format!("`{}` is no name for a webhook", new.name);
        let hint = "1 to 40 of a-z, 0-9 and -, beginning with a letter";
        return Err(ApiError::unprocessable("api.name_invalid", message, hint));
    }
    if new.url.len() > URL_LEN_MAX {
        let message = format!("the URL has {} bytes; at most {URL_LEN_MAX} are taken", new.url.len());
        return Err(ApiError::unprocessable("api.webhook_url", message, "use a shorter one"));
    }
    let wrong = new.events.iter().find(|class| !is_class(class));
    if wrong.is_some() || new.events.is_empty() || new.events.len() > EVENTS_MAX {
        let message = match wrong {
            Some(class) => {
                format!("`{}` names no class of events", class.chars().take(60).collect::<String>())
            }
            None => format!("{} classes of events; there must be 1 to {EVENTS_MAX}", new.events.len()),
        };
        let hint = "name codes of the timeline, like `operation.failed`, `drift.*`, or `*` for all";
        return Err(ApiError::unprocessable("api.webhook_events", message, hint));
    }
    Ok(edge.webhooks.sender.check(&new.url)?)
}

/// The endpoints of an org, with how they fare; never their secrets.
#[utoipa::path(
    get, path = "/v1/orgs/{org}/webhooks", tag = "webhooks", params(("org" = String, Path)),
    responses((status = 200, body = WebhookList)),
)]
pub(super) async fn list(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
) -> Result<Json<WebhookList>, ApiError> {
    Ok(Json(WebhookList { webhooks: edge.webhooks.list(tenant.org.name()).await? }))
}

/// Removes an endpoint; nothing more is told there.
#[utoipa::path(
    delete, path = "/v1/orgs/{org}/webhooks/{name}", tag = "webhooks",
    params(("org" = String, Path), ("name" = String, Path), ("idempotency-key" = String, Header)),
    responses((status = 204), (status = 404, body = ErrorBody)),
)]
pub(super) async fn delete(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    Name(name): Name,
    _key: IdempotencyKey,
) -> Result<StatusCode, ApiError> {
    match edge.webhooks.delete(tenant.org.name(), &name).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(ApiError::not_found(&format!("webhook `{name}`"))),
    }
}

/// The newest deliveries of an endpoint, the newest first.
#[utoipa::path(
    get, path = "/v1/orgs/{org}/webhooks/{name}/deliveries", tag = "webhooks",
    params(("org" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Deliveries), (status = 404, body = ErrorBody)),
)]
pub(super) async fn deliveries(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    Name(name): Name,
) -> Result<Json<Deliveries>, ApiError> {
    find(&edge, &tenant, &name).await?;
    let cursor = edge.webhooks.cursor(tenant.org.name(), &name).await?.unwrap_or_default();
    Ok(Json(Deliveries { deliveries: cursor.recent.into_iter().rev().collect() }))
}

async fn find(edge: &Edge, tenant: &Tenant, name: &str) -> Result<Endpoint, ApiError> {
    let found = edge.webhooks.get(tenant.org.name(), name).await?;
    found.ok_or_else(|| ApiError::not_found(&format!("webhook `{name}`")))
}

/// Sends a message about nothing, once, and answers how that went.
#[utoipa::path(
    post, path = "/v1/orgs/{org}/webhooks/{name}/test", tag = "webhooks",
    params(("org" = String, Path), ("name" = String, Path), ("idempotency-key" = String, Header)),
    responses((status = 200, body = Delivery), (status = 404, body = ErrorBody)),
)]
pub(super) async fn test(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    Name(name): Name,
    _key: IdempotencyKey,
) -> Result<Json<Delivery>, ApiError> {
    let endpoint = find(&edge, &tenant, &name).await?;
    let message = webhooks::test_message(tenant.org.name(), edge.engine.now());
    Ok(Json(edge.webhooks.send_now(&endpoint, &message).await?))
}

/// Sends a message of the log again, once, and answers how that went; its id stays.
#[utoipa::path(
    post, path = "/v1/orgs/{org}/webhooks/{name}/replay", tag = "webhooks", request_body = Replay,
    params(("org" = String, Path), ("name" = String, Path), ("idempotency-key" = String, Header)),
    responses((status = 200, body = Delivery), (status = 404, body = ErrorBody)),
)]
pub(super) async fn replay(
    State(edge): State<Arc<Edge>>,
    tenant: Tenant,
    Name(name): Name,
    _key: IdempotencyKey,
    Body(Replay { id }): Body<Replay>,
) -> Result<Json<Delivery>, ApiError> {
    let endpoint = find(&edge, &tenant, &name).await?;
    let message = edge.webhooks.message(&endpoint, &id).await?;
    let message = message.ok_or_else(|| ApiError::not_found(&format!("message `{id}`")))?;
    Ok(Json(edge.webhooks.send_now(&endpoint, &message).await?))
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let hint = match refused {
            Refused::Form(_) => "write it like https://hooks.example.com/remit",
            Refused::Plain => "use https; http is for the loopback of a broker that allows it",
            Refused::Credentials => "leave user and password out; check the signature instead",
            Refused::Private(_) => {
                "use a public address, or start the broker with --webhook-allow-private if its network may be called"
            }
        };
        ApiError::unprocessable("api.webhook_url", refused.to_string(), hint)
    }
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        ApiError::internal("api.internal", &error)
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Exists(_) => {
                let hint =
                    "take another name; its secret is shown once: delete it and make it anew if that is lost";
                ApiError::conflict("api.webhook_exists", message, hint)
            }
            Error::TooMany => {
                let hint = format!("delete one that nobody needs; an org has at most {PER_ORG_MAX}");
                ApiError::too_many("api.too_many_webhooks", message, hint)
            }
            Error::Store(error) => error.into(),
            Error::Secret(error) => error.into(),
        }
    }
}
