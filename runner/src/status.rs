//! The status API, on loopback: what the runner is doing, did, and may do; pause and resume.

mod token;

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::attempt::runner::Runner;
use crate::error::{Coded, chain};
use crate::halt;
use crate::storage::journal::PAGE_LEN_MAX;

pub use token::{FILE as TOKEN_FILE, Tokens};

/// The longest body that is read.
const APPROVAL_LEN_MAX: usize = 16 * 1024;

type Shared = State<Arc<Runner>>;

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, runner: Arc<Runner>, tokens: Tokens) {
    if let Err(error) = axum::serve(listener, router(runner, tokens)).await {
        tracing::error!(%error, "the status API ended");
    }
}

fn router(runner: Arc<Runner>, tokens: Tokens) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_text))
        .route("/v1/status", get(status))
        .route("/v1/jobs", get(jobs))
        .route("/v1/receipts", get(receipts))
        .route("/v1/checkpoint", get(checkpoint))
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/halt", post(halt))
        .route("/v1/approvals", post(approve))
        .layer(DefaultBodyLimit::max(APPROVAL_LEN_MAX))
        .fallback(async || {
            problem(
                StatusCode::NOT_FOUND,
                "runner.status_not_found",
                "there is no such page; see /v1/status, /v1/jobs, /v1/receipts",
            )
        })
        .layer(middleware::from_fn_with_state((runner.clone(), tokens), guard))
        .with_state(runner)
}

/// A page in a browser on this machine must not be able to ask this API, by a name that
/// leads here or by a form that posts here; nor a user of this machine who cannot read the runner's files.
async fn guard(
    State((runner, tokens)): State<(Arc<Runner>, Tokens)>,
    request: Request,
    next: Next,
) -> Response {
    let local = runner.config.status_listen.ip().is_loopback();
    if local && !is_local_host(request.headers()) {
        return problem(StatusCode::FORBIDDEN, "runner.status_foreign", "ask by 127.0.0.1 or localhost");
    }
    if request.method() == Method::POST && request.headers().contains_key(header::ORIGIN) {
        return problem(
            StatusCode::FORBIDDEN,
            "runner.status_foreign",
            "this cannot be asked from a web page",
        );
    }
    if !tokens.admit(request.uri().path(), request.headers()) {
        let words = "give the token of the file status.token in the data directory: authorization: Bearer …";
        return problem(StatusCode::UNAUTHORIZED, "runner.status_unauthorized", words);
    }
    next.run(request).await
}

fn is_local_host(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn problem(status: StatusCode, code: &str, message: &str) -> Response {
    (status, Json(json!({"error": {"code": code, "message": message}}))).into_response()
}

async fn readyz(State(runner): Shared) -> Response {
    let reasons = runner.not_ready();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({"ready": reasons.is_empty(), "reasons": reasons}))).into_response()
}

async fn metrics_text(State(runner): Shared) -> Response {
    let text = runner.metrics.encode(&gauges(&runner));
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
        .into_response()
}

async fn status(State(runner): Shared) -> Json<Value> {
    let identity = runner.identity();
    let (broker, mode, reasons) = (runner.broker(), runner.mode(), runner.not_ready());
    let journal = runner.journal.state().clone();
    let (segment, key) = runner.journal.newest();
    Json(json!({
        "install": runner.config.install.id(),
        "version": runner.info.version,
        "boot": runner.info.boot,
        "generation": identity.generation(),
        "root_sha256": identity.root_digest().hex(),
        "trust": trust(&runner),
        "certificate_ends_ms": identity.not_after_ms(),
        "started_ms": runner.started_ms,
        "mode": if mode.draining { "draining" } else if mode.halted { "halted" } else if mode.paused { "paused" } else { "running" },
        "sandbox": runner.config.sandbox,
        "confinement": runner.confinement.view(),
        "lock": runner.locks.view(),
        "state": runner.executors.records().next(),
        "policy": runner.policy.reference(),
        "customer_key": runner.approvals.has_key(),
        "waiting": runner.held().map(|(attempt, words)| json!({"job": attempt.job, "for": words})),
        "approvals_wanted": wanted(&runner),
        "break_glass": journal.break_glass,
        "channel": runner.pin.channel(),
        "ran": journal.ran,
        "rollback_permit": journal.permit,
        "capacity": runner.config.capacity,
        "executors": runner.info.executors,
        "ready": reasons.is_empty(),
        "not_ready": reasons,
        "broker": {
            "url": runner.config.broker.to_string(),
            "way": runner.link.way().to_string(),
            "heard_ms": broker.heard_ms,
            "trouble": broker.trouble,
        },
        "journal": {
            "records": journal.records,
            "head": journal.head.hex(),
            "segment": segment,
            "checkpoint_key": key,
            "seq_high": journal.seq_high,
            "marks_reset_ms": journal.ledger.marks.reset_ms,
            "unreported": journal.open.len(),
            "trouble": journal.trouble,
        },
    }))
}

/// What waits for the customer, with the command that approves it.
fn wanted(runner: &Runner) -> Vec<Value> {
    let with_command = |waiting: crate::policy::approval::waiting::Waiting| {
        json!({
            "digest": waiting.digest,
            "what": waiting.what,
            "is_program": waiting.is_program,
            "job": waiting.job,
            "since_ms": waiting.since_ms,
            "command": waiting.command_here(runner.dir.root()),
        })
    };
    runner.waits.list().into_iter().map(with_command).collect()
}

/// What the customer can compare with what the vendor publishes.
fn trust(runner: &Runner) -> Value {
    let view = runner.trust.view();
    json!({
        "root_version": view.root.get().version,
        "root_sha256": runner.trust.root_digest().hex(),
        "root_expires_ms": view.root.get().expires_ms,
        "status_ms": view.standing.time_ms,
        "status_fresh": view.is_fresh(),
        "floors": view.standing.floors,
        "revoked": view.standing.revoked,
    })
}

async fn jobs(State(runner): Shared) -> Json<Value> {
    let job = |(attempt, active): (crate::outcome::Attempt, crate::attempt::runner::Active)| {
        json!({
            "job": attempt.job,
            "attempt": attempt.attempt,
            "fence": attempt.fence,
            "component": active.component,
            "operation": active.operation,
            "break_glass": active.break_glass,
            "phase": active.phase,
            "since_ms": active.since_ms,
            "progress": active.progress.now(),
        })
    };
    let jobs: Vec<Value> = runner.active().into_iter().map(job).collect();
    Json(json!({ "jobs": jobs }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    after: Option<u64>,
    #[serde(default)]
    limit: Option<usize>,
}

/// Oldest first; without `after`, the last page.
async fn receipts(State(runner): Shared, Query(page): Query<Page>) -> Response {
    let limit = page.limit.unwrap_or(100).min(PAGE_LEN_MAX);
    let records = runner.journal.state().records;
    let after = page.after.unwrap_or(records.saturating_sub(limit as u64));
    match runner.journal.page(after, limit).await {
        Ok(receipts) => {
            let next = receipts.last().map_or(after, |r| r.n);
            Json(json!({"receipts": receipts, "next_after": next, "records": records})).into_response()
        }
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.code(), &chain(&error)),
    }
}

/// The chain as it is now, signed: to be kept where nobody who can change the journal can change it.
async fn checkpoint(State(runner): Shared) -> Response {
    match runner.journal.checkpoint().await {
        Ok(bytes) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Err(error) => problem(StatusCode::INTERNAL_SERVER_ERROR, error.code(), &chain(&error)),
    }
}

async fn pause(State(runner): Shared) -> Response {
    changed(&runner, runner.pause())
}

/// Ends a pause. A halt is ended by the customer on the machine, not by whoever has the token.
async fn resume(State(runner): Shared) -> Response {
    if halt::read(runner.dir.root()).is_some() {
        let words = "the customer halted it, and ends that with `remit-runner resume` on the machine";
        return problem(StatusCode::CONFLICT, "runner.halted", words);
    }
    changed(&runner, runner.resume())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HaltHow {
    #[serde(default)]
    now: bool,
}

async fn halt(State(runner): Shared, Query(how): Query<HaltHow>) -> Response {
    let how = if how.now { halt::Halt::Now } else { halt::Halt::New };
    let thrown = halt::halt(runner.dir.root(), how, "the status API");
    halt::obey(&runner).await;
    changed(&runner, thrown)
}

/// An approval that was signed elsewhere: believed for its signature, whoever sends it.
async fn approve(State(runner): Shared, body: Bytes) -> Response {
    match runner.approvals.take(&body) {
        Ok(approval) => Json(json!({"taken": approval})).into_response(),
        Err(error) => problem(StatusCode::FORBIDDEN, error.code(), &chain(&error)),
    }
}

fn changed(runner: &Runner, result: std::io::Result<()>) -> Response {
    match result {
        Ok(()) => {
            Json(json!({"paused": runner.mode().paused, "halted": runner.mode().halted})).into_response()
        }
        Err(error) => problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "runner.data_dir_io",
            &format!("it could not be kept on disk: {error}"),
        ),
    }
}

fn gauges(runner: &Runner) -> [(&'static str, &'static str, i64); 7] {
    let state = runner.journal.state().clone();
    let mode = runner.mode();
    let int = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    [
        ("ready", "1 when it could take work", i64::from(runner.not_ready().is_empty())),
        ("paused", "1 when the customer paused it", i64::from(mode.paused)),
        ("jobs", "Attempts in hand", int(runner.active().len() as u64)),
        (
            "unreported",
            "Attempts whose outcome the broker has not acknowledged",
            int(state.open.len() as u64),
        ),
        ("journal_records", "Records in the journal", int(state.records)),
        ("seq_high", "The greatest sequence number accepted", int(state.seq_high)),
        ("certificate_ends_ms", "When its certificate ends, ms since 1970", runner.identity().not_after_ms()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let check = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            is_local_host(&headers)
        };
        assert!(check("127.0.0.1:7460") && check("localhost:1") && check("[::1]:2"));
        assert!(!check("evil.example:7460") && !check("10.0.0.1") && !check("127.0.0.1.evil.example"));
    }
}
