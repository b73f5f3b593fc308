//! The vendor's side of the broker over HTTP: what the command line and the dashboard speak.
//!
//! The OpenAPI document is made from these routes. Every route below `/v1` and `/metrics`
//! needs a token, by the rules of its group, so that none can forget it; whose things a caller
//! may touch is decided where they are read from the path (`request`).

mod admit;
mod answer;
mod audit;
mod dispatch_keys;
mod error;
mod events;
mod guard;
pub(crate) mod logs;
mod objects;
mod orgs;
mod past;
mod permits;
mod releases;
mod request;
mod runners;
mod signals;
mod system;
mod trust;
mod updates;
mod webhooks;
mod why;
pub mod wire;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use http::StatusCode;
use remit_loops::Kind;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::edge::Edge;
use error::ApiError;
use guard::{Guarded, Rules};
pub use remit_loops::view::View;
pub use wire::{
    DispatchKey, ErrorBody, ErrorDetail, LogAttempt, LogIndex, NewOrg, NewToken, ObjectList, ObjectView,
    OrgCreated, Progress, Reason, ReleaseAccepted, RunnerToken, Scope, SignalAccepted, Timeline,
    TimelineEntry, TokenInfo, TokenList, TokenMade, WhoAmI, Why, WhyItem, WhyPage,
};

/// Any request but a long one is answered within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// An upload takes no longer than this.
const UPLOAD_WITHIN: Duration = Duration::from_secs(5 * 60);

type Routes = OpenApiRouter<Arc<Edge>>;

/// Everything that answers at once.
fn short() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(system::metrics))
        .routes(routes!(system::whoami))
        .routes(routes!(system::dispatch_key))
        .routes(routes!(dispatch_keys::dispatch_keys, dispatch_keys::next_dispatch_key))
        .routes(routes!(dispatch_keys::retire_dispatch_key))
        .routes(routes!(trust::roots, trust::publish_root))
        .routes(routes!(trust::standing, trust::restrict))
        .routes(routes!(audit::list))
        .routes(routes!(audit::blocks))
        .routes(routes!(orgs::create))
        .routes(routes!(orgs::make_token, orgs::list_tokens))
        .routes(routes!(orgs::revoke_token))
        .routes(routes!(objects::list))
        .routes(routes!(objects::get))
        .routes(routes!(why::one))
        .routes(routes!(why::all))
        .routes(routes!(objects::timeline))
        .routes(routes!(updates::updates))
        .routes(routes!(updates::preview))
        .routes(routes!(signals::send))
        .routes(routes!(signals::dry_run))
        .routes(routes!(runners::make_token))
        .routes(routes!(webhooks::create, webhooks::list))
        .routes(routes!(webhooks::delete))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(releases::publish))
        .routes(routes!(releases::get))
        .routes(routes!(permits::permit_rollback))
        .routes(routes!(logs::index))
}

/// Everything that may take its time; each bounds itself.
fn long() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(events::follow))
        .routes(routes!(logs::read))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::replay))
}

fn uploads() -> Routes {
    OpenApiRouter::new().routes(routes!(releases::put_artifact, releases::head_artifact))
}

fn open() -> Routes {
    OpenApiRouter::new()
        .routes(routes!(system::livez))
        .routes(routes!(system::readyz))
        .routes(routes!(system::openapi))
}

/// All routes, each group with its rules.
fn split(guard: impl Fn(Routes, Rules) -> Routes) -> (Router<Arc<Edge>>, utoipa::openapi::OpenApi) {
    let rules = Rules { needs_token: true, within: Some(ANSWER_WITHIN) };
    guard(short(), rules)
        .merge(guard(long(), Rules { within: None, ..rules }))
        .merge(guard(uploads(), Rules { within: Some(UPLOAD_WITHIN), ..rules }))
        .merge(guard(open(), Rules { needs_token: false, ..rules }))
        .split_for_parts()
}

/// The whole API.
pub(crate) fn router(edge: Arc<Edge>) -> Router {
    let (router, _) = split(|routes, rules| routes.layer(Guarded { edge: edge.clone(), rules }));
    router
        .fallback(async |State(edge): State<Arc<Edge>>, request: Request| {
            guard::refuse(&edge, &request, ApiError::not_found("such route"))
        })
        .method_not_allowed_fallback(async |State(edge): State<Arc<Edge>>, request: Request| {
            guard::refuse(&edge, &request, method_not_allowed())
        })
        .with_state(edge)
}

/// The OpenAPI document, JSON.
pub fn document() -> &'static str {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let (_, mut document) = split(|routes, _| routes);
        document.info = utoipa::openapi::InfoBuilder::new()
            .title("Remit broker")
            .version(env!("CARGO_PKG_VERSION"))
            .description(Some(
                "The vendor's API. Every POST and DELETE needs an Idempotency-Key header. Errors are \
                 {\"error\":{code,message,hint}}; each code has a section in docs/errors/.",
            ))
            .build();
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = document.components.get_or_insert_default();
        components.security_schemes.insert("token".to_owned(), bearer);
        // Only a query parameter names it, and those are not collected by themselves.
        components.schemas.insert(Kind::name().into_owned(), Kind::schema());
        document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
        document.to_pretty_json().expect("a document of texts is always JSON")
    })
}

fn method_not_allowed() -> ApiError {
    let message = "this route does not take this method";
    let hint = "see /openapi.json for the routes and their methods";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "api.method_not_allowed", message, hint)
}

/// The right to one long answer.
fn stream_permit(edge: &Edge) -> Result<OwnedSemaphorePermit, ApiError> {
    edge.streams.clone().try_acquire_owned().map_err(|_| {
        let hint = "close some, or try again in a moment";
        ApiError::too_many("api.too_many_streams", "too many long requests are open", hint)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    /// Every `$ref` of a part of the document.
    fn references(part: &Value, found: &mut Vec<String>) {
        match part {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_reference_of_the_document_points_somewhere() {
        let document: Value = serde_json::from_str(super::document()).unwrap();
        let mut found = vec![];
        references(&document, &mut found);
        assert!(found.len() > 20, "{} references show little", found.len());
        for reference in found {
            let place = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(place).is_some(), "{reference} points nowhere");
        }
    }
}
