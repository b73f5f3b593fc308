//! Giving up what a former runner had begun: only with a proof that nothing of it runs any more.
//!
//! Silence is no proof. A host that is cut off may still be in the middle of a change, and what is given up
//! is begun anew elsewhere.

use super::message::{Proof, missing};
use super::{Phase, Runner, Slot};
use crate::event::{Effect, Event, record_at};
use crate::job::{Failure, FailureClass, Outcome};
use crate::rejected::{Rejected, RejectedCode};
use crate::timeline::Level;

impl Runner {
    /// Gives up what is unconfirmed, of one component or all: the next attempt may begin.
    pub(super) fn declare_lost(
        &mut self,
        event: &Event,
        reason: &str,
        component: Option<&str>,
        proof: Option<&Proof>,
    ) -> Result<Vec<Effect>, Rejected> {
        let Some(proof) = proof else {
            let how = "silence is no proof: say with `proof` which host is terminated, or which receipt says how it ended";
            return missing(how.to_owned());
        };
        proof.check()?;
        let is_meant = |slot: &Slot| {
            slot.phase == Phase::Unconfirmed && component.is_none_or(|name| slot.spec.component == name)
        };
        self.check_meant(proof, is_meant)?;
        let (lost, kept): (Vec<_>, Vec<_>) = self.slots.drain(..).partition(is_meant);
        self.slots = kept;
        let words = proof.words();
        let text = format!("{} gave up {} unconfirmed attempts: {reason}; {words}", event.by, lost.len());
        let mut effects = vec![record_at(Level::Warning, "attempt.declared_lost", text)];
        for slot in lost {
            let outcome = Outcome::Failed(Failure {
                class: FailureClass::Interference,
                code: "runner.lost".to_owned(),
                message: format!("its runner was lost in the middle of it; {} made sure: {words}", event.by),
                hint: "the next attempt starts from what is there".to_owned(),
            });
            effects.extend(self.over(slot, outcome));
        }
        Ok(effects)
    }

    fn check_meant(&self, proof: &Proof, is_meant: impl Fn(&Slot) -> bool) -> Result<(), Rejected> {
        let mut meant = self.slots.iter().filter(|slot| is_meant(slot)).peekable();
        if meant.peek().is_none() {
            let message = if self
                .slots
                .iter()
                .any(|slot| matches!(slot.phase, Phase::Running | Phase::Stopping { .. }))
            {
                "its runner may come back to what it has begun; if its host is gone, `revoke` its identity first"
            } else {
                "nothing is unconfirmed here: no former runner had begun what it did not end"
            };
            return Err(Rejected::new(RejectedCode::Conflict, message));
        }
        // A journal is only in other hands when another runner has enrolled since.
        let is_newer =
            |slot: &Slot| slot.ran_by.as_ref().is_none_or(|boot| self.generation() > boot.generation);
        if matches!(proof, Proof::JournalEnded { .. }) && !meant.all(is_newer) {
            let how = "no newer runner has enrolled that could have read the journal: enrol one, or show that the host is terminated";
            return missing(how.to_owned());
        }
        Ok(())
    }
}
