//! Rollback permits as the vendor signed them: kept beside the release that they lead back to, and handed to
//! runners with the jobs of it. The broker reads them to say early what a runner would refuse; what counts is
//! what the runner verifies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use remit_loops::ObjectId;
use remit_proto::limit::PERMITS_MAX;
use remit_seal::document::{PermitScope, RollbackPermit};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::strict;
use remit_seal::verify::Verified;

use crate::engine::Engine;
use crate::store::StoreError;

/// Records by org, release and permit, both by their payload's sha256.
const RECORDS: &str = "rollback_permit";
/// The most of one release that are read.
const READ_MAX: usize = 256;
/// What another broker took in counts after so long.
const CACHE_FOR: Duration = Duration::from_secs(5);
/// Releases in the cache; it is emptied when it is full.
const CACHE_MAX: usize = 1_000;

type Known = Arc<Vec<(RollbackPermit, Vec<u8>)>>;

/// The permits of all orgs.
pub(crate) struct Permits {
    engine: Engine,
    cache: Mutex<HashMap<String, (Known, Instant)>>,
}

impl Permits {
    /// Kept in the engine's records.
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, cache: Mutex::default() }
    }

    /// Keeps a permit that was verified, beside the release that it leads back to. Those whose time is over
    /// make room.
    pub(crate) async fn keep(
        &self,
        org: &str,
        release: &str,
        permit: &Verified<RollbackPermit>,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        let prefix = prefix(org, release);
        let now_ms = self.engine.now().0;
        for (key, kept) in self.engine.list_records(RECORDS, &prefix, READ_MAX).await? {
            if read(&kept).is_none_or(|kept| kept.until_ms <= now_ms) {
                self.engine.delete_record(RECORDS, &key).await?;
            }
        }
        self.engine.put_record(RECORDS, &format!("{prefix}{}", permit.digest().hex()), bytes).await?;
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).remove(&prefix);
        Ok(())
    }

    /// Those by which this install may go back to this release, as they were signed: as many as a lease holds,
    /// those from the newest releases first.
    pub(crate) async fn of(&self, install: &ObjectId, release: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let now_ms = self.engine.now().0;
        let known = self.known(prefix(install.org_name(), release)).await?;
        let is_for = |permit: &RollbackPermit| match &permit.scope {
            PermitScope::Channel => true,
            PermitScope::Install(name) => name == install.name(),
        };
        let mut fit: Vec<_> =
            known.iter().filter(|(permit, _)| permit.until_ms > now_ms && is_for(permit)).collect();
        fit.sort_by_key(|(permit, _)| std::cmp::Reverse((permit.from, permit.until_ms)));
        Ok(fit.into_iter().take(PERMITS_MAX).map(|(_, bytes)| bytes.clone()).collect())
    }

    async fn known(&self, prefix: String) -> Result<Known, StoreError> {
        let lock = || self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, at)) = lock().get(&prefix)
            && at.elapsed() < CACHE_FOR
        {
            return Ok(known.clone());
        }
        let kept = self.engine.list_records(RECORDS, &prefix, READ_MAX).await?;
        let read = |(_, bytes): (String, Vec<u8>)| Some((read(&bytes)?, bytes));
        let known: Known = Arc::new(kept.into_iter().filter_map(read).collect());
        let mut cache = lock();
        if cache.len() >= CACHE_MAX {
            cache.clear();
        }
        cache.insert(prefix, (known.clone(), Instant::now()));
        Ok(known)
    }
}

fn prefix(org: &str, release: &str) -> String {
    format!("{org}/{}/", release.trim_start_matches("sha256:"))
}

/// What was verified when it was taken in.
fn read(bytes: &[u8]) -> Option<RollbackPermit> {
    let envelope = Envelope::parse(bytes, PayloadType::Permit).ok()?;
    strict::from_slice(&envelope.payload).ok()
}
