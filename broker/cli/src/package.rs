//! Packs a component's folder: the same content always gives the same bytes and the same digest.
//!
//! Tar + zstd, sorted by path, no times, no owners, no permissions but the executable bit.
//! What a runner would refuse to unpack is refused here, before it is signed.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use remit_broker::api::wire::UPLOAD_SIZE_MAX;
use remit_seal::Digest;
use remit_seal::archive::{ENTRIES_MAX, PATH_LEN_MAX, RATIO_FREE_LEN, RATIO_MAX, UNPACKED_LEN_MAX};
use remit_seal::kind::ComponentKind;

use crate::failure::{Exit, Failure};

/// How hard to pack. A part of what makes the bytes the same: never change it lightly.
const ZSTD_LEVEL: i32 = 9;
/// Names that are never packed, beside what tools leave: other programs' state, and keys.
const SKIPPED: [&str; 3] = [".git", ".remit", ".DS_Store"];

/// A packed folder.
#[derive(Clone)]
pub struct Package {
    /// Tar + zstd.
    pub bytes: Vec<u8>,
    /// sha256 of the bytes.
    pub digest: Digest,
    /// How many files are in it.
    pub files: usize,
    /// How many bytes they have.
    pub unpacked_len: u64,
}

/// Why a folder cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A link leads out of what is signed.
    #[error("{0} is a symbolic link")]
    Link(PathBuf),
    /// A device, a socket, a pipe.
    #[error("{0} is neither a file nor a folder")]
    Special(PathBuf),
    /// A name that not every system can hold.
    #[error("the path {0:?} is not UTF-8, too long, or holds control characters")]
    Path(PathBuf),
    /// Too much of something.
    #[error("the folder has more than {0}")]
    TooLarge(String),
    /// Too little in too much: what a runner takes for a bomb.
    #[error("the folder's content is more than {RATIO_MAX} times as large as its package")]
    Ratio,
    /// Nothing to pack.
    #[error("the folder {0} holds no file")]
    Empty(PathBuf),
    /// The disk said no.
    #[error("cannot read {path}: {source}")]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Link(_) => "package.link",
            Error::Special(_) => "package.special",
            Error::Path(_) => "package.path",
            Error::TooLarge(_) => "package.too_large",
            Error::Ratio => "package.ratio",
            Error::Empty(_) => "package.empty",
            Error::Io { .. } => "package.io",
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Error::Link(_) => "put the file itself there: a package holds no links",
            Error::Special(_) => "take it out of the component's folder",
            Error::Path(_) => "rename it",
            Error::TooLarge(_) => "keep large things out of the component; fetch them where they are needed",
            Error::Ratio => "take the large empty files out of the component's folder",
            Error::Empty(_) => "put the component's files there",
            Error::Io { .. } => "check the permissions of the folder",
        }
    }

    /// As it is shown, with the component's name.
    pub fn into_failure(self, component: &str) -> Failure {
        let exit = if matches!(self, Error::Io { .. }) { Exit::Local } else { Exit::Usage };
        Failure::new(exit, self.code(), format!("component `{component}`: {self}"), self.hint())
    }
}

/// Packs a folder.
pub fn pack(folder: &Path) -> Result<Package, Error> {
    let entries = collect(folder)?;
    let files = entries.iter().filter(|e| !e.is_dir).count();
    if files == 0 {
        return Err(Error::Empty(folder.to_owned()));
    }
    let mut unpacked_len = 0;
    let encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(|e| unreadable(folder, e))?;
    let mut tar = tar::Builder::new(encoder);
    for entry in &entries {
        unpacked_len += append(&mut tar, folder, entry, UNPACKED_LEN_MAX - unpacked_len)?;
    }
    let finish = || -> io::Result<Vec<u8>> {
        let mut encoder = tar.into_inner()?;
        encoder.flush()?;
        encoder.finish()
    };
    let bytes = finish().map_err(|e| unreadable(folder, e))?;
    let packed_len = bytes.len() as u64;
    if packed_len > UPLOAD_SIZE_MAX {
        return Err(Error::TooLarge(format!("{} MiB when packed", UPLOAD_SIZE_MAX >> 20)));
    }
    if unpacked_len > RATIO_FREE_LEN && unpacked_len > packed_len * RATIO_MAX {
        return Err(Error::Ratio);
    }
    Ok(Package { digest: Digest::of(&bytes), bytes, files, unpacked_len })
}

/// One thing to pack, by its path below the folder.
struct Entry {
    path: String,
    is_dir: bool,
    is_executable: bool,
}

/// The paths of the files of a folder that are packed, sorted.
pub(crate) fn files(folder: &Path) -> Result<Vec<String>, Error> {
    Ok(collect(folder)?.into_iter().filter(|entry| !entry.is_dir).map(|entry| entry.path).collect())
}

/// Everything below the folder, sorted by path.
fn collect(folder: &Path) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut left = vec![String::new()];
    while let Some(below) = left.pop() {
        let dir = folder.join(&below);
        for found in std::fs::read_dir(&dir).map_err(|e| unreadable(&dir, e))? {
            let found = found.map_err(|e| unreadable(&dir, e))?;
            let Some(entry) = look(&below, &found)? else { continue };
            if entry.is_dir {
                left.push(entry.path.clone());
            }
            entries.push(entry);
            if entries.len() > ENTRIES_MAX {
                return Err(Error::TooLarge(format!("{ENTRIES_MAX} entries")));
            }
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn look(below: &str, found: &std::fs::DirEntry) -> Result<Option<Entry>, Error> {
    let name = found.file_name().into_string().map_err(|_| Error::Path(found.path()))?;
    if is_skipped(&name) {
        return Ok(None);
    }
    let path = if below.is_empty() { name } else { format!("{below}/{name}") };
    if path.len() > PATH_LEN_MAX || path.chars().any(char::is_control) {
        return Err(Error::Path(found.path()));
    }
    // Of the entry itself: links are not followed.
    let metadata = found.metadata().map_err(|e| unreadable(&found.path(), e))?;
    if metadata.is_symlink() {
        return Err(Error::Link(found.path()));
    }
    if !metadata.is_dir() && !metadata.is_file() {
        return Err(Error::Special(found.path()));
    }
    Ok(Some(Entry { path, is_dir: metadata.is_dir(), is_executable: is_executable(&metadata) }))
}

/// What tools of every kind leave in a source's folder, as `Traits::leftovers` writes it.
pub(crate) fn leftovers() -> impl Iterator<Item = &'static str> {
    ComponentKind::ALL.into_iter().flat_map(|kind| kind.traits().leftovers).copied()
}

/// Whether a name is never packed.
pub(crate) fn is_skipped(name: &str) -> bool {
    SKIPPED.contains(&name) || leftovers().any(|pattern| fits(pattern, name))
}

/// Whether a name fits a pattern, in which a `*` at the beginning or the end stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (None, None) => name == pattern,
        (Some(end), None) => name.ends_with(end),
        (None, Some(beginning)) => name.starts_with(beginning),
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
    }
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o100 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    false
}

/// Adds one entry; gives the size of its content.
fn append<W: io::Write>(
    tar: &mut tar::Builder<W>,
    folder: &Path,
    entry: &Entry,
    left: u64,
) -> Result<u64, Error> {
    let path = folder.join(&entry.path);
    let content = if entry.is_dir { Vec::new() } else { read(&path, left)? };
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(if entry.is_dir { tar::EntryType::Directory } else { tar::EntryType::Regular });
    header.set_mode(if entry.is_dir || entry.is_executable { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, &entry.path, content.as_slice()).map_err(|e| unreadable(&path, e))?;
    Ok(content.len() as u64)
}

/// A whole file, so that one that grows meanwhile cannot make a broken package.
fn read(path: &Path, left: u64) -> Result<Vec<u8>, Error> {
    use io::Read as _;
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| unreadable(path, e))?;
    file.take(left + 1).read_to_end(&mut content).map_err(|e| unreadable(path, e))?;
    if content.len() as u64 > left {
        return Err(Error::TooLarge(format!("{} MiB of content", UNPACKED_LEN_MAX >> 20)));
    }
    Ok(content)
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn write(dir: &Path, path: &str, content: &str) {
        let file = dir.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    fn names(package: &Package) -> Vec<String> {
        let mut tar = tar::Archive::new(zstd::Decoder::new(package.bytes.as_slice()).unwrap());
        tar.entries()
            .unwrap()
            .map(|e| {
                let e = e.unwrap();
                assert_eq!((e.header().mtime().unwrap(), e.header().uid().unwrap()), (0, 0));
                format!("{} {:o}", e.path().unwrap().display(), e.header().mode().unwrap())
            })
            .collect()
    }

    #[test]
    fn the_same_content_gives_the_same_digest() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (dir, order) in [(&a, [0, 1, 2]), (&b, [2, 0, 1])] {
            let files = [("main.tf", "x"), ("modules/deep/a.tf", "y"), ("run.sh", "z")];
            for i in order {
                write(dir.path(), files[i].0, files[i].1);
            }
            let run = dir.path().join("run.sh");
            std::fs::set_permissions(run, std::fs::Permissions::from_mode(0o750)).unwrap();
        }
        std::fs::File::open(a.path().join("main.tf"))
            .unwrap()
            .set_modified(std::time::SystemTime::UNIX_EPOCH)
            .unwrap();
        let (first, second) = (pack(a.path()).unwrap(), pack(b.path()).unwrap());
        assert_eq!(first.digest, second.digest);
        assert_eq!(
            names(&first),
            ["main.tf 644", "modules 755", "modules/deep 755", "modules/deep/a.tf 644", "run.sh 755"]
        );
        write(b.path(), "main.tf", "changed");
        assert_ne!(first.digest, pack(b.path()).unwrap().digest);
    }

    #[test]
    fn state_and_keys_of_others_stay_out() {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "main.tf",
            ".terraform/providers/x",
            ".terraform.lock.hcl",
            "terraform.tfstate",
            "terraform.tfstate.backup",
            ".terraform.tfstate.lock.info",
            ".git/config",
            ".remit/keys/root.pem",
        ] {
            write(dir.path(), path, "x");
        }
        assert_eq!(names(&pack(dir.path()).unwrap()), [".terraform.lock.hcl 644", "main.tf 644"]);
    }

    #[test]
    fn what_a_runner_would_refuse_is_refused() {
        let check = |make: &dyn Fn(&Path), want: &str| {
            let dir = tempfile::tempdir().unwrap();
            make(dir.path());
            assert_eq!(pack(dir.path()).err().map(|e| e.code()), Some(want));
        };
        check(&|_| {}, "package.empty");
        check(&|d| std::fs::create_dir(d.join("only")).unwrap(), "package.empty");
        check(&|d| symlink("/etc/passwd", d.join("link")).unwrap(), "package.link");
        check(&|d| write(d, "zeros", &"\0".repeat(4 << 20)), "package.ratio");
        check(&|d| write(d, &format!("{0}/{0}/{0}", "n".repeat(200)), ""), "package.path");
        check(
            &|d| drop(std::os::unix::net::UnixListener::bind(d.join("socket")).unwrap()),
            "package.special",
        );
        let gone = tempfile::tempdir().unwrap().path().join("gone");
        assert_eq!(pack(&gone).err().map(|e| e.code()), Some("package.io"));
    }
}
