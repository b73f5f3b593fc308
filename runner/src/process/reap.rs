//! Finding and ending every process of an attempt, by its group and by the mark in its environment.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::process::confine::Cgroup;

/// The variables that each tool process of an attempt carries.
const ATTEMPT: &str = "REMIT_ATTEMPT";
const RUNNER: &str = "REMIT_RUNNER";
const POLL: Duration = Duration::from_millis(10);
const WARN_AFTER: Duration = Duration::from_secs(10);

/// A process group that may still be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub pgid: i32,
    /// When its first process started, in ticks since boot.
    pub start_ticks: u64,
}

/// What tells an attempt's processes from all others on the machine. An install of the same
/// name may have a runner of another broker here, so the attempt alone does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The job and the try.
    pub attempt: String,
    /// The runner's data directory, by its random id.
    pub runner: String,
}

impl Mark {
    /// As variables.
    pub fn variables(&self) -> [(&'static str, &str); 2] {
        [(ATTEMPT, &self.attempt), (RUNNER, &self.runner)]
    }

    fn is_carried_by(&self, pid: i32) -> bool {
        let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        let has = |(name, value): (&str, &str)| {
            let wanted = format!("{name}={value}");
            environ.split(|b| *b == 0).any(|entry| entry == wanted.as_bytes())
        };
        self.variables().into_iter().all(has)
    }
}

/// What `/proc/PID/stat` says that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    state: u8,
    pgrp: i32,
    start_ticks: u64,
}

/// When a process started, in ticks since boot; `None` when it is gone.
pub fn start_ticks(pid: i32) -> Option<u64> {
    stat(pid).map(|s| s.start_ticks)
}

/// Whether the very process that started then still runs; one that only waits to be looked at does not.
pub fn is_living(pid: i32, start_ticks: u64) -> bool {
    stat(pid).is_some_and(|s| is_alive(&s) && s.start_ticks == start_ticks)
}

/// This boot of the machine, so that a process id is not taken for one of an earlier boot.
pub fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}

/// The living processes of an attempt: members of the group and of the cgroup, and whatever carries the mark.
pub fn living(group: Option<Group>, mark: &Mark, cgroup: &Cgroup) -> Vec<i32> {
    let inside = cgroup.pids();
    let group = group.filter(|g| is_same_group(*g));
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    pids()
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let Some(stat) = stat(*pid).filter(is_alive) else { return false };
            group.is_some_and(|g| stat.pgrp == g.pgid && stat.start_ticks >= g.start_ticks)
                || inside.contains(pid)
                || mark.is_carried_by(*pid)
        })
        .collect()
}

/// Kills whatever lives of an attempt and waits until it is gone, however long that takes:
/// the lock of a component may not be released before.
pub async fn end_all(group: Option<Group>, mark: &Mark, cgroup: &Cgroup) -> usize {
    let began = std::time::Instant::now();
    let mut killed = 0;
    let mut warned = false;
    loop {
        let left = living(group, mark, cgroup);
        if left.is_empty() {
            cgroup.remove().await;
            return killed;
        }
        cgroup.kill();
        killed = killed.max(left.len());
        for pid in &left {
            signal(*pid, Signal::KILL);
        }
        if !warned && began.elapsed() > WARN_AFTER {
            tracing::error!(
                ?left,
                attempt = mark.attempt,
                "these processes do not end although they were killed; waiting"
            );
            warned = true;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Signals a whole group; one that is gone is no error.
pub(super) fn signal_group(pgid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pgid) {
        let _ = rustix::process::kill_process_group(pid, signal);
    }
}

fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// A leader of this id that started at another time means that the group died and its id was used again.
fn is_same_group(group: Group) -> bool {
    stat(group.pgid).is_none_or(|leader| leader.start_ticks == group.start_ticks)
}

fn is_alive(stat: &Stat) -> bool {
    !matches!(stat.state, b'Z' | b'X' | b'x')
}

fn pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The command's name may hold anything, so fields are counted after its last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let pgrp = fields.nth(1)?.parse().ok()?;
    let start_ticks = fields.nth(16)?.parse().ok()?;
    Some(Stat { state, pgrp, start_ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_move_the_fields() {
        let text = "42 (a ) b) S 1 40 40 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 98765 1000 1 2";
        assert_eq!(parse_stat(text), Some(Stat { state: b'S', pgrp: 40, start_ticks: 98765 }));
    }

    #[test]
    fn this_process_has_a_start() {
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(start_ticks(pid).is_some_and(|t| t > 0));
        assert!(!boot_id().is_empty());
    }
}
