//! Process 1 of a container: starts the runner, hands signals on to it, and waits for every orphan that jobs leave,
//! which are this process's children then. Ends as the runner ends.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

/// This very program.
const ITSELF: &str = "/proc/self/exe";
/// Added to a signal's number where a process ended by it, as shells have it.
const BY_SIGNAL: i32 = 128;

/// Whether this process has those duties.
pub fn is_wanted() -> bool {
    std::process::id() == 1
}

/// Runs the runner until it ends.
pub async fn run() -> io::Result<ExitCode> {
    let mut ended = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let mut command = Command::new(ITSELF);
    // A group of its own: what a terminal sends to this one's group is handed on, and not heard twice.
    command.arg0("remit-runner").args(std::env::args_os().skip(1)).process_group(0);
    // Waited for with all others, so not by its handle.
    let runner = Pid::from_child(&command.spawn()?);
    loop {
        if let Some(code) = reap(runner)? {
            return Ok(ExitCode::from(code));
        }
        let hand_on = tokio::select! {
            _ = ended.recv() => None,
            _ = terminate.recv() => Some(Signal::TERM),
            _ = interrupt.recv() => Some(Signal::INT),
            _ = hangup.recv() => Some(Signal::HUP),
            _ = quit.recv() => Some(Signal::QUIT),
        };
        if let Some(signal) = hand_on {
            // One that has just ended is found at the next turn.
            let _ = kill_process(runner, signal);
        }
    }
}

/// Waits for all that have ended; how the runner ended, if it is among them.
fn reap(runner: Pid) -> io::Result<Option<u8>> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == runner => return Ok(Some(code(status))),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn code(status: WaitStatus) -> u8 {
    let by_signal = status.terminating_signal().map(|signal| BY_SIGNAL + signal);
    u8::try_from(status.exit_status().or(by_signal).unwrap_or(1)).unwrap_or(1)
}
