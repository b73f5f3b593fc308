//! `remit-runner confine`: hears over its standard input what it is confined to, confines itself, says
//! what is in force, and becomes the tool. One process throughout, so its id is the tool's.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use super::calls::Wanted;
use super::start::{MESSAGE_LEN_MAX, Said, Step};
use super::trial::{self, Ways};
use super::{Bounds, Execute, InForce, calls, cgroup, files, rights, view};

/// "Found but could not be started", as shells have it.
const EXIT: u8 = 126;
/// The first that is none of the three streams.
const FIRST_DESCRIPTOR: i32 = 3;
/// Whose rules keep sockets that have no file, but a name of the kernel's, apart.
const LANDLOCK_OF_NAMES: i32 = 6;
/// Whose rules keep sockets in files out of reach.
const LANDLOCK_OF_SOCKETS: i32 = 9;

/// Becomes this program; returns only when that failed. No program: only tries the confinement.
pub fn enter(words: &[OsString]) -> ExitCode {
    // A session of its own: no terminal is its own, and no signal of another's reaches it.
    let _ = rustix::process::setsid();
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
                    let missing = error.kind() == ErrorKind::NotFound;
                    let step = if missing { Step::Find } else { Step::Start };
                    Said::Failed { step, words: error.to_string() }
                }
            }
        }
    };
    say(&mut stream, &said);
    ExitCode::from(EXIT)
}

/// Lets no program that this process becomes or starts have what it was started with open, but the three streams.
pub fn close_the_rest() {
    close_fds::set_fds_cloexec_threadsafe(FIRST_DESCRIPTOR, &[]);
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
    if bounds.view {
        view::enter(&bounds).map_err(|e| (Step::View, e.to_string()))?;
    }
    rights::give_up().map_err(|e| (Step::Rights, e.to_string()))?;
    let landlock = files::restrict(&bounds).map_err(|e| (Step::Files, e.to_string()))?;
    let calls = calls::refuse(wanted(&bounds, landlock));
    close_the_rest();
    let private = is_kept(&bounds);
    if bounds.required {
        calls.as_ref().map_err(|e| (Step::Calls, e.to_string()))?;
        if !private {
            return Err((Step::Files, "the runner's data directory is still in reach".to_owned()));
        }
    }
    let ways = match &bounds.trial {
        Some(targets) => trial::try_all(targets, &bounds.private),
        None => Ways::new(),
    };
    Ok(InForce { landlock, calls: calls.is_ok(), private, view: bounds.view, ways })
}

/// Sockets that can have a name are for all where only what may be written to can be reached by them.
fn wanted(bounds: &Bounds, landlock: i32) -> Wanted {
    let bounded = landlock >= LANDLOCK_OF_SOCKETS || (bounds.view && landlock >= LANDLOCK_OF_NAMES);
    Wanted {
        unix_sockets: bounded || bounds.unix_sockets,
        memory_programs: bounds.execute == Execute::Readable,
    }
}

/// The private file is there: the runner made it. What is not in this process's view is out of reach as well.
fn is_kept(bounds: &Bounds) -> bool {
    File::open(&bounds.private).is_err_and(|error| match error.kind() {
        ErrorKind::PermissionDenied => true,
        ErrorKind::NotFound => bounds.view,
        _ => false,
    })
}

/// All of it or nothing: a runner that was killed in between wants nothing started.
fn hear(stream: &mut UnixStream) -> io::Result<Bounds> {
    let mut text = Vec::new();
    stream.take(MESSAGE_LEN_MAX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::from)
}
