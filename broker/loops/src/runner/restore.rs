//! A broker that was restored from a backup remembers less than its runners: their numbers count.
//!
//! Until the runner has said how far it had got, nothing new gets a number, so that no number is used
//! twice. What the runner had in hand and has not any more is offered once again as it was: the runner
//! knows it, does not repeat it, and says how it ended.

use remit_seal::verify::MARK_FIRST_MAX;

use super::{Phase, Runner};
use crate::event::{Effect, record_at};
use crate::job::AttemptId;
use crate::time::Timestamp;
use crate::timeline::Level;

/// Greater numbers than these no broker has counted to: half of what a runner takes that knows of none, so that one
/// on another machine can always begin.
const COUNTED_MAX: u64 = MARK_FIRST_MAX / 2;

impl Runner {
    /// Whether this broker must hear the runner's numbers before it offers anything: it was restored,
    /// or the runner says that it has got further than this broker knows.
    pub fn wants_marks(&self, seq: u64, fence: u64) -> bool {
        self.restored || seq > self.seq || fence > self.fence
    }

    pub(super) fn restored(&mut self) -> Vec<Effect> {
        self.restored = self.generation() != 0;
        vec![]
    }

    /// The number that an offer gets; none while the runner's are not known.
    pub(super) fn next_numbers(&mut self) -> (u64, u64) {
        if self.restored {
            return (0, 0);
        }
        self.seq += 1;
        self.fence += 1;
        (self.seq, self.fence)
    }

    /// Somebody who had the dispatch key used the numbers up. To count on from there would spoil them for every
    /// machine to come; nothing is offered until the runner counts anew.
    fn spoilt(&mut self, number: u64) -> Vec<Effect> {
        let is_news = !std::mem::replace(&mut self.restored, true);
        let text = format!(
            "the runner was given the number {number}, which no broker has counted to: take the dispatch key away \
             with a new root, or let the customer say `remit-runner marks reset`"
        );
        is_news.then(|| record_at(Level::Error, "runner.marks_spoilt", text)).into_iter().collect()
    }

    pub(super) fn marks(
        &mut self,
        at: Timestamp,
        (seq, fence): (u64, u64),
        held: &[(AttemptId, u64)],
    ) -> Vec<Effect> {
        if !self.wants_marks(seq, fence) {
            return vec![];
        }
        if seq > COUNTED_MAX || fence > COUNTED_MAX {
            return self.spoilt(seq.max(fence));
        }
        let is_known = |(id, fence): &&(AttemptId, u64)| {
            self.slots.iter().any(|slot| slot.spec.id == *id && slot.fence == *fence)
        };
        if let Some((id, _)) = held.iter().find(|held| !is_known(held)) {
            // What this broker does not know it stops, and nothing begins beside it: the runner says when it is gone.
            let is_news = !std::mem::replace(&mut self.restored, true);
            let text = format!("{} runs and is not known here; it is stopped before anything begins", id.job);
            return is_news.then(|| record_at(Level::Warning, "runner.ahead", text)).into_iter().collect();
        }
        self.restored = false;
        let text = format!(
            "this broker was restored from a backup: it had got to envelope {}, the runner to {seq}",
            self.seq
        );
        (self.seq, self.fence) = (self.seq.max(seq), self.fence.max(fence));
        let mut slots = std::mem::take(&mut self.slots);
        for slot in &mut slots {
            let is_held = held.iter().any(|(id, fence)| *id == slot.spec.id && *fence == slot.fence);
            if slot.phase == Phase::Unnumbered {
                (slot.seq, slot.fence) = self.next_numbers();
                slot.phase = Phase::Offered;
            } else if matches!(slot.phase, Phase::Running | Phase::Stopping { .. }) && !is_held {
                (slot.phase, slot.since) = (Phase::Offered, at);
            }
        }
        self.slots = slots;
        vec![record_at(Level::Warning, "runner.ahead", text), Effect::WakeRunner(self.id.clone())]
    }
}
