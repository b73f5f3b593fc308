//! The event loop of a runner: its identity, its presence, and the attempts in its hands.
//!
//! It mints the install's sequence numbers and fences, and it is the truth about what may
//! be handed out. What a former generation had begun is unconfirmed until a person has
//! made sure that nothing of it runs: nobody else gets it before.

mod abandon;
mod attestation;
mod clone;
mod identity;
pub(crate) mod message;
mod receipts;
mod restore;
mod view;

pub use attestation::{Claim, Refusal};
pub use message::{
    Attestation, Boot, Info, JobSpec, Place, Presence, Proof, Receipts, Report, Signal, ToRunner,
};

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::component::message::ToComponent;
use crate::event::{Body, Effect, Event, record, record_at, sender, wrong_kind};
use crate::id::ObjectId;
use crate::install::message::ToInstall;
use crate::job::{AttemptId, Outcome};
use crate::notice::Notice;
use crate::rejected::{Rejected, RejectedCode, check_reason, deleting, not_found};
use crate::time::Timestamp;
use crate::timeline::Level;
use attestation::Admission;
use clone::Starts;

/// An attempt that may be handed to the runner now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What to run.
    pub spec: JobSpec,
    /// Its place in the install's sequence of envelopes.
    pub seq: u64,
    /// Its fence.
    pub fence: u64,
    /// Where the runner has proven to be.
    pub place: Option<Place>,
}

/// Why an attempt must stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled it.
    Cancelled(String),
    /// A newer fence holds the component, or the attempt is not known (any more).
    Fenced(String),
}

/// How many ended attempts it remembers, to tell a repeated last word from a strange one.
const ENDED_MAX: usize = 64;

/// The runner of an install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    id: ObjectId,
    /// The install's epoch; 0 before the first.
    epoch: u64,
    /// False once the install is gone.
    wanted: bool,
    since: Timestamp,
    token: Option<Token>,
    #[serde(default, skip_serializing_if = "Admission::is_default")]
    admission: Admission,
    /// sha256 of the token that this generation enrolled with: the answer may have been lost.
    enrolled_with: Option<String>,
    generation: u64,
    /// sha256 of the public key of this generation, hexadecimal.
    spki_sha256: Option<String>,
    presence: Presence,
    info: Info,
    draining: Option<Draining>,
    seq: u64,
    fence: u64,
    /// Restored from a backup, and the runner has not said yet how far it had got.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    restored: bool,
    /// How far the runner's receipts had got when it last said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receipts: Option<Receipts>,
    /// Its starts before the present one.
    #[serde(default, skip_serializing_if = "Starts::is_none")]
    starts: Starts,
    /// Why its identity was taken away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_for: Option<String>,
    /// In order of `seq`.
    slots: Vec<Slot>,
    ended: VecDeque<Ended>,
}

/// A one-time token that was given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Token {
    sha256: String,
    expires: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Draining {
    reason: String,
    since: Timestamp,
}

/// An attempt that may be handed out or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Slot {
    spec: JobSpec,
    /// 0 until the runner's numbers are known.
    seq: u64,
    fence: u64,
    phase: Phase,
    since: Timestamp,
    /// The start that began it.
    #[serde(default)]
    ran_by: Option<Boot>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Offered,
    Running,
    Stopping {
        reason: String,
    },
    /// Begun by a former generation, of which nobody knows whether it still runs.
    Unconfirmed,
    /// Offered once the runner has said how far it had got before this broker was restored.
    Unnumbered,
}

impl Phase {
    /// Whether the present runner may have it in hand.
    fn has_spoken(&self) -> bool {
        !matches!(self, Phase::Unconfirmed | Phase::Unnumbered)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    id: AttemptId,
    fence: u64,
}

impl Runner {
    pub(crate) fn new(id: ObjectId) -> Self {
        Self {
            id,
            epoch: 0,
            wanted: false,
            since: Timestamp(0),
            token: None,
            admission: Admission::default(),
            enrolled_with: None,
            generation: 0,
            spki_sha256: None,
            presence: Presence::Expected,
            info: Info::default(),
            draining: None,
            seq: 0,
            fence: 0,
            restored: false,
            receipts: None,
            starts: Starts::default(),
            revoked_for: None,
            slots: vec![],
            ended: VecDeque::new(),
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.epoch > 0
    }

    /// The generation that may speak; 0 when none may.
    pub fn generation(&self) -> u64 {
        match self.presence {
            Presence::Expected | Presence::Revoked { .. } => 0,
            Presence::Online { .. } | Presence::Offline { .. } => self.generation,
        }
    }

    /// The install's epoch: how many installs have had this name.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether it is there.
    pub fn presence(&self) -> Presence {
        self.presence
    }

    /// What it said of itself last.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// sha256 of the public key that this generation was certified for, hexadecimal.
    pub fn spki_sha256(&self) -> Option<&str> {
        self.spki_sha256.as_deref()
    }

    /// The attempt to hand out next (the lowest sequence number first), if any. What the runner is too old for waits.
    pub fn next_offer(&self) -> Option<Offer> {
        if self.draining.is_some() || self.restored {
            return None;
        }
        let may_take = |s: &&Slot| s.phase == Phase::Offered && self.info.lacks(&s.spec).is_none();
        let slot = self.slots.iter().find(may_take)?;
        let place = self.place().cloned();
        Some(Offer { spec: slot.spec.clone(), seq: slot.seq, fence: slot.fence, place })
    }

    /// Why an attempt must not go on, if it must not. An unknown one must not.
    pub fn stop_reason(&self, attempt: &AttemptId, fence: u64) -> Option<Stop> {
        let Some(slot) = self.slots.iter().find(|s| s.spec.id == *attempt && s.fence == fence) else {
            return Some(Stop::Fenced("this attempt is over; another may have taken its place".to_owned()));
        };
        match &slot.phase {
            Phase::Offered | Phase::Running => None,
            Phase::Stopping { reason } => Some(Stop::Cancelled(reason.clone())),
            Phase::Unconfirmed | Phase::Unnumbered => {
                Some(Stop::Fenced("it belongs to a former runner of this install".to_owned()))
            }
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        match &event.body {
            Body::Notice(notice) => self.notice(event, notice),
            Body::Signal(crate::event::Signal::Runner(signal)) => self.signal(event, signal),
            Body::Report(report) => self.report(event.at, report),
            Body::Tick => Ok(vec![]),
            Body::Signal(_) => Err(wrong_kind(&self.id, event)),
        }
    }

    fn notice(&mut self, event: &Event, notice: &Notice) -> Result<Vec<Effect>, Rejected> {
        match notice {
            Notice::Runner(ToRunner::RunnerWanted { epoch }) => Ok(self.begin_epoch(event.at, *epoch)),
            Notice::Runner(ToRunner::RunnerUnwanted) => {
                self.wanted = false;
                self.token = None;
                self.slots.clear();
                self.become_present(event.at, Presence::Revoked { since: event.at });
                Ok(vec![Effect::WakeRunner(self.id.clone())])
            }
            Notice::Runner(ToRunner::Offer(spec)) => self.offer(event.at, spec),
            Notice::Runner(ToRunner::Revoke { attempt, reason }) => {
                self.revoke_attempt(event, attempt, reason)
            }
            Notice::Parent(_)
            | Notice::Child(_)
            | Notice::App(_)
            | Notice::Install(_)
            | Notice::Component(_) => Err(wrong_kind(&self.id, event)),
        }
    }

    fn check_wanted(&self) -> Result<(), Rejected> {
        match (self.epoch, self.wanted) {
            (0, _) => Err(not_found(&self.id)),
            (_, false) => Err(deleting(&self.id)),
            (_, true) => Ok(()),
        }
    }

    fn signal(&mut self, event: &Event, signal: &Signal) -> Result<Vec<Effect>, Rejected> {
        self.check_wanted()?;
        signal.reason().map_or(Ok(()), check_reason)?;
        match signal {
            Signal::Expect { token_sha256, expires } => {
                self.token = Some(Token { sha256: token_sha256.clone(), expires: *expires });
                Ok(vec![record("runner.token", format!("{} gave out a one-time token", event.by))])
            }
            Signal::Declare { place, reason } => self.declare(event, place.as_ref(), reason),
            Signal::Revoke { reason } => {
                let text = format!("its identity was taken away by {}: {reason}", event.by);
                let mut effects = vec![record_at(Level::Warning, "runner.revoked", text)];
                effects.extend(self.take_identity(event.at, reason));
                Ok(effects)
            }
            Signal::Drain { reason } => {
                self.draining = Some(Draining { reason: reason.clone(), since: event.at });
                Ok(vec![record("runner.draining", format!("{} drains it: {reason}", event.by))])
            }
            Signal::Resume {} => {
                self.draining = None;
                let text = format!("{} hands it work again", event.by);
                Ok(vec![record("runner.resumed", text), Effect::WakeRunner(self.id.clone())])
            }
            Signal::DeclareLost { reason, component, proof } => {
                self.declare_lost(event, reason, component.as_deref(), proof.as_ref())
            }
        }
    }

    fn report(&mut self, at: Timestamp, report: &Report) -> Result<Vec<Effect>, Rejected> {
        self.check_wanted()?;
        match report {
            Report::Enrol { token_sha256, spki_sha256 } => {
                self.enrol(at, &Claim { token_sha256: Some(token_sha256), spki_sha256, proof: None })
            }
            Report::EnrolProven { token_sha256, spki_sha256, proof } => {
                let token_sha256 = token_sha256.as_deref();
                self.enrol(at, &Claim { token_sha256, spki_sha256, proof: Some(proof) })
            }
            Report::Seen { generation, info } => {
                self.check_generation(*generation)?;
                Ok(self.seen(at, info))
            }
            Report::Lost { generation } => {
                self.check_generation(*generation)?;
                self.become_present(at, Presence::Offline { since: at });
                let entry = record_at(Level::Warning, "runner.offline", "the runner has gone silent");
                Ok([entry].into_iter().chain(self.tell_install()).collect())
            }
            Report::Restored {} => Ok(self.restored()),
            Report::Marks { generation, seq, fence, held } => {
                self.check_generation(*generation)?;
                Ok(self.marks(at, (*seq, *fence), held))
            }
            Report::Started { generation, attempt, fence } => {
                self.check_generation(*generation)?;
                self.started(at, attempt, *fence)
            }
            Report::PlanAnswered { generation, component, digest, reply } => {
                self.check_generation(*generation)?;
                let (component, digest, reply) = (component.clone(), digest.clone(), reply.clone());
                let notice = Notice::Install(ToInstall::PlanAnswered { component, digest, reply });
                Ok(self.id.install().map(|to| Effect::Tell { to, notice }).into_iter().collect())
            }
            Report::Ended { generation, attempt, fence, outcome, receipts } => {
                self.check_generation(*generation)?;
                let mut effects = self.ended(attempt, *fence, outcome)?;
                effects.extend(receipts.as_ref().and_then(|said| self.hear_receipts(said)));
                Ok(effects)
            }
        }
    }

    fn check_generation(&self, generation: u64) -> Result<(), Rejected> {
        if generation != 0 && generation == self.generation() {
            return Ok(());
        }
        let message =
            format!("generation {generation} may not speak for {}; {} may", self.id, self.generation());
        Err(Rejected::new(RejectedCode::Stale, message))
    }

    fn offer(&mut self, at: Timestamp, spec: &JobSpec) -> Result<Vec<Effect>, Rejected> {
        self.check_wanted()?;
        let (seq, fence) = self.next_numbers();
        let phase = if seq == 0 { Phase::Unnumbered } else { Phase::Offered };
        self.slots.push(Slot { spec: spec.clone(), seq, fence, phase, since: at, ran_by: None });
        Ok(vec![Effect::WakeRunner(self.id.clone())])
    }

    fn revoke_attempt(
        &mut self,
        event: &Event,
        id: &AttemptId,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        let Some(index) = self.slots.iter().position(|s| s.spec.id == *id) else {
            // It ended while the revocation was under way; its end has been told.
            sender(event)?;
            return Ok(vec![]);
        };
        let slot = &mut self.slots[index];
        match slot.phase {
            Phase::Offered | Phase::Unnumbered => {
                // Even one that was handed out cannot start: its start must be confirmed, and will not be.
                let slot = self.slots.remove(index);
                let outcome = Outcome::Cancelled { message: reason.to_owned() };
                Ok(self.over(slot, outcome))
            }
            Phase::Running => {
                slot.phase = Phase::Stopping { reason: reason.to_owned() };
                slot.since = event.at;
                Ok(vec![Effect::WakeRunner(self.id.clone())])
            }
            Phase::Stopping { .. } | Phase::Unconfirmed => Ok(vec![]),
        }
    }

    fn started(&mut self, at: Timestamp, id: &AttemptId, fence: u64) -> Result<Vec<Effect>, Rejected> {
        let boot = self.boot();
        let Some(slot) = self.slots.iter_mut().find(|s| s.spec.id == *id && s.fence == fence) else {
            return Err(stale_attempt(id));
        };
        match slot.phase {
            Phase::Offered if slot.spec.begin_by.is_some_and(|by| by <= at) => {
                // Its component takes it back as soon as it looks.
                let message =
                    format!("{} attempt {} comes too late: its window is closed", id.job, id.attempt);
                Err(Rejected::new(RejectedCode::Stale, message))
            }
            Phase::Offered => {
                slot.phase = Phase::Running;
                slot.since = at;
                slot.ran_by = Some(boot);
                let (component, id) = (slot.spec.component.clone(), id.clone());
                Ok(self
                    .tell_component(&component, Notice::Component(ToComponent::JobStarted(id)))
                    .into_iter()
                    .collect())
            }
            Phase::Running | Phase::Stopping { .. } => Ok(vec![]),
            Phase::Unconfirmed | Phase::Unnumbered => Err(stale_attempt(id)),
        }
    }

    fn ended(&mut self, id: &AttemptId, fence: u64, outcome: &Outcome) -> Result<Vec<Effect>, Rejected> {
        let position = self.slots.iter().position(|s| s.spec.id == *id && s.fence == fence);
        let Some(index) = position.filter(|i| self.slots[*i].phase.has_spoken()) else {
            return Err(stale_attempt(id));
        };
        let slot = self.slots.remove(index);
        Ok(self.over(slot, outcome.clone()))
    }

    fn over(&mut self, slot: Slot, outcome: Outcome) -> Vec<Effect> {
        if self.ended.len() == ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended { id: slot.spec.id.clone(), fence: slot.fence });
        let ended =
            Notice::Component(ToComponent::JobEnded { attempt: slot.spec.id, outcome, ran_by: slot.ran_by });
        self.tell_component(&slot.spec.component, ended).into_iter().collect()
    }

    /// Whether this attempt's last word was taken already.
    pub fn has_ended(&self, id: &AttemptId, fence: u64) -> bool {
        self.ended.iter().any(|e| e.id == *id && e.fence == fence)
    }

    fn tell_component(&self, name: &str, notice: Notice) -> Option<Effect> {
        let to = self.id.install()?.child(name).ok()?;
        Some(Effect::Tell { to, notice })
    }

    fn tell_install(&self) -> Option<Effect> {
        self.id
            .install()
            .map(|to| Effect::Tell { to, notice: Notice::Install(ToInstall::RunnerIs(self.presence)) })
    }
}

fn stale_attempt(id: &AttemptId) -> Rejected {
    let message = format!("attempt {} of {} is over, or never was", id.attempt, id.job);
    Rejected::new(RejectedCode::Stale, message)
}
