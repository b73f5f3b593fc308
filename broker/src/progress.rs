//! What running attempts are doing, passed on to whoever looks at the moment; kept nowhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use remit_loops::ObjectId;
use tokio::sync::broadcast;

use crate::api::wire;

/// How many lines one onlooker may be behind before it misses some.
const BEHIND_MAX: usize = 64;

/// Onlookers by install.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    installs: Arc<Mutex<HashMap<ObjectId, broadcast::Sender<wire::Progress>>>>,
}

impl Progress {
    /// Looks at an install from now on.
    pub(crate) fn subscribe(&self, install: &ObjectId) -> broadcast::Receiver<wire::Progress> {
        let mut installs = self.installs.lock().expect("nobody panics while holding it");
        // Those that nobody looks at any more make room here.
        installs.retain(|_, sender| sender.receiver_count() > 0);
        installs.entry(install.clone()).or_insert_with(|| broadcast::Sender::new(BEHIND_MAX)).subscribe()
    }

    /// Passes a line on, if anybody looks.
    pub(crate) fn publish(&self, install: &ObjectId, progress: wire::Progress) {
        let installs = self.installs.lock().expect("nobody panics while holding it");
        if let Some(sender) = installs.get(install) {
            // An error says that the last onlooker has just gone.
            let _ = sender.send(progress);
        }
    }
}
