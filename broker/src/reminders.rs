//! What people must see to before it is too late: trust roots that run out, and dispatch keys that grow old.
//!
//! Looked at once an hour for the figures, said in the log once a day. Nothing is done about it here: only
//! root keys can, and the broker has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use remit_loops::{Kind, ObjectId};
use tokio_util::sync::CancellationToken;

use crate::dispatch::DispatchKeys;
use crate::engine::Engine;
use crate::store::StoreError;
use crate::trust::{DAY_MS, Trust};

const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// How many looks there are from one word in the log to the next.
const LOOKS_A_DAY: u64 = 24;

/// How many orgs have to act.
#[derive(Debug, Default)]
pub(crate) struct Reminders {
    ending: AtomicI64,
    ended: AtomicI64,
}

impl Reminders {
    /// Orgs whose trust root runs out within 30 days.
    pub(crate) fn ending(&self) -> i64 {
        self.ending.load(Ordering::Relaxed)
    }

    /// Orgs whose trust root has run out.
    pub(crate) fn ended(&self) -> i64 {
        self.ended.load(Ordering::Relaxed)
    }
}

/// What is looked at, and where the figures go.
pub(crate) struct Looked {
    pub(crate) engine: Engine,
    pub(crate) trust: Arc<Trust>,
    pub(crate) dispatch: Arc<DispatchKeys>,
    pub(crate) reminders: Arc<Reminders>,
}

/// Looks again and again, until the broker goes down.
pub(crate) async fn run(looked: Looked, stopping: CancellationToken) {
    for look in 0_u64.. {
        let is_loud = look % LOOKS_A_DAY == 0;
        if let Err(error) = roots(&looked, is_loud).await {
            tracing::warn!(%error, "cannot see which trust roots run out");
        }
        if is_loud {
            dispatch_keys(&looked);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stopping.cancelled() => return,
        }
    }
}

async fn roots(looked: &Looked, is_loud: bool) -> Result<(), StoreError> {
    let now_ms = looked.engine.now().0;
    let (mut ending, mut ended) = (0, 0);
    for (org, ends_ms) in looked.trust.ending().await? {
        // The root of an org that is gone stays where it is.
        let Ok(id) = ObjectId::new(Kind::Org, &[&org]) else { continue };
        if !looked.engine.is_alive(&id).await? {
            continue;
        }
        let left_ms = ends_ms - now_ms;
        let count = if left_ms > 0 { &mut ending } else { &mut ended };
        *count += 1;
        if is_loud && left_ms > 0 {
            let days = left_ms / DAY_MS;
            tracing::warn!(org, days, "a trust root runs out: its vendor must publish the next one");
        } else if is_loud {
            tracing::error!(org, "a trust root has run out: the org's runners believe no job");
        }
    }
    looked.reminders.ending.store(ending, Ordering::Relaxed);
    looked.reminders.ended.store(ended, Ordering::Relaxed);
    Ok(())
}

fn dispatch_keys(looked: &Looked) {
    let now = looked.engine.now();
    for key in looked.dispatch.keys().iter().filter(|key| key.due() <= now) {
        let (key, days) = (key.id(), now.0.saturating_sub(key.made.0) / DAY_MS);
        tracing::warn!(key, days, "a dispatch key is older than 30 days: `remit keys dispatch rotate`");
    }
}
