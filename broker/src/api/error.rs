//! Errors of the API: a status, a stable code, what is the matter, and what to do next.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use remit_loops::{ObjectId, Rejected, RejectedCode};

use super::wire::{ErrorBody, ErrorDetail, IDEMPOTENCY_KEY_LEN_MAX, JSON_DEPTH_MAX};
use crate::engine::SubmitError;
use crate::store::StoreError;
use crate::{artifacts, logs, tokens};

/// An answer that is an error.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { status, code, message: message.into(), hint: hint.into() }
    }

    /// There is no such thing, or it is another's: nobody can tell which.
    pub(crate) fn not_found(what: &str) -> Self {
        let message = format!("there is no {what}, or your token does not reach it");
        let hint = "check the id and `remit token whoami`; ids look like ins_org.app.install";
        Self::new(StatusCode::NOT_FOUND, "api.not_found", message, hint)
    }

    pub(crate) fn unauthenticated() -> Self {
        let hint = "send `Authorization: Bearer TOKEN`; the CLI takes it from REMIT_TOKEN_FILE";
        let message = "no token, or not one of this broker's";
        Self::new(StatusCode::UNAUTHORIZED, "api.unauthenticated", message, hint)
    }

    pub(crate) fn operator_only() -> Self {
        let hint = "use the operator's token; the broker writes it to operator.token in its data directory";
        let message = "only the broker's operator may do this";
        Self::new(StatusCode::FORBIDDEN, "api.operator_only", message, hint)
    }

    pub(crate) fn idempotency_key_missing() -> Self {
        let message = "every POST and DELETE needs an Idempotency-Key header";
        let hint = "send a fresh random text, and the same one again when you repeat the request";
        Self::new(StatusCode::BAD_REQUEST, "api.idempotency_key_missing", message, hint)
    }

    pub(crate) fn idempotency_key_invalid() -> Self {
        let message = "the Idempotency-Key is empty, too long or not printable";
        let hint = format!("use 1 to {IDEMPOTENCY_KEY_LEN_MAX} printable ASCII characters");
        Self::new(StatusCode::BAD_REQUEST, "api.idempotency_key_invalid", message, hint)
    }

    pub(crate) fn json_invalid(why: impl Into<String>) -> Self {
        let hint =
            format!("send JSON as /openapi.json describes, at most {JSON_DEPTH_MAX} levels deep, in UTF-8");
        Self::new(StatusCode::BAD_REQUEST, "api.json_invalid", why, hint)
    }

    pub(crate) fn body_too_large(max: u64) -> Self {
        let message = format!("the body is larger than {max} bytes");
        let hint = "make it smaller; big things go into artefacts, one per component";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "api.body_too_large", message, hint)
    }

    pub(crate) fn parameter_invalid(why: impl Into<String>) -> Self {
        let hint = "/openapi.json says what each parameter may be";
        Self::new(StatusCode::BAD_REQUEST, "api.parameter_invalid", why, hint)
    }

    pub(crate) fn unprocessable(
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message, hint)
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message, hint)
    }

    pub(crate) fn too_many(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, message, hint)
    }

    pub(crate) fn timeout() -> Self {
        let hint = "try again with the same Idempotency-Key: what was done is not done again";
        let message = "the broker did not get it done in time";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "api.timeout", message, hint)
    }

    /// Something of ours failed. What exactly stands in the broker's log, not in the answer.
    pub(crate) fn internal(code: &'static str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(code, %error, "a request failed");
        let hint = "try again in a moment; if it stays, the broker's log says more";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, "the broker could not do it", hint)
    }

    /// A document that the verifier refused.
    pub(crate) fn refusal(what: &str, refusal: &remit_seal::Refusal) -> Self {
        let message = format!("{what} is refused: {refusal}");
        let hint = format!("see {} in the docs; sign it again with the right key and tool", refusal.code());
        Self::unprocessable(refusal.code(), message, hint)
    }

    fn rejected(rejected: &Rejected) -> Self {
        let (status, hint) = match rejected.code {
            RejectedCode::NotFound => (StatusCode::NOT_FOUND, "check the id; creating it is a signal too"),
            RejectedCode::Exists => (StatusCode::CONFLICT, "choose another name or use the one there is"),
            RejectedCode::Deleting => {
                (StatusCode::CONFLICT, "wait until it is gone; `remit why` says what it waits for")
            }
            RejectedCode::QueueFull => {
                (StatusCode::TOO_MANY_REQUESTS, "wait until the queue is shorter; `remit queue` shows it")
            }
            RejectedCode::Conflict | RejectedCode::Stale => {
                (StatusCode::CONFLICT, "look at it as it is now and decide anew")
            }
            RejectedCode::RunnerMissing => (
                StatusCode::CONFLICT,
                "enrol a runner first: `remit install link` makes what the customer needs; then try again",
            ),
            RejectedCode::WindowInvalid | RejectedCode::ZoneUnknown => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "a window has an IANA time zone, days, a start like 22:00 and a length; see docs/updates.md",
            ),
            RejectedCode::FreezeInvalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "a freeze has a name, an end that is to come, and a reason; see docs/updates.md",
            ),
            RejectedCode::BreakGlassInvalid => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "a glass is broken for a minute to eight hours, for a reason of one line; see docs/updates.md",
            ),
            RejectedCode::ProofMissing => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "make sure first, then say how: `remit unlock INSTALL --host … --evidence … --reason …`",
            ),
            RejectedCode::RolloutInvalid => {
                (StatusCode::UNPROCESSABLE_ENTITY, "`remit rollout create --dry-run` shows what it would be")
            }
            RejectedCode::BelowFloor => (
                StatusCode::CONFLICT,
                "sign leave to go back: remit release permit-rollback VERSION --reason WHY; or cut a newer release",
            ),
            RejectedCode::FreezeOverlaps => {
                (StatusCode::CONFLICT, "`remit freeze list` shows what is there; remove one first")
            }
            RejectedCode::PlanStale => {
                (StatusCode::CONFLICT, "look at the plan that waits now: `remit plan show INSTALL`")
            }
            RejectedCode::NotApprover => {
                (StatusCode::FORBIDDEN, "let another person approve it, with a token of their own name")
            }
            RejectedCode::Invalid | RejectedCode::WrongKind => {
                (StatusCode::UNPROCESSABLE_ENTITY, "correct the signal; /openapi.json lists each kind's")
            }
        };
        Self::new(status, rejected.code.as_str(), rejected.message.clone(), hint)
    }

    /// No object of this id was ever made.
    pub(crate) fn no_object(id: &ObjectId) -> Self {
        Self::not_found(&format!("object {id}"))
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = ErrorDetail { code: self.code.to_owned(), message: self.message, hint: self.hint };
        let mut response = (self.status, Json(ErrorBody { error })).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        let code = error.code();
        let again = "try again in a moment with the same Idempotency-Key";
        match &error {
            SubmitError::Rejected(rejected) => Self::rejected(rejected),
            SubmitError::Busy { .. } => Self::too_many(code, error.to_string(), again),
            SubmitError::Stopping | SubmitError::Unavailable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string(), again)
            }
            SubmitError::Store(_) => Self::internal(code, &error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if error.is_passing() {
            let again = "try again in a moment";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, error.code(), error.to_string(), again);
        }
        Self::internal("store.failed", &error)
    }
}

impl From<logs::Error> for ApiError {
    fn from(error: logs::Error) -> Self {
        Self::internal("api.log_store_failed", &error)
    }
}

impl From<artifacts::Error> for ApiError {
    fn from(error: artifacts::Error) -> Self {
        let code = error.code();
        let message = error.to_string();
        match error {
            artifacts::Error::DigestMismatch { .. } => {
                let hint = "send the bytes that the digest was made of; it is sha256 of the whole body";
                Self::unprocessable(code, message, hint)
            }
            artifacts::Error::TooLarge => Self { code, message, ..Self::body_too_large(0) },
            artifacts::Error::BrokenOff(_) => {
                Self::new(StatusCode::BAD_REQUEST, code, message, "send it again from the beginning")
            }
            artifacts::Error::NotFound(_) => Self { code, ..Self::not_found("such artefact") },
            artifacts::Error::Offset { .. } => {
                Self::new(StatusCode::RANGE_NOT_SATISFIABLE, code, message, "ask for less")
            }
            artifacts::Error::Store(_) => Self::internal(code, &message),
        }
    }
}

impl From<tokens::Error> for ApiError {
    fn from(error: tokens::Error) -> Self {
        let message = error.to_string();
        match error {
            tokens::Error::Exists(_) => Self::conflict(
                "api.token_exists",
                message,
                "a token is shown only once: take another name, or delete this one and make it anew",
            ),
            tokens::Error::TooMany => {
                Self::too_many("api.too_many_tokens", message, "delete those that nobody uses any more")
            }
            tokens::Error::Store(error) => error.into(),
            tokens::Error::Randomness(_) | tokens::Error::File { .. } => {
                Self::internal("api.internal", &message)
            }
        }
    }
}
