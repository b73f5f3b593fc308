//! The status: what the vendor says of now, and what a runner keeps of it.
//!
//! A dispatch key signs it, and whoever has that key may lie. So a status can only take away: it makes
//! time later, floors higher and keys fewer, never more believed; and what a false one spoilt ends with
//! the next root, which the dispatch key cannot sign.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::name::is_name;
use super::root::{check_unexpired, check_vendor};
use super::{RoleName, Verified, signed};
use crate::document::{Root, Status};
use crate::dsse::PayloadType;
use crate::{Digest, Refusal};

/// How long a status may be fresh.
pub const STATUS_LIFE_MAX_MS: i64 = 24 * 60 * 60 * 1_000;
const FLOORS_MAX: usize = 512;
const REVOKED_MAX: usize = 64;

/// A status of this root that has not expired by this clock. That its clock may be ahead of `now_ms`
/// is what it is for.
pub fn status(root: &Verified<Root>, bytes: &[u8], now_ms: i64) -> Result<Verified<Status>, Refusal> {
    let status: Verified<Status> = signed(root.get(), RoleName::Dispatch, PayloadType::Status, bytes)?;
    check_unexpired(root.get(), now_ms)?;
    check_vendor(root.get(), &status.get().vendor)?;
    check_form(root.get(), status.get())?;
    let (trusted, found) = (root.get().version, status.get().root_version);
    if trusted != found {
        return Err(Refusal::StatusRoot { trusted, found });
    }
    let late_ms = now_ms.saturating_sub(status.get().expires_ms);
    if late_ms >= 0 { Err(Refusal::StatusExpired { late_ms }) } else { Ok(status) }
}

fn check_form(root: &Root, status: &Status) -> Result<(), Refusal> {
    let unsound = |detail| Err(Refusal::StatusInvalid { detail });
    let life_ms = status.expires_ms.saturating_sub(status.time_ms);
    if life_ms <= 0 || life_ms > STATUS_LIFE_MAX_MS {
        return unsound("it is fresh for no time at all, or for more than 24 hours");
    }
    if status.time_ms < root.created_ms || status.time_ms >= root.expires_ms {
        return unsound("it was signed before its root was made, or after that expired");
    }
    if status.floors.len() > FLOORS_MAX || status.revoked.len() > REVOKED_MAX {
        return unsound("it has more than 512 floors, or more than 64 revoked keys");
    }
    let is_line =
        |line: &String| line.split_once('/').is_some_and(|(app, channel)| is_name(app) && is_name(channel));
    if !status.floors.keys().all(is_line) {
        return unsound("a floor is not of `app/channel`");
    }
    if status.revoked.iter().any(|id| Digest::from_hex(id).is_err()) {
        return unsound("a revoked key is not named by its id");
    }
    Ok(())
}

/// What a runner knows by statuses of one root; under that root nothing of it is unlearnt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// The root that it is of.
    pub root_version: u64,
    /// The latest time that was told.
    pub time_ms: i64,
    /// Until when the latest status is fresh.
    pub fresh_until_ms: i64,
    /// The lowest release counters that may still run, by `app/channel`.
    pub floors: BTreeMap<String, u64>,
    /// Keys that sign nothing any more.
    pub revoked: BTreeSet<String>,
}

impl Standing {
    /// What is known under this root: all that was, or nothing yet if the root is a newer one.
    pub fn under(self, root: &Root) -> Self {
        if self.root_version == root.version {
            return self;
        }
        Self { root_version: root.version, ..Self::default() }
    }

    /// Takes in a status of the same root. One that is older than what is known is refused.
    pub fn learn(&mut self, status: &Verified<Status>) -> Result<(), Refusal> {
        let status = status.get();
        let (trusted, found) = (self.root_version, status.root_version);
        if trusted != found {
            return Err(Refusal::StatusRoot { trusted, found });
        }
        let behind_ms = self.time_ms.saturating_sub(status.time_ms);
        if behind_ms > 0 {
            return Err(Refusal::StatusOld { behind_ms });
        }
        (self.time_ms, self.fresh_until_ms) = (status.time_ms, status.expires_ms);
        for (line, counter) in &status.floors {
            let floor = self.floors.entry(line.clone()).or_default();
            *floor = (*floor).max(*counter);
        }
        self.revoked.extend(status.revoked.iter().cloned());
        Ok(())
    }

    /// The time of now: a clock that was set back makes nothing young again.
    pub fn now_ms(&self, local_ms: i64) -> i64 {
        local_ms.max(self.time_ms)
    }

    /// Whether the latest status still is fresh.
    pub fn is_fresh(&self, now_ms: i64) -> bool {
        now_ms < self.fresh_until_ms
    }

    /// The lowest counter of this app's channel that may still run.
    pub fn floor(&self, app: &str, channel: &str) -> u64 {
        self.floors.get(&format!("{app}/{channel}")).copied().unwrap_or(0)
    }

    /// The root without the keys that were revoked. The root role keeps its keys: who could take those
    /// away by a status could keep the vendor from ever changing anything again.
    pub fn restrict(&self, root: &Verified<Root>) -> Verified<Root> {
        let mut root = root.clone();
        if self.root_version == root.document.version {
            let is_good = |id: &String| !self.revoked.contains(id);
            root.document.release.keys.retain(is_good);
            root.document.dispatch.keys.retain(is_good);
        }
        root
    }
}
