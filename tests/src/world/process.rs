//! A process of a world: started with its words in a file, killed with everything in its group.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// A child that does not outlive this value.
pub struct Process {
    child: Child,
}

impl Process {
    /// Starts it as the leader of a group; both outputs are appended to `log`.
    ///
    /// # Errors
    /// It could not be started.
    pub fn spawn(mut command: Command, log: &Path) -> Result<Process> {
        let file: File = OpenOptions::new().create(true).append(true).open(log)?;
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()
            .with_context(|| format!("{name} could not be started"))?;
        Ok(Process { child })
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// The system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// `kill -9` of this one process, not of its children.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// `kill -TERM` of this one process.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn terminate(&self) -> Result<()> {
        signal("TERM", &self.child.id().to_string())
    }

    /// `kill -STOP` or `-CONT` of this one process.
    ///
    /// # Errors
    /// The system does not let us.
    pub fn signal(&self, name: &str) -> Result<()> {
        signal(name, &self.child.id().to_string())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Nothing to do about an error here: most often it has ended already.
        drop(signal("KILL", &format!("-{}", self.child.id())));
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn signal(name: &str, to: &str) -> Result<()> {
    let status = Command::new("kill").args([&format!("-{name}"), "--", to]).stderr(Stdio::null()).status()?;
    if !status.success() {
        bail!("kill -{name} {to}: {status}");
    }
    Ok(())
}

/// Processes whose environment or arguments name this text: what a world left running.
pub fn alive_with(text: &str) -> Vec<u32> {
    let names = |pid: u32, file: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(text)
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id())
        .filter(|pid| names(*pid, "environ") || names(*pid, "cmdline"))
        .collect()
}
