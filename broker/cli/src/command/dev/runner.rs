//! The runner as a process of its own: started, watched, drained.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::failure::{Exit, Failure, Result};

/// How often to look whether the status address is written.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// How many of its log's last lines a failure shows.
const LOG_LINES: usize = 15;

/// A runner that was started.
pub(super) struct Runner {
    child: Child,
    log: PathBuf,
}

/// What it is started with.
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    pub(super) log: PathBuf,
    pub(super) args: Vec<String>,
}

impl Runner {
    /// Starts it in a process group of its own: Ctrl-C is for us, who then drain it.
    pub(super) fn start(start: Start<'_>) -> Result<Self> {
        let file = std::fs::File::create(&start.log).map_err(|e| Failure::file("write", &start.log, &e))?;
        let errors = file.try_clone().map_err(|e| Failure::file("write", &start.log, &e))?;
        let child = Command::new(start.program)
            .arg("run")
            .args(&start.args)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| {
                let message = format!("{} did not start: {e}", start.program.display());
                Failure::new(Exit::Local, "cli.dev_runner", message, "say where it is: --runner")
            })?;
        Ok(Self { child, log: start.log })
    }

    /// Waits until it ends, and says so: nobody asked it to.
    pub(super) async fn ended(&mut self) -> Failure {
        match self.child.wait().await {
            Ok(status) => self.gone(&status.to_string()),
            Err(error) => self.gone(&error.to_string()),
        }
    }

    /// Asks it to finish and waits; what does not finish in time is killed and told of.
    pub(super) async fn drain(mut self, within: Duration) -> Result<ExitStatus> {
        if let Some(pid) = self.child.id() {
            terminate(pid).await?;
        }
        match tokio::time::timeout(within, self.child.wait()).await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(error)) => Err(self.gone(&error.to_string())),
            Err(_) => {
                let _ = self.child.kill().await;
                Err(self
                    .gone(&format!("it did not end within {} s of SIGTERM and was killed", within.as_secs())))
            }
        }
    }

    fn gone(&self, how: &str) -> Failure {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n    ");
        let message = format!("the runner ended: {how}\n    {tail}");
        Failure::new(Exit::Local, "cli.dev_runner", message, "")
    }
}

/// SIGTERM by the system's own program: there is no safe call for it in the standard library.
async fn terminate(pid: u32) -> Result<()> {
    let kill = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await;
    kill.map(|_| ()).map_err(|e| Failure::file("run", "kill".as_ref(), &e))
}

/// Where its status API listens, once it says so.
pub(super) async fn status_addr(dir: &Path, within: Duration) -> Option<String> {
    let file = dir.join("status.addr");
    let look = async {
        loop {
            if let Ok(text) = tokio::fs::read_to_string(&file).await
                && !text.trim().is_empty()
            {
                return text.trim().to_owned();
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    };
    tokio::time::timeout(within, look).await.ok()
}
