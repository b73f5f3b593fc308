//! Signals: the one way to change an object.

use std::sync::Arc;

use axum::extract::State;
use remit_loops::dry_run::DryRun;
use remit_loops::{Body as EventBody, Event, Kind, Object, Signal, app, component, install, org, runner};
use serde::de::DeserializeOwned;

use super::admit;
use super::answer::Answer;
use super::error::ApiError;
use super::request::{IdempotencyKey, Target, Whole, json};
use super::wire::{ErrorBody, SignalAccepted};
use crate::edge::Edge;
use crate::engine::{Submission, SubmitError};

/// Any kind's signal; which ones an object takes follows from its id.
#[derive(utoipa::ToSchema)]
#[schema(as = Signal)]
#[serde(untagged)]
#[allow(dead_code, reason = "a shape for the OpenAPI document; bodies are read by the kind of the id")]
pub(super) enum AnySignal {
    /// For `org_…`.
    Org(org::Signal),
    /// For `app_…`.
    App(app::Signal),
    /// For `ins_…`.
    Install(install::Signal),
    /// For `cmp_…`.
    Component(component::Signal),
    /// For `run_…`.
    Runner(runner::Signal),
}

/// Asks an object to do something. `200` means that it is stored for good and will be done once.
#[utoipa::path(
    post, path = "/v1/objects/{id}/signals", tag = "objects", request_body = AnySignal,
    params(("id" = String, Path), ("idempotency-key" = String, Header)),
    responses(
        (status = 200, body = SignalAccepted), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ErrorBody), (status = 429, body = ErrorBody),
    ),
)]
pub(super) async fn send(
    State(edge): State<Arc<Edge>>,
    target: Target,
    IdempotencyKey(key): IdempotencyKey,
    Whole(body): Whole,
) -> Result<Answer<SignalAccepted>, ApiError> {
    let signal = parse(target.id.kind(), &body)?;
    admit::check(&edge, &target, &signal).await?;
    let by = target.caller.actor();
    let submission = Submission { to: target.id, by, key: Some(key), body: EventBody::Signal(signal) };
    let accepted = edge.engine.submit(submission).await?;
    Ok(Answer(SignalAccepted {
        seq: accepted.seq,
        duplicate: accepted.duplicate,
        revision: accepted.snapshot.revision,
        view: accepted.snapshot.object.view(),
    }))
}

/// What a signal would do at once, found out on a copy of the object. Nothing is stored and nothing changes.
#[utoipa::path(
    post, path = "/v1/objects/{id}/signals/dry-run", tag = "objects", request_body = AnySignal,
    params(("id" = String, Path), ("idempotency-key" = String, Header)),
    responses(
        (status = 200, body = DryRun), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody), (status = 422, body = ErrorBody), (status = 429, body = ErrorBody),
    ),
)]
pub(super) async fn dry_run(
    State(edge): State<Arc<Edge>>,
    target: Target,
    IdempotencyKey(_key): IdempotencyKey,
    Whole(body): Whole,
) -> Result<Answer<DryRun>, ApiError> {
    let signal = parse(target.id.kind(), &body)?;
    admit::check(&edge, &target, &signal).await?;
    let (at, by) = (edge.engine.now(), target.caller.actor());
    let found = edge.engine.query(&target.id).await?;
    let object = found.map_or_else(|| Arc::new(Object::new(&target.id)), |snapshot| snapshot.object);
    let trial = object.dry_run(&Event { at, by, body: EventBody::Signal(signal) });
    trial.map(Answer).map_err(|rejected| SubmitError::Rejected(rejected).into())
}

fn parse(kind: Kind, body: &[u8]) -> Result<Signal, ApiError> {
    Ok(match kind {
        Kind::Org => Signal::Org(typed(kind, body)?),
        Kind::App => Signal::App(typed(kind, body)?),
        Kind::Install => Signal::Install(typed(kind, body)?),
        Kind::Component => Signal::Component(typed(kind, body)?),
        Kind::Runner => Signal::Runner(typed(kind, body)?),
    })
}

fn typed<T: DeserializeOwned>(kind: Kind, body: &[u8]) -> Result<T, ApiError> {
    if let Ok(signal) = json(body) {
        return Ok(signal);
    }
    // Whether it is JSON at all: the two mistakes need different advice.
    let value: serde_json::Value = json(body)?;
    serde_json::from_value(value).map_err(|e| {
        let message = format!("this is no signal of {} {kind}: {e}", article(kind));
        let hint = format!("`remit signal {kind} --help` lists them; so does /openapi.json");
        ApiError::unprocessable("api.signal_invalid", message, hint)
    })
}

fn article(kind: Kind) -> &'static str {
    match kind {
        Kind::Org | Kind::App | Kind::Install => "an",
        Kind::Component | Kind::Runner => "a",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_by_the_kind_of_the_id() {
        assert!(parse(Kind::Install, br#"{"deploy":{"version":null}}"#).is_ok());
        for (kind, body, code) in [
            (Kind::Install, "{\"fly\":{}}", "api.signal_invalid"),
            (Kind::Runner, "{\"deploy\":{}}", "api.signal_invalid"),
            (Kind::Install, "{\"heal\":{\"hard\":true}}", "api.signal_invalid"),
            (Kind::Install, "{", "api.json_invalid"),
        ] {
            assert_eq!(parse(kind, body.as_bytes()).unwrap_err().code, code, "{body}");
        }
    }
}
