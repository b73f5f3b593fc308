//! An object's changes as they happen: server-sent events.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use remit_loops::ObjectId;
use serde::Serialize;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::error::ApiError;
use super::objects::{find, newest, page, show};
use super::request::Target;
use super::wire::{EVENT_ENTRY, EVENT_PROGRESS, EVENT_VIEW, ErrorBody, Progress};
use crate::edge::Edge;
use crate::engine::Changes;

/// How many events may wait for a slow reader; changes beyond that run into one another.
const WAITING_MAX: usize = 32;
/// How many timeline lines one change is looked through for.
const LINES_MAX: usize = 100;
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// `view`, `entry` and `progress` events of an object, until the reader goes.
#[utoipa::path(
    get, path = "/v1/objects/{id}/events", tag = "objects", params(("id" = String, Path)),
    responses((status = 200, body = String, content_type = "text/event-stream"), (status = 404, body = ErrorBody)),
)]
pub(super) async fn follow(State(edge): State<Arc<Edge>>, target: Target) -> Result<Response, ApiError> {
    let permit = super::stream_permit(&edge)?;
    // Armed before the first look: nothing is missed between them.
    let changes = edge.engine.watch(&target.id);
    find(&edge, &target.id).await?;
    let newest = newest(&edge, &target.id).await?;
    let progress = target.id.install().map(|install| edge.progress.subscribe(&install));
    let (sender, receiver) = mpsc::channel::<Result<Event, Infallible>>(WAITING_MAX);
    let follower = Follower { edge, id: target.id, sender, revision: None, newest };
    tokio::spawn(async move {
        let _permit = permit;
        if let Err(error) = follower.run(changes, progress).await {
            tracing::warn!(%error, "a follower was cut off");
        }
    });
    let events = Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(events.into_response())
}

struct Follower {
    edge: Arc<Edge>,
    id: ObjectId,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    revision: Option<u64>,
    newest: u64,
}

/// What ends a follower.
enum Gone {
    Reader,
    Error(ApiError),
}

impl From<ApiError> for Gone {
    fn from(error: ApiError) -> Self {
        Gone::Error(error)
    }
}

impl Follower {
    async fn run(
        mut self,
        mut changes: Changes,
        mut progress: Option<broadcast::Receiver<Progress>>,
    ) -> Result<(), ApiError> {
        let stopping = self.edge.stopping.clone();
        let sender = self.sender.clone();
        let mut outcome = self.look().await;
        while outcome.is_ok() {
            outcome = tokio::select! {
                () = changes.changed() => self.look().await,
                line = next(&mut progress) => self.send(EVENT_PROGRESS, &line).await,
                () = sender.closed() => Err(Gone::Reader),
                () = stopping.cancelled() => Err(Gone::Reader),
            };
        }
        match outcome {
            Ok(()) | Err(Gone::Reader) => Ok(()),
            Err(Gone::Error(error)) => Err(error),
        }
    }

    async fn look(&mut self) -> Result<(), Gone> {
        let entries = page(&self.edge, &self.id, None, LINES_MAX).await?.entries;
        let fresh = entries.into_iter().filter(|e| e.seq > self.newest);
        for entry in fresh.collect::<Vec<_>>().into_iter().rev() {
            self.newest = self.newest.max(entry.seq);
            self.send(EVENT_ENTRY, &entry).await?;
        }
        let snapshot = find(&self.edge, &self.id).await?;
        if self.revision != Some(snapshot.revision) {
            self.revision = Some(snapshot.revision);
            self.send(EVENT_VIEW, &show(&snapshot)).await?;
        }
        Ok(())
    }

    async fn send<T: Serialize>(&self, name: &str, data: &T) -> Result<(), Gone> {
        let event = Event::default().event(name).json_data(data);
        let event = event.map_err(|e| Gone::Error(ApiError::internal("api.internal", &e)))?;
        self.sender.send(Ok(event)).await.map_err(|_| Gone::Reader)
    }
}

/// The next line of progress; never, where there is none. Lines missed by a slow reader are gone.
async fn next(progress: &mut Option<broadcast::Receiver<Progress>>) -> Progress {
    if let Some(receiver) = progress {
        loop {
            match receiver.recv().await {
                Ok(line) => return line,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            }
        }
    }
    std::future::pending().await
}
