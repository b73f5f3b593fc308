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
    /// Anything at all.
    any: Arc<Slot>,
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

/// Tells when anything was committed. A hint: read the log after it.
#[derive(Debug)]
pub struct News {
    slot: Arc<Slot>,
    seen: u64,
}

struct Registered {
    slot: Arc<Slot>,
    seen: u64,
    watchers: Watchers,
}

impl Slot {
    fn wake(&self) {
        self.version.fetch_add(1, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Waits until there is another version than the one that was seen.
    async fn changed(&self, seen: &mut u64) {
        loop {
            let mut notified = std::pin::pin!(self.notify.notified());
            // Armed before the look: a change in between wakes it.
            notified.as_mut().enable();
            let version = self.version.load(Ordering::Acquire);
            if version != *seen {
                *seen = version;
                return;
            }
            notified.await;
        }
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
        let mut ids = ids.peekable();
        if ids.peek().is_none() {
            return;
        }
        self.any.wake();
        let watched = self.watched();
        if watched.is_empty() {
            return;
        }
        for id in ids {
            let install = id.install().filter(|install| install != id);
            for id in [Some(id), install.as_ref()].into_iter().flatten() {
                if let Some(watched) = watched.get(id) {
                    watched.slot.wake();
                }
            }
        }
    }

    /// Wakes everybody.
    pub(super) fn fire_all(&self) {
        self.any.wake();
        self.watched().values().for_each(|watched| watched.slot.wake());
    }

    /// Watches everything.
    pub(super) fn watch_all(&self) -> News {
        News { slot: self.any.clone(), seen: self.any.version.load(Ordering::Acquire) }
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
            Some(Registered { slot, seen, .. }) => slot.changed(seen).await,
            None => tokio::time::sleep(Duration::from_millis(LOOK_MS)).await,
        }
    }
}

impl News {
    /// Waits until something may have been committed since the last call, or since `watch_all`.
    pub async fn changed(&mut self) {
        self.slot.changed(&mut self.seen).await;
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
    fn who_watches_everything_is_told_of_anything() {
        let watchers = Watchers::default();
        let mut news = watchers.watch_all();
        let mut is_news = || {
            let changed = std::pin::pin!(news.changed());
            changed.poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };
        assert!(!is_news());
        watchers.fire([].iter());
        assert!(!is_news(), "nothing is no news");
        watchers.fire([id("org_a")].iter());
        assert!(is_news() && !is_news());
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
