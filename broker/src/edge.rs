//! What both doors share: the engine, the stores beside it, and the broker's keys.

use std::sync::Arc;

use remit_loops::ObjectId;
use remit_seal::Digest;
use remit_seal::document::Root;
use remit_seal::verify::{self, Verified};
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::artifacts::Artifacts;
use crate::dispatch::DispatchKey;
use crate::engine::Engine;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::pki::Authority;
use crate::presence::Presence;
use crate::progress::Progress;
use crate::store::StoreError;
use crate::tokens::Tokens;

/// How many people and programs may follow events, logs or uploads at once.
const STREAMS_MAX: usize = 1000;
/// Records: each org's pinned root, a DSSE envelope.
const ROOTS: &str = "root";

/// Everything that the handlers of either door work with.
pub(crate) struct Edge {
    pub(crate) engine: Engine,
    pub(crate) tokens: Tokens,
    pub(crate) artifacts: Artifacts,
    pub(crate) logs: Logs,
    pub(crate) presence: Presence,
    pub(crate) progress: Progress,
    pub(crate) authority: Authority,
    pub(crate) dispatch: DispatchKey,
    pub(crate) metrics: Metrics,
    /// Where runners call.
    pub(crate) rpc_url: String,
    /// Cancelled when the broker goes down: whoever waits answers at once.
    pub(crate) stopping: CancellationToken,
    /// Two orgs of one name are never made at once.
    pub(crate) making_org: Mutex<()>,
    /// One for each long answer.
    pub(crate) streams: Arc<Semaphore>,
}

impl Edge {
    pub(crate) fn streams() -> Arc<Semaphore> {
        Arc::new(Semaphore::new(STREAMS_MAX))
    }

    /// The root that was pinned for an org, as it was given.
    pub(crate) async fn root_bytes(&self, org: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get_record(ROOTS, org).await
    }

    /// The root that was pinned for an org, verified again.
    pub(crate) async fn root(&self, org: &str) -> Result<Option<Verified<Root>>, StoreError> {
        let Some(bytes) = self.root_bytes(org).await? else { return Ok(None) };
        let root = verify::root(&bytes, None, self.engine.now().0);
        root.map(Some).map_err(|e| StoreError::Corrupt(format!("the root of {org}: {e}")))
    }

    /// Pins an org's root.
    pub(crate) async fn pin_root(&self, org: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.engine.put_record(ROOTS, org, bytes).await
    }

    /// sha256 of the payload of the root of this object's org, hexadecimal.
    pub(crate) async fn root_digest(&self, id: &ObjectId) -> Result<Option<Digest>, StoreError> {
        Ok(self.root(id.org_name()).await?.map(|root| root.digest()))
    }
}
