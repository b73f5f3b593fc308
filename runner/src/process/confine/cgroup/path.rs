//! Where this process stands in the machine's cgroups, and which of them count what.

use std::fs;
use std::path::{Path, PathBuf};

/// The directories of the cgroups that this process is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hosts {
    /// Of version 2.
    pub(super) unified: Option<PathBuf>,
    /// Of version 1, counting processes.
    pub(super) pids: Option<PathBuf>,
    /// Of version 1, counting memory.
    pub(super) memory: Option<PathBuf>,
}

impl Hosts {
    pub(super) fn read() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::parse(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
    }

    /// `own` has lines `id:controllers:path`; `mounts` says where each hierarchy, or a part of it, is seen.
    fn parse(own: &str, mounts: &str) -> Self {
        let path_of = |controller: &str| {
            own.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':');
                let (id, names, path) = (fields.next()?, fields.next()?, fields.next()?);
                let is_it = match controller {
                    "" => id == "0" && names.is_empty(),
                    name => names.split(',').any(|n| n == name),
                };
                is_it.then(|| PathBuf::from(path))
            })
        };
        let place = |controller: &str| seen(mounts, controller, &path_of(controller)?);
        Self { unified: place(""), pids: place("pids"), memory: place("memory") }
    }
}

/// Where the cgroup of this path is in the file system.
fn seen(mounts: &str, controller: &str, path: &Path) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (left.next()?, left.next()?);
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        let is_it = match controller {
            "" => kind == "cgroup2",
            name => kind == "cgroup" && options.split(',').any(|option| option == name),
        };
        let below = path.strip_prefix(root).ok().filter(|_| is_it)?;
        Some(Path::new(point).join(below))
    })
}

/// Lets the cgroups below `home` count this; `above` is where this process is.
pub(super) fn enable(above: &Path, home: &Path, runner: &str, what: &str) -> bool {
    let offered = fs::read_to_string(above.join("cgroup.controllers")).unwrap_or_default();
    if !offered.split_whitespace().any(|name| name == what) {
        return false;
    }
    let allow = |dir: &Path| fs::write(dir.join("cgroup.subtree_control"), format!("+{what}"));
    // A cgroup that shares out what it counts may have no processes of its own: this one steps aside.
    let aside = || {
        let leaf = above.join(format!("remit-runner-{runner}"));
        let _ = fs::create_dir(&leaf);
        fs::write(leaf.join("cgroup.procs"), "0").and_then(|()| allow(above))
    };
    allow(above).or_else(|_| aside()).and_then(|()| allow(home)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_of_systemd_is_found() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = Hosts::parse("0::/system.slice/remit-runner.service\n", mounts);
        let unified = Some(PathBuf::from("/sys/fs/cgroup/system.slice/remit-runner.service"));
        assert_eq!(found, Hosts { unified, ..Hosts::default() });
    }

    #[test]
    fn both_versions_and_a_part_of_a_hierarchy_are_found() {
        let own = "8:pids:/\n4:cpu,memory:/api/61fb\n0::/\n";
        let mounts = "1 2 0:3 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      1 2 0:4 /api /cg/memory rw shared:1 - cgroup cgroup rw,memory\n\
                      1 2 0:5 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let found = Hosts::parse(own, mounts);
        assert_eq!(found.pids, Some(PathBuf::from("/sys/fs/cgroup/pids")));
        assert_eq!(found.memory, Some(PathBuf::from("/cg/memory/61fb")));
        assert_eq!(found.unified, Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(Hosts::parse("", ""), Hosts::default());
    }
}
