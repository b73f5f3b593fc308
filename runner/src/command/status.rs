//! `remit-runner status`: asks the runner of this data directory.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::error::Coded;
use crate::status::TOKEN_FILE;
use crate::storage::data_dir::read_bounded;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No runner has written its address there.
    #[error("no runner has left its address in {0}")]
    NoAddress(PathBuf),
    /// Its token cannot be read.
    #[error("{0} cannot be read: only the runner's user and root may ask")]
    NoToken(PathBuf),
    /// Nobody answers at the address.
    #[error("no runner answers at {addr}: {words}")]
    NoAnswer {
        /// Where.
        addr: String,
        /// Why.
        words: String,
    },
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        "runner.status_unreachable"
    }

    fn hint(&self) -> String {
        "is the runner running, and is this its --data-dir?".to_owned()
    }
}

/// The runner's status and jobs.
pub async fn ask(data_dir: &Path) -> Result<Value, Error> {
    let path = data_dir.join("status.addr");
    let text = read_bounded(&path, 256).ok().flatten().ok_or(Error::NoAddress(path))?;
    let addr = String::from_utf8_lossy(&text).trim().to_owned();
    let no_answer = |words: String| Error::NoAnswer { addr: addr.clone(), words };
    let path = data_dir.join(TOKEN_FILE);
    let token = read_bounded(&path, 256).ok().flatten().ok_or(Error::NoToken(path))?;
    let token = String::from_utf8_lossy(&token).trim().to_owned();
    let status = get(&addr, &token, "/v1/status").await.map_err(&no_answer)?;
    let jobs = get(&addr, &token, "/v1/jobs").await.map_err(&no_answer)?;
    Ok(json!({"status": status, "jobs": jobs["jobs"]}))
}

async fn get(addr: &str, token: &str, path: &str) -> Result<Value, String> {
    let words = |e: &dyn std::error::Error| e.to_string();
    let tcp = TcpStream::connect(addr).await.map_err(|e| words(&e))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(tcp)).await.map_err(|e| words(&e))?;
    tokio::spawn(connection);
    let request = http::Request::get(path)
        .header(http::header::HOST, addr)
        .header(http::header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Empty::<bytes::Bytes>::new())
        .map_err(|e| words(&e))?;
    let answer = sender.send_request(request).await.map_err(|e| words(&e))?;
    let body = answer.into_body().collect().await.map_err(|e| words(&e))?.to_bytes();
    serde_json::from_slice(&body).map_err(|e| words(&e))
}

/// The same in a few lines.
pub fn for_people(answer: &Value) -> String {
    let status = &answer["status"];
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut out = format!(
        "{}  {}  generation {}\n",
        text(&status["install"]),
        text(&status["mode"]),
        status["generation"]
    );
    for reason in status["not_ready"].as_array().into_iter().flatten() {
        out.push_str(&format!("  not ready: {}\n", text(reason)));
    }
    let confinement = &status["confinement"];
    out.push_str(&format!(
        "  jobs: files kept by {}, processes by {}, metadata {}\n",
        text(&confinement["files"]),
        text(&confinement["processes"]["kept_by"]),
        text(&confinement["metadata"])
    ));
    let glass = &status["break_glass"];
    if glass.is_object() {
        out.push_str(&format!(
            "  the vendor broke the glass last: {}, until {} ms: {}\n",
            text(&glass["by"]),
            glass["until_ms"],
            text(&glass["reason"])
        ));
    }
    out.push_str(&format!("  releases: channel {}\n", text(&status["channel"])));
    let permit = &status["rollback_permit"];
    if permit.is_object() {
        out.push_str(&format!(
            "  the vendor's permit let it go back from release counter {} to {}: {}\n",
            permit["from"],
            permit["to"],
            text(&permit["reason"])
        ));
    }
    let lock = &status["lock"];
    out.push_str(&format!("  locks: {}\n", text(&lock["place"])));
    for held in lock["held"].as_array().into_iter().flatten() {
        let own = if held["own"] == true { "this runner" } else { "another" };
        out.push_str(&format!(
            "    {} held by {own}, {}, for {} since {}\n",
            text(&held["component"]),
            text(&held["owner"]),
            text(&held["job"]),
            text(&held["since"])
        ));
    }
    let journal = &status["journal"];
    out.push_str(&format!(
        "  journal: {} records, {} unreported\n",
        journal["records"], journal["unreported"]
    ));
    for wanted in status["approvals_wanted"].as_array().into_iter().flatten() {
        out.push_str(&format!("  waits for your approval: {}\n", text(&wanted["what"])));
        out.push_str(&format!("    {}\n", text(&wanted["command"])));
    }
    for job in answer["jobs"].as_array().into_iter().flatten() {
        out.push_str(&format!(
            "  {} {} ({}): {}\n",
            text(&job["operation"]),
            text(&job["component"]),
            text(&job["phase"]),
            text(&job["progress"]["message"])
        ));
    }
    out
}
