//! Signals: the one way to change an object.

use std::sync::Arc;

use axum::extract::State;
use remit_loops::event::Values;
use remit_loops::{Body as EventBody, Kind, ObjectId, Signal, app, component, install, org, runner};
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::error::ApiError;
use super::request::{IdempotencyKey, Target, Whole, json};
use super::wire::{ErrorBody, SignalAccepted};
use crate::dispatch;
use crate::edge::Edge;
use crate::engine::Submission;

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
    check(&signal)?;
    if is_creation(&signal) {
        check_parent(&edge, &target.id).await?;
    }
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

/// Some signals are only what the broker itself sends, after it has checked more.
fn check(signal: &Signal) -> Result<(), ApiError> {
    let reserved = |what: &str, instead: &str| {
        let message = format!("{what} cannot be sent as a bare signal");
        Err(ApiError::unprocessable("api.signal_reserved", message, format!("use {instead}")))
    };
    match signal {
        Signal::Org(org::Signal::Create {}) => reserved("`create` of an org", "POST /v1/orgs"),
        Signal::App(app::Signal::Publish { .. }) => reserved("`publish`", "POST /v1/orgs/{org}/releases"),
        Signal::Runner(runner::Signal::Expect { .. }) => {
            reserved("`expect`", "POST /v1/objects/{install}/runner-token")
        }
        Signal::Install(install::Signal::Create { inputs, .. } | install::Signal::SetInputs { inputs }) => {
            check_inputs(inputs)
        }
        Signal::Org(_) | Signal::App(_) | Signal::Install(_) | Signal::Component(_) | Signal::Runner(_) => {
            Ok(())
        }
    }
}

/// Inputs must be what an envelope can say; whether the release knows them is the release's matter.
fn check_inputs(inputs: &Values) -> Result<(), ApiError> {
    match dispatch::inputs(inputs) {
        Ok(_) => Ok(()),
        Err(message) => {
            let hint = "give each input as a JSON text: 2, true, \"small\", [\"a\",\"b\"]";
            Err(ApiError::unprocessable("api.input_invalid", message, hint))
        }
    }
}

fn is_creation(signal: &Signal) -> bool {
    matches!(signal, Signal::App(app::Signal::Create {}) | Signal::Install(install::Signal::Create { .. }))
}

async fn check_parent(edge: &Edge, id: &ObjectId) -> Result<(), ApiError> {
    let Some(parent) = id.parent() else { return Ok(()) };
    if edge.engine.query(&parent).await?.is_some() {
        return Ok(());
    }
    let hint = match parent.kind() {
        Kind::App => "publish a release of it first: `remit release create`",
        Kind::Org | Kind::Install | Kind::Component | Kind::Runner => "make it first: `remit org create`",
    };
    let message = format!("there is no {} {parent} for {id}", parent.kind());
    Err(ApiError::new(http::StatusCode::NOT_FOUND, "api.parent_missing", message, hint))
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

    #[test]
    fn what_needs_more_checks_is_no_bare_signal() {
        let create = parse(Kind::Org, br#"{"create":{}}"#).unwrap();
        assert_eq!(check(&create).unwrap_err().code, "api.signal_reserved");
        let inputs = parse(Kind::Install, br#"{"set_inputs":{"inputs":{"size":"1.5"}}}"#).unwrap();
        assert_eq!(check(&inputs).unwrap_err().code, "api.input_invalid");
    }
}
