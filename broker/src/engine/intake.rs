//! The way in: a bounded queue in memory that refuses before it accepts.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use remit_loops::{Event, ObjectId};
use tokio::sync::oneshot;

use crate::engine::{Accepted, SubmitError};
use crate::store::{KeyHash, StoreError};

/// Something for the committer to do.
pub(super) enum Item {
    /// An event for an object.
    Event(Box<Pending>),
    /// A write of the edge's records.
    Record(RecordWrite),
}

/// A submission with its sender waiting for the answer.
pub(super) struct Pending {
    pub(super) to: ObjectId,
    /// Its time is that of the batch that takes it.
    pub(super) event: Event,
    /// The idempotency key and its hash, if there is one.
    pub(super) key: Option<(String, KeyHash)>,
    /// `event.by`, encoded on the sender's thread.
    pub(super) by: Vec<u8>,
    /// `event.body`, encoded on the sender's thread.
    pub(super) body: Vec<u8>,
    pub(super) reply: oneshot::Sender<Result<Accepted, SubmitError>>,
}

/// A change of the edge's records.
pub(super) struct RecordWrite {
    pub(super) space: String,
    pub(super) key: String,
    pub(super) change: RecordChange,
    pub(super) reply: oneshot::Sender<Result<bool, StoreError>>,
}

/// What becomes of a record.
pub(super) enum RecordChange {
    Put(Vec<u8>),
    Add(Vec<u8>),
    Delete,
}

/// Why nothing more is taken.
#[derive(Clone, Debug)]
pub(super) enum Closed {
    /// The broker is going down.
    Stopping,
    /// A commit failed: whether it is on disk is not known, so nothing is promised any more.
    Failed(String),
}

/// Why an item was not taken.
pub(super) enum Refusal {
    Busy { waiting: usize },
    Closed(Closed),
}

/// What the committer got.
pub(super) struct Taken {
    pub(super) items: Vec<Item>,
    /// Nothing more will come.
    pub(super) closed: bool,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    closed: Option<Closed>,
    /// The committer waits for an item.
    asleep: bool,
}

/// The queue.
pub(super) struct Intake {
    state: Mutex<State>,
    wake: Condvar,
    items_max: usize,
}

impl Intake {
    pub(super) fn new(items_max: usize) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), items_max }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The queue is whole after each of its operations, whoever panicked elsewhere.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item in the queue, if there is room.
    pub(super) fn push(&self, item: Item) -> Result<(), Refusal> {
        let mut state = self.state();
        if let Some(closed) = &state.closed {
            return Err(Refusal::Closed(closed.clone()));
        }
        if state.items.len() >= self.items_max {
            return Err(Refusal::Busy { waiting: state.items.len() });
        }
        state.items.push_back(item);
        let asleep = state.asleep;
        drop(state);
        if asleep {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits for an item, at most until a time; takes all that waits, up to a limit.
    ///
    /// It does not wait for more: while one batch is committed the next one gathers by itself.
    pub(super) fn take(&self, limit: usize, until: Instant) -> Taken {
        let mut state = self.state();
        while state.items.is_empty() && state.closed.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.asleep = true;
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.asleep = false;
        let count = state.items.len().min(limit);
        let items = state.items.drain(..count).collect();
        Taken { items, closed: state.closed.is_some() && state.items.is_empty() }
    }

    /// Takes nothing more. The first reason stays.
    pub(super) fn close(&self, why: Closed) {
        let mut state = self.state();
        state.closed.get_or_insert(why);
        drop(state);
        self.wake.notify_one();
    }

    /// Why it is closed, if it is.
    pub(super) fn closed(&self) -> Option<Closed> {
        self.state().closed.clone()
    }

    /// How many items wait.
    pub(super) fn len(&self) -> usize {
        self.state().items.len()
    }
}

impl Item {
    /// Answers the sender that the store has failed.
    pub(super) fn fail(self, error: &StoreError) {
        // A sender that went away needs no answer.
        match self {
            Item::Event(pending) => drop(pending.reply.send(Err(error.into()))),
            Item::Record(write) => drop(write.reply.send(Err(error.clone()))),
        }
    }
}
