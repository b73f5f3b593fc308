//! What of the file system a job sees: real paths without links in them, and the links that lead there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::super::{Bounds, Execute};

/// How many links a path may lead over, as the kernel has it.
const LINKS_MAX: usize = 40;
/// Of these the whole is taken, read-only: Landlock says what of it may be read.
const WHOLE: [&str; 1] = ["/etc"];

/// What is to be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::process::confine) struct Paths {
    /// What is mounted, parents first, and whether it may be written to.
    pub(super) mounts: BTreeMap<PathBuf, bool>,
    /// Links on the way there, with their targets.
    pub(super) links: BTreeMap<PathBuf, PathBuf>,
}

impl Paths {
    /// What these bounds name, as far as it is there.
    pub(in crate::process::confine) fn of(bounds: &Bounds) -> Self {
        let mut paths = Self::default();
        let mut found: BTreeMap<PathBuf, bool> = BTreeMap::new();
        for (path, writable) in named(bounds) {
            let Some(real) = paths.follow(path) else { continue };
            let whole = WHOLE.iter().map(PathBuf::from).find(|whole| !writable && real.starts_with(whole));
            *found.entry(whole.unwrap_or(real)).or_default() |= writable;
        }
        for (path, writable) in found {
            if paths.is_seen(&path, writable) {
                continue;
            }
            paths.mounts.insert(path, writable);
        }
        let seen: BTreeSet<PathBuf> = paths.mounts.keys().cloned().collect();
        paths.links.retain(|link, _| !seen.iter().any(|mount| link.starts_with(mount)));
        paths
    }

    /// Whether what lies above shows it already, as it is wanted.
    fn is_seen(&self, path: &Path, writable: bool) -> bool {
        self.above(path).is_some_and(|above| above || !writable)
    }

    fn above(&self, path: &Path) -> Option<bool> {
        path.ancestors().find_map(|above| self.mounts.get(above)).copied()
    }

    /// Whether it may be written to.
    pub(super) fn is_writable(&self, path: &Path) -> bool {
        self.above(path).unwrap_or(false)
    }

    /// The real path of what is there, with note of the links on the way.
    fn follow(&mut self, path: &Path) -> Option<PathBuf> {
        let mut rest: Vec<PathBuf> = parts(path);
        let (mut real, mut links) = (PathBuf::from("/"), 0);
        while let Some(part) = rest.pop() {
            if part == Path::new("..") {
                real.pop();
                continue;
            }
            real.push(part);
            if real.symlink_metadata().ok()?.is_symlink() {
                links += 1;
                if links > LINKS_MAX {
                    return None;
                }
                let target = real.read_link().ok()?;
                self.links.insert(real.clone(), target.clone());
                real.pop();
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                rest.extend(parts(&target));
            }
        }
        // All that there is would be no view; such a path is refused before a job is there.
        Some(real).filter(|real| real.parent().is_some())
    }
}

fn named(bounds: &Bounds) -> impl Iterator<Item = (&PathBuf, bool)> {
    let programs = match &bounds.execute {
        Execute::Only(programs) => programs.as_slice(),
        Execute::Readable => &[],
    };
    let read = bounds.read.iter().chain(programs).map(|path| (path, false));
    read.chain(bounds.write.iter().map(|path| (path, true)))
}

/// The parts of a path, the last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let is_part = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(is_part).map(|part| PathBuf::from(part.as_os_str())).rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_what_is_mounted_and_parents_show_what_is_below() {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().canonicalize().unwrap();
        for dir in ["real/own", "other"] {
            std::fs::create_dir_all(root.join(dir)).unwrap();
        }
        std::os::unix::fs::symlink("real", root.join("link")).unwrap();
        let bounds = Bounds {
            read: vec![root.join("link"), root.join("real/own"), root.join("missing")],
            write: vec![root.join("link/own")],
            ..Bounds::default()
        };
        let paths = Paths::of(&bounds);
        let mounts = BTreeMap::from([(root.join("real"), false), (root.join("real/own"), true)]);
        assert_eq!(paths.mounts, mounts);
        assert_eq!(paths.links, BTreeMap::from([(root.join("link"), PathBuf::from("real"))]));
        assert!(paths.is_writable(&root.join("real/own/x")) && !paths.is_writable(&root.join("real/x")));
        assert!(!paths.is_writable(&root.join("other")));
    }
}
