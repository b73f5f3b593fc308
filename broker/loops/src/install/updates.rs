//! When an install takes which release: its policy, its freezes, and the inbox of releases that wait.
//!
//! Every release that comes out goes through the inbox; by the policy `latest` it leaves it at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Live;
use super::offers::{Answer, Offer, Policy, UpdatesView};
use crate::actor::Actor;
use crate::event::{Effect, Event, record};
use crate::freezes::Freezes;
use crate::rejected::{Rejected, conflict};
use crate::release::{Release, ReleaseRef};
use crate::time::Timestamp;

/// The most releases that wait; the oldest goes first.
const INBOX_MAX: usize = 10;

/// What an operation need not keep to, because a person said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pass {
    pub(super) window: bool,
    pub(super) freeze: bool,
}

/// All that says when an install is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Updates {
    pub(super) policy: Policy,
    /// The line of releases that it follows; every one, if it names none.
    pub(super) channel: Option<String>,
    pub(super) freezes: Freezes,
    /// In the order in which they came.
    pub(super) inbox: Vec<Offer>,
    /// By number of the operation.
    pub(super) passes: BTreeMap<u64, Pass>,
    /// The longest that a deploy took which succeeded.
    pub(super) longest_deploy_ms: i64,
    /// The rollout that it is part of.
    pub(super) rolling: Option<super::rollout::Rolling>,
    /// The rollout that brought it the release that it is on: it hears of it while it bakes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) rolled: Option<super::rollout::Rolled>,
    /// When to look again, as long as something waits for a time.
    pub(super) wake: Option<Timestamp>,
    /// When it was looked at last, as long as something waits: nothing changes until the next time.
    pub(super) looked: Option<Timestamp>,
}

impl Updates {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn view(&self) -> UpdatesView {
        UpdatesView {
            policy: self.policy.clone(),
            channel: self.channel.clone(),
            freezes: self.freezes.all().cloned().collect(),
            inbox: self.inbox.clone(),
        }
    }

    pub(super) fn follows(&self, release: &Release) -> bool {
        self.channel.as_ref().is_none_or(|channel| *channel == release.channel)
    }

    /// The place of the release that is to be taken next, if the policy lets one be taken.
    pub(super) fn candidate(&self) -> Option<usize> {
        let wanted = |offer: &Offer| match (&offer.answer, &self.policy) {
            (Answer::OptedIn { .. }, _) | (Answer::Open, Policy::Latest {} | Policy::Window(_)) => true,
            (Answer::Open, Policy::Manual {}) => false,
            (Answer::Declined { .. } | Answer::Snoozed { .. }, _) => false,
        };
        self.inbox.iter().rposition(wanted)
    }

    pub(super) fn offer(&mut self, by: &Actor, at: Timestamp, release: &Release) {
        self.inbox.retain(|offer| offer.release.digest != release.digest);
        let (release, channel) = (ReleaseRef::from(release), release.channel.clone());
        self.inbox.push(Offer { release, channel, by: by.clone(), since: at, answer: Answer::Open });
        if self.inbox.len() > INBOX_MAX {
            self.inbox.remove(0);
        }
    }

    /// The install goes by this release from now on: it waits no more, nor do older ones.
    pub(super) fn taken(&mut self, release: &Release) {
        if let Some(place) = self.inbox.iter().position(|offer| offer.release.digest == release.digest) {
            self.inbox.drain(..=place);
        }
        let is_older = |o: &Offer| o.channel == release.channel && o.release.counter <= release.counter;
        self.inbox.retain(|offer| !is_older(offer));
    }

    /// Ends what was put off until now.
    pub(super) fn wake_snoozed(&mut self, at: Timestamp) -> Vec<Effect> {
        let mut effects = vec![];
        for offer in &mut self.inbox {
            if matches!(offer.answer, Answer::Snoozed { until, .. } if until <= at) {
                offer.answer = Answer::Open;
                let text = format!("release {} was put off until now", offer.release.version);
                effects.push(record("update.woken", text));
            }
        }
        effects
    }

    /// The release of this version that waits, or the newest.
    fn find(&mut self, version: Option<&str>) -> Result<&mut Offer, Rejected> {
        let place = match version {
            Some(version) => self.inbox.iter().rposition(|offer| offer.release.version == version),
            None => self.inbox.len().checked_sub(1),
        };
        let names: Vec<&str> = self.inbox.iter().map(|o| o.release.version.as_str()).collect();
        let message = match (version, names.as_slice()) {
            (_, []) => "no release waits; `remit updates` shows those that do".to_owned(),
            (version, names) => {
                format!(
                    "release {} does not wait; waiting: {}",
                    version.unwrap_or_default(),
                    names.join(", ")
                )
            }
        };
        place.and_then(|place| self.inbox.get_mut(place)).ok_or_else(|| conflict(&message))
    }
}

impl Live {
    pub(super) fn set_policy(&mut self, event: &Event, policy: &Policy) -> Result<Vec<Effect>, Rejected> {
        if let Policy::Window(window) = policy {
            window.schedule()?;
        }
        self.updates.policy = policy.clone();
        Ok(vec![record("install.policy", format!("{} set its update policy: {policy}", event.by))])
    }

    pub(super) fn set_channel(
        &mut self,
        event: &Event,
        channel: Option<&str>,
    ) -> Result<Vec<Effect>, Rejected> {
        if let Some(bad) = channel.filter(|channel| !crate::id::is_name(channel)) {
            return Err(Rejected::new(
                crate::rejected::RejectedCode::Invalid,
                format!("`{bad}` is no name of a channel"),
            ));
        }
        self.updates.channel = channel.map(str::to_owned);
        self.updates.inbox.retain(|offer| channel.is_none_or(|channel| offer.channel == channel));
        let text = format!("{} lets it follow {}", event.by, channel.unwrap_or("every channel"));
        Ok(vec![record("install.channel", text)])
    }

    pub(super) fn opt_in(&mut self, event: &Event, version: Option<&str>) -> Result<Vec<Effect>, Rejected> {
        let offer = self.updates.find(version)?;
        offer.answer = Answer::OptedIn { by: event.by.to_string() };
        offer.by = event.by.clone();
        let text = format!("{} opted in to release {}", event.by, offer.release.version);
        Ok(vec![record("update.opted_in", text)])
    }

    pub(super) fn decline(
        &mut self,
        event: &Event,
        version: Option<&str>,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        let offer = self.updates.find(version)?;
        offer.answer = Answer::Declined { by: event.by.to_string(), reason: reason.to_owned() };
        let text = format!("{} declined release {}: {reason}", event.by, offer.release.version);
        Ok(vec![record("update.declined", text)])
    }

    pub(super) fn snooze(
        &mut self,
        event: &Event,
        version: Option<&str>,
        until: Timestamp,
    ) -> Result<Vec<Effect>, Rejected> {
        if until <= event.at {
            return Err(conflict("that time is over already; name one that is to come"));
        }
        let offer = self.updates.find(version)?;
        offer.answer = Answer::Snoozed { by: event.by.to_string(), until };
        let text = format!("{} put release {} off until {until}", event.by, offer.release.version);
        Ok(vec![record("update.snoozed", text)])
    }

    /// A newer release is out: it waits until the policy lets it be taken, for `latest` not at all.
    pub(super) fn published(&mut self, event: &Event, release: &Release) -> Vec<Effect> {
        if !self.updates.follows(release) {
            return vec![];
        }
        self.newest = Some(ReleaseRef::from(release));
        if self.deleting.is_some() {
            return vec![];
        }
        self.updates.offer(&event.by, event.at, release);
        self.says_it_waits(event.at, release).into_iter().collect()
    }

    /// Takes the newest release that may be taken now; whether there was one.
    pub(super) fn admit(&mut self, at: Timestamp, effects: &mut Vec<Effect>) -> bool {
        let Some(place) = self.updates.candidate().filter(|_| self.deleting.is_none()) else { return false };
        if self.may_update(at).is_err() {
            return false;
        }
        effects.extend(self.take(at, place));
        true
    }

    /// Takes a release out of the inbox, and what came before it, and queues its deploy.
    pub(super) fn take(&mut self, at: Timestamp, place: usize) -> Vec<Effect> {
        let Some(offer) = self.updates.inbox.drain(..=place).next_back() else { return vec![] };
        let effects = self.enqueue_deploy(at, &offer.by, Some(offer.release.version));
        if let Some(rolling) = self.updates.rolling.as_mut().filter(|r| r.digest == offer.release.digest) {
            rolling.operation = Some(self.number);
        }
        effects
    }
}
