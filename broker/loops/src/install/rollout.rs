//! What an install tells of a rollout that it is part of: how its update goes, each time that changes.

use serde::{Deserialize, Serialize};

use super::offers::{Answer, Policy};
use super::operation::Operation;
use super::{Install, Live, State};
use crate::app::message::{Progress, ToApp};
use crate::event::{Effect, Event, record};
use crate::id::ObjectId;
use crate::job::Outcome;
use crate::notice::Notice;
use crate::release::{Release, ReleaseRef};
use crate::time::Timestamp;

/// The rollout that an install is part of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rolling {
    pub(super) rollout: u64,
    /// Of the release.
    pub(super) digest: String,
    /// The deploy, once the release was taken out of the inbox.
    pub(super) operation: Option<u64>,
    /// How the last deploy of this release ended.
    ended: Option<Progress>,
    /// What the app was told last.
    told: Option<Progress>,
}

/// A rollout that it was part of, and whose release it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rolled {
    rollout: u64,
    /// Of the release.
    digest: String,
    /// The app was told last that something of it does not do its work.
    unwell: bool,
}

impl Install {
    /// The app tells it of a release by a rollout.
    pub(super) fn update_offered(
        &mut self,
        event: &Event,
        release: &Release,
        rollout: u64,
        rollback: bool,
    ) -> Vec<Effect> {
        let app = self.id.parent();
        let State::Live(live) = &mut self.state else { return vec![] };
        match live.offered(event, release, rollout, rollback) {
            Ok(entry) => entry.into_iter().collect(),
            Err(progress) => {
                let notice = Notice::App(ToApp::UpdateIs { rollout, progress });
                app.map(|to| Effect::Tell { to, notice }).into_iter().collect()
            }
        }
    }
}

impl Live {
    /// Takes it into the inbox, or says at once what becomes of it.
    fn offered(
        &mut self,
        event: &Event,
        release: &Release,
        rollout: u64,
        rollback: bool,
    ) -> Result<Option<Effect>, Progress> {
        let refused = |why: String| Err(Progress::Refused { why });
        if self.deleting.is_some() {
            return refused("it is being deleted".to_owned());
        }
        if !self.updates.follows(release) {
            return refused(format!("it follows another channel than {}", release.channel));
        }
        if let Some(floor) = self.below_floor(release, event.at) {
            return refused(floor);
        }
        if self.work.is_none() && self.release.as_ref().is_some_and(|own| own.digest == release.digest) {
            return Err(self.is_rolled(rollout, release.digest.clone()));
        }
        if !rollback {
            self.newest = Some(ReleaseRef::from(release));
        }
        self.updates.offer(&event.by, event.at, release);
        let digest = release.digest.clone();
        self.updates.rolling = Some(Rolling { rollout, digest, operation: None, ended: None, told: None });
        Ok(self.says_it_waits(event.at, release))
    }

    /// Why the install may not go back to this release, if it may not.
    pub(super) fn below_floor(&self, release: &Release, at: Timestamp) -> Option<String> {
        let own = self.release.as_ref()?;
        own.is_barred_from(release, at).then(|| {
            format!(
                "release {} (counter {}) is older than release {}, which it is on, lets it go back to, and no rollback permit is there",
                release.version, release.counter, own.version
            )
        })
    }

    /// The app takes back what has not begun here.
    pub(super) fn update_withdrawn(&mut self, rollout: u64) -> Vec<Effect> {
        let Some(rolling) = self.updates.rolling.as_mut().filter(|r| r.rollout == rollout) else {
            return vec![];
        };
        let (digest, operation) = (rolling.digest.clone(), rolling.operation);
        if operation.is_some_and(|number| self.work.as_ref().is_some_and(|op| op.number == number)) {
            // It has begun: the app hears again how it goes.
            rolling.told = None;
            return vec![];
        }
        self.updates.rolling = None;
        self.updates.inbox.retain(|offer| offer.release.digest != digest);
        let queued = self.lanes.take_where(|q| Some(q.number) == operation);
        let text = |number: u64| format!("operation {number} was taken back with its rollout");
        queued.into_iter().map(|q| record("operation.cancelled", text(q.number))).collect()
    }

    /// A deploy is over: of which release it was, its rollout wants to know.
    pub(super) fn rolled(&mut self, op: &Operation, outcome: &Outcome) {
        let Some(rolling) = &mut self.updates.rolling else { return };
        let is_it = op.release.as_ref().is_some_and(|release| release.digest == rolling.digest);
        if !is_it && rolling.operation != Some(op.number) {
            return;
        }
        rolling.ended = Some(match outcome {
            Outcome::Succeeded(_) => Progress::Done {},
            Outcome::Failed(failure) => Progress::Failed { why: failure.message.clone() },
            Outcome::Cancelled { message } => Progress::Failed { why: format!("it was stopped: {message}") },
        });
    }

    /// Tells the app how it goes, if that is news.
    pub(super) fn report_rollout(&mut self, id: &ObjectId, at: Timestamp) -> Option<Effect> {
        let (rollout, progress) = match self.progress(at) {
            Some(progress) => self.news_of_rollout(progress)?,
            None => self.news_of_health()?,
        };
        let notice = Notice::App(ToApp::UpdateIs { rollout, progress });
        id.parent().map(|to| Effect::Tell { to, notice })
    }

    fn news_of_rollout(&mut self, progress: Progress) -> Option<(u64, Progress)> {
        let rolling = self.updates.rolling.as_mut()?;
        if rolling.told.as_ref() == Some(&progress) {
            return None;
        }
        rolling.told = Some(progress.clone());
        let (rollout, digest) = (rolling.rollout, rolling.digest.clone());
        if progress == (Progress::Done {}) {
            return Some((rollout, self.is_rolled(rollout, digest)));
        }
        self.updates.rolled = None;
        if matches!(progress, Progress::Refused { .. }) {
            self.updates.rolling = None;
        }
        Some((rollout, progress))
    }

    /// It is on the release that a rollout brings: done, if it does its work. What a rollout wanted here is over,
    /// an older one's too, and must not stand before what is to be told of this one's health.
    fn is_rolled(&mut self, rollout: u64, digest: String) -> Progress {
        let progress = self.health_progress();
        let unwell = progress != Progress::Done {};
        self.updates.rolling = None;
        self.updates.rolled = Some(Rolled { rollout, digest, unwell });
        progress
    }

    /// While a wave bakes, an install that does not do its work counts as failed, and as done when it does again.
    fn news_of_health(&mut self) -> Option<(u64, Progress)> {
        let progress = self.health_progress();
        let is_unwell = progress != Progress::Done {};
        let own = self.release.as_ref().map(|release| release.digest.as_str());
        let rolled = self.updates.rolled.as_ref().filter(|rolled| Some(rolled.digest.as_str()) == own);
        let Some(mut rolled) = rolled.cloned() else {
            self.updates.rolled = None;
            return None;
        };
        if rolled.unwell == is_unwell {
            return None;
        }
        rolled.unwell = is_unwell;
        let rollout = rolled.rollout;
        self.updates.rolled = Some(rolled);
        Some((rollout, progress))
    }

    /// Done, unless something of it does not do its work.
    fn health_progress(&self) -> Progress {
        let mut unwell = self.unwell().map(|(name, unwell)| format!("{name}: {}", unwell.failure.message));
        unwell.next().map_or(Progress::Done {}, |why| Progress::Failed { why })
    }

    fn progress(&self, at: Timestamp) -> Option<Progress> {
        let rolling = self.updates.rolling.as_ref()?;
        if self.deleting.is_some() {
            return Some(Progress::Refused { why: "it is being deleted".to_owned() });
        }
        if let Some(op) = self.work.as_ref().filter(|op| Some(op.number) == rolling.operation) {
            return Some(match op.graph.failed().next().filter(|_| op.held_since().is_some()) {
                Some((step, failure)) => {
                    Progress::Failed { why: format!("{} is held: {}", step.component, failure.message) }
                }
                None => Progress::Running {},
            });
        }
        if let Some((_, _, queued)) = self.lanes.iter().find(|(_, _, q)| Some(q.number) == rolling.operation)
        {
            let why =
                self.queue_hold(at, queued).map_or("others are before it".to_owned(), |hold| hold.reason);
            return Some(Progress::Waiting { why });
        }
        if let Some(ended) = &rolling.ended {
            return Some(ended.clone());
        }
        let offer = self.updates.inbox.iter().find(|offer| offer.release.digest == rolling.digest);
        let waiting = |why: String| Some(Progress::Waiting { why });
        match offer.map(|offer| &offer.answer) {
            Some(Answer::Declined { by, reason }) => {
                Some(Progress::Refused { why: format!("{by} declined it: {reason}") })
            }
            Some(Answer::Snoozed { by, until }) => waiting(format!("{by} put it off until {until}")),
            Some(Answer::Open) if self.updates.policy == Policy::Manual {} => {
                waiting("somebody has to opt in".to_owned())
            }
            Some(Answer::Open | Answer::OptedIn { .. }) => {
                let hold = self.may_update(at).err();
                waiting(hold.map_or("its turn comes".to_owned(), |hold| hold.reason))
            }
            None => Some(Progress::Refused { why: "another release took its place".to_owned() }),
        }
    }
}
