//! Backups of a broker with the embedded store: taken while it runs, checked, and set back.
//!
//! A backup is a directory: the database as it was at one moment, the artefacts and logs that it names, the
//! broker's keys, and `backup.json`, which says what is in it. The database of several brokers is
//! backed up with PostgreSQL's own tools.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audit;
use crate::engine::{ReplayError, Replayed, replay};
use crate::store::{SqliteStore, StoreError, sqlite};

/// What a broker that was set back finds and takes out at its next start.
pub(crate) const RESTORED: (&str, &str) = ("system", "restored");

const MANIFEST: &str = "backup.json";
const DATABASE: &str = "broker.db";
/// Everything else that is copied, if it is there.
const BESIDE: [&str; 7] =
    ["objects", "ca.key", "ca.pem", "dispatch.key", "dispatch.next.key", "operator.token", "webhooks.key"];
const FORMAT: u32 = 1;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The format of the backup.
    pub format: u32,
    /// When it was taken.
    pub taken: Timestamp,
    /// The program that took it.
    pub version: String,
    /// sha256 of the database, hexadecimal.
    pub database_sha256: String,
    /// How many events its log has.
    pub events: u64,
    /// How many objects it holds.
    pub objects: u64,
}

/// What can go wrong with a backup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot use {path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something in the place already.
    #[error("{path} is there already; give another place, or move it away first", path = path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log and the states do not agree.
    #[error("the backup is not whole: {0}")]
    Replay(#[from] ReplayError),
    /// The audit log, or what it says of the log of events.
    #[error("the backup is not whole: {0}")]
    Audit(#[from] audit::Damaged),
    /// The backup is not what it says it is.
    #[error("the backup is not whole: {0}")]
    Damaged(String),
}

impl Error {
    /// The stable code, with a section in `docs/errors/`.
    pub fn code(&self) -> &'static str {
        match self {
            Error::File { .. } => "backup.file",
            Error::Exists { .. } => "backup.exists",
            Error::Store(error) => error.code(),
            Error::Audit(audit::Damaged::Broken(broken)) => broken.code(),
            Error::Replay(_) | Error::Audit(_) | Error::Damaged(_) => "backup.damaged",
        }
    }
}

/// Backs a data directory up, while a broker may be at work in it; checks what it has written.
pub fn take(data: &Path, to: &Path) -> Result<Manifest, Error> {
    make_new(to)?;
    let database = to.join(DATABASE);
    // The database first: what it names of artefacts and logs is on disk before it.
    sqlite::copy(&data.join(DATABASE), &database)?;
    for name in BESIDE {
        copy(&data.join(name), &to.join(name))?;
    }
    let Replayed { events, objects } = examine(&database)?;
    let manifest = Manifest {
        format: FORMAT,
        taken: Timestamp::now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        database_sha256: digest(&database)?,
        events,
        objects,
    };
    let path = to.join(MANIFEST);
    let text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::Damaged(e.to_string()))?;
    fs::write(&path, text).and_then(|()| sync(&path)).map_err(file(&path))?;
    sync(to).map_err(file(to))?;
    Ok(manifest)
}

/// Checks a backup: the database's digest, its pages, and that its log gives its states.
pub fn check(backup: &Path) -> Result<Manifest, Error> {
    let path = backup.join(MANIFEST);
    let text = fs::read(&path).map_err(file(&path))?;
    let damaged = |error: serde_json::Error| Error::Damaged(format!("{}: {error}", path.display()));
    let manifest: Manifest = serde_json::from_slice(&text).map_err(damaged)?;
    if manifest.format != FORMAT {
        let words = format!("its format is {}, this program knows {FORMAT}", manifest.format);
        return Err(Error::Damaged(words));
    }
    let database = backup.join(DATABASE);
    let found = digest(&database)?;
    if found != manifest.database_sha256 {
        return Err(Error::Damaged(format!("the database's digest is {found}, the manifest says otherwise")));
    }
    let Replayed { events, objects } = examine(&database)?;
    if (events, objects) != (manifest.events, manifest.objects) {
        return Err(Error::Damaged(format!("{events} events of {objects} objects are in it")));
    }
    Ok(manifest)
}

/// Makes a data directory from a backup. At its next start the broker asks each runner how far it had got.
pub fn restore(backup: &Path, data: &Path) -> Result<Manifest, Error> {
    let manifest = check(backup)?;
    make_new(data)?;
    for name in BESIDE {
        copy(&backup.join(name), &data.join(name))?;
    }
    // The database last: without it the directory is no broker's.
    let partial = data.join("broker.db.partial");
    copy(&backup.join(DATABASE), &partial)?;
    let mut store = SqliteStore::open(&partial)?;
    let mut tx = store.begin()?;
    tx.put_record(RESTORED.0, RESTORED.1, manifest.taken.to_string().as_bytes(), false)?;
    tx.commit()?;
    drop(store);
    sqlite::rename(&partial, &data.join(DATABASE))?;
    sync(data).map_err(file(data))?;
    Ok(manifest)
}

/// The pages of a database, its log against its states, and its audit log against both.
fn examine(database: &Path) -> Result<Replayed, Error> {
    let reader = sqlite::open_copy(database)?;
    let replayed = replay(&*reader)?;
    audit::look_through(&*reader, None)?;
    Ok(replayed)
}

/// A directory that is this broker's alone, and is new or empty.
fn make_new(path: &Path) -> Result<(), Error> {
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::Exists { path: path.to_owned() });
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file(path))?;
    // It may have been there, with looser rights; keys are about to lie in it.
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(file(path))
}

/// Copies a file or a directory with all in it, if it is there, and waits until it is on disk.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let found = match fs::symlink_metadata(from) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(file(from)(error)),
    };
    if found.is_dir() {
        fs::create_dir_all(to).map_err(file(to))?;
        for entry in fs::read_dir(from).map_err(file(from))? {
            let entry = entry.map_err(file(from))?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else if found.is_file() {
        // With its time: that of a dispatch key says how old it is.
        let copied = fs::copy(from, to).and_then(|_| File::open(to)?.set_modified(found.modified()?));
        match copied {
            Ok(()) => {}
            // A log's last chunk may have been put in place anew since the directory was read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(file(from)(error)),
        }
    }
    sync(to).map_err(file(to))
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn digest(path: &Path) -> Result<String, Error> {
    let mut hasher = Sha256::new();
    let mut opened = File::open(path).map_err(file(path))?;
    io::copy(&mut opened, &mut hasher).map_err(file(path))?;
    Ok(hex::encode(hasher.finalize()))
}

fn file(path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use remit_loops::{Actor, Body, Signal, org};

    use super::*;
    use crate::engine::{Engine, Options, Submission};

    async fn send(engine: &Engine, n: usize) {
        let signal = if n == 0 { org::Signal::Create {} } else { org::Signal::Resume {} };
        let (to, by) = ("org_a".parse().unwrap(), Actor::Person("ann".into()));
        let body = Body::Signal(Signal::Org(signal));
        engine.submit(Submission { to, by, key: Some(format!("k{n}")), body }).await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_backup_of_a_busy_broker_is_whole_and_can_be_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let (data, backup, other) = (dir.path().join("data"), dir.path().join("b"), dir.path().join("o"));
        fs::create_dir_all(data.join("objects/logs")).unwrap();
        fs::write(data.join("objects/logs/one"), b"words").unwrap();
        fs::write(data.join("ca.key"), b"secret").unwrap();
        fs::write(data.join("dispatch.next.key"), b"secret too").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        File::open(data.join("dispatch.next.key")).unwrap().set_modified(long_ago).unwrap();
        let engine = Engine::start(SqliteStore::open(&data.join(DATABASE)).unwrap(), Options::default());
        let engine = engine.unwrap();
        send(&engine, 0).await;
        let busy = tokio::spawn({
            let engine = engine.clone();
            async move {
                for n in 1..2_000 {
                    send(&engine, n).await;
                }
            }
        });
        let (from, to) = (data.clone(), backup.clone());
        let taken = tokio::task::spawn_blocking(move || take(&from, &to)).await.unwrap().unwrap();
        busy.await.unwrap();
        engine.stop().await;
        assert_eq!(check(&backup).unwrap(), taken);
        assert!(taken.events >= 1 && taken.events <= 2_000, "{taken:?}");
        assert_eq!(restore(&backup, &other).unwrap(), taken);
        assert_eq!(fs::read(other.join("objects/logs/one")).unwrap(), b"words");
        let next = fs::metadata(other.join("dispatch.next.key")).unwrap();
        assert_eq!(next.modified().unwrap(), long_ago, "a key is as old as it was");
        assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o700);
        let reader = sqlite::open_copy(&other.join(DATABASE)).unwrap();
        assert!(reader.record(RESTORED.0, RESTORED.1).unwrap().is_some());
        assert_eq!(restore(&backup, &other).unwrap_err().code(), "backup.exists");
    }

    #[test]
    fn a_damaged_backup_is_not_set_back() {
        let dir = tempfile::tempdir().unwrap();
        let (data, backup, other) = (dir.path().join("data"), dir.path().join("b"), dir.path().join("o"));
        fs::create_dir(&data).unwrap();
        drop(SqliteStore::open(&data.join(DATABASE)).unwrap());
        take(&data, &backup).unwrap();
        let mut bytes = fs::read(backup.join(DATABASE)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(backup.join(DATABASE), bytes).unwrap();
        assert_eq!(restore(&backup, &other).unwrap_err().code(), "backup.damaged");
        assert!(!other.exists(), "nothing was begun");
        assert_eq!(check(&data).unwrap_err().code(), "backup.file", "no backup at all");
    }
}
