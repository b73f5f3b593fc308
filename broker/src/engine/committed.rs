//! What a commit lets out. The only way to one is through the commit.

use std::sync::Arc;

use remit_loops::{Object, ObjectId, Rejected};
use tokio::runtime::Handle;

use crate::engine::intake::{Item, Pending, RecordWrite};
use crate::engine::metrics::{Counters, count};
use crate::engine::shared::Shared;
use crate::engine::timers::Timers;
use crate::engine::working::{Working, WorkingSet};
use crate::engine::{Accepted, SubmitError};
use crate::store::{StoreError, Transaction};

/// So few answers are sent one by one.
const ANSWERS_FEW: usize = 4;

/// An answer that waits for the commit, with what it answers: without the commit it is asked again.
pub(super) enum Answer {
    Event(Box<Pending>, Result<Accepted, Rejected>),
    Record(RecordWrite, bool),
}

/// What a batch has decided and nobody may see yet.
#[derive(Default)]
pub(super) struct Held {
    pub(super) wakes: Vec<Arc<ObjectId>>,
    pub(super) answers: Vec<Answer>,
    /// The inbox holds notices for the next batch.
    pub(super) inbox_waits: bool,
    /// The inbox got notices for objects that other brokers hold.
    pub(super) passed_over: bool,
    /// What the batch had no room for.
    pub(super) carried: Vec<Item>,
}

/// A batch that is on disk.
pub(super) struct Committed {
    touched: Vec<Working>,
    held: Held,
}

/// A batch that is not on disk, or of which nobody knows whether it is.
pub(super) struct Failed {
    pub(super) error: StoreError,
    held: Box<Held>,
}

/// What the committer goes on with after a batch.
pub(super) struct Rest {
    pub(super) inbox_waits: bool,
    pub(super) passed_over: bool,
    pub(super) carried: Vec<Item>,
}

impl Committed {
    /// Writes the changed objects and makes the batch durable.
    pub(super) fn commit(
        mut tx: Box<dyn Transaction + '_>,
        mut working: WorkingSet<'_>,
        held: Held,
    ) -> Result<Self, Failed> {
        let stored = working.store(&mut *tx);
        match stored.and_then(|()| tx.commit()) {
            Ok(()) => Ok(Self { touched: working.into_touched(), held }),
            Err(error) => Err(Failed::new(error, held)),
        }
    }

    /// Acts: sets the timers, shows the new states, answers the senders, wakes the watchers.
    pub(super) fn let_out(self, shared: &Shared, timers: &mut Timers, runtime: Option<&Handle>) -> Rest {
        let Shared { cache, counters, watchers, peers, .. } = shared;
        let Held { mut wakes, answers, inbox_waits, passed_over, carried } = self.held;
        for working in &self.touched {
            timers.set(&working.id, working.object.deadline());
            if working.changed {
                wakes.push(working.id.clone());
                if let Object::Org(org) = &*working.object {
                    shared.intake.weigh(working.id.org_name(), org.quotas().weight);
                }
            }
        }
        let changed = self.touched.into_iter().filter(|working| working.changed);
        cache.publish(changed.filter_map(Working::into_cached));
        answer_all(answers, counters, runtime);
        // Last: whoever begins to watch after this has the new state to read.
        watchers.fire(wakes.iter().map(|id| &**id));
        if let Some(peers) = peers
            && !wakes.is_empty()
        {
            peers.announce(&wakes);
        }
        Rest { inbox_waits, passed_over, carried }
    }
}

impl Failed {
    pub(super) fn new(error: StoreError, held: Held) -> Self {
        Self { error, held: Box::new(held) }
    }

    /// What the batch was about, in its order, to be done again.
    pub(super) fn into_items(self) -> Vec<Item> {
        let asked = self.held.answers.into_iter().map(|answer| match answer {
            Answer::Event(pending, _) => Item::Event(pending),
            Answer::Record(write, _) => Item::Record(write),
        });
        asked.chain(self.held.carried).collect()
    }

    /// Tells every sender of the batch that nothing is promised.
    pub(super) fn answer(self) {
        let error = self.error.clone();
        self.into_items().into_iter().for_each(|item| item.fail(&error));
    }
}

/// Wakes the senders. Many at once are woken from a task of their runtime: there a wake-up is a push to
/// a queue, from here it is a system call.
fn answer_all(answers: Vec<Answer>, counters: &Counters, runtime: Option<&Handle>) {
    answers.iter().for_each(|answer| answer.count(counters));
    match runtime {
        Some(runtime) if answers.len() >= ANSWERS_FEW => {
            runtime.spawn(async move { answers.into_iter().for_each(Answer::send) });
        }
        Some(_) | None => answers.into_iter().for_each(Answer::send),
    }
}

impl Answer {
    fn count(&self, counters: &Counters) {
        match self {
            Answer::Event(_, Ok(accepted)) if accepted.duplicate => count(&counters.duplicates),
            Answer::Event(_, Ok(_)) => count(&counters.accepted),
            Answer::Event(_, Err(_)) => count(&counters.rejected),
            Answer::Record(..) => {}
        }
    }

    fn send(self) {
        // A sender that went away needs no answer.
        match self {
            Answer::Event(pending, answer) => drop(pending.reply.send(answer.map_err(SubmitError::Rejected))),
            Answer::Record(write, wrote) => drop(write.reply.send(Ok(wrote))),
        }
    }
}
