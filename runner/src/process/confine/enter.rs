//! `remit-runner confine`: hears over its standard input what it is confined to, confines itself, says
//! what is in force, and becomes the tool. One process throughout, so its id is the tool's.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use super::start::{Said, Step};
use super::{Bounds, InForce, calls, cgroup, files, rights};

/// The greatest message.
pub(super) const MESSAGE_LEN_MAX: u64 = 1 << 20;
/// "Found but could not be started", as shells have it.
const EXIT: u8 = 126;

/// Becomes this program; returns only when that failed. No program: only tries the confinement.
pub fn enter(words: &[OsString]) -> ExitCode {
    // The tool gets another standard input, and what is said about its start still has to be heard.
    let asked = io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
    let Ok(mut stream) = asked else { return ExitCode::from(EXIT) };
    let said = match confine(&mut stream) {
        Err((step, words)) => Said::Failed { step, words },
        Ok(in_force) => {
            say(&mut stream, &Said::Confined(in_force));
            match words.split_first() {
                None => return ExitCode::SUCCESS,
                Some((program, args)) => {
                    let error = Command::new(program).args(args).stdin(Stdio::null()).exec();
                    let missing = error.kind() == io::ErrorKind::NotFound;
                    let step = if missing { Step::Find } else { Step::Start };
                    Said::Failed { step, words: error.to_string() }
                }
            }
        }
    };
    say(&mut stream, &said);
    ExitCode::from(EXIT)
}

/// The runner that asked may be gone; then nobody needs to know.
fn say(stream: &mut UnixStream, said: &Said) {
    let mut line = serde_json::to_vec(said).unwrap_or_default();
    line.push(b'\n');
    let _ = stream.write_all(&line);
}

/// In this order: each step still needs what the next takes away.
fn confine(stream: &mut UnixStream) -> Result<InForce, (Step, String)> {
    let bounds = hear(stream).map_err(|e| (Step::Hear, e.to_string()))?;
    cgroup::enter(&bounds.cgroups).map_err(|e| (Step::Cgroup, e.to_string()))?;
    bounds.limits.apply().map_err(|e| (Step::Limits, e.to_string()))?;
    rights::give_up().map_err(|e| (Step::Rights, e.to_string()))?;
    let landlock = files::restrict(&bounds).map_err(|e| (Step::Files, e.to_string()))?;
    let calls = calls::refuse();
    let private = File::open(&bounds.private).is_err_and(|e| e.kind() == io::ErrorKind::PermissionDenied);
    if bounds.required {
        calls.as_ref().map_err(|e| (Step::Calls, e.to_string()))?;
        if !private {
            return Err((Step::Files, "the runner's data directory is still in reach".to_owned()));
        }
    }
    Ok(InForce { landlock, calls: calls.is_ok(), private })
}

/// All of it or nothing: a runner that was killed in between wants nothing started.
fn hear(stream: &mut UnixStream) -> io::Result<Bounds> {
    let mut text = Vec::new();
    stream.take(MESSAGE_LEN_MAX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::from)
}
