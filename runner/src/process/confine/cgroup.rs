//! Cgroups: who is in one cannot leave it by a new session or another environment, is counted, and is
//! ended with all others in it. Of version 2 where the runner may make one, else of version 1.
//!
//! Where the machine gives none, process groups and the mark in the environment are all there is.

mod path;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use remit_seal::Digest;
use rustix::process::{Pid, Signal, kill_process};

use super::Limits;
use crate::storage::data_dir::is_safe_name;

/// How often what is being ended is looked at.
const POLL: Duration = Duration::from_millis(10);
/// How often a cgroup that is empty is tried to be removed; what is left then is removed at the next start.
const REMOVE_TRIES: u32 = 50;
const NAME_LEN_MAX: usize = 128;
/// How often one is tried to be made: the runner's own may just be being removed by another attempt's end.
const MAKE_TRIES: u32 = 5;

/// The cgroups of this runner, below which each attempt has its own.
#[derive(Clone, Debug, Default)]
pub struct Home {
    /// Of version 2: it can be ended as a whole.
    unified: Option<PathBuf>,
    /// Those that count processes and memory; the first may be `unified` itself.
    processes: Option<PathBuf>,
    memory: Option<PathBuf>,
}

impl Home {
    /// Makes what this machine lets us make.
    pub fn find(runner: &str) -> Self {
        let hosts = path::Hosts::read();
        let name = format!("remit-{runner}");
        let make = |dir: Option<PathBuf>| dir.map(|dir| dir.join(&name)).filter(|home| usable(home));
        let unified = make(hosts.unified.clone());
        let (mut processes, mut memory) = (make(hosts.pids), make(hosts.memory));
        if let (Some(above), Some(home)) = (&hosts.unified, &unified) {
            let counts = |what| path::enable(above, home, runner, what).then(|| home.clone());
            processes = processes.or_else(|| counts("pids"));
            memory = memory.or_else(|| counts("memory"));
        }
        Self { unified, processes, memory }
    }

    /// What keeps the processes of a job together, for people.
    pub fn kind(&self) -> &'static str {
        match (&self.unified, &self.processes) {
            (Some(_), _) => "cgroup v2",
            (None, Some(_)) => "cgroup v1",
            (None, None) => "process group",
        }
    }

    /// Whether a cgroup counts processes.
    pub fn counts_processes(&self) -> bool {
        self.processes.is_some()
    }

    /// Whether a cgroup counts memory.
    pub fn counts_memory(&self) -> bool {
        self.memory.is_some()
    }

    fn all(&self) -> Vec<&PathBuf> {
        let mut all: Vec<&PathBuf> =
            [&self.unified, &self.processes, &self.memory].into_iter().flatten().collect();
        all.dedup();
        all
    }

    /// The cgroup of an attempt; it need not be there.
    pub fn cgroup(&self, attempt: &str) -> Cgroup {
        let is_name = attempt.len() <= NAME_LEN_MAX && is_safe_name(attempt);
        let name = if is_name { attempt.to_owned() } else { Digest::of(attempt.as_bytes()).hex() };
        let below = |home: &Option<PathBuf>| home.as_ref().map(|home| home.join(&name));
        Cgroup {
            dirs: self.all().into_iter().map(|home| home.join(&name)).collect(),
            processes: below(&self.processes),
            memory: below(&self.memory),
            keeps_home: self.keeps(),
        }
    }

    /// One that shares out what it counts was set up for that; another is there only as long as it is used.
    fn keeps(&self) -> bool {
        self.unified.is_some() && (self.unified == self.processes || self.unified == self.memory)
    }

    /// Ends what is in any cgroup of this runner, and removes them: at its start nothing of it is wanted.
    pub async fn end_leftovers(&self) {
        for home in self.all() {
            for entry in fs::read_dir(home).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let dirs = vec![entry.path()];
                    Cgroup { dirs, keeps_home: self.keeps(), ..Cgroup::default() }.end().await;
                }
            }
        }
    }
}

/// A directory of a cgroup that this process may make, and put processes into.
fn usable(home: &Path) -> bool {
    let made = fs::create_dir(home).or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Ok(()),
        _ => Err(error),
    });
    made.is_ok() && fs::OpenOptions::new().write(true).open(home.join(PROCESSES_FILE)).is_ok()
}

const PROCESSES_FILE: &str = "cgroup.procs";

/// The cgroup of one attempt, in one hierarchy or several.
#[derive(Clone, Debug, Default)]
pub struct Cgroup {
    dirs: Vec<PathBuf>,
    processes: Option<PathBuf>,
    memory: Option<PathBuf>,
    keeps_home: bool,
}

impl Cgroup {
    /// Makes it, with its limits; what could be made.
    pub(crate) fn make(&self, limits: &Limits) -> Vec<PathBuf> {
        let make = |dir: &&PathBuf| (0..MAKE_TRIES).any(|_| dir.parent().is_some_and(usable) && usable(dir));
        let made: Vec<PathBuf> = self.dirs.iter().filter(make).cloned().collect();
        if let Some(dir) = &self.processes {
            say(dir, &["pids.max"], &limits.processes.to_string());
        }
        if let (Some(dir), Some(memory)) = (&self.memory, limits.memory) {
            say(dir, &["memory.max", "memory.limit_in_bytes"], &memory.to_string());
        }
        made
    }

    /// The processes in it.
    pub fn pids(&self) -> Vec<i32> {
        let read = |dir: &PathBuf| fs::read_to_string(dir.join(PROCESSES_FILE)).unwrap_or_default();
        let texts: Vec<String> = self.dirs.iter().map(read).collect();
        texts
            .iter()
            .flat_map(|text| text.lines())
            .filter_map(|line| line.parse().ok())
            .filter(|p| *p > 0)
            .collect()
    }

    /// Kills all in it at once, where the kernel can: nobody escapes by forking.
    pub fn kill(&self) {
        for dir in &self.dirs {
            let _ = fs::write(dir.join("cgroup.kill"), "1");
        }
        for pid in self.pids().into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Ends all in it and removes it.
    pub async fn end(&self) {
        while !self.pids().is_empty() {
            self.kill();
            tokio::time::sleep(POLL).await;
        }
        self.remove().await;
    }

    /// Removes it: it is empty.
    pub async fn remove(&self) {
        for dir in &self.dirs {
            for _ in 0..REMOVE_TRIES {
                if fs::remove_dir(dir).is_ok() || !dir.exists() {
                    break;
                }
                // The last one to leave is still being cleared away.
                tokio::time::sleep(POLL).await;
            }
            if let Some(home) = dir.parent().filter(|_| !self.keeps_home) {
                // Stays while another attempt has its own in it.
                let _ = fs::remove_dir(home);
            }
        }
    }
}

/// Writes to the first of these files that is there.
fn say(dir: &Path, files: &[&str], value: &str) {
    let file = files.iter().map(|name| dir.join(name)).find(|file| file.exists());
    if let Some(Err(error)) = file.map(|file| fs::write(file, value)) {
        tracing::warn!(%error, dir = %dir.display(), value, "a limit of a job cannot be set");
    }
}

/// Puts this very process into these.
pub(super) fn enter(dirs: &[PathBuf]) -> io::Result<()> {
    for dir in dirs {
        fs::write(dir.join(PROCESSES_FILE), "0")
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", dir.display())))?;
    }
    Ok(())
}
