//! Who may speak as the runner: epochs, one-time tokens, generations, and what becomes of
//! attempts that another generation had begun.

use super::attestation::Claim;
use super::message::{Attestation, Boot, Info, Presence};
use super::{Phase, Runner};
use crate::event::{Effect, record, record_at};
use crate::install::message::ToInstall;
use crate::notice::Notice;
use crate::rejected::Rejected;
use crate::time::Timestamp;
use crate::timeline::Level;

impl Runner {
    pub(super) fn begin_epoch(&mut self, at: Timestamp, epoch: u64) -> Vec<Effect> {
        if epoch <= self.epoch {
            return vec![];
        }
        // Counters go on: a runner of a former install of this name must find every number used.
        let kept = Self {
            generation: self.generation,
            seq: self.seq,
            fence: self.fence,
            ..Self::new(self.id.clone())
        };
        *self = Self { epoch, wanted: true, since: at, ..kept };
        vec![record("runner.wanted", "waits for a runner to enrol")]
    }

    /// Whoever speaks with its identity is heard no more; what it has begun may still run.
    pub(super) fn take_identity(&mut self, at: Timestamp, reason: &str) -> Vec<Effect> {
        self.token = None;
        self.revoked_for = Some(reason.to_owned());
        self.become_present(at, Presence::Revoked { since: at });
        let mut effects = self.disown(at);
        effects.push(Effect::WakeRunner(self.id.clone()));
        effects.extend(self.tell_install());
        effects
    }

    /// Whoever was the runner is so no more, and another may come; what it has begun may still run.
    pub(super) fn expect_another(&mut self, at: Timestamp) -> Vec<Effect> {
        if self.generation() == 0 {
            return vec![];
        }
        self.become_present(at, Presence::Expected);
        let mut effects = self.disown(at);
        effects.push(Effect::WakeRunner(self.id.clone()));
        effects.extend(self.tell_install());
        effects
    }

    pub(super) fn seen(&mut self, at: Timestamp, info: &Info) -> Vec<Effect> {
        let doubts = match self.look_for_twins(at, info) {
            Ok(doubts) => doubts,
            Err(over) => return over,
        };
        doubts.into_iter().chain(self.be_there(at, info)).collect()
    }

    fn be_there(&mut self, at: Timestamp, info: &Info) -> Vec<Effect> {
        let before = std::mem::replace(&mut self.info, info.clone());
        let booted = (before.boot != self.info.boot).then(|| self.tell_boot()).flatten();
        if matches!(self.presence, Presence::Online { .. }) {
            let is_again = booted.is_some() && !before.boot.is_empty();
            let text = format!("the runner was started anew (version {})", self.info.version);
            let again = is_again.then(|| record("runner.booted", text)).into_iter().chain(booted);
            // What it was too old for may go on.
            let is_other = before.executors != self.info.executors && !self.slots.is_empty();
            return again.chain(is_other.then(|| Effect::WakeRunner(self.id.clone()))).collect();
        }
        self.become_present(at, Presence::Online { since: at });
        let text = format!("the runner is there (version {})", self.info.version);
        let entry = record("runner.online", text);
        [entry].into_iter().chain(self.tell_install()).chain(booted).collect()
    }

    /// Which start of the runner speaks now.
    pub(super) fn boot(&self) -> Boot {
        Boot { generation: self.generation, id: self.info.boot.clone() }
    }

    fn tell_boot(&self) -> Option<Effect> {
        self.id
            .install()
            .map(|to| Effect::Tell { to, notice: Notice::Install(ToInstall::RunnerBooted(self.boot())) })
    }

    pub(super) fn become_present(&mut self, at: Timestamp, presence: Presence) {
        self.presence = presence;
        self.since = at;
    }

    pub(super) fn enrol(&mut self, at: Timestamp, claim: &Claim<'_>) -> Result<Vec<Effect>, Rejected> {
        if let Some(refusal) = self.refusal(at, claim) {
            return Err(refusal.into());
        }
        if let Some(proof) = claim.proof {
            self.admission.use_up(at, proof);
        }
        if self.is_again(claim) {
            return Ok(vec![]);
        }
        let token = self.token.take().map(|token| token.sha256);
        self.enrolled_with = token.filter(|_| self.needs_token());
        self.generation += 1;
        self.forget_receipts();
        self.forget_starts();
        self.revoked_for = None;
        self.spki_sha256 = Some(claim.spki_sha256.to_owned());
        // Another process: what the former one called its start is not its own.
        self.info.boot.clear();
        self.become_present(at, Presence::Online { since: at });
        let mut effects = self.disown(at);
        effects.push(record("runner.enrolled", self.enrolled(claim.proof)));
        effects.push(Effect::WakeRunner(self.id.clone()));
        effects.extend(self.tell_install());
        effects.extend(self.tell_boot());
        Ok(effects)
    }

    fn enrolled(&self, proof: Option<&Attestation>) -> String {
        let text = format!("a runner enrolled as generation {}", self.generation);
        let Some(Attestation { account, region, role, .. }) = proof else { return text };
        let role = role.as_ref().map(|role| format!(" as role {role}")).unwrap_or_default();
        format!("{text}; AWS says that it is in account {account}, {region}{role}")
    }

    /// What another generation has begun may still run: nobody gets it until somebody knows.
    pub(super) fn disown(&mut self, at: Timestamp) -> Vec<Effect> {
        let mut effects = vec![];
        for slot in &mut self.slots {
            match slot.phase {
                Phase::Running | Phase::Stopping { .. } => {
                    slot.phase = Phase::Unconfirmed;
                    slot.since = at;
                    let text =
                        format!("nobody knows whether {} still runs on the former runner", slot.spec.id.job);
                    effects.push(record_at(Level::Warning, "attempt.unconfirmed", text));
                }
                Phase::Offered | Phase::Unconfirmed | Phase::Unnumbered => {}
            }
        }
        effects
    }
}
