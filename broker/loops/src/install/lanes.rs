//! The queue of an object: operations that wait for their turn, in two lanes.
//!
//! *Work* is serial; *read* runs beside it and never holds it up. The third lane, *control*,
//! needs no queue: such signals act when they are applied.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::rejected::{Rejected, RejectedCode};
use crate::time::Timestamp;

/// The most operations that may wait in one object.
pub(super) const QUEUE_LEN_MAX: usize = 1_000;

/// Which lane an operation waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Lane {
    /// Changes the world; one at a time.
    Work,
    /// Only looks.
    Read,
}

impl Lane {
    /// The word for it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Lane::Work => "work",
            Lane::Read => "read",
        }
    }
}

/// An operation that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Queued<T> {
    /// Its number in the object.
    pub(super) number: u64,
    /// Who asked.
    pub(super) by: Actor,
    /// When.
    pub(super) since: Timestamp,
    /// What for.
    pub(super) what: T,
}

/// The two lanes that queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lanes<T> {
    work: VecDeque<Queued<T>>,
    read: VecDeque<Queued<T>>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { work: VecDeque::new(), read: VecDeque::new() }
    }
}

impl<T> Lanes<T> {
    fn lane(&self, lane: Lane) -> &VecDeque<Queued<T>> {
        match lane {
            Lane::Work => &self.work,
            Lane::Read => &self.read,
        }
    }

    fn lane_mut(&mut self, lane: Lane) -> &mut VecDeque<Queued<T>> {
        match lane {
            Lane::Work => &mut self.work,
            Lane::Read => &mut self.read,
        }
    }

    /// Refuses when the queue is full: before anything is accepted.
    pub(super) fn check_room(&self) -> Result<(), Rejected> {
        let waiting = self.work.len() + self.read.len();
        if waiting < QUEUE_LEN_MAX {
            return Ok(());
        }
        let message = format!(
            "{waiting} operations wait already; cancel some of them, or try again when they are done"
        );
        Err(Rejected::new(RejectedCode::QueueFull, message))
    }

    /// Puts an operation at the end of its lane.
    pub(super) fn push(&mut self, lane: Lane, queued: Queued<T>) {
        self.lane_mut(lane).push_back(queued);
    }

    /// The next operation of a lane.
    pub(super) fn peek(&self, lane: Lane) -> Option<&Queued<T>> {
        self.lane(lane).front()
    }

    /// What waits in a lane, in order.
    pub(super) fn of(&self, lane: Lane) -> impl Iterator<Item = &Queued<T>> {
        self.lane(lane).iter()
    }

    /// Takes out every waiting operation that fits.
    pub(super) fn take_where(&mut self, fits: impl Fn(&Queued<T>) -> bool) -> Vec<Queued<T>> {
        let mut taken = Vec::new();
        for lane in [&mut self.work, &mut self.read] {
            let (out, keep): (Vec<_>, Vec<_>) = lane.drain(..).partition(&fits);
            taken.extend(out);
            lane.extend(keep);
        }
        taken
    }

    /// Every waiting operation with its lane and place from 1.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Lane, u32, &Queued<T>)> {
        let place = |lane| move |(i, q)| (lane, u32::try_from(i).unwrap_or(u32::MAX).saturating_add(1), q);
        let work = self.work.iter().enumerate().map(place(Lane::Work));
        work.chain(self.read.iter().enumerate().map(place(Lane::Read)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_takes_no_more_until_something_leaves_it() {
        let mut lanes = Lanes::default();
        let queued = |number| Queued { number, by: Actor::Clock, since: Timestamp(0), what: () };
        for number in 1..=QUEUE_LEN_MAX as u64 {
            lanes.check_room().unwrap();
            let lane = if number % 2 == 0 { Lane::Read } else { Lane::Work };
            lanes.push(lane, queued(number));
        }
        assert_eq!(lanes.check_room().unwrap_err().code, RejectedCode::QueueFull);
        assert_eq!(lanes.take_where(|q| q.number == 7).len(), 1);
        lanes.check_room().unwrap();
    }
}
