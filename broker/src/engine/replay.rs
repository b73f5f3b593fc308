//! Same events, same effects: plays the whole log again and compares with what is stored.
//!
//! For tests, checks after a restore, and anybody who doubts. Holds all states in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};

use remit_loops::event::Effect;
use remit_loops::timeline::Entry;
use remit_loops::{Actor, Body, Event, Kind, Object, ObjectId, Timestamp};

use crate::engine::batch::NOTICE_REFUSED;
use crate::engine::codec;
use crate::store::{Reader, StoreError, StoredEvent, StoredObject};

/// How many rows are read at once.
const PAGE: usize = 1_000;

/// What a replay went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Events of the log.
    pub events: u64,
    /// Objects with a state.
    pub objects: u64,
}

/// Where the log and the states do not agree.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An event does not follow from what came before it.
    #[error("event {seq} of {object}: {what}")]
    Event {
        /// Its place in the log.
        seq: u64,
        /// Whose it is.
        object: ObjectId,
        /// What does not agree.
        what: String,
    },
    /// An object is stored otherwise than its events say.
    #[error("{object}: {what}")]
    Object {
        /// Which.
        object: ObjectId,
        /// What does not agree.
        what: String,
    },
}

/// An object as its events made it.
struct Played {
    object: Object,
    revision: u64,
    last_seq: u64,
    at: Timestamp,
}

#[derive(Default)]
struct Replay {
    objects: BTreeMap<ObjectId, Played>,
    /// Notices that were sent and have not come up in the log yet, by sender and receiver.
    sent: HashMap<(ObjectId, ObjectId), VecDeque<Body>>,
    events: u64,
}

/// Plays the log again and compares every object, every timeline and every notice with what is stored.
pub fn replay(reader: &dyn Reader) -> Result<Replayed, ReplayError> {
    let mut replay = Replay::default();
    let mut after = 0;
    loop {
        let page = reader.events(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        for event in &page {
            replay.event(event)?;
        }
    }
    replay.compare_inbox(reader)?;
    for kind in Kind::ALL {
        replay.compare_objects(reader, kind)?;
    }
    match replay.objects.into_iter().next() {
        Some((object, _)) => Err(ReplayError::Object { object, what: "it has events and no state".into() }),
        None => Ok(Replayed { events: replay.events, objects: reader_objects(reader)? }),
    }
}

impl Replay {
    fn event(&mut self, stored: &StoredEvent) -> Result<(), ReplayError> {
        let fail = |what: String| ReplayError::Event { seq: stored.seq, object: stored.object.clone(), what };
        let (by, body) = (codec::decode_by(&stored.by)?, codec::decode_body(&stored.body)?);
        let entries = codec::decode_entries(stored)?;
        self.events += 1;
        self.receive(&by, &stored.object, &body).map_err(fail)?;
        let played = self.objects.entry(stored.object.clone()).or_insert_with(|| Played {
            object: Object::new(&stored.object),
            revision: 0,
            last_seq: 0,
            at: Timestamp(0),
        });
        if stored.at < played.at {
            return Err(fail(format!("its time {} is before {}", stored.at.0, played.at.0)));
        }
        played.at = stored.at;
        if played.last_seq != stored.prev_seq {
            let what = format!("it follows {}, the log says {}", played.last_seq, stored.prev_seq);
            return Err(fail(what));
        }
        (played.last_seq, played.revision) = (stored.seq, played.revision + 1);
        let refused = entries.iter().any(|entry| entry.code == NOTICE_REFUSED);
        match played.object.apply(&Event { at: stored.at, by, body }) {
            Ok(_) if refused => Err(fail("it was refused and is not now".into())),
            Err(rejected) if !refused => Err(fail(format!("it was taken and is refused now: {rejected}"))),
            Err(_) => Ok(()),
            Ok(effects) => self.effects(&stored.object, effects, &entries).map_err(fail),
        }
    }

    /// A notice in the log must be the oldest one that its sender sent to its receiver.
    fn receive(&mut self, by: &Actor, to: &ObjectId, body: &Body) -> Result<(), String> {
        let (Actor::Object(from), Body::Notice(_)) = (by, body) else { return Ok(()) };
        let sent = self.sent.get_mut(&(from.clone(), to.clone())).and_then(VecDeque::pop_front);
        match sent {
            Some(sent) if sent == *body => Ok(()),
            Some(sent) => Err(format!("{from} sent {sent:?} first")),
            None => Err(format!("{from} sent no such notice")),
        }
    }

    fn effects(&mut self, of: &ObjectId, effects: Vec<Effect>, entries: &[Entry]) -> Result<(), String> {
        let mut recorded = Vec::new();
        for effect in effects {
            match effect {
                Effect::Tell { to, notice } => {
                    self.sent.entry((of.clone(), to)).or_default().push_back(Body::Notice(notice));
                }
                Effect::Record(entry) => recorded.push(entry),
                Effect::WakeRunner(_) => {}
            }
        }
        if recorded == entries { Ok(()) } else { Err(format!("its timeline would be {recorded:?}")) }
    }

    /// What was sent and did not arrive must be in the inbox.
    fn compare_inbox(&mut self, reader: &dyn Reader) -> Result<(), ReplayError> {
        for notice in reader.inbox()? {
            let (by, body) = (codec::decode_by(&notice.by)?, codec::decode_body(&notice.body)?);
            let wrong = |what| ReplayError::Object { object: notice.to.clone(), what };
            self.receive(&by, &notice.to, &body).map_err(wrong)?;
        }
        match self.sent.iter().find(|(_, waiting)| !waiting.is_empty()) {
            None => Ok(()),
            Some(((from, to), waiting)) => {
                let what = format!("notices from {from} are lost: {waiting:?}");
                Err(ReplayError::Object { object: to.clone(), what })
            }
        }
    }

    fn compare_objects(&mut self, reader: &dyn Reader, kind: Kind) -> Result<(), ReplayError> {
        each_object(reader, kind, &mut |stored| {
            let wrong = |what: &str| ReplayError::Object { object: stored.id.clone(), what: what.into() };
            let played =
                self.objects.remove(&stored.id).ok_or_else(|| wrong("it has a state and no events"))?;
            if (played.revision, played.last_seq) != (stored.revision, stored.last_seq) {
                return Err(wrong("its revision or newest event is not what the log says"));
            }
            if codec::decode_read(stored, reader)?.0 != played.object {
                return Err(wrong("its state is not what its events make"));
            }
            Ok(())
        })
    }
}

fn each_object(
    reader: &dyn Reader,
    kind: Kind,
    look: &mut dyn FnMut(&StoredObject) -> Result<(), ReplayError>,
) -> Result<(), ReplayError> {
    let mut after: Option<ObjectId> = None;
    loop {
        let page = reader.list(kind, None, after.as_ref(), PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id.clone());
        page.iter().try_for_each(&mut *look)?;
    }
}

fn reader_objects(reader: &dyn Reader) -> Result<u64, ReplayError> {
    let mut objects = 0;
    for kind in Kind::ALL {
        each_object(reader, kind, &mut |_| {
            objects += 1;
            Ok(())
        })?;
    }
    Ok(objects)
}
