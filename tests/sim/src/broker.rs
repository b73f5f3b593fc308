//! The broker of the simulation: the production loops behind a store that commits whole
//! cascades and crashes between any two of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use remit_loops::{Actor, Body, Effect, Event, Notice, Object, ObjectId, RejectedCode, Timestamp};

use crate::bugs::Bug;

/// What the sender of an event learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Duplicate,
    Rejected(RejectedCode),
    /// The connection broke: it may have been stored or not.
    Unknown,
}

/// Where a crash hits one submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    None,
    BeforeCommit,
    AfterCommit,
}

#[derive(Default)]
pub(crate) struct Broker {
    pub(crate) objects: BTreeMap<ObjectId, Object>,
    /// Keys of committed signals: in the store.
    pub(crate) keys: BTreeSet<(ObjectId, String)>,
    /// Keys whose senders were told yes: kept outside the broker.
    pub(crate) acknowledged: BTreeSet<(ObjectId, String)>,
    pub(crate) down_until_ms: i64,
    /// Notices that a loop refused though they were neither stale nor for something that is gone.
    pub(crate) refused: Vec<String>,
    /// Objects changed by the last commit.
    pub(crate) touched: Vec<ObjectId>,
    pub(crate) bug: Option<Bug>,
}

impl Broker {
    pub(crate) fn is_up(&self, now_ms: i64) -> bool {
        now_ms >= self.down_until_ms
    }

    pub(crate) fn object(&self, id: &ObjectId) -> Object {
        self.objects.get(id).cloned().unwrap_or_else(|| Object::new(id))
    }

    /// One submission: decided, committed with all it caused, and only then answered.
    pub(crate) fn submit(
        &mut self,
        now_ms: i64,
        to: &ObjectId,
        by: Actor,
        key: Option<&str>,
        body: Body,
        crash: Crash,
    ) -> Answer {
        self.touched.clear();
        let keyed = key.map(|key| (to.clone(), key.to_owned()));
        if keyed.as_ref().is_some_and(|k| self.keys.contains(k)) {
            return Answer::Duplicate;
        }
        let batch = match self.decide(now_ms, to, by, body) {
            Ok(batch) => batch,
            Err(code) => return Answer::Rejected(code),
        };
        if crash == Crash::BeforeCommit {
            if self.bug == Some(Bug::AckBeforeCommit) {
                self.acknowledged.extend(keyed);
                return Answer::Accepted;
            }
            return Answer::Unknown;
        }
        self.touched = batch.keys().cloned().collect();
        self.objects.extend(batch);
        self.keys.extend(keyed.clone());
        if crash == Crash::AfterCommit {
            return Answer::Unknown;
        }
        self.acknowledged.extend(keyed);
        Answer::Accepted
    }

    /// Applies an event and every notice it leads to, on copies: nothing is changed yet.
    fn decide(
        &mut self,
        now_ms: i64,
        to: &ObjectId,
        by: Actor,
        body: Body,
    ) -> Result<BTreeMap<ObjectId, Object>, RejectedCode> {
        let mut batch = BTreeMap::new();
        let mut queue = VecDeque::new();
        let effects = self.apply(&mut batch, now_ms, to, by, body)?;
        queue.extend(effects);
        while let Some((from, to, notice)) = queue.pop_front() {
            let word = format!("{to} refused a notice of {from}");
            match self.apply(&mut batch, now_ms, &to, Actor::Object(from), Body::Notice(notice)) {
                Ok(more) => queue.extend(more),
                Err(RejectedCode::Stale | RejectedCode::Deleting) => {}
                Err(code) => self.refused.push(format!("{word}: {}", code.as_str())),
            }
        }
        Ok(batch)
    }

    fn apply(
        &self,
        batch: &mut BTreeMap<ObjectId, Object>,
        now_ms: i64,
        to: &ObjectId,
        by: Actor,
        body: Body,
    ) -> Result<Vec<(ObjectId, ObjectId, Notice)>, RejectedCode> {
        let object = batch.entry(to.clone()).or_insert_with(|| self.object(to));
        let event = Event { at: Timestamp(now_ms), by, body };
        let effects = object.apply(&event).map_err(|rejected| rejected.code)?;
        let tell = |effect| match effect {
            Effect::Tell { to: target, notice } => Some((to.clone(), target, notice)),
            Effect::Record(_) | Effect::WakeRunner(_) => None,
        };
        Ok(effects.into_iter().filter_map(tell).collect())
    }
}
