//! Logs of attempts, as they are and as they grow.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use remit_loops::ObjectId;
use serde::Deserialize;
use tokio::time::Instant;

use super::error::ApiError;
use super::request::{AttemptPath, Number, Params, Target};
use super::wire::{ErrorBody, LOG_FINAL, LOG_NEXT_OFFSET, LOG_READ_MAX, LogAttempt, LogIndex};
use crate::edge::Edge;
use crate::logs::{End, Key, text};

/// The longest wait for more.
const WAIT_MS_MAX: u64 = 30_000;
/// How often it is looked whether another broker has got more of a log.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const CUT_MARK: &str = "\n[remit: the log was longer than what is kept and ends here]\n";

/// The component of a job's id: `job_org.app.install.COMPONENT.e1.o7`. `None`: not a job of this install.
pub(crate) fn component_of<'a>(install: &ObjectId, job: &'a str) -> Option<&'a str> {
    let rest = job.strip_prefix("job_")?.strip_prefix(install.path())?.strip_prefix('.')?;
    let component = rest.split('.').next()?;
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (install.child(component).is_ok() && rest.len() <= 128 && rest.bytes().all(is_plain)).then_some(component)
}

/// The attempts of an install that have logs.
#[utoipa::path(
    get, path = "/v1/objects/{id}/logs", tag = "logs", params(("id" = String, Path)),
    responses((status = 200, body = LogIndex), (status = 404, body = ErrorBody)),
)]
pub(super) async fn index(State(edge): State<Arc<Edge>>, target: Target) -> Result<Json<LogIndex>, ApiError> {
    let install = target.install()?;
    super::objects::find(&edge, install).await?;
    let found = edge.logs.index(install).await?;
    let attempt = |(key, meta, end): (Key, crate::logs::Meta, End)| LogAttempt {
        component: component_of(install, &key.job).unwrap_or_default().to_owned(),
        job: key.job,
        attempt: key.attempt,
        began: meta.began,
        size: end.size,
        is_final: end.is_final,
        truncated: end.truncated,
    };
    Ok(Json(LogIndex { attempts: found.into_iter().map(attempt).collect() }))
}

/// From where, and how long to wait for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogQuery {
    #[serde(default)]
    offset: Number,
    #[serde(default)]
    wait_ms: Number,
}

/// An attempt's log from an offset. `remit-next-offset` says where to go on: text is cleaned of
/// control characters, so counting its bytes does not.
#[utoipa::path(
    get, path = "/v1/objects/{id}/logs/{job}/{attempt}", tag = "logs",
    params(
        ("id" = String, Path), ("job" = String, Path), ("attempt" = u32, Path),
        ("offset" = Option<u64>, Query), ("wait_ms" = Option<u64>, Query, description = "at most 30000"),
    ),
    responses((status = 200, body = String, content_type = "text/plain"), (status = 404, body = ErrorBody)),
)]
pub(super) async fn read(
    State(edge): State<Arc<Edge>>,
    target: Target,
    path: AttemptPath,
    Params(query): Params<LogQuery>,
) -> Result<Response, ApiError> {
    let install = target.install()?.clone();
    let no_log = || ApiError::not_found(&format!("log of attempt {} of {}", path.attempt, path.job));
    component_of(&install, &path.job).ok_or_else(no_log)?;
    let key = Key { install, job: path.job.clone(), attempt: path.attempt };
    let _stream = super::stream_permit(&edge)?;
    let mut ends = edge.logs.follow(&key).await?.ok_or_else(no_log)?;
    let until = Instant::now() + Duration::from_millis(query.wait_ms.0.min(WAIT_MS_MAX));
    loop {
        let end = *ends.borrow_and_update();
        let piece = piece(&edge, &key, query.offset.0, end).await?;
        if piece.next > query.offset.0 || piece.is_final {
            return Ok(answer(piece));
        }
        tokio::select! {
            changed = ends.changed() => changed.map_err(|e| ApiError::internal("api.internal", &e))?,
            () = tokio::time::sleep(LOOK_EVERY), if edge.logs.is_shared() => {
                // Another broker may have got more of it.
                edge.logs.follow(&key).await?;
            }
            () = tokio::time::sleep_until(until) => return Ok(answer(piece)),
            () = edge.stopping.cancelled() => return Ok(answer(piece)),
        }
    }
}

struct Piece {
    text: String,
    next: u64,
    is_final: bool,
}

async fn piece(edge: &Edge, key: &Key, offset: u64, end: End) -> Result<Piece, ApiError> {
    let raw = edge.logs.read(key, offset, LOG_READ_MAX).await?;
    let is_last = end.is_final && offset + raw.len() as u64 >= end.size;
    let (mut text, taken) = text::clean(&raw, is_last);
    if is_last && end.truncated {
        text.push_str(CUT_MARK);
    }
    Ok(Piece { text, next: offset + taken as u64, is_final: is_last })
}

fn answer(piece: Piece) -> Response {
    let headers = [
        (header::CONTENT_TYPE.as_str(), "text/plain; charset=utf-8".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS.as_str(), "nosniff".to_owned()),
        (LOG_NEXT_OFFSET, piece.next.to_string()),
        (LOG_FINAL, piece.is_final.to_string()),
    ];
    (headers, piece.text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_belongs_to_the_install_that_its_id_names() {
        let install: ObjectId = "ins_demo.shop.acme".parse().unwrap();
        assert_eq!(component_of(&install, "job_demo.shop.acme.network.e1.o7"), Some("network"));
        for foreign in [
            "job_demo.shop.acme2.network.e1.o7",
            "job_demo.shop.acme",
            "job_demo.shop.acme.",
            "job_demo.shop.acme.network.e1/..",
            "ins_demo.shop.acme.network",
            "",
        ] {
            assert_eq!(component_of(&install, foreign), None, "{foreign}");
        }
    }
}
