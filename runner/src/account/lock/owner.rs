//! Who a holder is, and what proves that nothing of it runs any more. Silence proves nothing.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::process::{boot_id, is_living, start_ticks};

/// A runner's process, on its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// The machine's name, for people.
    pub name: String,
    /// The machine, by what its maker says of it; empty where there is nothing that a copy would not say, too.
    pub machine: String,
    /// Its boot.
    pub boot: String,
    /// The namespace that the process id is of.
    pub pids: String,
    /// The process.
    pub pid: i32,
    /// When it started, in ticks since boot.
    pub start_ticks: u64,
    /// Random for each start of a runner.
    pub process: String,
    /// The data directory, by its random id.
    pub runner: String,
}

/// What is known of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is this very process.
    Itself,
    /// Its process is gone. What it started may be left, where its boot is this one.
    Dead {
        /// Whether something may be left.
        orphans: bool,
    },
    /// It lives on this machine.
    Alive,
    /// Nothing here can prove that it is gone.
    Unproven,
}

impl Owner {
    /// This process, as the runner of this data directory.
    pub fn this(runner: &str) -> Self {
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        Self {
            name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            machine: machine(),
            boot: boot_id(),
            pids: pid_namespace(),
            pid,
            start_ticks: start_ticks(pid).unwrap_or(0),
            process: random(),
            runner: runner.to_owned(),
        }
    }

    /// What this process knows of another holder.
    pub fn judges(&self, other: &Owner) -> Verdict {
        if self.process == other.process {
            return Verdict::Itself;
        }
        let same_boot = !self.boot.is_empty() && self.boot == other.boot;
        let same_machine = !self.machine.is_empty() && self.machine == other.machine;
        match (same_boot, same_machine) {
            (true, _) if self.pids.is_empty() || self.pids != other.pids => Verdict::Unproven,
            (true, _) if is_living(other.pid, other.start_ticks) => Verdict::Alive,
            (true, _) => Verdict::Dead { orphans: true },
            (false, true) => Verdict::Dead { orphans: false },
            (false, false) => Verdict::Unproven,
        }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let boot = self.boot.get(..8).unwrap_or(&self.boot);
        write!(f, "process {} on {} (boot {boot})", self.pid, self.name)
    }
}

/// What tells this machine from every other, its own copies among them: the firmware's id, which only root
/// may read, or the id that a cloud writes there for all to read. No file of the disk: a copy has it, too.
fn machine() -> String {
    let read = |name: &str| {
        let text = fs::read_to_string(format!("/sys/class/dmi/id/{name}")).unwrap_or_default();
        text.trim().to_ascii_lowercase()
    };
    let uuid = read("product_uuid");
    let is_telling = |uuid: &str| uuid.len() == 36 && !uuid.bytes().all(|b| matches!(b, b'0' | b'f' | b'-'));
    if is_telling(&uuid) {
        return uuid;
    }
    Some(read("board_asset_tag")).filter(|tag| tag.starts_with("i-")).unwrap_or_default()
}

/// A process id means something only among those who share its namespace.
fn pid_namespace() -> String {
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy().into_owned()
}

fn random() -> String {
    let mut bytes = [0u8; 16];
    // Without randomness the process is still told apart by its id and start.
    if getrandom::fill(&mut bytes).is_err() {
        return format!("{}-{}", std::process::id(), crate::error::now_ms());
    }
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Owner {
        Owner { machine: "m".to_owned(), ..Owner::this("r") }
    }

    #[test]
    fn only_proof_makes_dead() {
        let check = |change: fn(&mut Owner), verdict: Verdict| {
            let mut other = Owner { process: "other".to_owned(), ..me() };
            change(&mut other);
            assert_eq!(me().judges(&other), verdict, "{other:?}");
        };
        check(|_| {}, Verdict::Alive);
        check(|o| o.start_ticks += 1, Verdict::Dead { orphans: true });
        check(|o| o.pids = "pid:[1]".to_owned(), Verdict::Unproven);
        check(|o| o.boot = "before".to_owned(), Verdict::Dead { orphans: false });
        check(|o| (o.boot, o.machine) = ("b".to_owned(), "n".to_owned()), Verdict::Unproven);
        check(|o| (o.boot, o.machine) = ("b".to_owned(), String::new()), Verdict::Unproven);
        check(|o| (o.boot, o.pids) = (String::new(), String::new()), Verdict::Dead { orphans: false });
    }

    #[test]
    fn a_machine_that_nothing_tells_from_its_copies_proves_nothing_over_a_boot() {
        let me = Owner { machine: String::new(), ..me() };
        let before = Owner { boot: "before".to_owned(), process: "other".to_owned(), ..me.clone() };
        assert_eq!(me.judges(&before), Verdict::Unproven);
        assert_eq!(me.judges(&me), Verdict::Itself);
    }

    #[test]
    fn a_process_that_ended_is_dead_even_before_its_parent_has_looked() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let ticks = start_ticks(pid).unwrap();
        while is_living(pid, ticks) {
            std::thread::yield_now();
        }
        let other = Owner { pid, start_ticks: ticks, process: "other".to_owned(), ..me() };
        assert_eq!(me().judges(&other), Verdict::Dead { orphans: true });
        child.wait().unwrap();
    }
}
