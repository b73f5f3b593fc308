//! The freezes that hold for one object: its own, and those of what it is in.
//!
//! A parent's freezes hold for its children; it tells them. Two freezes of one object never lie over
//! each other, so that taking one away ends what people think that it ends.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Effect, Event, record};
use crate::freeze::{AddFreeze, Freeze, RemoveFreeze};
use crate::id::{ObjectId, is_name};
use crate::rejected::{Rejected, RejectedCode, check_reason};
use crate::time::Timestamp;

/// The most freezes of one object.
pub(crate) const FREEZES_MAX: usize = 50;

/// The longest freeze, milliseconds: what lasts longer is a pause.
pub(crate) const LENGTH_MS_MAX: i64 = 366 * 24 * 3_600_000;

/// The freezes that hold for one object: its own, and those of what it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Freezes {
    #[serde(default)]
    pub(crate) own: BTreeMap<String, Freeze>,
    /// As its parent told last.
    #[serde(default)]
    pub(crate) above: Vec<Freeze>,
}

impl Freezes {
    pub(crate) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.above.is_empty()
    }

    /// All of them, the parents' first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Freeze> {
        self.above.iter().chain(self.own.values())
    }

    /// The one that holds now; of several, the one that ends last.
    pub(crate) fn holding(&self, at: Timestamp) -> Option<&Freeze> {
        self.all().filter(|freeze| freeze.holds(at)).max_by_key(|freeze| freeze.until)
    }

    /// When the next one begins.
    pub(crate) fn next(&self, at: Timestamp) -> Option<Timestamp> {
        self.all().map(|freeze| freeze.from).filter(|from| *from > at).min()
    }

    pub(crate) fn add(&mut self, of: &ObjectId, event: &Event, add: &AddFreeze) -> Result<Effect, Rejected> {
        let AddFreeze { name, from, until, reason } = add.clone();
        check_reason(&reason)?;
        let at = event.at;
        let from = from.unwrap_or(at);
        // What is over counts no more; it is forgotten only with what is accepted.
        let live: BTreeMap<&String, &Freeze> = self.own.iter().filter(|(_, f)| f.until > at).collect();
        let invalid = |message: String| Err(Rejected::new(RejectedCode::FreezeInvalid, message));
        if !is_name(&name) {
            return invalid(format!("`{name}` is no name for a freeze: use a-z, 0-9 and -, like year-end"));
        }
        if until <= from || until <= at {
            return invalid(format!("freeze {name} is over before it begins, or already"));
        }
        if until.since_ms(from) > LENGTH_MS_MAX {
            return invalid(format!("freeze {name} is longer than a year; `pause` has no end"));
        }
        if live.len() >= FREEZES_MAX {
            return invalid(format!("{of} has {FREEZES_MAX} freezes already; remove one first"));
        }
        if live.contains_key(&name) {
            let message = format!("{of} has a freeze {name} already; remove it first, or take another name");
            return Err(Rejected::new(RejectedCode::FreezeOverlaps, message));
        }
        if let Some(other) = live.values().find(|other| other.overlaps(from, until)) {
            let message = format!(
                "freeze {name} would lie over freeze {} of {of} (because of: {}); remove that one first, \
                 and state one that holds for both",
                other.name, other.reason
            );
            return Err(Rejected::new(RejectedCode::FreezeOverlaps, message));
        }
        let by = event.by.to_string();
        let text = format!("frozen by {by} (freeze {name}): {reason}");
        let freeze = Freeze { name: name.clone(), of: of.clone(), from, until, reason, by };
        self.own.retain(|_, freeze| freeze.until > at);
        self.own.insert(name, freeze);
        Ok(record("freeze.added", text))
    }

    pub(crate) fn remove(
        &mut self,
        of: &ObjectId,
        event: &Event,
        RemoveFreeze { name, reason }: &RemoveFreeze,
    ) -> Result<Effect, Rejected> {
        check_reason(reason)?;
        if self.own.remove(name).is_none() {
            let names: Vec<&str> = self.own.keys().map(String::as_str).collect();
            let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let message = format!("{of} has no freeze {name}; it has: {there}");
            return Err(Rejected::new(RejectedCode::Conflict, message));
        }
        Ok(record("freeze.removed", format!("freeze {name} was taken away by {}: {reason}", event.by)))
    }

    /// What the children are to know: those that are not over.
    pub(crate) fn told(&self, at: Timestamp) -> Vec<Freeze> {
        self.all().filter(|freeze| freeze.until > at).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::Actor;
    use crate::event::Body;

    fn add(freezes: &mut Freezes, name: &str, from: i64, until: i64) -> Result<Effect, RejectedCode> {
        let of = "org_demo".parse().unwrap();
        let event = Event { at: Timestamp(100), by: Actor::Person("ann".into()), body: Body::Tick };
        let (from, until) = (Some(Timestamp(from)), Timestamp(until));
        let add = AddFreeze { name: name.into(), from, until, reason: "why not".into() };
        freezes.add(&of, &event, &add).map_err(|rejected| rejected.code)
    }

    #[test]
    fn two_freezes_of_one_object_never_lie_over_each_other() {
        let mut freezes = Freezes::default();
        add(&mut freezes, "a", 200, 300).unwrap();
        add(&mut freezes, "touches", 300, 400).unwrap();
        for (name, from, until, code) in [
            ("a", 900, 950, RejectedCode::FreezeOverlaps),
            ("inside", 210, 220, RejectedCode::FreezeOverlaps),
            ("around", 100, 900, RejectedCode::FreezeOverlaps),
            ("back", 500, 400, RejectedCode::FreezeInvalid),
            ("over", 10, 100, RejectedCode::FreezeInvalid),
            ("No Name", 500, 600, RejectedCode::FreezeInvalid),
            ("endless", 500, 501 + LENGTH_MS_MAX, RejectedCode::FreezeInvalid),
        ] {
            assert_eq!(add(&mut freezes, name, from, until), Err(code), "{name}");
        }
        assert_eq!(freezes.holding(Timestamp(300)).unwrap().name, "touches");
        assert_eq!(freezes.holding(Timestamp(400)), None);
        assert_eq!(freezes.next(Timestamp(200)), Some(Timestamp(300)));
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut freezes = Freezes::default();
        add(&mut freezes, "a", 100, 101).unwrap();
        freezes.own.get_mut("a").unwrap().until = Timestamp(50);
        let before = freezes.clone();
        assert_eq!(add(&mut freezes, "No Name", 100, 200), Err(RejectedCode::FreezeInvalid));
        assert_eq!(freezes, before);
    }

    #[test]
    fn what_is_over_makes_room() {
        let mut freezes = Freezes::default();
        add(&mut freezes, "a", 100, 101).unwrap();
        freezes.own.get_mut("a").unwrap().until = Timestamp(50);
        add(&mut freezes, "a", 100, 200).unwrap();
    }
}
