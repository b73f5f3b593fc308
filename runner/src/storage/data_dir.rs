//! The runner's directory: who may use it, where things lie, and writing that survives a crash.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::error::Coded;
use crate::storage::disk::{self, DurableFile};

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another runner has it.
    #[error("another runner uses the data directory {0}")]
    Locked(PathBuf),
    /// The file system said no.
    #[error("cannot use {path} in the data directory")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Locked(_) => "runner.data_dir_locked",
            Error::Io { .. } => "runner.data_dir_io",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Locked(path) => {
                format!(
                    "stop the other runner, or give this one its own --data-dir; {} is held by it",
                    path.display()
                )
            }
            Error::Io { path, .. } => {
                format!(
                    "check that {} is writable by this user and that its disk is not full",
                    path.display()
                )
            }
        }
    }
}

/// The directory, held by this process alone.
///
/// ```text
/// lock                 held (flock) by the one runner that uses this directory
/// id                   random: tells this directory's processes from another's; no secret
/// secret         0600  random: goes into the digests of plans and of what drifted; never in an environment
/// identity.json  0600  certificate, key, generation, the vendor's root
/// pending-key.pem 0600 a key that was sent for enrolment and not answered yet
/// paused               present while the customer has paused the runner
/// halted               present while the customer has halted it
/// channel              the channel of releases that the customer pinned
/// approvals/           what the customer approved or denied, signed
/// questions/           what the policy was asked: the newest 512
/// status.addr          where the status API listens
/// status.token   0600  what it asks for; metrics.token 0600: the same, for /metrics alone
/// journal/             000001.log and on (append-only, hash-chained), NNNNNN.checkpoint.json,
///                      ballast (space for endings), key.pem 0600 (signs checkpoints)
/// locks/               COMPONENT.json: the last holder and its fence
/// outputs/       0600  COMPONENT.json: outputs of the real world, sensitive ones among them
/// rehearsal/           the same, and what rehearsals pretend to have made
/// terraform/           COMPONENT.tfstate: terraform's state with the newest fence, where it is kept in files;
///                      COMPONENT.unsent: one that the bucket has not taken yet; COMPONENT.seen.json: which one
///                      was seen last; COMPONENT.moved-to: where one of here went
/// state/COMPONENT/     terraform's providers; what scripts keep
/// plans/               REALM/COMPONENT/: plans that wait to be carried out, with their digests
/// cache/               releases and artefacts by digest
/// work/COMPONENT/      the attempt in hand: unpacked source, private temp
/// logs/                JOB.ATTEMPT.log: spooled until the broker has it all
/// ```
pub struct DataDir {
    root: PathBuf,
    id: String,
    secret: String,
    _lock: File,
}

impl std::fmt::Debug for DataDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataDir").field("root", &self.root).finish_non_exhaustive()
    }
}

const FOLDERS: [&str; 12] = [
    "journal",
    "locks",
    "outputs",
    "rehearsal",
    "state",
    "terraform",
    "plans/real",
    "plans/rehearsal",
    "cache/releases",
    "cache/artifacts",
    "work",
    "logs",
];

impl DataDir {
    /// Makes what is missing and takes the lock.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        make_dir(root).map_err(io(root))?;
        let root = root.canonicalize().map_err(io(root))?;
        let path = root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(io(&path))?;
        match rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Locked(root)),
            Err(errno) => return Err(Error::Io { path, source: errno.into() }),
        }
        for folder in FOLDERS {
            let path = root.join(folder);
            make_dir(&path).map_err(io(&path))?;
        }
        // A folder that a power cut takes away takes all with it that was synced in it. Each time: the start
        // that made it may have ended before it got here.
        for path in [&root].into_iter().cloned().chain(FOLDERS.map(|folder| root.join(folder))) {
            disk::sync_parent(&path).map_err(io(&path))?;
        }
        let path = root.join("id");
        let id = establish_random(&path).map_err(io(&path))?;
        let path = root.join("secret");
        let secret = establish_random(&path).map_err(io(&path))?;
        Ok(Self { root, id, secret, _lock: lock })
    }

    /// What tells this directory from every other, as long as it lives.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What nobody but this runner knows: who sees a digest that it went into cannot try out what it is of.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// A random text in a file of this name that only this user may read; made once.
    pub fn token(&self, name: &str) -> Result<String, Error> {
        let path = self.root.join(name);
        establish_random(&path).map_err(|source| Error::Io { path, source })
    }

    /// The directory itself, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in it.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }
}

fn establish_random(path: &Path) -> io::Result<String> {
    if let Some(bytes) = read_bounded(path, 64)? {
        return String::from_utf8(bytes).map_err(io::Error::other);
    }
    let mut random = [0u8; 16];
    getrandom::fill(&mut random).map_err(|e| io::Error::other(e.to_string()))?;
    let id = hex::encode(random);
    write_atomic(path, id.as_bytes())?;
    Ok(id)
}

/// Makes a directory that only this user may enter, and its parents.
pub fn make_dir(path: &Path) -> io::Result<()> {
    disk::make_dir(path)
}

/// Removes a directory and all in it; one that is not there is no error.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes a file; one that is not there is no error.
pub fn remove_file(path: &Path) -> io::Result<()> {
    disk::remove(path)
}

/// Replaces a file whole: after a crash it holds the old bytes or the new ones. Mode 0600.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let mut file = DurableFile::create(&new)?;
    let written = file.write(bytes).and_then(|()| file.sync());
    if let Err(error) = written {
        let _ = disk::remove(&new);
        return Err(error);
    }
    disk::rename(&new, path)?;
    disk::sync_parent(path)
}

/// Reads a file of at most `max` bytes; `None` when it is not there.
pub fn read_bounded(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    bounded(file, path, max).map(Some)
}

/// Reads a file where a job may write: never what a link leads to, which the job itself may not read, and
/// never one that waits for somebody to write.
pub fn read_left(path: &Path, max: u64) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !file.metadata()?.is_file() {
        let message = format!("{} is not a regular file", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    bounded(file, path, max).map(Some)
}

fn bounded(file: File, path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, max + 1), &mut bytes)?;
    if bytes.len() as u64 > max {
        let message = format!("{} is greater than {max} bytes", path.display());
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// Whether a name may be a part of a path: what an id or a component is made of.
pub fn is_safe_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && !name.contains("..")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_runner_is_kept_out() {
        let temp = tempfile::tempdir().unwrap();
        let first = DataDir::open(temp.path()).unwrap();
        let error = DataDir::open(temp.path()).unwrap_err();
        assert_eq!(error.code(), "runner.data_dir_locked");
        drop(first);
        DataDir::open(temp.path()).unwrap();
    }

    #[test]
    fn the_secret_is_none_of_what_jobs_are_told() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let first = DataDir::open(temp.path()).unwrap();
        let secret = first.secret().to_owned();
        assert_ne!(secret, first.id());
        let mode = fs::metadata(first.path("secret")).unwrap().permissions().mode();
        assert_eq!((secret.len(), mode & 0o777), (32, 0o600));
        drop(first);
        assert_eq!(DataDir::open(temp.path()).unwrap().secret(), secret);
    }

    #[test]
    fn names_that_climb_are_not_safe() {
        for bad in ["", "..", "a/../b", ".hidden", "a/b", "a..b", "ä"] {
            assert!(!is_safe_name(bad), "{bad}");
        }
        assert!(is_safe_name("job_demo.shop.acme.network.e1.o7"));
    }

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(read_bounded(&path, 2).is_err());
    }
}
