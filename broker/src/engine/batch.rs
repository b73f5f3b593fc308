//! One batch: decide, commit, and only then act.
//!
//! What a batch decides stays inside it, in [`Held`]; it comes out of [`Committed`] alone.

use std::collections::VecDeque;
use std::sync::Arc;

use remit_loops::event::Effect;
use remit_loops::timeline::{Entry, Level};
use remit_loops::{Actor, Body, Event, ObjectId, Rejected, RejectedCode, Timestamp};

use crate::engine::clock::Clock;
use crate::engine::codec;
use crate::engine::committed::{Answer, Committed, Failed, Held};
use crate::engine::intake::{Item, Pending, RecordChange, RecordWrite};
use crate::engine::keys::OlderKeys;
use crate::engine::metrics::{Counters, count};
use crate::engine::shared::Shared;
use crate::engine::working::{Slot, WorkingSet};
use crate::engine::{Accepted, Snapshot};
use crate::store::{EventWrite, KeyHash, StoreError, Transaction};

/// The timeline entry of a notice that was refused; replay knows by it that the state stayed.
pub(super) const NOTICE_REFUSED: &str = "engine.notice_refused";

/// What a batch is about.
pub(super) struct Input<'a> {
    /// The inbox holds notices of earlier batches: they come first.
    pub(super) inbox_waits: bool,
    /// Objects whose deadline has come.
    pub(super) due: &'a [ObjectId],
    /// What came in.
    pub(super) items: Vec<Item>,
    /// How many notices it may apply.
    pub(super) notices_max: usize,
}

/// A notice on its way to the loop it is for.
struct Told {
    to: ObjectId,
    by: Actor,
    body: Body,
    /// It has waited in the inbox, and comes before what still waits there.
    waited: bool,
}

/// An event's encoded parts, as they go into the log.
#[derive(Clone, Copy)]
struct Encoded<'a> {
    key: Option<(&'a str, KeyHash)>,
    by: &'a [u8],
    body: &'a [u8],
}

/// A batch while it is decided.
pub(super) struct Batch<'a> {
    tx: Box<dyn Transaction + 'a>,
    working: WorkingSet<'a>,
    older: &'a mut OlderKeys,
    counters: &'a Counters,
    clock: &'a Clock,
    is_shared: bool,
    at: Timestamp,
    notices: VecDeque<Told>,
    notices_left: usize,
    /// Used again for each event.
    encoded_entries: Vec<u8>,
    held: Held,
}

impl<'a> Batch<'a> {
    pub(super) fn new(tx: Box<dyn Transaction + 'a>, older: &'a mut OlderKeys, shared: &'a Shared) -> Self {
        let is_shared = shared.peers.is_some();
        let working = WorkingSet::new(&shared.cache, is_shared);
        let (notices, held) = (VecDeque::new(), Held::default());
        Self {
            tx,
            working,
            older,
            counters: &shared.counters,
            clock: &shared.clock,
            is_shared,
            at: Timestamp(0),
            notices,
            notices_left: 0,
            encoded_entries: vec![],
            held,
        }
    }

    /// Applies everything and commits it.
    pub(super) fn run(mut self, input: Input<'_>) -> Result<Committed, Failed> {
        let mut items = VecDeque::from(input.items);
        self.notices_left = input.notices_max;
        let decided = self.decide(input.inbox_waits, input.due, &mut items);
        self.held.carried = items.into();
        match decided {
            Ok(()) => Committed::commit(self.tx, self.working, self.held),
            Err(error) => Err(Failed::new(error, self.held)),
        }
    }

    fn decide(
        &mut self,
        inbox_waits: bool,
        due: &[ObjectId],
        items: &mut VecDeque<Item>,
    ) -> Result<(), StoreError> {
        self.hold_for(items)?;
        if inbox_waits {
            self.take_inbox()?;
        }
        for id in due {
            self.tick(id)?;
            self.deliver()?;
        }
        // A full batch takes nothing new before its notices are delivered: they keep their order.
        while !self.held.inbox_waits
            && let Some(item) = items.pop_front()
        {
            match item {
                Item::Event(pending) => self.submission(pending)?,
                Item::Record(write) => self.record(write)?,
            }
        }
        Ok(())
    }

    /// Holds what the items are for, before anything else is held, and sets the batch's time after that: so
    /// the events of an object have times in their order, whichever broker takes them.
    fn hold_for(&mut self, items: &VecDeque<Item>) -> Result<(), StoreError> {
        if self.is_shared {
            let wanted = items.iter().filter_map(|item| match item {
                Item::Event(pending) => Some(&pending.to),
                Item::Record(_) => None,
            });
            self.working.hold(&mut *self.tx, wanted, true)?;
        }
        self.caught_up()?;
        if self.is_shared { self.load_keys(items) } else { Ok(()) }
    }

    /// Asks once for all the older keys that the items may have, of objects that other brokers had.
    fn load_keys(&mut self, items: &VecDeque<Item>) -> Result<(), StoreError> {
        let mut rows = Vec::new();
        for item in items {
            let Item::Event(pending) = item else { continue };
            let (Some((_, hash)), Some(slot)) = (&pending.key, self.slot(&pending.to)?) else { continue };
            let working = self.working.get(slot);
            if working.keys.has_older() && working.keys.find(hash).is_none() {
                rows.extend(working.row);
            }
        }
        self.older.load(&mut *self.tx, &rows)
    }

    /// After objects were loaded: the time goes on, and what is known of them beside their state is checked.
    fn caught_up(&mut self) -> Result<(), StoreError> {
        self.at = match self.tx.clock()? {
            Some(theirs) if theirs > self.at => self.clock.follow(theirs),
            None if self.at == Timestamp(0) => self.clock.stamp(),
            Some(_) | None => self.at,
        };
        self.working.reloaded.drain(..).for_each(|row| self.older.fall_behind(row));
        Ok(())
    }

    /// The object's place; `None` if another broker holds it.
    fn slot(&mut self, id: &ObjectId) -> Result<Option<Slot>, StoreError> {
        let slot = self.working.slot(&mut *self.tx, id)?;
        if self.is_shared {
            self.caught_up()?;
        }
        Ok(slot)
    }

    fn take_inbox(&mut self) -> Result<(), StoreError> {
        let limit = self.notices_left;
        let taken = self.tx.take_inbox(limit)?;
        self.notices_left -= taken.len();
        self.held.inbox_waits = taken.len() == limit;
        for notice in taken {
            let (by, body) = (codec::decode_by(&notice.by)?, codec::decode_body(&notice.body)?);
            self.notices.push_back(Told { to: notice.to, by, body, waited: true });
        }
        self.deliver()
    }

    fn tick(&mut self, id: &ObjectId) -> Result<(), StoreError> {
        // Who holds it gives it its tick, or finds it overdue.
        let Some(slot) = self.slot(id)? else { return Ok(()) };
        let event = Event { at: self.at, by: Actor::Clock, body: Body::Tick };
        let working = self.working.get(slot);
        working.ticked = true;
        let before = working.object.clone();
        let outcome = Arc::make_mut(&mut working.object).apply(&event);
        let stale = working.object == before && outcome.as_ref().map_or(true, Vec::is_empty);
        if let (Ok(effects), false) = (outcome, stale) {
            count(&self.counters.ticks);
            let (by, body) = (codec::encode(&event.by), codec::encode(&event.body));
            self.append(slot, &Encoded { key: None, by: &by, body: &body }, effects)?;
        }
        Ok(())
    }

    fn submission(&mut self, mut pending: Box<Pending>) -> Result<(), StoreError> {
        pending.event.at = self.at;
        match self.submitted(&pending) {
            Ok(answer) => {
                self.held.answers.push(Answer::Event(pending, answer));
                Ok(())
            }
            Err(error) => {
                self.held.answers.push(Answer::Event(pending, Err(undecided())));
                Err(error)
            }
        }
    }

    /// The answer to a submission, after all that it causes in this commit.
    fn submitted(&mut self, pending: &Pending) -> Result<Result<Accepted, Rejected>, StoreError> {
        let Pending { to, event, key, by, body, .. } = pending;
        let encoded = Encoded { key: key.as_ref().map(|(key, hash)| (key.as_str(), *hash)), by, body };
        let held = self.slot(to)?;
        let slot = held.ok_or_else(|| StoreError::Conflict(format!("{to} is held by another broker")))?;
        let decided = match self.earlier(slot, encoded.key, &event.body)? {
            None => self.step(slot, event, &encoded)?.map(|seq| (seq, false)),
            Some(earlier) => earlier.map(|seq| (seq, true)),
        };
        self.deliver()?;
        let working = self.working.get(slot);
        let (object, revision) = (working.object.clone(), working.revision);
        let snapshot = Snapshot { id: to.clone(), object, revision };
        Ok(decided.map(|(seq, duplicate)| Accepted { seq, duplicate, snapshot }))
    }

    /// The event that came with this key before, if one did; a rejection if it was another one.
    fn earlier(
        &mut self,
        slot: Slot,
        key: Option<(&str, KeyHash)>,
        body: &Body,
    ) -> Result<Option<Result<u64, Rejected>>, StoreError> {
        let (Some((key, hash)), working) = (key, self.working.get(slot)) else { return Ok(None) };
        let seq = match (working.keys.find(&hash), working.row) {
            (Some(seq), _) => Some(seq),
            (None, Some(row)) if working.keys.has_older() => self.older.find(&mut *self.tx, row, &hash)?,
            (None, _) => None,
        };
        let Some(seq) = seq else { return Ok(None) };
        let event = self.tx.event(seq)?;
        let event = event.ok_or_else(|| StoreError::Corrupt(format!("event {seq} is not in the log")))?;
        if codec::decode_body(&event.body)? == *body {
            return Ok(Some(Ok(seq)));
        }
        let message = format!("the idempotency key `{key}` came with something else before; use a new one");
        Ok(Some(Err(Rejected::new(RejectedCode::Conflict, message))))
    }

    /// Gives one object one event. The inner error changed nothing.
    fn step(
        &mut self,
        slot: Slot,
        event: &Event,
        encoded: &Encoded<'_>,
    ) -> Result<Result<u64, Rejected>, StoreError> {
        let working = self.working.get(slot);
        let before = cfg!(debug_assertions).then(|| working.object.clone());
        match Arc::make_mut(&mut working.object).apply(event) {
            Ok(effects) => self.append(slot, encoded, effects).map(Ok),
            Err(rejected) => {
                let same = before.is_none_or(|before| before == working.object);
                debug_assert!(same, "{} refused an event and changed: {event:?}", working.id);
                Ok(Err(rejected))
            }
        }
    }

    /// Writes an applied event down and queues what it asks for.
    fn append(&mut self, slot: Slot, encoded: &Encoded<'_>, effects: Vec<Effect>) -> Result<u64, StoreError> {
        let mut entries = Vec::new();
        for effect in effects {
            match effect {
                Effect::Record(entry) => entries.push(entry),
                Effect::WakeRunner(id) => self.held.wakes.push(Arc::new(id)),
                Effect::Tell { to, notice } => {
                    let by = Actor::Object(self.working.get(slot).id.as_ref().clone());
                    self.tell(Told { to, by, body: Body::Notice(notice), waited: false })?;
                }
            }
        }
        self.log(slot, encoded, &entries)
    }

    /// Puts an event in the log and moves its object on to it.
    fn log(&mut self, slot: Slot, encoded: &Encoded<'_>, entries: &[Entry]) -> Result<u64, StoreError> {
        let working = self.working.get(slot);
        let row = match working.row {
            Some(row) => row,
            None => self.tx.create(&working.id)?,
        };
        self.encoded_entries.clear();
        codec::encode_entries(entries, &mut self.encoded_entries);
        let seq = self.tx.append(&EventWrite {
            row,
            prev_seq: working.last_seq,
            at: self.at,
            key: encoded.key.map(|(key, _)| key),
            by: encoded.by,
            body: encoded.body,
            entries: &self.encoded_entries,
        })?;
        if let Some((_, hash)) = &encoded.key {
            let older = working.keys.add(hash, seq);
            if !older.is_empty() {
                self.tx.spill_keys(row, &older)?;
                self.older.add(row, &older);
            }
        }
        working.row = Some(row);
        working.last_seq = seq;
        working.revision += 1;
        working.changed = true;
        Ok(seq)
    }

    /// Queues a notice for this commit, or stores it for the next when this one is full.
    fn tell(&mut self, told: Told) -> Result<(), StoreError> {
        if self.held.inbox_waits || self.notices_left == 0 {
            self.held.inbox_waits = true;
            return self.store_notice(&told);
        }
        self.notices_left -= 1;
        self.notices.push_back(told);
        Ok(())
    }

    fn store_notice(&mut self, told: &Told) -> Result<(), StoreError> {
        count(&self.counters.notices_deferred);
        self.tx.push_inbox(&told.to, &codec::encode(&told.by), &codec::encode(&told.body))
    }

    /// Delivers the queued notices, and those that they cause, in order.
    fn deliver(&mut self) -> Result<(), StoreError> {
        while let Some(told) = self.notices.pop_front() {
            match self.slot_for(&told)? {
                Some(slot) => self.notice(slot, told)?,
                None => {
                    self.held.passed_over = true;
                    self.store_notice(&told)?;
                }
            }
        }
        Ok(())
    }

    /// Where a notice may be delivered now; `None` if it must go to the inbox, for another broker holds its
    /// object or older notices for that wait.
    fn slot_for(&mut self, told: &Told) -> Result<Option<Slot>, StoreError> {
        let slot = self.slot(&told.to)?;
        Ok(slot.filter(|slot| told.waited || !self.working.get(*slot).is_behind))
    }

    fn notice(&mut self, slot: Slot, told: Told) -> Result<(), StoreError> {
        let (by, body) = (codec::encode(&told.by), codec::encode(&told.body));
        let encoded = Encoded { key: None, by: &by, body: &body };
        let event = Event { at: self.at, by: told.by, body: told.body };
        match self.step(slot, &event, &encoded)? {
            Ok(_) => count(&self.counters.notices),
            Err(rejected) => {
                count(&self.counters.notices_refused);
                self.log(slot, &encoded, &[refused_entry(&event, &rejected)])?;
            }
        }
        Ok(())
    }

    fn record(&mut self, write: RecordWrite) -> Result<(), StoreError> {
        let RecordWrite { space, key, change, .. } = &write;
        let wrote = match change {
            RecordChange::Put(value) => self.tx.put_record(space, key, value, false),
            RecordChange::Add(value) => self.tx.put_record(space, key, value, true),
            RecordChange::Delete => self.tx.delete_record(space, key),
        };
        // Should the write have failed, the whole batch has, and so says its answer.
        self.held.answers.push(Answer::Record(write, *wrote.as_ref().unwrap_or(&false)));
        wrote.map(drop)
    }
}

/// Stands in for the answer of a submission whose batch has failed; nobody gets to see it.
fn undecided() -> Rejected {
    Rejected::new(RejectedCode::Conflict, "the batch has failed")
}

/// A refused notice is not lost silently: it stays on the timeline of the one that refused it.
fn refused_entry(event: &Event, rejected: &Rejected) -> Entry {
    let from = match &event.by {
        Actor::Object(id) => id.to_string(),
        Actor::Person(_) | Actor::Runner | Actor::Clock => "somebody".to_owned(),
    };
    let text = format!("a notice from {from} was refused ({}): {rejected}", rejected.code.as_str());
    Entry { code: NOTICE_REFUSED.to_owned(), text, level: Level::Warning }
}
