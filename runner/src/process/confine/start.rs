//! The runner's side of `remit-runner confine`: starts it, tells it the bounds once the process is on
//! record, and hears whether the tool began.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::{Bounds, InForce};

/// The greatest message.
pub(super) const MESSAGE_LEN_MAX: u64 = 1 << 20;
/// This very program, also after its file was replaced by a newer one.
pub(super) const ITSELF: &str = "/proc/self/exe";

/// What the confined process says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    /// It is confined, and about to become the tool.
    Confined(InForce),
    /// It is not, or could not.
    Failed {
        /// What failed.
        step: Step,
        /// Why.
        words: String,
    },
}

/// What is done before a tool runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Hear,
    Cgroup,
    Limits,
    View,
    Rights,
    Files,
    Calls,
    Find,
    Start,
}

/// Why the tool did not begin.
#[derive(Debug)]
pub enum NotBegun {
    /// There is no such program.
    Missing,
    /// The system would not start it.
    Start(io::Error),
    /// It could not be confined.
    Confine(String),
}

/// A process that waits to hear what it is confined to.
#[derive(Debug)]
pub struct Starting {
    stream: UnixStream,
}

impl Starting {
    /// The command that becomes this program, and the way to speak with it.
    pub fn of(program: &Path) -> io::Result<(Command, Self)> {
        let (stream, theirs) = UnixStream::pair()?;
        let mut command = Command::new(ITSELF);
        command.arg0("remit-runner").args(["confine", "--"]).arg(program);
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        Ok((command, Self { stream }))
    }

    /// One that was started otherwise, and listens at the other end of this.
    pub(super) fn heard_by(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// Tells it the bounds; what is in force once the tool has begun.
    pub async fn begin(self, bounds: &Bounds) -> Result<InForce, NotBegun> {
        let failed = |words: String| NotBegun::Confine(words);
        let text = self.speak(bounds).await.map_err(|e| failed(e.to_string()))?;
        let said = text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        let said: Result<Vec<Said>, _> = said.map(serde_json::from_slice).collect();
        let said = said.map_err(|e| failed(e.to_string()))?;
        match (said.first(), said.last()) {
            (_, Some(Said::Failed { step: Step::Find, .. })) => Err(NotBegun::Missing),
            (_, Some(Said::Failed { step: Step::Start, words })) => {
                Err(NotBegun::Start(io::Error::other(words.clone())))
            }
            (_, Some(Said::Failed { step, words })) => Err(failed(format!("{step:?}: {words}"))),
            (Some(Said::Confined(in_force)), _) => Ok(in_force.clone()),
            (..) => Err(failed("it ended before it was confined".to_owned())),
        }
    }

    async fn speak(self, bounds: &Bounds) -> io::Result<Vec<u8>> {
        self.stream.set_nonblocking(true)?;
        let mut stream = tokio::net::UnixStream::from_std(self.stream)?;
        stream.write_all(&serde_json::to_vec(bounds)?).await?;
        stream.shutdown().await?;
        let mut text = Vec::new();
        // Its end is closed when it becomes the tool.
        stream.take(MESSAGE_LEN_MAX).read_to_end(&mut text).await?;
        Ok(text)
    }
}
