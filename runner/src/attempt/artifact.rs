//! Releases and artefacts by digest: fetched once, verified, kept in the cache.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use remit_proto::limit;
use remit_seal::document::{Class, Component, Job, Release, Root};
use remit_seal::verify::{self, Verified};
use remit_seal::{Digest, Refusal};
use sha2::{Digest as _, Sha256};

use crate::broker::connection::{self, Link};
use crate::broker::trust::View;
use crate::error::Coded;
use crate::storage::archive;
use crate::storage::data_dir::{self, DataDir, read_bounded, remove_file, write_atomic};

/// The largest signed release, in bytes: its cap of 256 KiB, in base64, with room for signatures.
const RELEASE_LEN_MAX: u64 = 512 * 1024;
/// How many packed bytes of artefacts are kept, beside those in use.
const CACHE_LEN_MAX: u64 = 2 << 30;

/// Why something is not here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The broker does not give it now or ever.
    #[error("cannot fetch {digest}")]
    Fetch {
        /// What.
        digest: Digest,
        /// Why.
        source: connection::Error,
    },
    /// What came is not what was asked for.
    #[error("what the broker sent for {digest} is something else")]
    Mismatch {
        /// What was asked for.
        digest: Digest,
    },
    /// It is larger than it may be.
    #[error("{digest} has more than {max} bytes")]
    TooLarge {
        /// What.
        digest: Digest,
        /// The bound.
        max: u64,
    },
    /// The release was not believed.
    #[error(transparent)]
    Release(#[from] Refusal),
    /// It was not unpacked.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// The disk said no.
    #[error("cannot keep {path}")]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// Whether the broker is only away.
    pub fn is_away(&self) -> bool {
        matches!(self, Error::Fetch { source, .. } if source.is_away())
    }
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Fetch { .. } => "runner.artifact_unavailable",
            Error::Mismatch { .. } => "runner.artifact_mismatch",
            Error::TooLarge { .. } => "runner.artifact_too_large",
            Error::Release(refusal) => refusal.code(),
            Error::Archive(error) => error.code(),
            Error::Io { .. } => "runner.artifact_io",
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::Fetch { .. } => {
                "check that the release's artefacts are at the broker: `remit release list`"
            }
            Error::Mismatch { .. } => "do not trust this broker until it is known why",
            Error::TooLarge { .. } => "make the component's source folder smaller",
            Error::Release(_) => "see docs/errors/seal.md",
            Error::Archive(error) => return error.hint(),
            Error::Io { .. } => "check the disk of the runner's data directory",
        }
        .to_owned()
    }
}

/// The cache in the data directory.
#[derive(Clone, Debug)]
pub struct Cache {
    releases: PathBuf,
    artifacts: PathBuf,
}

impl Cache {
    /// The cache in this data directory.
    pub fn new(dir: &DataDir) -> Self {
        Self { releases: dir.path("cache/releases"), artifacts: dir.path("cache/artifacts") }
    }

    /// The signed release that a job names, verified. Fetched again when it destroys and too few keys had
    /// signed what is here: another signature may have been added since.
    pub async fn release(&self, link: &Link, view: &View, job: &Job) -> Result<Verified<Release>, Error> {
        let digest = &job.release;
        let path = self.releases.join(format!("{}.json", digest.hex()));
        let io = |source| Error::Io { path: path.clone(), source };
        if let Some(bytes) = read_bounded(&path, RELEASE_LEN_MAX).map_err(io)?
            && let Ok(release) = believe(view, job, &bytes)
            && is_signed_enough(view.root.get(), job, &release)
        {
            return Ok(release);
        }
        let mut bytes = Vec::new();
        let mut too_large = false;
        link.fetch(digest, 0, |chunk| {
            bytes.extend_from_slice(chunk);
            too_large = bytes.len() as u64 > RELEASE_LEN_MAX;
            !too_large
        })
        .await
        .map_err(|source| Error::Fetch { digest: *digest, source })?;
        if too_large {
            return Err(Error::TooLarge { digest: *digest, max: RELEASE_LEN_MAX });
        }
        let release = believe(view, job, &bytes)?;
        write_atomic(&path, &bytes).map_err(io)?;
        Ok(release)
    }

    /// Unpacks a component's source into this directory, fetching it where it is not here.
    pub async fn unpack(&self, link: &Link, component: &Component, into: &Path) -> Result<(), Error> {
        let path = self.artifact(link, &component.digest, component.size).await?;
        let into = into.to_owned();
        let task = tokio::task::spawn_blocking(move || {
            let io = |source| Error::Io { path: path.clone(), source };
            data_dir::remove_dir(&into).map_err(io)?;
            data_dir::make_dir(&into).map_err(io)?;
            let file = File::open(&path).map_err(io)?;
            let size = file.metadata().map_err(io)?.len();
            archive::unpack(file, size, &into, archive::Limits::default())?;
            Ok(())
        });
        task.await.unwrap_or_else(|e| Err(self.io_error(io::Error::other(e))))
    }

    fn io_error(&self, source: io::Error) -> Error {
        Error::Io { path: self.artifacts.clone(), source }
    }

    /// The packed artefact, here and of the right digest.
    async fn artifact(&self, link: &Link, digest: &Digest, size: u64) -> Result<PathBuf, Error> {
        let path = self.artifacts.join(digest.hex());
        if hash_file(path.clone()).await.is_some_and(|found| found == *digest) {
            return Ok(path);
        }
        if size > limit::ARTIFACT_SIZE_MAX {
            return Err(Error::TooLarge { digest: *digest, max: limit::ARTIFACT_SIZE_MAX });
        }
        let io = |source| Error::Io { path: path.clone(), source };
        self.make_room(size, digest).map_err(io)?;
        let part = path.with_extension("part");
        fetch_into(link, digest, size, &part).await?;
        if hash_file(part.clone()).await.is_none_or(|found| found != *digest) {
            remove_file(&part).map_err(io)?;
            return Err(Error::Mismatch { digest: *digest });
        }
        std::fs::rename(&part, &path).map_err(io)?;
        Ok(path)
    }

    /// Drops the artefacts that were longest unused, so that the cache is bounded.
    fn make_room(&self, size: u64, keep: &Digest) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.artifacts)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            let used = meta.accessed().or_else(|_| meta.modified())?;
            files.push((used, meta.len(), entry.path()));
        }
        files.sort();
        let mut total: u64 = size + files.iter().map(|(_, len, _)| len).sum::<u64>();
        for (_, len, path) in files {
            if total <= CACHE_LEN_MAX {
                break;
            }
            if path.file_stem().is_some_and(|stem| *stem != *keep.hex()) {
                remove_file(&path)?;
                total -= len;
            }
        }
        Ok(())
    }
}

/// Bytes that came as the release that a job names, if they are that and the vendor's.
pub fn believe(view: &View, job: &Job, bytes: &[u8]) -> Result<Verified<Release>, Error> {
    let release = verify::kept_release(&view.root, bytes, view.now_ms)?;
    if release.digest() != job.release {
        return Err(Error::Mismatch { digest: job.release });
    }
    Ok(release)
}

fn is_signed_enough(root: &Root, job: &Job, release: &Verified<Release>) -> bool {
    let rule = root.destroy.as_ref();
    let need = rule.filter(|_| job.class == Class::Destroy).map_or(0, |rule| rule.threshold);
    release.signers() >= need as usize
}

/// Fetches into a file that may hold the beginning already.
async fn fetch_into(link: &Link, digest: &Digest, size: u64, part: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { path: part.to_owned(), source };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(part)
        .map_err(io)?;
    let mut offset = file.seek(SeekFrom::End(0)).map_err(io)?;
    if offset > size {
        file.set_len(0).map_err(io)?;
        offset = file.seek(SeekFrom::Start(0)).map_err(io)?;
    }
    let mut failed = None;
    let fetched = link
        .fetch(digest, offset, |chunk| {
            offset += chunk.len() as u64;
            if offset > size {
                return false;
            }
            failed = file.write_all(chunk).err();
            failed.is_none()
        })
        .await;
    if let Some(source) = failed {
        return Err(io(source));
    }
    fetched.map_err(|source| Error::Fetch { digest: *digest, source })?;
    file.sync_all().map_err(io)?;
    if offset != size {
        remove_file(part).map_err(io)?;
        return Err(Error::Mismatch { digest: *digest });
    }
    Ok(())
}

async fn hash_file(path: PathBuf) -> Option<Digest> {
    let hash = move || {
        let mut file = File::open(path).ok()?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut buffer).ok()?;
            if read == 0 {
                return Some(Digest::from_bytes(hasher.finalize().into()));
            }
            hasher.update(&buffer[..read]);
        }
    };
    tokio::task::spawn_blocking(hash).await.ok().flatten()
}
