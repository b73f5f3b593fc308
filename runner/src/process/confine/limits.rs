//! How much of the machine one job may use.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

const MIB: u64 = 1 << 20;
const PROCESSES_DEFAULT: u32 = 1024;
const FILE_DEFAULT: u64 = 10 * 1024 * MIB;
const OPEN_FILES_MAX: u64 = 65_536;
/// What of the machine's memory is left to the runner and the rest.
const MEMORY_LEFT: u64 = 4;

/// Bounds on what a job uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Processes and threads at once.
    pub processes: u32,
    /// Memory in bytes, where a cgroup can count it.
    pub memory: Option<u64>,
    /// The size of a file in bytes.
    pub file: u64,
    /// Whether processes are counted by user, because no cgroup counts them.
    pub count_processes: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            processes: PROCESSES_DEFAULT,
            memory: memory_of_machine().map(|all| all - all / MEMORY_LEFT),
            file: FILE_DEFAULT,
            count_processes: false,
        }
    }
}

impl Limits {
    /// With these instead, where they are given; sizes in MiB.
    pub fn with(processes: Option<u32>, memory_mib: Option<u64>, file_mib: Option<u64>) -> Self {
        let default = Self::default();
        Self {
            processes: processes.unwrap_or(default.processes).max(1),
            memory: memory_mib.map(|mib| mib.saturating_mul(MIB)).or(default.memory),
            file: file_mib.map_or(default.file, |mib| mib.saturating_mul(MIB)),
            ..default
        }
    }

    /// Puts this process, and all that it starts, under them. What is lower already stays.
    pub(super) fn apply(&self) -> rustix::io::Result<()> {
        lower(Resource::Core, 0)?;
        lower(Resource::Fsize, self.file)?;
        lower(Resource::Nofile, OPEN_FILES_MAX)?;
        if self.count_processes { lower(Resource::Nproc, u64::from(self.processes)) } else { Ok(()) }
    }
}

fn lower(resource: Resource, to: u64) -> rustix::io::Result<()> {
    let now = getrlimit(resource);
    let least = |held: Option<u64>| Some(held.map_or(to, |held| held.min(to)));
    setrlimit(resource, Rlimit { current: least(now.current), maximum: least(now.maximum) })
}

fn memory_of_machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_has_a_bound_all_the_same() {
        let limits = Limits::with(None, None, Some(1));
        assert_eq!((limits.processes, limits.file), (PROCESSES_DEFAULT, MIB));
        assert!(limits.memory.is_some_and(|memory| memory > 64 * MIB));
        assert_eq!(Limits::with(Some(0), Some(2), None).memory, Some(2 * MIB));
    }
}
