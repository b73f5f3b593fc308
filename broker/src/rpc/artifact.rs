//! Bytes by digest for runners: artefacts and signed releases of their own org only.

use std::pin::Pin;
use std::sync::Arc;

use futures::Stream;
use remit_proto::convert::{ArtifactChunk, ArtifactRequest};
use remit_proto::v1;
use tonic::{Code, Status};

use super::status::{internal, refuse};
use super::{Known, Service};
use crate::artifacts::{Drawer, Error};
use crate::edge::Edge;

/// The answer: one chunk after another.
pub(super) type Chunks =
    Pin<Box<dyn Stream<Item = Result<v1::FetchArtifactResponse, Status>> + Send + 'static>>;

/// How far an answer is.
struct Progress {
    edge: Arc<Edge>,
    org: String,
    drawer: Drawer,
    ask: ArtifactRequest,
    size: u64,
    is_first: bool,
}

fn status(error: Error) -> Status {
    let code = error.code();
    match error {
        Error::NotFound(_) => refuse(Code::NotFound, code, error),
        Error::Offset { .. } => refuse(Code::OutOfRange, code, error),
        Error::DigestMismatch { .. } | Error::TooLarge | Error::BrokenOff(_) | Error::Store(_) => {
            internal(error)
        }
    }
}

impl Service {
    /// The bytes from an offset on, in chunks; at least one, so that the size is always told.
    pub(super) async fn fetch(&self, known: Known, ask: ArtifactRequest) -> Result<Chunks, Status> {
        let org = known.identity.install.org_name().to_owned();
        let (drawer, size) = self.find(&org, &ask).await?;
        if ask.offset > size {
            return Err(status(Error::Offset { digest: ask.digest, offset: ask.offset, size }));
        }
        let edge = self.edge.clone();
        let progress = Progress { edge, org, drawer, ask, size, is_first: true };
        Ok(Box::pin(futures::stream::try_unfold(progress, next)))
    }

    async fn find(&self, org: &str, ask: &ArtifactRequest) -> Result<(Drawer, u64), Status> {
        for drawer in [Drawer::Artifacts, Drawer::Releases] {
            if let Some(size) = self.edge.artifacts.size(drawer, org, &ask.digest).await.map_err(status)? {
                return Ok((drawer, size));
            }
        }
        Err(status(Error::NotFound(ask.digest)))
    }
}

async fn next(mut at: Progress) -> Result<Option<(v1::FetchArtifactResponse, Progress)>, Status> {
    if at.ask.offset >= at.size && !at.is_first {
        return Ok(None);
    }
    let range = (at.ask.offset, at.size);
    let bytes = at.edge.artifacts.chunk(at.drawer, &at.org, &at.ask.digest, range).await.map_err(status)?;
    at.is_first = false;
    at.ask.offset += bytes.len() as u64;
    let chunk = ArtifactChunk { total_size: at.size, bytes: bytes.into() };
    Ok(Some((chunk.into(), at)))
}
