//! The way in: a bounded queue in memory that refuses before it accepts, and is fair between orgs.
//!
//! Orgs take turns, each with as many events a turn as its weight says, so that one that sends a hundred
//! times as much waits for itself. An object's events keep their order: they are all of one org.

use std::collections::{HashMap, VecDeque};
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

/// What the edge's records wait under; no org is called so.
const EDGE: &str = "";

#[derive(Default)]
struct State {
    /// What waits, by org; none of them is empty.
    queues: HashMap<Box<str>, VecDeque<Item>>,
    /// Whose turn is next; each org with something in its queue, once.
    turns: VecDeque<Box<str>>,
    /// How many events an org may give in one turn, where it is not one.
    weights: HashMap<Box<str>, usize>,
    len: usize,
    closed: Option<Closed>,
    /// The committer waits for an item.
    asleep: bool,
}

/// The queue.
pub(super) struct Intake {
    state: Mutex<State>,
    wake: Condvar,
    items_max: usize,
    /// How many of them may be one org's.
    org_max: usize,
}

impl State {
    fn push(&mut self, item: Item) {
        let org = item.org();
        if let Some(queue) = self.queues.get_mut(org) {
            queue.push_back(item);
        } else {
            self.turns.push_back(org.into());
            self.queues.insert(org.into(), VecDeque::from([item]));
        }
        self.len += 1;
    }

    /// Up to so many items, an org after the other.
    fn take(&mut self, limit: usize) -> Vec<Item> {
        let mut taken = Vec::with_capacity(self.len.min(limit));
        while taken.len() < limit
            && let Some(org) = self.turns.pop_front()
            && let Some(queue) = self.queues.get_mut(&org)
        {
            let alone = self.turns.is_empty();
            let weight = if alone { limit } else { self.weights.get(&org).copied().unwrap_or(1) };
            let count = weight.min(limit - taken.len()).min(queue.len());
            taken.extend(queue.drain(..count));
            if queue.is_empty() {
                self.queues.remove(&org);
            } else {
                self.turns.push_back(org);
            }
        }
        self.len -= taken.len();
        taken
    }
}

impl Intake {
    pub(super) fn new(items_max: usize) -> Self {
        // One org alone does not keep the others out.
        let org_max = items_max.div_ceil(2);
        Self { state: Mutex::default(), wake: Condvar::new(), items_max, org_max }
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
        let waiting = state.queues.get(item.org()).map_or(0, VecDeque::len);
        if state.len >= self.items_max || waiting >= self.org_max {
            return Err(Refusal::Busy { waiting });
        }
        state.push(item);
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
        while state.len == 0 && state.closed.is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.asleep = true;
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.asleep = false;
        let items = state.take(limit);
        Taken { items, closed: state.closed.is_some() && state.len == 0 }
    }

    /// From now on an org gives so many events a turn.
    pub(super) fn weigh(&self, org: &str, weight: u32) {
        let mut state = self.state();
        match usize::try_from(weight).unwrap_or(usize::MAX) {
            0 | 1 => drop(state.weights.remove(org)),
            weight => drop(state.weights.insert(org.into(), weight)),
        }
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
        self.state().len
    }
}

impl Item {
    /// The org that it is for.
    fn org(&self) -> &str {
        match self {
            Item::Event(pending) => pending.to.org_name(),
            Item::Record(_) => EDGE,
        }
    }

    /// Answers the sender that the store has failed.
    pub(super) fn fail(self, error: &StoreError) {
        // A sender that went away needs no answer.
        match self {
            Item::Event(pending) => drop(pending.reply.send(Err(error.into()))),
            Item::Record(write) => drop(write.reply.send(Err(error.clone()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use remit_loops::{Actor, Body, Timestamp};

    use super::*;

    fn event(to: &str, n: i64) -> Item {
        let event = Event { at: Timestamp(n), by: Actor::Clock, body: Body::Tick };
        let (reply, _) = oneshot::channel();
        let (by, body) = (vec![], vec![]);
        Item::Event(Box::new(Pending { to: to.parse().unwrap(), event, key: None, by, body, reply }))
    }

    fn take(intake: &Intake, limit: usize) -> Vec<(String, i64)> {
        let items = intake.take(limit, Instant::now()).items;
        let name = |item: &Item| match item {
            Item::Event(pending) => (pending.to.to_string(), pending.event.at.0),
            Item::Record(_) => panic!("none was given"),
        };
        items.iter().map(name).collect()
    }

    fn orgs(taken: &[(String, i64)]) -> String {
        taken.iter().map(|(to, _)| &to[4..5]).collect()
    }

    #[test]
    fn an_org_that_sends_much_waits_for_itself() {
        let intake = Intake::new(1_000);
        for n in 0..400 {
            assert!(intake.push(event("org_a", n)).is_ok());
        }
        for n in 0..3 {
            assert!(intake.push(event("app_b.x", n)).is_ok());
            assert!(intake.push(event("org_c", n)).is_ok());
        }
        let taken = take(&intake, 12);
        assert_eq!(orgs(&taken), "abcabcabcaaa");
        let order: Vec<i64> = taken.iter().filter(|(to, _)| to == "org_a").map(|(_, n)| *n).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5], "an object's events keep their order");
        assert_eq!(intake.len(), 394);
    }

    #[test]
    fn a_weight_gives_more_a_turn_and_nobody_fills_the_queue_alone() {
        let intake = Intake::new(20);
        intake.weigh("b", 3);
        for n in 0..10 {
            assert!(intake.push(event("org_a", n)).is_ok());
        }
        let full = intake.push(event("org_a", 10));
        assert!(matches!(full, Err(Refusal::Busy { waiting: 10 })), "half of it is one org's share");
        for n in 0..6 {
            assert!(intake.push(event("org_b", n)).is_ok());
        }
        assert_eq!(orgs(&take(&intake, 10)), "abbbabbbaa");
        intake.weigh("b", 1);
        assert!(intake.push(event("org_b", 7)).is_ok());
        assert_eq!(orgs(&take(&intake, 3)), "aba");
    }
}
