//! Which object wants a tick when: one time for each, rebuilt from the store at the start.

use std::collections::{BTreeSet, HashMap};

use remit_loops::{ObjectId, Timestamp};

/// The deadlines of all objects that have one.
#[derive(Default)]
pub(super) struct Timers {
    order: BTreeSet<(Timestamp, ObjectId)>,
    by_object: HashMap<ObjectId, Timestamp>,
}

impl Timers {
    /// Puts an object's deadline in place of its older one.
    pub(super) fn set(&mut self, id: &ObjectId, deadline: Option<Timestamp>) {
        if self.by_object.get(id).copied() == deadline {
            return;
        }
        if let Some(old) = self.by_object.remove(id) {
            self.order.remove(&(old, id.clone()));
        }
        if let Some(at) = deadline {
            self.by_object.insert(id.clone(), at);
            self.order.insert((at, id.clone()));
        }
    }

    /// An object's deadline.
    pub(super) fn of(&self, id: &ObjectId) -> Option<Timestamp> {
        self.by_object.get(id).copied()
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out the objects whose time has come, the earliest first.
    pub(super) fn due(&mut self, now: Timestamp, limit: usize) -> Vec<ObjectId> {
        let mut due = Vec::new();
        while due.len() < limit
            && let Some(first) = self.order.pop_first()
        {
            if first.0 > now {
                self.order.insert(first);
                break;
            }
            self.by_object.remove(&first.1);
            due.push(first.1);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ObjectId {
        format!("org_{name}").parse().unwrap()
    }

    #[test]
    fn a_newer_deadline_takes_the_place_of_the_older() {
        let mut timers = Timers::default();
        timers.set(&id("a"), Some(Timestamp(10)));
        timers.set(&id("b"), Some(Timestamp(20)));
        timers.set(&id("a"), Some(Timestamp(30)));
        assert_eq!(timers.next(), Some(Timestamp(20)));
        assert_eq!(timers.due(Timestamp(25), 10), [id("b")]);
        timers.set(&id("a"), None);
        assert_eq!(timers.next(), None);
        assert_eq!(timers.due(Timestamp(99), 10), []);
    }

    #[test]
    fn no_more_are_taken_than_asked_for() {
        let mut timers = Timers::default();
        for name in ["a", "b", "c"] {
            timers.set(&id(name), Some(Timestamp(1)));
        }
        assert_eq!(timers.due(Timestamp(1), 2), [id("a"), id("b")]);
        assert_eq!(timers.due(Timestamp(1), 2), [id("c")]);
    }
}
