//! Who wants to know when an object changes. A commit looks up only what it changed.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remit_loops::ObjectId;
use tokio::sync::Notify;

/// How many objects can be watched at once; who comes later is told to look once in a while.
const WATCHED_MAX: usize = 200_000;
/// How often a watcher beyond the bound is told to look, milliseconds.
const LOOK_MS: u64 = 1_000;

/// The watched objects.
#[derive(Clone, Default)]
pub(super) struct Watchers {
    watched: Arc<Mutex<HashMap<ObjectId, Watched>>>,
}

struct Watched {
    slot: Arc<Slot>,
    listeners: usize,
}

#[derive(Debug, Default)]
struct Slot {
    /// Grows with each change, so that one between two calls is not missed.
    version: AtomicU64,
    notify: Notify,
}

/// Tells when an object changed. A hint: read the object after it.
pub struct Changes {
    id: ObjectId,
    registered: Option<Registered>,
}

struct Registered {
    slot: Arc<Slot>,
    seen: u64,
    watchers: Watchers,
}

impl Watched {
    fn wake(&self) {
        self.slot.version.fetch_add(1, Ordering::Release);
        self.slot.notify.notify_waiters();
    }
}

impl Watchers {
    fn watched(&self) -> MutexGuard<'_, HashMap<ObjectId, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn watch(&self, id: &ObjectId) -> Changes {
        let mut watched = self.watched();
        if watched.len() >= WATCHED_MAX && !watched.contains_key(id) {
            return Changes { id: id.clone(), registered: None };
        }
        let entry =
            watched.entry(id.clone()).or_insert_with(|| Watched { slot: Arc::default(), listeners: 0 });
        entry.listeners += 1;
        let slot = entry.slot.clone();
        let seen = slot.version.load(Ordering::Acquire);
        Changes { id: id.clone(), registered: Some(Registered { slot, seen, watchers: self.clone() }) }
    }

    /// Wakes whoever watches one of these objects, or the install that one belongs to.
    pub(super) fn fire<'a>(&self, ids: impl Iterator<Item = &'a ObjectId>) {
        let watched = self.watched();
        if watched.is_empty() {
            return;
        }
        for id in ids {
            let install = id.install().filter(|install| install != id);
            for id in [Some(id), install.as_ref()].into_iter().flatten() {
                if let Some(watched) = watched.get(id) {
                    watched.wake();
                }
            }
        }
    }

    /// Wakes everybody.
    pub(super) fn fire_all(&self) {
        self.watched().values().for_each(Watched::wake);
    }

    /// The watched objects.
    pub(super) fn ids(&self) -> Vec<ObjectId> {
        self.watched().keys().cloned().collect()
    }

    /// How many objects are watched.
    pub(super) fn len(&self) -> usize {
        self.watched().len()
    }
}

impl Changes {
    /// Waits until the object may have changed since the last call, or since `watch`.
    pub async fn changed(&mut self) {
        match &mut self.registered {
            Some(registered) => registered.changed().await,
            None => tokio::time::sleep(Duration::from_millis(LOOK_MS)).await,
        }
    }
}

impl Registered {
    async fn changed(&mut self) {
        loop {
            let mut notified = std::pin::pin!(self.slot.notify.notified());
            // Armed before the look: a change in between wakes it.
            notified.as_mut().enable();
            let version = self.slot.version.load(Ordering::Acquire);
            if version != self.seen {
                self.seen = version;
                return;
            }
            notified.await;
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let Some(registered) = &self.registered else { return };
        if let Entry::Occupied(mut entry) = registered.watchers.watched().entry(self.id.clone()) {
            entry.get_mut().listeners -= 1;
            if entry.get().listeners == 0 {
                entry.remove();
            }
        }
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Changes({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    fn id(text: &str) -> ObjectId {
        text.parse().unwrap()
    }

    fn is_ready(changes: &mut Changes) -> bool {
        let changed = std::pin::pin!(changes.changed());
        changed.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn a_change_is_told_once_however_many_there_were() {
        let watchers = Watchers::default();
        let mut changes = watchers.watch(&id("org_a"));
        assert!(!is_ready(&mut changes));
        watchers.fire([id("org_a"), id("org_a"), id("org_b")].iter());
        assert!(is_ready(&mut changes));
        assert!(!is_ready(&mut changes));
    }

    #[test]
    fn an_install_is_told_of_its_parts() {
        let watchers = Watchers::default();
        let mut install = watchers.watch(&id("ins_a.b.c"));
        let mut other = watchers.watch(&id("ins_a.b.d"));
        for part in ["cmp_a.b.c.net", "run_a.b.c", "ins_a.b.c"] {
            watchers.fire([id(part)].iter());
            assert!(is_ready(&mut install), "{part}");
        }
        assert!(!is_ready(&mut other));
    }

    #[test]
    fn nobody_listens_and_nothing_is_kept() {
        let watchers = Watchers::default();
        let (one, two) = (watchers.watch(&id("org_a")), watchers.watch(&id("org_a")));
        drop(one);
        assert_eq!(watchers.len(), 1);
        drop(two);
        assert_eq!(watchers.len(), 0);
    }
}
