//! The vendors' trust roots as they follow one another, what was revoked, and the statuses that say so.
//!
//! The broker believes a root as a runner does: by the thresholds of the one before. What it adds of its
//! own, in statuses, can only take away. The newest root of an org lies under the org's name, every root
//! under its version too.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use remit_loops::Timestamp;
use remit_proto::convert;
use remit_proto::limit::ROOTS_MAX;
use remit_seal::document::{Root, Status};
use remit_seal::verify::{self, STATUS_LIFE_MAX_MS, Verified};
use remit_seal::{Digest, Refusal};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::dispatch::{self, DispatchKeys};
use crate::engine::Engine;
use crate::store::StoreError;

/// Records: each org's newest root, a DSSE envelope.
const NEWEST: &str = "root";
/// Records by org and version: every root.
const VERSIONS: &str = "root_version";
/// Records by org: what was revoked, and the floors.
const STANDING: &str = "trust_standing";
/// What another broker changed counts after so long.
const CACHE_FOR: Duration = Duration::from_secs(5);
/// Orgs in the cache; it is emptied when it is full.
const CACHE_MAX: usize = 10_000;
/// A runner whose status is older than this gets another.
const STATUS_EVERY_MS: i64 = 60 * 60 * 1_000;
/// A day.
pub(crate) const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// So long before a root ends its org is told: a ceremony takes people together.
pub(crate) const WARN_MS: i64 = 30 * DAY_MS;
/// The most keys and floors of one org.
pub(crate) const ENTRIES_MAX: usize = 64;

/// What can go wrong with a root or a revocation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root is not believed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The root names a key that was revoked.
    #[error("the root still lets the revoked key {0} sign")]
    NamesRevoked(String),
    /// More than may be.
    #[error("the org has {ENTRIES_MAX} revoked keys or floors already")]
    TooMany,
    /// No such key in the newest root, or one that only a root can take away.
    #[error("{0} is no release or dispatch key of the newest root")]
    NoSuchKey(String),
}

/// What an org said beside its root.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    /// Keys that sign nothing any more, with the reason that was given.
    pub(crate) revoked: BTreeMap<String, String>,
    /// The lowest counters that may still run, by `app/channel`.
    pub(crate) floors: BTreeMap<String, u64>,
    /// When it last changed.
    pub(crate) changed_ms: i64,
}

/// What is known of an org.
#[derive(Clone, Debug)]
struct Known {
    version: u64,
    expires_ms: i64,
    standing: Arc<Standing>,
    until: Instant,
}

/// The trust roots of all orgs.
pub(crate) struct Trust {
    engine: Engine,
    cache: Mutex<HashMap<String, Known>>,
    /// Waiting polls look again when it changes.
    changed: watch::Sender<u64>,
    /// One root after the other.
    publishing: tokio::sync::Mutex<()>,
}

impl Trust {
    /// Kept in the engine's records.
    pub(crate) fn new(engine: Engine) -> Self {
        let (cache, publishing) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { engine, cache, changed: watch::Sender::new(0), publishing }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows changes made by this broker.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn tell(&self, org: &str) {
        self.lock().remove(org);
        self.changed.send_modify(|n| *n += 1);
    }

    /// The newest root of an org, as it was given.
    pub(crate) async fn newest_bytes(&self, org: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine.get_record(NEWEST, org).await
    }

    /// The newest root of an org, verified again; whether it has expired is for whoever believes something
    /// by it.
    pub(crate) async fn newest(&self, org: &str) -> Result<Option<Verified<Root>>, StoreError> {
        let Some(bytes) = self.newest_bytes(org).await? else { return Ok(None) };
        let corrupt = |why: String| StoreError::Corrupt(format!("the root of {org}: {why}"));
        let own = digest(&bytes).ok_or_else(|| corrupt("no container".to_owned()))?;
        verify::first_root(&bytes, &own).map(Some).map_err(|e| corrupt(e.to_string()))
    }

    /// The newest root of an org without the keys that were revoked: what releases are judged by.
    pub(crate) async fn judge(&self, org: &str) -> Result<Option<Verified<Root>>, StoreError> {
        let Some(root) = self.newest(org).await? else { return Ok(None) };
        let revoked = self.standing(org).await?.revoked.into_keys().collect();
        let standing = verify::Standing { root_version: root.get().version, revoked, ..Default::default() };
        Ok(Some(standing.restrict(&root)))
    }

    /// Every root of an org, oldest first.
    pub(crate) async fn all(&self, org: &str) -> Result<Vec<Vec<u8>>, StoreError> {
        let prefix = format!("{org}/");
        let kept = self.engine.list_records(VERSIONS, &prefix, verify::ROOT_HOPS_MAX + 1).await?;
        let all: Vec<Vec<u8>> = kept.into_iter().map(|(_, bytes)| bytes).collect();
        // Made before versions were kept: there is one.
        if all.is_empty() { Ok(self.newest_bytes(org).await?.into_iter().collect()) } else { Ok(all) }
    }

    /// The root with this digest, for a runner that has pinned it; otherwise the newest.
    pub(crate) async fn pinned(&self, org: &str, pin: Option<Digest>) -> Result<Option<Vec<u8>>, StoreError> {
        let newest = self.newest_bytes(org).await?;
        let Some(pin) = pin else { return Ok(newest) };
        let is_pinned = |bytes: &Vec<u8>| digest(bytes).is_some_and(|digest| digest == pin);
        Ok(self.all(org).await?.into_iter().find(is_pinned).or(newest))
    }

    /// Whether an org has, or had, the root with this digest.
    pub(crate) async fn has(&self, org: &str, root: &Digest) -> Result<bool, StoreError> {
        let found = self.pinned(org, Some(*root)).await?;
        Ok(found.and_then(|bytes| digest(&bytes)).is_some_and(|found| found == *root))
    }

    /// Pins an org's first root.
    pub(crate) async fn pin(
        &self,
        org: &str,
        root: &Verified<Root>,
        bytes: Vec<u8>,
    ) -> Result<(), StoreError> {
        // An org of this name may have been here before, and its roots are nobody's any more.
        for (key, _) in
            self.engine.list_records(VERSIONS, &format!("{org}/"), verify::ROOT_HOPS_MAX + 1).await?
        {
            self.engine.delete_record(VERSIONS, &key).await?;
        }
        self.engine.delete_record(STANDING, org).await?;
        self.engine.put_record(VERSIONS, &version_key(org, root.get().version), bytes.clone()).await?;
        self.engine.put_record(NEWEST, org, bytes).await?;
        self.tell(org);
        Ok(())
    }

    /// Takes in the root that follows the newest. Answers it, and whether it was here already.
    pub(crate) async fn publish(
        &self,
        org: &str,
        bytes: Vec<u8>,
    ) -> Result<Option<(Verified<Root>, bool)>, Error> {
        let _publishing = self.publishing.lock().await;
        let now_ms = self.engine.now().0;
        let (Some(before_bytes), Some(before)) = (self.newest_bytes(org).await?, self.newest(org).await?)
        else {
            return Ok(None);
        };
        if digest(&bytes) == Some(before.digest()) {
            return Ok(Some((before, true)));
        }
        let next = verify::next_root(&before, &bytes)?;
        if now_ms >= next.get().expires_ms {
            return Err(Refusal::RootExpired { expires_ms: next.get().expires_ms }.into());
        }
        let revoked = self.standing(org).await?.revoked;
        if let Some(key) = revoked.keys().find(|id| signs(next.get(), id)) {
            return Err(Error::NamesRevoked(key.clone()));
        }
        let version = next.get().version;
        // Those made before versions were kept have only the newest.
        self.engine.add_record(VERSIONS, &version_key(org, before.get().version), before_bytes).await?;
        // The record of the version decides between two brokers that take in one each.
        if !self.engine.add_record(VERSIONS, &version_key(org, version), bytes.clone()).await? {
            return Err(Refusal::RootVersion { trusted: version, found: version }.into());
        }
        self.engine.put_record(NEWEST, org, bytes).await?;
        self.tell(org);
        Ok(Some((next, false)))
    }

    /// What an org said beside its root.
    pub(crate) async fn standing(&self, org: &str) -> Result<Standing, StoreError> {
        let Some(bytes) = self.engine.get_record(STANDING, org).await? else {
            return Ok(Standing::default());
        };
        serde_json::from_slice(&bytes).map_err(|e| StoreError::Corrupt(format!("the standing of {org}: {e}")))
    }

    /// Takes keys and old releases away, for good.
    pub(crate) async fn restrict(
        &self,
        org: &str,
        revoke: BTreeMap<String, String>,
        floors: BTreeMap<String, u64>,
    ) -> Result<Standing, Error> {
        let _publishing = self.publishing.lock().await;
        let mut standing = self.standing(org).await?;
        let root = self.newest(org).await?;
        let is_known = |id: &String| {
            standing.revoked.contains_key(id) || root.as_ref().is_some_and(|r| signs(r.get(), id))
        };
        if let Some(stranger) = revoke.keys().find(|id| !is_known(id)) {
            return Err(Error::NoSuchKey(stranger.clone()));
        }
        for (id, reason) in revoke {
            standing.revoked.entry(id).or_insert(reason);
        }
        for (line, counter) in floors {
            let floor = standing.floors.entry(line).or_default();
            *floor = (*floor).max(counter);
        }
        if standing.revoked.len() > ENTRIES_MAX || standing.floors.len() > ENTRIES_MAX {
            return Err(Error::TooMany);
        }
        standing.changed_ms = self.engine.now().0.max(standing.changed_ms.saturating_add(1));
        let json = serde_json::to_vec(&standing).expect("a standing is texts and whole numbers");
        self.engine.put_record(STANDING, org, json).await?;
        self.tell(org);
        Ok(standing)
    }

    async fn known(&self, org: &str) -> Result<Option<Known>, StoreError> {
        let found = self.lock().get(org).filter(|known| known.until > Instant::now()).cloned();
        if found.is_some() {
            return Ok(found);
        }
        let Some(root) = self.newest(org).await? else { return Ok(None) };
        let standing = Arc::new(self.standing(org).await?);
        let Root { version, expires_ms, .. } = *root.get();
        let known = Known { version, expires_ms, standing, until: Instant::now() + CACHE_FOR };
        let mut cache = self.lock();
        if cache.len() >= CACHE_MAX {
            cache.clear();
        }
        cache.insert(org.to_owned(), known.clone());
        Ok(Some(known))
    }

    /// Until when an org's newest root holds.
    pub(crate) async fn expires_ms(&self, org: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.known(org).await?.map(|known| known.expires_ms))
    }

    /// Until when the newest root of each org holds, where that is soon or has been.
    pub(crate) async fn ending(&self) -> Result<Vec<(String, i64)>, StoreError> {
        let all = self.engine.list_records(NEWEST, "", ORGS_MAX).await?;
        let now_ms = self.engine.now().0;
        let expires_ms =
            |bytes: &[u8]| Some(verify::first_root(bytes, &digest(bytes)?).ok()?.get().expires_ms);
        let ends = all.into_iter().filter_map(|(org, bytes)| Some((org, expires_ms(&bytes)?)));
        Ok(ends.filter(|(_, ends_ms)| ends_ms.saturating_sub(now_ms) <= WARN_MS).collect())
    }

    /// Whether a runner that knows this much should ask for more.
    pub(crate) async fn has_news(
        &self,
        org: &str,
        root_version: u64,
        status_ms: i64,
    ) -> Result<bool, StoreError> {
        // One that takes no roots says nothing, and is told nothing.
        if root_version == 0 {
            return Ok(false);
        }
        let Some(known) = self.known(org).await? else { return Ok(false) };
        let is_due = self.engine.now().0.saturating_sub(status_ms) > STATUS_EVERY_MS;
        Ok(root_version < known.version || status_ms < known.standing.changed_ms || is_due)
    }

    /// The roots after this version, oldest first, or the document of the newest one's status.
    pub(crate) async fn after(&self, org: &str, root_version: u64) -> Result<After, StoreError> {
        let newest = self.newest(org).await?;
        let newest = newest.ok_or_else(|| StoreError::Corrupt(format!("org {org} has no root")))?;
        let version = newest.get().version;
        if root_version < version {
            let mut roots = Vec::new();
            for version in (root_version + 1..=version).take(ROOTS_MAX) {
                let root = self.engine.get_record(VERSIONS, &version_key(org, version)).await?;
                roots.push(
                    root.ok_or_else(|| StoreError::Corrupt(format!("root {version} of {org} is gone")))?,
                );
            }
            return Ok(After::Roots(roots));
        }
        let Standing { revoked, floors, changed_ms } = self.standing(org).await?;
        // Never before the change that it tells, should this clock be behind that of another broker.
        let time_ms = self.engine.now().0.max(changed_ms);
        let status = Status {
            vendor: org.to_owned(),
            root_version: version,
            time_ms,
            expires_ms: time_ms + STATUS_LIFE_MAX_MS,
            floors,
            revoked: revoked.into_keys().collect(),
        };
        Ok(After::Status { status, since_ms: changed_ms })
    }

    /// The orgs whose newest root lets none of these keys sign jobs.
    pub(crate) async fn without_dispatch(&self, keys: &[String]) -> Result<Vec<String>, StoreError> {
        let all = self.engine.list_records(NEWEST, "", ORGS_MAX).await?;
        let lacks = |(org, bytes): (String, Vec<u8>)| {
            let root = verify::first_root(&bytes, &digest(&bytes)?).ok()?;
            let has = keys.iter().any(|id| root.get().dispatch.keys.contains(id));
            (!has).then_some(org)
        };
        Ok(all.into_iter().filter_map(lacks).collect())
    }
}

/// How many orgs are looked at before a dispatch key is given up.
const ORGS_MAX: usize = 100_000;

/// What comes after a root.
pub(crate) enum After {
    /// Newer roots.
    Roots(Vec<Vec<u8>>),
    /// Nothing newer; what its status says now, and since when it does: one from before will not do.
    Status { status: Status, since_ms: i64 },
}

impl After {
    /// As it is sent, the status signed.
    pub(crate) async fn signed(self, keys: &DispatchKeys) -> Result<convert::Trust, dispatch::Error> {
        match self {
            After::Roots(roots) => Ok(convert::Trust { roots, status: None }),
            After::Status { status, since_ms } => {
                let signed = keys.sign_status(&status, since_ms).await?;
                Ok(convert::Trust { roots: Vec::new(), status: Some(signed) })
            }
        }
    }
}

fn signs(root: &Root, id: &String) -> bool {
    root.release.keys.contains(id) || root.dispatch.keys.contains(id)
}

fn version_key(org: &str, version: u64) -> String {
    format!("{org}/{version:016}")
}

/// The digest of a root's payload: how it is named and pinned.
pub(crate) fn digest(bytes: &[u8]) -> Option<Digest> {
    let envelope = remit_seal::dsse::Envelope::parse(bytes, remit_seal::dsse::PayloadType::Root).ok()?;
    Some(envelope.payload_digest())
}

/// When a root was made and until when it holds, for people.
pub(crate) fn times(root: &Root) -> (Timestamp, Timestamp) {
    (Timestamp(root.created_ms), Timestamp(root.expires_ms))
}
