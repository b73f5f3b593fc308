//! What both doors share: the engine, the stores beside it, and the broker's keys.

use std::sync::Arc;

use remit_loops::ObjectId;
use remit_seal::Digest;
use tokio::sync::{Mutex, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::artifacts::Artifacts;
use crate::audit::Audit;
use crate::dispatch::DispatchKeys;
use crate::engine::Engine;
use crate::logs::Logs;
use crate::metrics::Metrics;
use crate::permits::Permits;
use crate::pki::Authority;
use crate::presence::Presence;
use crate::progress::Progress;
use crate::reminders::Reminders;
use crate::store::StoreError;
use crate::sts::Sts;
use crate::tokens::Tokens;
use crate::trust::Trust;
use crate::webhooks::Webhooks;

/// How many people and programs may follow events, logs or uploads at once.
const STREAMS_MAX: usize = 1000;

/// Everything that the handlers of either door work with.
pub(crate) struct Edge {
    pub(crate) engine: Engine,
    pub(crate) tokens: Tokens,
    pub(crate) artifacts: Artifacts,
    pub(crate) logs: Logs,
    pub(crate) presence: Presence,
    pub(crate) progress: Progress,
    pub(crate) authority: Authority,
    pub(crate) sts: Sts,
    pub(crate) dispatch: Arc<DispatchKeys>,
    pub(crate) audit: Arc<Audit>,
    pub(crate) trust: Arc<Trust>,
    pub(crate) permits: Permits,
    pub(crate) reminders: Arc<Reminders>,
    pub(crate) metrics: Metrics,
    pub(crate) webhooks: Arc<Webhooks>,
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

    /// Whether this org was made and is not gone.
    pub(crate) async fn is_alive(&self, org: &ObjectId) -> Result<bool, StoreError> {
        self.engine.is_alive(org).await
    }

    /// sha256 of the payload of the newest root of this object's org.
    pub(crate) async fn root_digest(&self, id: &ObjectId) -> Result<Option<Digest>, StoreError> {
        Ok(self.trust.newest(id.org_name()).await?.map(|root| root.digest()))
    }
}
