//! One batch: decide, commit, and only then act.
//!
//! What a batch decides stays inside it. Answers, wake-ups and new states come out of
//! [`Committed`] alone, and only a commit makes one.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use remit_loops::event::{Effect, Entry, Level};
use remit_loops::{Actor, Body, Event, Object, ObjectId, Rejected, RejectedCode, Timestamp};
use tokio::sync::oneshot;

use crate::engine::cache::{Cache, Cached};
use crate::engine::codec::{self, STATE_VERSION};
use crate::engine::intake::{Item, Pending, RecordChange, RecordWrite};
use crate::engine::metrics::{Counters, count};
use crate::engine::timers::Timers;
use crate::engine::watch::Watchers;
use crate::engine::{Accepted, Snapshot, SubmitError};
use crate::store::{EventWrite, ObjectWrite, Row, StoreError, Transaction};

/// The timeline entry of a notice that was refused; replay knows by it that the state stayed.
pub(super) const NOTICE_REFUSED: &str = "engine.notice_refused";

/// What a batch is about.
pub(super) struct Input<'a> {
    /// The time of all its events.
    pub(super) at: Timestamp,
    /// The inbox holds notices of earlier batches: they come first.
    pub(super) inbox_waits: bool,
    /// Objects whose deadline has come.
    pub(super) due: &'a [ObjectId],
    /// What came in.
    pub(super) items: Vec<Item>,
    /// How many notices it may apply.
    pub(super) notices_max: usize,
}

/// An object as the batch sees it.
struct Working {
    row: Option<Row>,
    object: Arc<Object>,
    revision: u64,
    last_seq: u64,
    bytes: usize,
    changed: bool,
}

/// A notice on its way to the loop it is for.
struct Told {
    to: ObjectId,
    by: Actor,
    body: Body,
}

/// An event's encoded parts, as they go into the log.
#[derive(Clone, Copy)]
struct Encoded<'a> {
    key: Option<&'a str>,
    by: &'a [u8],
    body: &'a [u8],
}

/// An answer that waits for the commit.
enum Answer {
    Event(oneshot::Sender<Result<Accepted, SubmitError>>, Result<Accepted, SubmitError>),
    Record(oneshot::Sender<Result<bool, StoreError>>, bool),
}

/// A batch while it is decided.
pub(super) struct Batch<'a> {
    tx: Box<dyn Transaction + 'a>,
    cache: &'a Cache,
    counters: &'a Counters,
    at: Timestamp,
    working: HashMap<ObjectId, Working>,
    /// The changed objects in the order of their first change.
    changed: Vec<ObjectId>,
    notices: VecDeque<Told>,
    notices_left: usize,
    /// Notices went or will stay in the inbox: newer ones queue up behind them.
    inbox_waits: bool,
    wakes: Vec<ObjectId>,
    answers: Vec<Answer>,
}

/// What a commit lets out.
pub(super) struct Committed {
    objects: Vec<(ObjectId, Cached)>,
    deadlines: Vec<(ObjectId, Option<Timestamp>)>,
    wakes: Vec<ObjectId>,
    answers: Vec<Answer>,
    /// The inbox holds notices for the next batch.
    pub(super) inbox_waits: bool,
    /// What the batch had no room for.
    pub(super) carried: Vec<Item>,
}

/// A batch that is not on disk, or of which nobody knows whether it is.
pub(super) struct Failed {
    pub(super) error: StoreError,
    answers: Vec<Answer>,
    carried: Vec<Item>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(tx: Box<dyn Transaction + 'a>, cache: &'a Cache, counters: &'a Counters) -> Self {
        Self {
            tx,
            cache,
            counters,
            at: Timestamp(0),
            working: HashMap::new(),
            changed: Vec::new(),
            notices: VecDeque::new(),
            notices_left: 0,
            inbox_waits: false,
            wakes: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Applies everything and commits it.
    pub(super) fn run(mut self, input: Input<'_>) -> Result<Committed, Failed> {
        let mut items = VecDeque::from(input.items);
        self.at = input.at;
        self.notices_left = input.notices_max;
        match self.decide(input.inbox_waits, input.due, &mut items) {
            Ok(()) => self.commit(items.into()),
            Err(error) => Err(Failed { error, answers: self.answers, carried: items.into() }),
        }
    }

    fn decide(
        &mut self,
        inbox_waits: bool,
        due: &[ObjectId],
        items: &mut VecDeque<Item>,
    ) -> Result<(), StoreError> {
        if inbox_waits {
            self.take_inbox()?;
        }
        for id in due {
            self.tick(id)?;
            self.deliver()?;
        }
        // A full batch takes nothing new before its notices are delivered: they keep their order.
        while !self.inbox_waits
            && let Some(item) = items.pop_front()
        {
            match item {
                Item::Event(pending) => self.submission(*pending)?,
                Item::Record(write) => self.record(write)?,
            }
        }
        Ok(())
    }

    fn take_inbox(&mut self) -> Result<(), StoreError> {
        let limit = self.notices_left;
        let taken = self.tx.take_inbox(limit)?;
        self.notices_left -= taken.len();
        self.inbox_waits = taken.len() == limit;
        for notice in taken {
            let (by, body) = (codec::decode_by(&notice.by)?, codec::decode_body(&notice.body)?);
            self.notices.push_back(Told { to: notice.to, by, body });
        }
        self.deliver()
    }

    fn tick(&mut self, id: &ObjectId) -> Result<(), StoreError> {
        let before = self.working(id)?.object.clone();
        let event = Event { at: self.at, by: Actor::Clock, body: Body::Tick };
        let (by, body) = (codec::encode(&event.by), codec::encode(&event.body));
        let working = self.working(id)?;
        let outcome = Arc::make_mut(&mut working.object).apply(&event);
        let stale = working.object == before && outcome.as_ref().map_or(true, Vec::is_empty);
        if let (Ok(effects), false) = (outcome, stale) {
            count(&self.counters.ticks);
            self.append(id, &Encoded { key: None, by: &by, body: &body }, effects)?;
        }
        Ok(())
    }

    fn submission(&mut self, pending: Pending) -> Result<(), StoreError> {
        let Pending { submission, by, body, reply } = pending;
        let (to, key) = (submission.to, submission.key);
        let encoded = Encoded { key: key.as_deref(), by: &by, body: &body };
        let event = Event { at: self.at, by: submission.by, body: submission.body };
        let decided = match self.duplicate_of(&to, encoded.key, &event.body) {
            Ok(None) => self.step(&to, &event, &encoded).map(|step| step.map(|seq| (seq, false))),
            Ok(Some(duplicate)) => Ok(duplicate.map(|seq| (seq, true))),
            Err(error) => Err(error),
        };
        let delivered = decided.and_then(|outcome| self.deliver().map(|()| outcome));
        let answer = match &delivered {
            Ok(Ok((seq, duplicate))) => {
                Ok(Accepted { seq: *seq, duplicate: *duplicate, snapshot: self.snapshot(&to)? })
            }
            Ok(Err(rejected)) => Err(SubmitError::Rejected(rejected.clone())),
            Err(error) => Err(SubmitError::Store(error.to_string())),
        };
        self.answers.push(Answer::Event(reply, answer));
        delivered.map(drop)
    }

    /// The event that came with this key before, if one did; a rejection if it was another one.
    fn duplicate_of(
        &mut self,
        to: &ObjectId,
        key: Option<&str>,
        body: &Body,
    ) -> Result<Option<Result<u64, Rejected>>, StoreError> {
        let (Some(key), Some(row)) = (key, self.working(to)?.row) else { return Ok(None) };
        let Some(seq) = self.tx.find_key(row, key)? else { return Ok(None) };
        let event = self.tx.event(seq)?;
        let event = event.ok_or_else(|| StoreError::Corrupt(format!("event {seq} of {to} is missing")))?;
        if codec::decode_body(&event.body)? == *body {
            return Ok(Some(Ok(seq)));
        }
        let message = format!("the idempotency key `{key}` came with something else before; use a new one");
        Ok(Some(Err(Rejected::new(RejectedCode::Conflict, message))))
    }

    /// Gives one object one event. The inner error changed nothing.
    fn step(
        &mut self,
        to: &ObjectId,
        event: &Event,
        encoded: &Encoded<'_>,
    ) -> Result<Result<u64, Rejected>, StoreError> {
        let working = self.working(to)?;
        let before = cfg!(debug_assertions).then(|| working.object.clone());
        match Arc::make_mut(&mut working.object).apply(event) {
            Ok(effects) => self.append(to, encoded, effects).map(Ok),
            Err(rejected) => {
                let same = before.is_none_or(|before| before == working.object);
                debug_assert!(same, "{to} refused an event and changed: {event:?}");
                Ok(Err(rejected))
            }
        }
    }

    /// Writes an applied event down and queues what it asks for.
    fn append(
        &mut self,
        to: &ObjectId,
        encoded: &Encoded<'_>,
        effects: Vec<Effect>,
    ) -> Result<u64, StoreError> {
        let mut entries = Vec::new();
        for effect in effects {
            match effect {
                Effect::Record(entry) => entries.push(entry),
                Effect::WakeRunner(id) => self.wakes.push(id),
                Effect::Tell { to: other, notice } => {
                    let by = Actor::Object(to.clone());
                    self.tell(Told { to: other, by, body: Body::Notice(notice) })?;
                }
            }
        }
        self.log(to, encoded, &entries)
    }

    /// Puts an event in the log and moves its object on to it.
    fn log(&mut self, to: &ObjectId, encoded: &Encoded<'_>, entries: &[Entry]) -> Result<u64, StoreError> {
        let at = self.at;
        let working = self.working.get_mut(to).expect("the event was applied to the loaded object");
        let row = match working.row {
            Some(row) => row,
            None => self.tx.create(to)?,
        };
        let entries = codec::encode_entries(entries);
        let (prev_seq, Encoded { key, by, body }) = (working.last_seq, *encoded);
        let seq = self.tx.append(&EventWrite { row, prev_seq, at, key, by, body, entries: &entries })?;
        working.row = Some(row);
        working.last_seq = seq;
        working.revision += 1;
        if !std::mem::replace(&mut working.changed, true) {
            self.changed.push(to.clone());
        }
        Ok(seq)
    }

    /// Queues a notice for this commit, or stores it for the next when this one is full.
    fn tell(&mut self, told: Told) -> Result<(), StoreError> {
        if self.inbox_waits || self.notices_left == 0 {
            self.inbox_waits = true;
            count(&self.counters.notices_deferred);
            return self.tx.push_inbox(&told.to, &codec::encode(&told.by), &codec::encode(&told.body));
        }
        self.notices_left -= 1;
        self.notices.push_back(told);
        Ok(())
    }

    /// Delivers the queued notices, and those that they cause, in order.
    fn deliver(&mut self) -> Result<(), StoreError> {
        while let Some(Told { to, by, body }) = self.notices.pop_front() {
            let (by_bytes, body_bytes) = (codec::encode(&by), codec::encode(&body));
            let encoded = Encoded { key: None, by: &by_bytes, body: &body_bytes };
            let event = Event { at: self.at, by, body };
            match self.step(&to, &event, &encoded)? {
                Ok(_) => count(&self.counters.notices),
                Err(rejected) => {
                    count(&self.counters.notices_refused);
                    self.log(&to, &encoded, &[refused_entry(&event, &rejected)])?;
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, write: RecordWrite) -> Result<(), StoreError> {
        let RecordWrite { space, key, change, reply } = write;
        let wrote = match change {
            RecordChange::Put(value) => self.tx.put_record(&space, &key, &value, false)?,
            RecordChange::Add(value) => self.tx.put_record(&space, &key, &value, true)?,
            RecordChange::Delete => self.tx.delete_record(&space, &key)?,
        };
        self.answers.push(Answer::Record(reply, wrote));
        Ok(())
    }

    /// The object as this batch sees it: its own change, the cache's state, the store's, or a new one.
    fn working(&mut self, id: &ObjectId) -> Result<&mut Working, StoreError> {
        if !self.working.contains_key(id) {
            let loaded = self.load(id)?;
            self.working.insert(id.clone(), loaded);
        }
        Ok(self.working.get_mut(id).expect("it was put there just now"))
    }

    fn load(&mut self, id: &ObjectId) -> Result<Working, StoreError> {
        if let Some(Cached { row, object, revision, last_seq, bytes }) = self.cache.get(id) {
            return Ok(Working { row: Some(row), object, revision, last_seq, bytes, changed: false });
        }
        let Some(stored) = self.tx.load(id)? else {
            let object = Arc::new(Object::new(id));
            return Ok(Working { row: None, object, revision: 0, last_seq: 0, bytes: 0, changed: false });
        };
        Ok(Working {
            row: Some(stored.row),
            object: Arc::new(codec::decode_state(&stored)?),
            revision: stored.revision,
            last_seq: stored.last_seq,
            bytes: stored.state.len(),
            changed: false,
        })
    }

    fn snapshot(&mut self, id: &ObjectId) -> Result<Snapshot, StoreError> {
        let working = self.working(id)?;
        Ok(Snapshot { id: id.clone(), object: working.object.clone(), revision: working.revision })
    }

    fn commit(mut self, carried: Vec<Item>) -> Result<Committed, Failed> {
        let stored = self.store_states();
        let Self { tx, answers, mut working, changed, wakes, inbox_waits, .. } = self;
        if let Err(error) = stored.and_then(|()| tx.commit()) {
            return Err(Failed { error, answers, carried });
        }
        let deadlines = working.iter().map(|(id, w)| (id.clone(), w.object.deadline())).collect();
        let objects = changed.into_iter().filter_map(|id| {
            let Working { row, object, revision, last_seq, bytes, .. } = working.remove(&id)?;
            Some((id, Cached { row: row?, object, revision, last_seq, bytes }))
        });
        Ok(Committed { objects: objects.collect(), deadlines, wakes, answers, inbox_waits, carried })
    }

    fn store_states(&mut self) -> Result<(), StoreError> {
        let mut state = Vec::new();
        for id in &self.changed {
            let Some(working) = self.working.get_mut(id) else { continue };
            let Some(row) = working.row else { continue };
            state.clear();
            codec::encode_into(&*working.object, &mut state);
            working.bytes = state.len();
            self.tx.write(&ObjectWrite {
                row,
                revision: working.revision,
                last_seq: working.last_seq,
                deadline: working.object.deadline(),
                version: STATE_VERSION,
                state: &state,
            })?;
        }
        Ok(())
    }
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

impl Committed {
    /// Acts: shows the new states, answers the senders, wakes the watchers.
    pub(super) fn let_out(
        self,
        cache: &Cache,
        counters: &Counters,
        watchers: &Watchers,
        timers: &mut Timers,
    ) -> (bool, Vec<Item>) {
        let ids: Vec<ObjectId> = self.objects.iter().map(|(id, _)| id.clone()).collect();
        cache.publish(self.objects.into_iter());
        for (id, deadline) in &self.deadlines {
            timers.set(id, *deadline);
        }
        for answer in self.answers {
            answer.send(counters);
        }
        watchers.fire(ids.iter().chain(&self.wakes));
        (self.inbox_waits, self.carried)
    }
}

impl Failed {
    /// Tells every sender of the batch that nothing is promised.
    pub(super) fn answer(self) {
        for answer in self.answers {
            // A sender that went away needs no answer.
            match answer {
                Answer::Event(to, _) => drop(to.send(Err(SubmitError::Store(self.error.to_string())))),
                Answer::Record(to, _) => drop(to.send(Err(self.error.clone()))),
            }
        }
        self.carried.into_iter().for_each(|item| item.fail(&self.error));
    }
}

impl Answer {
    fn send(self, counters: &Counters) {
        match self {
            Answer::Event(to, answer) => {
                match &answer {
                    Ok(accepted) if accepted.duplicate => count(&counters.duplicates),
                    Ok(_) => count(&counters.accepted),
                    Err(_) => count(&counters.rejected),
                }
                // A sender that went away needs no answer.
                drop(to.send(answer));
            }
            Answer::Record(to, wrote) => drop(to.send(Ok(wrote))),
        }
    }
}
