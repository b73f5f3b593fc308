//! Artefacts and signed releases: bytes by digest, each org's apart from every other's.
//!
//! An artefact is there whole, with the digest it is named by, or not at all. It is never
//! changed; what is given back is checked again by the runner that fetches it.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, PutPayload, WriteMultipart};
use remit_seal::Digest;
use sha2::{Digest as _, Sha256};

use crate::api::wire::UPLOAD_SIZE_MAX;
use remit_proto::limit::ARTIFACT_CHUNK_SIZE_MAX;

/// How much is written at once.
const PART_SIZE: usize = 5 * 1024 * 1024;
/// How many parts may be on their way to the store.
const PARTS_MAX: usize = 2;

/// What can go wrong with an artefact.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The bytes are not those of the digest.
    #[error("the bytes have digest {got}, not {want}")]
    DigestMismatch {
        /// What they were said to have.
        want: Digest,
        /// What they have.
        got: Digest,
    },
    /// Too many bytes.
    #[error("an artefact has at most {UPLOAD_SIZE_MAX} bytes")]
    TooLarge,
    /// The sender broke off.
    #[error("the bytes broke off: {0}")]
    BrokenOff(String),
    /// There is none.
    #[error("there is no artefact {0}")]
    NotFound(Digest),
    /// The offset is beyond the end.
    #[error("offset {offset} is beyond the end of {digest}, which has {size} bytes")]
    Offset {
        /// Of what.
        digest: Digest,
        /// What was asked for.
        offset: u64,
        /// How many bytes there are.
        size: u64,
    },
    /// The store failed.
    #[error("the artefact store failed: {0}")]
    Store(#[from] object_store::Error),
}

impl Error {
    /// The stable code, with a section in `docs/errors/artifact.md`.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Error::DigestMismatch { .. } => "artifact.digest_mismatch",
            Error::TooLarge => "artifact.too_large",
            Error::BrokenOff(_) => "artifact.broken_off",
            Error::NotFound(_) => "artifact.not_found",
            Error::Offset { .. } => "artifact.offset",
            Error::Store(_) => "artifact.store_failed",
        }
    }
}

/// Which drawer of an org's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drawer {
    /// Packaged sources, by the digest of their bytes.
    Artifacts,
    /// Signed releases, by the digest of their payload.
    Releases,
}

/// Bytes by digest.
#[derive(Clone, Debug)]
pub(crate) struct Artifacts {
    store: Arc<dyn ObjectStore>,
}

impl Artifacts {
    /// Kept in this store.
    pub(crate) fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// Takes an artefact in; answers whether it is new here.
    pub(crate) async fn put<S, E>(&self, org: &str, digest: &Digest, bytes: S) -> Result<bool, Error>
    where
        S: Stream<Item = Result<Bytes, E>>,
        E: std::fmt::Display,
    {
        let path = path(Drawer::Artifacts, org, digest);
        let upload = self.store.put_multipart(&path).await?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_SIZE);
        match copy(&mut writer, digest, bytes).await {
            Ok(()) => {
                let is_new = self.size(Drawer::Artifacts, org, digest).await?.is_none();
                writer.finish().await?;
                Ok(is_new)
            }
            Err(error) => {
                // The error at hand is worth more than one of the clearing up.
                if let Err(abort) = writer.abort().await {
                    tracing::warn!(%abort, "cannot clear a broken artefact away");
                }
                Err(error)
            }
        }
    }

    /// Takes a verified, signed release in, under the digest of its payload.
    pub(crate) async fn put_release(&self, org: &str, digest: &Digest, signed: Bytes) -> Result<(), Error> {
        let path = path(Drawer::Releases, org, digest);
        self.store.put(&path, PutPayload::from_bytes(signed)).await?;
        Ok(())
    }

    /// How many bytes there are; `None` where there is no such artefact.
    pub(crate) async fn size(
        &self,
        drawer: Drawer,
        org: &str,
        digest: &Digest,
    ) -> Result<Option<u64>, Error> {
        match self.store.head(&path(drawer, org, digest)).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// At most `ARTIFACT_CHUNK_SIZE_MAX` bytes from an offset of `size` in all; empty at the end.
    pub(crate) async fn chunk(
        &self,
        drawer: Drawer,
        org: &str,
        digest: &Digest,
        (offset, size): (u64, u64),
    ) -> Result<Bytes, Error> {
        if offset > size {
            return Err(Error::Offset { digest: *digest, offset, size });
        }
        if offset == size {
            return Ok(Bytes::new());
        }
        let end = size.min(offset + ARTIFACT_CHUNK_SIZE_MAX as u64);
        Ok(self.store.get_range(&path(drawer, org, digest), offset..end).await?)
    }

    /// A whole signed release.
    pub(crate) async fn release(&self, org: &str, digest: &Digest) -> Result<Bytes, Error> {
        match self.store.get(&path(Drawer::Releases, org, digest)).await {
            Ok(found) => Ok(found.bytes().await?),
            Err(object_store::Error::NotFound { .. }) => Err(Error::NotFound(*digest)),
            Err(error) => Err(error.into()),
        }
    }
}

/// Orgs' names and digests have no separators in them: a path is always the org's own.
fn path(drawer: Drawer, org: &str, digest: &Digest) -> Path {
    let drawer = match drawer {
        Drawer::Artifacts => "artifacts",
        Drawer::Releases => "releases",
    };
    Path::from_iter([drawer, org, digest.hex().as_str()])
}

async fn copy<S, E>(writer: &mut WriteMultipart, want: &Digest, bytes: S) -> Result<(), Error>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: std::fmt::Display,
{
    let mut bytes = std::pin::pin!(bytes);
    let (mut hash, mut size) = (Sha256::new(), 0u64);
    while let Some(chunk) = bytes.next().await {
        let chunk = chunk.map_err(|e| Error::BrokenOff(e.to_string()))?;
        size += chunk.len() as u64;
        if size > UPLOAD_SIZE_MAX {
            return Err(Error::TooLarge);
        }
        hash.update(&chunk);
        writer.wait_for_capacity(PARTS_MAX).await?;
        writer.put(chunk);
    }
    let got = Digest::from_bytes(hash.finalize().into());
    if got == *want { Ok(()) } else { Err(Error::DigestMismatch { want: *want, got }) }
}

#[cfg(test)]
mod tests {
    use object_store::local::LocalFileSystem;

    use super::*;

    fn bytes(parts: &[&'static str]) -> impl Stream<Item = Result<Bytes, String>> + use<> {
        let parts: Vec<_> = parts.iter().map(|p| Ok(Bytes::from_static(p.as_bytes()))).collect();
        futures::stream::iter(parts)
    }

    #[tokio::test]
    async fn an_artefact_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalFileSystem::new_with_prefix(dir.path()).unwrap();
        let artifacts = Artifacts::new(Arc::new(store));
        let digest = Digest::of(b"hello world");
        let wrong = artifacts.put("demo", &digest, bytes(&["hello", " moon"])).await;
        assert!(matches!(wrong, Err(Error::DigestMismatch { .. })), "{wrong:?}");
        assert_eq!(artifacts.size(Drawer::Artifacts, "demo", &digest).await.unwrap(), None);
        let broken = futures::stream::iter([Ok(Bytes::from_static(b"hello")), Err("gone".to_owned())]);
        assert!(matches!(artifacts.put("demo", &digest, broken).await, Err(Error::BrokenOff(_))));
        assert!(artifacts.put("demo", &digest, bytes(&["hello", " world"])).await.unwrap());
        assert!(!artifacts.put("demo", &digest, bytes(&["hello world"])).await.unwrap());
        let chunk = artifacts.chunk(Drawer::Artifacts, "demo", &digest, (6, 11)).await.unwrap();
        assert_eq!(chunk, "world");
        assert_eq!(artifacts.size(Drawer::Artifacts, "other", &digest).await.unwrap(), None);
        let files = std::fs::read_dir(dir.path().join("artifacts/demo")).unwrap().count();
        assert_eq!(files, 1, "nothing is left of the broken ones");
    }
}
