//! The data directory of `remit dev`: ours alone, cleaned at the start.

use std::path::{Path, PathBuf};

use tracing_subscriber::EnvFilter;

use crate::failure::{Exit, Failure, Result};
use crate::keys::make_private_dir;

/// Says that a directory is ours and may be cleaned.
const MARKER: &str = ".remit-dev";

/// Where everything of the journey lies.
#[derive(Clone, Debug)]
pub(super) struct DevDir(PathBuf);

impl DevDir {
    /// Cleans the directory if it is ours, makes it if it is not there, refuses any other.
    pub(super) fn make(path: &Path) -> Result<Self> {
        let path = std::path::absolute(path).map_err(|e| Failure::file("find", path, &e))?;
        let dir = Self(path.clone());
        match std::fs::read_dir(&path) {
            Ok(mut entries) => {
                let empty = entries.next().is_none();
                if !empty && !path.join(MARKER).exists() {
                    let message = format!("{} holds something that `remit dev` did not make", path.display());
                    let hint = "name another directory: --data-dir";
                    return Err(Failure::new(Exit::Refused, "cli.dev_dir", message, hint));
                }
                dir.check_unused()?;
                std::fs::remove_dir_all(&path).map_err(|e| Failure::file("clean", &path, &e))?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Failure::file("read", &path, &e)),
        }
        make_private_dir(&path)?;
        dir.write_marker()?;
        for folder in [dir.site(), dir.product()] {
            make_private_dir(&folder)?;
        }
        Ok(dir)
    }

    /// Another `remit dev` may be at work here: its process id is in the marker.
    fn check_unused(&self) -> Result<()> {
        let text = std::fs::read_to_string(self.0.join(MARKER)).unwrap_or_default();
        let pid: u32 = text.trim().parse().unwrap_or(0);
        let alive = pid != 0 && pid != std::process::id() && is_remit(pid);
        if !alive {
            return Ok(());
        }
        let message = format!("another `remit dev` (process {pid}) uses {}", self.0.display());
        Err(Failure::new(
            Exit::Refused,
            "cli.dev_dir",
            message,
            "stop it, or name another directory: --data-dir",
        ))
    }

    fn write_marker(&self) -> Result<()> {
        let marker = self.0.join(MARKER);
        std::fs::write(&marker, std::process::id().to_string())
            .map_err(|e| Failure::file("write", &marker, &e))
    }

    /// Logs of the embedded broker go to a file: the terminal is for the journey.
    pub(super) fn log(&self) -> Result<()> {
        let path = self.broker_log();
        let file = std::fs::File::create(&path).map_err(|e| Failure::file("write", &path, &e))?;
        let filter = EnvFilter::try_from_env("REMIT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file);
        // Somebody else's subscriber is as good.
        let _ = logs.try_init();
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn broker(&self) -> PathBuf {
        self.0.join("broker")
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    pub(super) fn runner(&self) -> PathBuf {
        self.0.join("runner")
    }

    /// Stands in for the customer's account.
    pub(super) fn site(&self) -> PathBuf {
        self.0.join("site")
    }

    /// What the customer lets the vendor do here.
    pub(super) fn policy(&self) -> PathBuf {
        self.0.join("remit.cedar")
    }

    /// A copy of the product, to be changed.
    pub(super) fn product(&self) -> PathBuf {
        self.0.join("product")
    }

    pub(super) fn broker_log(&self) -> PathBuf {
        self.0.join("broker.log")
    }

    pub(super) fn runner_log(&self) -> PathBuf {
        self.0.join("runner.log")
    }
}

/// Whether a process of this id is a `remit`. Where that cannot be known: no.
fn is_remit(pid: u32) -> bool {
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim() == "remit"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_directory_is_cleaned() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("dev");
        let dir = DevDir::make(&path).unwrap();
        std::fs::write(dir.site().join("left"), "x").unwrap();
        let dir = DevDir::make(&path).unwrap();
        assert!(!dir.site().join("left").exists(), "it was cleaned");
        let foreign = temp.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("precious"), "x").unwrap();
        assert_eq!(DevDir::make(&foreign).unwrap_err().code, "cli.dev_dir");
        assert!(foreign.join("precious").exists());
    }
}
