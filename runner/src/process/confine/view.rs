//! A file system of the job's own, in a mount namespace: what the job may not read is not there at all. So it
//! cannot be connected to (sockets in files: D-Bus, a container engine), given away (`chmod`, `chown`), or looked
//! at (`stat`), all of which Landlock does not see. What it may only read is mounted read-only.
//!
//! Root makes the namespace by its own right, another user by a user namespace of its own; where a machine gives
//! neither, there is none, and the trial says so.

mod paths;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::process::{getgid, getuid, pivot_root};
use rustix::thread::UnshareFlags;

use super::Bounds;
use super::files::DEVICES;

pub(super) use paths::Paths;

/// Where the new root is made, in this process's namespace alone; `/proc` is always there.
const PLACES: [&str; 2] = ["/tmp", "/proc"];
/// Where the old root is until all that is wanted was taken from it.
const OLD: &str = ".remit-old-root";
const MOUNTS: &str = "/proc/self/mountinfo";
/// What a shell and its like take for there.
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Leaves this process, and all that it starts, with nothing but what the bounds name.
pub(super) fn enter(bounds: &Bounds) -> io::Result<()> {
    let here = std::env::current_dir()?;
    let paths = Paths::of(bounds);
    separate()?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let place = PLACES.iter().find(|place| Path::new(place).is_dir()).ok_or(io::ErrorKind::NotFound)?;
    mount("tmpfs", *place, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=755,size=1m")?;
    let old = Path::new(place).join(OLD);
    fs::create_dir(&old)?;
    pivot_root(*place, &old)?;
    std::env::set_current_dir("/")?;
    let old = Path::new("/").join(OLD);
    take(&paths, &old)?;
    unmount(&old, UnmountFlags::DETACH)?;
    fs::remove_dir(&old)?;
    protect(&paths)?;
    // One that is out of reach is none to start from.
    std::env::set_current_dir(here).or_else(|_| std::env::set_current_dir("/"))
}

/// A mount namespace of its own.
fn separate() -> io::Result<()> {
    let (user, group) = (getuid(), getgid());
    let mut wanted = UnshareFlags::NEWNS;
    if !user.is_root() {
        wanted |= UnshareFlags::NEWUSER;
    }
    // Deprecated because of descriptors that threads share; this process has one thread, and keeps its own.
    #[allow(deprecated)]
    rustix::thread::unshare(wanted)?;
    if user.is_root() {
        return Ok(());
    }
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{0} {0} 1", user.as_raw()))?;
    fs::write("/proc/self/gid_map", format!("{0} {0} 1", group.as_raw()))
}

/// Puts all that is wanted where it was.
fn take(paths: &Paths, old: &Path) -> io::Result<()> {
    let from = |path: &Path| old.join(path.strip_prefix("/").unwrap_or(path));
    for (path, target) in &paths.links {
        if path.symlink_metadata().is_err() {
            make_parent(path)?;
            symlink(target, path)?;
        }
    }
    let devices = DEVICES.map(PathBuf::from);
    let found = devices.iter().filter(|path| from(path).exists());
    for path in paths.mounts.keys().chain(found) {
        let source = from(path);
        let is_dir = source.is_dir();
        if path.symlink_metadata().is_err() {
            make_parent(path)?;
            if is_dir { fs::create_dir(path)? } else { fs::write(path, "")? }
        }
        mount_bind_recursive(&source, path)?;
    }
    for (target, path) in LINKS {
        if Path::new(path).symlink_metadata().is_err() {
            make_parent(Path::new(path))?;
            symlink(target, path)?;
        }
    }
    Ok(())
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Makes all read-only that is not to be written, with what is mounted below it.
fn protect(paths: &Paths) -> io::Result<()> {
    for (point, flags) in mounts(&fs::read_to_string(MOUNTS)?) {
        if paths.is_writable(&point) || flags.contains(MountFlags::RDONLY) {
            continue;
        }
        let flags = flags | MountFlags::RDONLY | MountFlags::BIND;
        match mount_remount(&point, flags, c"") {
            // Another was mounted on it, or over what leads to it: nobody reaches it.
            Ok(()) | Err(rustix::io::Errno::NOENT | rustix::io::Errno::INVAL) => {}
            Err(errno) => {
                let error = io::Error::from(errno);
                return Err(io::Error::new(error.kind(), format!("{}: {error}", point.display())));
            }
        }
    }
    Ok(())
}

/// Where things are mounted, and how: lines of `id parent major:minor root point options …`.
fn mounts(text: &str) -> BTreeMap<PathBuf, MountFlags> {
    let parse = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        let (point, options) = (fields.next()?, fields.next()?);
        Some((PathBuf::from(unescape(point)), flags(options)))
    };
    text.lines().filter_map(parse).collect()
}

/// Those that a mount has and must keep.
fn flags(options: &str) -> MountFlags {
    let mut flags = MountFlags::empty();
    let mut relative = false;
    for option in options.split(',') {
        flags |= match option {
            "ro" => MountFlags::RDONLY,
            "nosuid" => MountFlags::NOSUID,
            "nodev" => MountFlags::NODEV,
            "noexec" => MountFlags::NOEXEC,
            "noatime" => MountFlags::NOATIME,
            "nodiratime" => MountFlags::NODIRATIME,
            "nosymfollow" => MountFlags::NOSYMFOLLOW,
            "relatime" => MountFlags::RELATIME,
            _ => MountFlags::empty(),
        };
        relative |= matches!(option, "relatime" | "noatime");
    }
    if relative { flags } else { flags | MountFlags::STRICTATIME }
}

/// The kernel writes space, tab, newline and backslash as `\040` and so on.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_keeps_the_flags_that_it_has() {
        let text = "30 24 0:26 / /sys/fs/cgroup rw,nosuid,noexec,relatime - cgroup2 cgroup2 rw\n\
                    31 24 0:27 / /mnt/a\\040b ro - ext4 /dev/sda rw\n";
        let mounts = mounts(text);
        let cgroup = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::RELATIME;
        assert_eq!(mounts[Path::new("/sys/fs/cgroup")], cgroup);
        assert_eq!(mounts[Path::new("/mnt/a b")], MountFlags::RDONLY | MountFlags::STRICTATIME);
    }
}
