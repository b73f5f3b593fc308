//! Running one tool: its own session and process group, marked, bounded in time, and none of it left behind.
//!
//! Asked to stop, the group gets INT (a cancel) or TERM (its time is over), a grace, then
//! KILL. However it ended, its cgroup, its group and everything that carries the attempt's
//! mark is killed and waited for before `run` returns.

pub mod confine;
mod environment;
pub mod init;
mod places;
mod reap;

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;

use crate::outcome::Attempt;
use crate::process::confine::{Confined, NotBegun, Permissions, Starting};
use crate::stop::{Reason, Stop};
use crate::storage::journal::{Entry, Journal, Process};
use crate::storage::logs::Stream;

pub use environment::Environment;
pub use places::Places;
pub use reap::{Group, Mark, boot_id, end_all, is_living, living, start_ticks};

/// How long a tool may take to end by itself once it is asked.
pub const GRACE: Duration = Duration::from_secs(10);
const READ_LEN: usize = 16 * 1024;

/// A tool to run.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The program: a path, or a name to be found on the PATH that it is given.
    pub program: PathBuf,
    /// Its arguments. Never a secret.
    pub args: Vec<OsString>,
    /// Its whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub dir: PathBuf,
    /// What it may do.
    pub permissions: Permissions,
}

/// How a tool ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that this runner did not send.
    Killed(i32),
    /// Because it was stopped.
    Stopped(Reason),
}

/// Why a tool could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not there.
    #[error("`{0}` was not found")]
    Missing(String),
    /// The system would not start it.
    #[error("`{program}` could not be started")]
    Start {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// It could not be confined.
    #[error("the tool was not started, because it could not be confined: {0}")]
    Confine(String),
    /// It could not be put on record, so it was killed again.
    #[error("the tool was ended again because the journal could not be written")]
    Journal(#[from] crate::storage::journal::Error),
    /// It could not be waited for.
    #[error("the tool could not be waited for")]
    Wait(#[source] io::Error),
}

/// Starts tools for one attempt.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// Which attempt.
    pub attempt: Attempt,
    /// What its processes carry.
    pub mark: Mark,
    /// Where its groups are put on record.
    pub journal: Journal,
    /// What they are confined to.
    pub confined: Confined,
    /// When it must stop.
    pub stop: Stop,
    /// How long it may take to stop by itself.
    pub grace: Duration,
}

impl Supervisor {
    /// Runs a tool to its end, handing on what it writes, in pieces.
    pub async fn run(&self, tool: &Tool, mut each: impl FnMut(Stream, &[u8])) -> Result<Exit, Error> {
        if let Some(reason) = self.stop.reason() {
            return Ok(Exit::Stopped(reason));
        }
        let (mut child, starting) = self.spawn(tool)?;
        let pgid = i32::try_from(child.id().unwrap_or(0)).unwrap_or(0);
        let group = Group { pgid, start_ticks: start_ticks(pgid).unwrap_or(0) };
        let recorded = self.record(group).await;
        // It becomes the tool only now, when it is on record.
        let ended = match &recorded {
            Ok(()) => match self.begin(starting, tool).await {
                Ok(None) => self.watch(&mut child, group, &mut each).await.map_err(Error::Wait),
                Ok(Some(stopped)) => Ok(stopped),
                Err(error) => Err(error),
            },
            Err(_) => Ok(Exit::Stopped(Reason::Forced)),
        };
        end_all(Some(group), &self.mark, &self.confined.cgroup).await;
        let _ = child.wait().await;
        recorded?;
        ended
    }

    /// Lets it become the tool; `Some` when it was stopped first.
    async fn begin(&self, starting: Starting, tool: &Tool) -> Result<Option<Exit>, Error> {
        let mut bounds = self.confined.bounds.clone().narrowed(&tool.permissions);
        // What a PATH leads to may lie elsewhere.
        bounds.read.extend(tool.program.canonicalize());
        bounds.read.extend(tool.program.is_absolute().then(|| tool.program.clone()));
        bounds.cgroups = self.confined.cgroup.make(&bounds.limits);
        let begun = tokio::select! {
            begun = starting.begin(&bounds) => begun,
            reason = self.stop.asked() => return Ok(Some(Exit::Stopped(reason))),
        };
        let program = || tool.program.display().to_string();
        begun.map(|_| None).map_err(|not| match not {
            NotBegun::Missing => Error::Missing(program()),
            NotBegun::Start(source) => Error::Start { program: program(), source },
            NotBegun::Confine(words) => Error::Confine(words),
        })
    }

    fn spawn(&self, tool: &Tool) -> Result<(Child, Starting), Error> {
        let failed = |source| Error::Start { program: tool.program.display().to_string(), source };
        let (mut command, starting) = Starting::of(&tool.program).map_err(failed)?;
        command
            .args(&tool.args)
            .env_clear()
            .envs(tool.env.iter().map(|(k, v)| (k, v)))
            .envs(self.mark.variables())
            .current_dir(&tool.dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok((command.spawn().map_err(failed)?, starting))
    }

    async fn record(&self, group: Group) -> Result<(), crate::storage::journal::Error> {
        let process = Process {
            attempt: self.attempt.clone(),
            pgid: group.pgid,
            start_ticks: group.start_ticks,
            boot: boot_id(),
        };
        self.journal.append(Entry::Process(process)).await
    }

    async fn watch(
        &self,
        child: &mut Child,
        group: Group,
        each: &mut impl FnMut(Stream, &[u8]),
    ) -> io::Result<Exit> {
        let mut out = child.stdout.take().map(Pipe::new);
        let mut err = child.stderr.take().map(Pipe::new);
        let mut stopping = Box::pin(self.stop_group(group));
        let mut stopped = None;
        let status = loop {
            tokio::select! {
                bytes = read(&mut out) => each(Stream::Out, bytes),
                bytes = read(&mut err) => each(Stream::Err, bytes),
                status = child.wait() => break status?,
                reason = &mut stopping, if stopped.is_none() => stopped = Some(reason),
            }
        };
        // What it left in the pipes belongs to its log; a child of its own may still hold
        // them open, so they are read only as long as there is something at once.
        drain(&mut out, Stream::Out, each).await;
        drain(&mut err, Stream::Err, each).await;
        Ok(self.exit(status))
    }

    /// Waits to be asked, then makes the group end; returns when it was killed.
    async fn stop_group(&self, group: Group) -> Reason {
        let reason = self.stop.asked().await;
        let first = match &reason {
            Reason::Cancelled(_) => Signal::INT,
            Reason::Timeout => Signal::TERM,
            Reason::Forced => Signal::KILL,
        };
        reap::signal_group(group.pgid, first);
        tokio::select! {
            () = tokio::time::sleep(self.grace) => {}
            () = self.stop.forced() => {}
        }
        reap::signal_group(group.pgid, Signal::KILL);
        reason
    }

    fn exit(&self, status: ExitStatus) -> Exit {
        match (self.stop.reason(), status.code(), status.signal()) {
            // It was asked to stop and finished its work all the same: that stands.
            (Some(_), Some(0), _) => Exit::Code(0),
            (Some(reason), ..) => Exit::Stopped(reason),
            (None, Some(code), _) => Exit::Code(code),
            (None, None, signal) => Exit::Killed(signal.unwrap_or(0)),
        }
    }
}

struct Pipe<R> {
    source: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Pipe<R> {
    fn new(source: R) -> Self {
        Self { source, buffer: vec![0; READ_LEN] }
    }
}

/// The next bytes; never resolves once the stream is over.
async fn read<R: AsyncRead + Unpin>(pipe: &mut Option<Pipe<R>>) -> &[u8] {
    let read = match pipe {
        Some(pipe) => pipe.source.read(&mut pipe.buffer).await.unwrap_or(0),
        None => 0,
    };
    if read == 0 {
        *pipe = None;
        return std::future::pending().await;
    }
    pipe.as_ref().map_or(&[], |pipe| &pipe.buffer[..read])
}

async fn drain<R: AsyncRead + Unpin>(
    pipe: &mut Option<Pipe<R>>,
    stream: Stream,
    each: &mut impl FnMut(Stream, &[u8]),
) {
    while let Some(bytes) = soon(read(pipe)).await {
        each(stream, bytes);
    }
}

async fn soon<'a>(read: impl Future<Output = &'a [u8]>) -> Option<&'a [u8]> {
    tokio::time::timeout(Duration::from_millis(50), read).await.ok()
}

/// Finds a program as a shell would: by its path, or by its name on the PATH.
pub fn find(program: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs =
        |path: &Path| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    if program.components().count() > 1 {
        return Some(program.to_owned()).filter(|p| runs(p));
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|p| runs(p))
}
