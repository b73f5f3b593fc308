//! The disk after a crash: what was done to it is played again up to a point, and what a crash may lose
//! there is lost.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::storage::disk::Op;

thread_local! {
    pub(in crate::storage::disk) static NOTED: RefCell<Option<Vec<Op>>> = const { RefCell::new(None) };
}

/// In memory where there is such a place: thousands of images are written, and none needs a real disk.
pub(crate) fn fast_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Notes what this thread asks of the disk from now on.
pub(crate) fn begin() {
    NOTED.with_borrow_mut(|noted| *noted = Some(Vec::new()));
}

/// How much was asked by now.
pub(crate) fn count() -> usize {
    NOTED.with_borrow(|noted| noted.as_ref().map_or(0, Vec::len))
}

/// Stops noting and hands out what was noted.
pub(crate) fn end() -> Vec<Op> {
    NOTED.with_borrow_mut(Option::take).unwrap_or_default()
}

/// What a crash does to what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// All that was asked had reached the disk.
    Clean,
    /// Only so many bytes of the last write had.
    Torn(usize),
    /// Nothing had but what was synced: neither bytes nor names.
    Lost,
    /// Names had, bytes had not: files are there, empty or as they were at their last sync.
    Emptied,
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    synced: Vec<u8>,
}

/// A file system of names that lead to contents; both have a synced past.
#[derive(Default)]
struct Disk {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    synced: BTreeMap<PathBuf, usize>,
    /// Directories that were made, and whether their names are on disk; others were there before.
    dirs: BTreeMap<PathBuf, bool>,
}

impl Disk {
    fn file(&mut self, path: &Path) -> &mut Content {
        let next = self.contents.len();
        let at = *self.names.entry(path.to_owned()).or_insert(next);
        if at == next {
            self.contents.push(Content::default());
        }
        &mut self.contents[at]
    }

    fn play(&mut self, op: &Op) {
        match op {
            Op::MakeDir(path) => drop(self.dirs.insert(path.clone(), false)),
            Op::Create(path) => drop(self.file(path).now.len()),
            Op::Write(path, bytes) => self.file(path).now.extend_from_slice(bytes),
            Op::SetLen(path, len) => self.file(path).now.resize(usize::try_from(*len).unwrap(), 0),
            Op::Sync(path) => {
                let file = self.file(path);
                file.synced = file.now.clone();
            }
            Op::Rename(from, to) => {
                if let Some(at) = self.names.remove(from) {
                    self.names.insert(to.clone(), at);
                }
            }
            Op::Remove(path) => drop(self.names.remove(path)),
            Op::SyncDir(dir) => {
                let inside = |path: &PathBuf| path.parent() == Some(dir);
                self.synced.retain(|path, _| !inside(path));
                let names = self.names.iter().filter(|(path, _)| inside(path));
                self.synced.extend(names.map(|(path, at)| (path.clone(), *at)));
                let dirs = self.dirs.iter_mut().filter(|(path, _)| inside(path));
                dirs.for_each(|(_, is_synced)| *is_synced = true);
            }
        }
    }

    fn after(&self, crash: Crash) -> BTreeMap<&PathBuf, &Vec<u8>> {
        let names = if crash == Crash::Lost { &self.synced } else { &self.names };
        let bytes = |at: usize| match crash {
            Crash::Lost | Crash::Emptied => &self.contents[at].synced,
            Crash::Clean | Crash::Torn(_) => &self.contents[at].now,
        };
        let is_reached = |path: &Path| crash != Crash::Lost || self.is_reached(path);
        let names = names.iter().filter(|(path, _)| is_reached(path));
        names.map(|(path, at)| (path, bytes(*at))).collect()
    }

    /// Whether every directory on the way to a file is on disk.
    fn is_reached(&self, path: &Path) -> bool {
        path.ancestors().all(|at| self.dirs.get(at).is_none_or(|is_synced| *is_synced))
    }
}

/// Each crash that may come right after `ops[..n]`: torn at every byte where the last is a write.
pub(crate) fn crashes(ops: &[Op], n: usize) -> Vec<Crash> {
    let mut all = vec![Crash::Clean, Crash::Lost, Crash::Emptied];
    if let Some(Op::Write(_, bytes)) = n.checked_sub(1).map(|last| &ops[last]) {
        all.extend((0..bytes.len()).map(Crash::Torn));
    }
    all
}

/// Writes the files of `from` as they would be after that crash into `to`.
pub(crate) fn image(ops: &[Op], n: usize, crash: Crash, (from, to): (&Path, &Path)) {
    let mut disk = Disk::default();
    for (i, op) in ops[..n].iter().enumerate() {
        match (op, crash) {
            (Op::Write(path, bytes), Crash::Torn(len)) if i + 1 == n => {
                disk.play(&Op::Write(path.clone(), bytes[..len].to_vec()));
            }
            _ => disk.play(op),
        }
    }
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for (path, bytes) in disk.after(crash) {
        let path = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// What a run of crashes went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gone {
    /// Moments between two operations, and before the first and after the last.
    pub(crate) points: usize,
    /// Disks that were built: clean, torn at each byte, lost, and emptied, at each of them.
    pub(crate) images: usize,
}

/// Crashes at every moment in every way, and looks at what is left each time.
pub(crate) fn everywhere(ops: &[Op], dirs: (&Path, &Path), mut look: impl FnMut(usize, Crash)) -> Gone {
    let mut gone = Gone::default();
    for n in 0..=ops.len() {
        gone.points += 1;
        for how in crashes(ops, n) {
            image(ops, n, how, dirs);
            look(n, how);
            gone.images += 1;
        }
    }
    gone
}

/// Says how much was gone through, for whoever counts.
pub(crate) fn say(what: &str, gone: Gone) {
    let Gone { points, images } = gone;
    println!("{what}: {points} crash points x clean, torn at each byte, lost, emptied: {images} disks");
}
