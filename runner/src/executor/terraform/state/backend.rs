//! The HTTP backend that terraform speaks to, on loopback: GET, POST, LOCK and UNLOCK of the one state that the
//! password is for.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::session::{Answer, INFO_LEN_MAX, Inner};
use super::{STATE_LEN_MAX, States};

/// How many states are in memory at once at most.
const AT_ONCE_MAX: usize = 4;

#[derive(Clone)]
struct Desk {
    states: States,
    room: Arc<Semaphore>,
}

/// Serves until the process ends.
pub(super) async fn serve(listener: TcpListener, states: States) {
    let desk = Desk { states, room: Arc::new(Semaphore::new(AT_ONCE_MAX)) };
    let router = Router::new().route("/{component}", any(answer)).with_state(desk);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "the backend of terraform's states ended");
    }
}

#[derive(Deserialize)]
struct Asked {
    /// The lock that terraform holds.
    #[serde(rename = "ID")]
    id: Option<String>,
}

async fn answer(
    State(desk): State<Desk>,
    Path(component): Path<String>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Response {
    let Some(session) = session(&desk.states, &component, request.headers()) else {
        let words = "this password is of no attempt that is in hand: its time is over for good";
        return (StatusCode::FORBIDDEN, words).into_response();
    };
    let Ok(_room) = desk.room.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let (parts, body) = request.into_parts();
    let method = parts.method.as_str();
    let len_max = if method == "POST" { STATE_LEN_MAX } else { INFO_LEN_MAX };
    let Ok(body) = read(body, len_max).await else {
        let words = format!("a body has at most {len_max} bytes here");
        return (StatusCode::PAYLOAD_TOO_LARGE, words).into_response();
    };
    respond(match method {
        "GET" => session.get(&desk.states).await,
        "POST" => session.put(&desk.states, body, asked.id.as_deref()).await,
        "LOCK" => session.lock(body).await,
        "UNLOCK" => session.unlock(&body).await,
        _ => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
    })
}

async fn read(body: Body, len_max: usize) -> Result<Vec<u8>, axum::Error> {
    to_bytes(body, len_max).await.map(Vec::from)
}

/// The session of this component, if the password is that of the newest.
fn session(states: &States, component: &str, headers: &HeaderMap) -> Option<Arc<Inner>> {
    let basic = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(basic).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    let session = states.sessions().get(component)?.clone();
    session.is_of(user, password).then_some(session)
}

fn respond(answer: Answer) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    match answer {
        Answer::State(body) => (json, body).into_response(),
        Answer::Nothing => StatusCode::NO_CONTENT.into_response(),
        Answer::Done => StatusCode::OK.into_response(),
        Answer::Locked(info) => (StatusCode::LOCKED, json, info).into_response(),
        Answer::Bad(words) => (StatusCode::BAD_REQUEST, words).into_response(),
        Answer::Over(words) => (StatusCode::CONFLICT, words).into_response(),
        Answer::Away(words) => (StatusCode::SERVICE_UNAVAILABLE, words).into_response(),
    }
}
