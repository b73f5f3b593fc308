//! What a handler may take from a request, each checked before the handler begins: who is
//! calling, whose thing it is about, the idempotency key, query and body.
//!
//! A handler that takes [`Target`] or [`Tenant`] cannot forget to ask whether the caller may.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request};
use bytes::Bytes;
use futures::StreamExt as _;
use http::request::Parts;
use remit_loops::id::is_name;
use remit_loops::{Actor, Kind, ObjectId};
use remit_seal::Digest;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::wire::{BODY_SIZE_MAX, IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_LEN_MAX, JSON_DEPTH_MAX, Scope};
use crate::audit::New;
use crate::edge::Edge;
use crate::tokens::Holder;

type State = Arc<Edge>;

/// Who is calling; put there by the guard of the route.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Arc<Holder>);

impl Caller {
    /// Whether the caller may touch this org.
    fn reaches(&self, org: &str) -> bool {
        match &self.0.scope {
            Scope::Operator => true,
            Scope::Org(own) => own == org,
        }
    }

    /// What a query may look at: all below this object, if it is the caller's; without one, all that is.
    pub(crate) fn below(&self, under: Option<ObjectId>) -> Result<Option<ObjectId>, ApiError> {
        match (&self.0.scope, under) {
            (Scope::Operator, under) => Ok(under),
            (Scope::Org(own), Some(under)) if under.org_name() == own => Ok(Some(under)),
            (Scope::Org(_), Some(under)) => Err(ApiError::no_object(&under)),
            (Scope::Org(own), None) => {
                let org = ObjectId::new(Kind::Org, &[own]);
                org.map(Some).map_err(|e| ApiError::internal("api.internal", &e))
            }
        }
    }

    /// Whether the caller may read what the audit log says of this org; none stands for the broker's own.
    pub(crate) fn may_read(&self, org: Option<&str>) -> bool {
        match (&self.0.scope, org) {
            (Scope::Operator, _) => true,
            (Scope::Org(own), org) => org == Some(own),
        }
    }

    /// As the author of events.
    pub(crate) fn actor(&self) -> Actor {
        Actor::Person(self.0.name.clone())
    }
}

/// A request as the audit log has it. A path holds names and ids; what else was asked is for its handler to say.
pub(super) fn audited(request: &Request, holder: &Holder) -> New {
    let path = request.uri().path();
    let mut parts = path.split('/').skip(2);
    let named = match (parts.next(), parts.next()) {
        (Some("orgs"), Some(org)) => Some(org.to_owned()),
        (Some("objects"), Some(id)) => id.parse::<ObjectId>().ok().map(|id| id.org_name().to_owned()),
        _ => None,
    };
    let (own, by) = match &holder.scope {
        Scope::Operator => (None, holder.name.clone()),
        Scope::Org(org) => (Some(org.clone()), format!("{org}/{}", holder.name)),
    };
    let new = New { org: named.or(own), by, code: "request", about: path.to_owned(), ..New::default() };
    new.fact("method", request.method())
}

impl FromRequestParts<State> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, ApiError> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(ApiError::unauthenticated)
    }
}

/// A caller who runs the broker.
pub(crate) struct Operator(pub(crate) Caller);

impl FromRequestParts<State> for Operator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        match caller.0.scope {
            Scope::Operator => Ok(Operator(caller)),
            Scope::Org(_) => Err(ApiError::operator_only()),
        }
    }
}

async fn path_param(parts: &mut Parts, name: &str) -> Result<String, ApiError> {
    let params = RawPathParams::from_request_parts(parts, &())
        .await
        .map_err(|_| ApiError::parameter_invalid("the path is not UTF-8"))?;
    let found = params.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_owned());
    found.ok_or_else(|| ApiError::parameter_invalid(format!("the path has no {name}")))
}

/// The object of the path's `{id}`, in reach of the caller.
pub(crate) struct Target {
    pub(crate) id: ObjectId,
    pub(crate) caller: Caller,
}

impl FromRequestParts<State> for Target {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let text = path_param(parts, "id").await?;
        let id: ObjectId = text.parse().map_err(|_| ApiError::not_found("such object"))?;
        if !caller.reaches(id.org_name()) {
            return Err(ApiError::no_object(&id));
        }
        Ok(Target { id, caller })
    }
}

impl Target {
    /// The target, if it is an install.
    pub(crate) fn install(&self) -> Result<&ObjectId, ApiError> {
        match self.id.kind() {
            Kind::Install => Ok(&self.id),
            Kind::Org | Kind::App | Kind::Component | Kind::Runner => {
                Err(ApiError::not_found(&format!("install {}", self.id)))
            }
        }
    }
}

/// The org of the path's `{org}`, in reach of the caller.
pub(crate) struct Tenant {
    pub(crate) org: ObjectId,
    pub(crate) caller: Caller,
}

impl FromRequestParts<State> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let name = path_param(parts, "org").await?;
        let org = ObjectId::new(Kind::Org, &[&name]).map_err(|_| ApiError::not_found("such org"))?;
        if !caller.reaches(&name) {
            return Err(ApiError::not_found(&format!("org {name}")));
        }
        Ok(Tenant { org, caller })
    }
}

/// The path's `{name}`.
pub(crate) struct Name(pub(crate) String);

impl FromRequestParts<State> for Name {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, ApiError> {
        let name = path_param(parts, "name").await?;
        if is_name(&name) { Ok(Name(name)) } else { Err(ApiError::not_found("thing of such a name")) }
    }
}

/// The path's `{key}`: the id of a signing key.
pub(crate) struct KeyId(pub(crate) String);

impl FromRequestParts<State> for KeyId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, ApiError> {
        let id = path_param(parts, "key").await?;
        if Digest::from_hex(&id).is_ok() { Ok(KeyId(id)) } else { Err(ApiError::not_found("such key")) }
    }
}

/// The path's `{digest}`.
pub(crate) struct DigestPath(pub(crate) Digest);

impl FromRequestParts<State> for DigestPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, ApiError> {
        let text = path_param(parts, "digest").await?;
        text.parse().map(DigestPath).map_err(|e| ApiError::refusal("the digest", &e))
    }
}

/// The path's `{job}` and `{attempt}`.
pub(crate) struct AttemptPath {
    pub(crate) job: String,
    pub(crate) attempt: u32,
}

impl FromRequestParts<State> for AttemptPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, ApiError> {
        let job = path_param(parts, "job").await?;
        let attempt = path_param(parts, "attempt").await?;
        let attempt = attempt.parse().map_err(|_| ApiError::not_found("such attempt"))?;
        Ok(AttemptPath { job, attempt })
    }
}

/// What makes a repeat of a request harmless.
pub(crate) struct IdempotencyKey(pub(crate) String);

impl FromRequestParts<State> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, ApiError> {
        let value = parts.headers.get(IDEMPOTENCY_KEY).ok_or_else(ApiError::idempotency_key_missing)?;
        let key = value.to_str().map_err(|_| ApiError::idempotency_key_invalid())?;
        let is_printable = key.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        if key.trim().is_empty() || key.len() > IDEMPOTENCY_KEY_LEN_MAX || !is_printable {
            return Err(ApiError::idempotency_key_invalid());
        }
        Ok(IdempotencyKey(key.to_owned()))
    }
}

/// The query, typed.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<State> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, ApiError> {
        let query = Query::<T>::try_from_uri(&parts.uri);
        query.map(|q| Params(q.0)).map_err(|e| ApiError::parameter_invalid(e.body_text()))
    }
}

/// A position or an amount in a query: from 0 to 2^53 − 1, like every number of the API.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct Number(pub(crate) u64);

impl TryFrom<u64> for Number {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        if number > remit_seal::strict::INTEGER_MAX {
            return Err(format!("{number} is greater than {}", remit_seal::strict::INTEGER_MAX));
        }
        Ok(Number(number))
    }
}

/// A whole body of at most [`BODY_SIZE_MAX`] bytes.
pub(crate) struct Whole(pub(crate) Bytes);

impl FromRequest<State> for Whole {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &State) -> Result<Self, ApiError> {
        let mut data = request.into_body().into_data_stream();
        // Most bodies come in one piece and are not copied.
        let (mut first, mut rest) = (Bytes::new(), vec![]);
        while let Some(piece) = data.next().await {
            let piece = piece.map_err(|_| ApiError::json_invalid("the body broke off"))?;
            if first.len() + rest.len() + piece.len() > BODY_SIZE_MAX {
                return Err(ApiError::body_too_large(BODY_SIZE_MAX as u64));
            }
            if first.is_empty() {
                first = piece;
            } else {
                rest.extend_from_slice(&piece);
            }
        }
        Ok(Whole(if rest.is_empty() { first } else { [&first[..], &rest].concat().into() }))
    }
}

/// A JSON body, typed.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<State> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &State) -> Result<Self, ApiError> {
        let Whole(bytes) = Whole::from_request(request, state).await?;
        json(&bytes).map(Body)
    }
}

/// Reads JSON of bounded depth.
pub(crate) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    if depth(bytes) > JSON_DEPTH_MAX {
        return Err(ApiError::json_invalid(format!("the JSON is more than {JSON_DEPTH_MAX} levels deep")));
    }
    serde_json::from_slice(bytes).map_err(|e| ApiError::json_invalid(format!("the JSON is wrong: {e}")))
}

/// How deep the brackets of a JSON text go; brackets in texts do not count.
fn depth(bytes: &[u8]) -> usize {
    let (mut now, mut deepest, mut in_text, mut escaped) = (0usize, 0usize, false, false);
    for byte in bytes {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => {
                now += 1;
                deepest = deepest.max(now);
            }
            (false, b'}' | b']') => now = now.saturating_sub(1),
            (true | false, _) => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_of_texts() {
        for (json, want) in [
            ("1", 0),
            ("[[1],[2,{\"a\":[]}]]", 4),
            (r#"{"a":"[[[[\"[[["}"#, 1),
            ("]]][[", 2),
            (r#""\\"[["#, 2),
        ] {
            assert_eq!(depth(json.as_bytes()), want, "{json}");
        }
        let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
        assert!(json::<serde_json::Value>(deep.as_bytes()).is_err());
    }
}
