//! The event loop of an app: its releases, its installs, and who of them hears of what.

pub(crate) mod message;
mod pages;
pub(crate) mod rollout;
mod rollouts;

pub use message::{NamedMember, Plan, Progress, RolloutView, Signal, ToApp, Wave, WaveView};

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::children::Children;
use crate::event::{Body, Effect, Event, record, sender, wrong_kind};
use crate::graph::{self, Node};
use crate::id::{ObjectId, is_name};
use crate::install::message::ToInstall;
use crate::job::Action;
use crate::lifecycle::{Life, Phase};
use crate::notice::Notice;
use crate::parent::{ToChild, ToParent};
use crate::rejected::{Rejected, RejectedCode, check_reason};
use crate::release::{COMPONENTS_MAX, Release};
use crate::standing::Standing;
use crate::time::Timestamp;
use crate::view::{Detail, View};
use crate::waiting::Waiting;
use crate::wake::{self, Wake};
use rollout::Rollout;

/// The most releases that an app remembers; older ones stay in the artefact store.
pub const RELEASES_MAX: usize = 50;

/// An app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    life: Life,
    parent: Standing,
    /// Oldest first.
    releases: Vec<Release>,
    /// New installs of it are sandboxes: it says so, or its org.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sandbox: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    org_sandbox: bool,
    /// Digests of releases that are out for nobody.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    held: BTreeSet<String>,
    /// How many rollouts it has had.
    #[serde(default)]
    rollouts: u64,
    /// The rollout under way, or the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rollout: Option<Box<Rollout>>,
}

impl App {
    pub(crate) fn new(id: ObjectId) -> Self {
        Self {
            life: Life::new(id),
            parent: Standing::Absent,
            releases: vec![],
            held: BTreeSet::new(),
            rollouts: 0,
            rollout: None,
            sandbox: false,
            org_sandbox: false,
        }
    }

    /// The releases it remembers, oldest first.
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// The installs of it.
    pub fn installs(&self) -> &Children {
        &self.life.children
    }

    /// How it is, as its installs need to know: no better than its org.
    pub fn standing(&self) -> Standing {
        match (self.life.standing(), self.parent) {
            (Standing::Active, Standing::Active) => Standing::Active,
            (Standing::Active, Standing::Absent | Standing::Paused | Standing::Deleting) => Standing::Paused,
            (other, _) => other,
        }
    }

    pub(crate) fn apply(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        let before = self.standing();
        let mut effects = match &event.body {
            Body::Signal(crate::event::Signal::App(signal)) => self.signal(event, signal)?,
            Body::Notice(notice) => self.notice(event, notice)?,
            Body::Tick => vec![],
            Body::Signal(_) | Body::Report(_) => return Err(wrong_kind(&self.life.id, event)),
        };
        effects.extend(self.turn(event));
        if let Some(gone) = self.life.finish_deletion(event.at) {
            effects.push(gone);
            effects.extend(self.tell_parent(Notice::Parent(ToParent::ChildGone)));
        }
        let after = self.standing();
        if after != before {
            effects.extend(self.life.tell_children(after));
        }
        Ok(effects)
    }

    fn signal(&mut self, event: &Event, signal: &Signal) -> Result<Vec<Effect>, Rejected> {
        match signal {
            Signal::Create {} => {
                let mut effects = self.life.create(event)?;
                self.releases.clear();
                self.sandbox = false;
                self.held.clear();
                self.rollout = None;
                effects.extend(self.tell_parent(Notice::Parent(ToParent::ChildCreated)));
                Ok(effects)
            }
            Signal::Publish { release, hold } => self.publish(event, release, *hold),
            Signal::Remark { text } => {
                self.life.check_alive()?;
                check_reason(text)?;
                Ok(vec![record("app.remark", format!("{}: {text}", event.by))])
            }
            Signal::Promote { version } => self.promote(event, version),
            Signal::PermitRollback { channel, to, permit } => {
                self.permit_rollback(event, channel, *to, permit)
            }
            Signal::StartRollout { plan } => self.start_rollout(event, plan),
            Signal::PauseRollout { reason } => {
                let id = self.life.id.clone();
                self.current()?.pause(&id, event, reason)
            }
            Signal::ResumeRollout { failures_max } => self.current()?.resume(event, *failures_max),
            Signal::AbortRollout { reason } => {
                let id = self.life.id.clone();
                self.current()?.abort(&id, event, reason)
            }
            Signal::Pause { reason } => self.life.pause(event, reason),
            Signal::Resume {} => self.life.resume(event),
            Signal::SetSandbox { on } => {
                self.life.check_alive()?;
                self.sandbox = *on;
                Ok(self.life.say_sandbox(event, *on, false))
            }
            Signal::Freeze(freeze) => self.life.freeze(event, freeze),
            Signal::Unfreeze(freeze) => self.life.unfreeze(event, freeze),
            Signal::Delete {} => self.life.delete(event),
        }
    }

    fn notice(&mut self, event: &Event, notice: &Notice) -> Result<Vec<Effect>, Rejected> {
        match notice {
            Notice::Parent(ToParent::ChildCreated) => {
                self.life.child_created(event, self.standing(), self.sandbox || self.org_sandbox)
            }
            Notice::Child(ToChild::Sandbox(on)) => {
                self.org_sandbox = *on;
                Ok(vec![])
            }
            Notice::Parent(ToParent::ChildGone) => {
                if let Some(rollout) = &mut self.rollout {
                    rollout.forget(sender(event)?.name());
                }
                self.life.child_gone(event)
            }
            Notice::App(ToApp::UpdateIs { rollout, progress }) => {
                let from = sender(event)?;
                if let Some(current) = self.rollout.as_mut().filter(|current| current.number == *rollout) {
                    current.hear(from.name(), progress);
                }
                Ok(vec![])
            }
            Notice::Child(ToChild::ParentIs(standing)) => {
                self.parent = *standing;
                Ok(vec![])
            }
            Notice::Child(ToChild::FreezesAre(above)) => {
                self.life.freezes.above.clone_from(above);
                Ok(self.life.tell_freezes(event.at))
            }
            Notice::App(ToApp::ReleaseWanted { operation, version, channel }) => {
                self.answer(event, *operation, version.as_deref(), channel.as_deref())
            }
            Notice::Install(_) | Notice::Component(_) | Notice::Runner(_) => {
                Err(wrong_kind(&self.life.id, event))
            }
        }
    }

    fn publish(&mut self, event: &Event, release: &Release, hold: bool) -> Result<Vec<Effect>, Rejected> {
        self.life.check_alive()?;
        check_release(release)?;
        let of_channel = |r: &&Release| r.channel == release.channel;
        if let Some(newest) = self.releases.iter().rev().find(of_channel)
            && release.counter <= newest.counter
        {
            let message = format!(
                "release {} has counter {}, but {} with counter {} is out already; cut it again",
                release.version, release.counter, newest.version, newest.counter
            );
            return Err(Rejected::new(RejectedCode::Conflict, message));
        }
        self.releases.push(release.clone());
        if self.releases.len() > RELEASES_MAX {
            let oldest = self.releases.remove(0);
            self.held.remove(&oldest.digest);
        }
        if hold {
            self.held.insert(release.digest.clone());
            let text = format!("release {} was published by {}, and is held back", release.version, event.by);
            return Ok(vec![record("release.held", text)]);
        }
        let text = format!("release {} was published by {}", release.version, event.by);
        let mut effects = vec![record("release.published", text)];
        effects.extend(self.life.children.iter().map(|to| Effect::Tell {
            to: to.clone(),
            notice: Notice::Install(ToInstall::ReleasePublished(release.clone())),
        }));
        Ok(effects)
    }

    fn answer(
        &self,
        event: &Event,
        operation: u64,
        version: Option<&str>,
        channel: Option<&str>,
    ) -> Result<Vec<Effect>, Rejected> {
        let found = match version {
            None => self.newest(channel),
            Some(version) => self.releases.iter().rev().find(|r| r.version == version),
        };
        let notice = match found {
            Some(release) => {
                let release = release.for_install(sender(event)?.name());
                Notice::Install(ToInstall::ReleaseIs { operation, release })
            }
            None => Notice::Install(ToInstall::ReleaseUnknown {
                operation,
                message: self.unknown(version, channel),
            }),
        };
        Ok(vec![Effect::Tell { to: sender(event)?, notice }])
    }

    fn unknown(&self, version: Option<&str>, channel: Option<&str>) -> String {
        let id = &self.life.id;
        if let (None, Some(channel), Some(_)) = (version, channel, self.releases.last()) {
            return format!("{id} has no release in channel {channel} yet");
        }
        match (version, self.releases.last()) {
            (Some(version), Some(newest)) => {
                format!("{id} has no release {version}; its newest is {}", newest.version)
            }
            (Some(version), None) => format!("{id} has no release {version}; it has none at all"),
            (None, _) => format!("{id} has no release yet; cut one with `remit release create`"),
        }
    }

    fn tell_parent(&self, notice: Notice) -> Option<Effect> {
        self.life.id.parent().map(|to| Effect::Tell { to, notice })
    }

    pub(crate) fn why(&self) -> Vec<Waiting> {
        let mut why = self.life.why();
        why.extend(self.rollout.as_ref().and_then(|rollout| rollout.why()));
        if matches!(self.life.phase, Phase::Active) && self.parent != Standing::Active {
            why.push(Waiting {
                code: "waiting.parent".into(),
                reason: format!("it waits for its org, which is {}", self.parent),
                since: self.life.since,
                on: self.life.id.parent(),
                remedy: "make or resume the org".into(),
                evidence: None,
            });
        }
        why
    }

    fn held_versions(&self) -> Vec<String> {
        let held = self.releases.iter().filter(|release| self.held.contains(&release.digest));
        held.map(|release| release.version.clone()).collect()
    }

    /// When to look again: the next wave of a rollout.
    pub(crate) fn wake(&self) -> Option<(Timestamp, Wake)> {
        wake::first([(self.rollout.as_ref().and_then(|rollout| rollout.deadline()), Wake::Bake)])
    }

    pub(crate) fn view(&self) -> View {
        View {
            id: self.life.id.clone(),
            status: self.life.status(),
            epoch: self.life.epoch,
            operation: None,
            reading: None,
            queue: vec![],
            why: self.why(),
            detail: Detail::App {
                sandbox: self.sandbox || self.org_sandbox,
                releases: self.releases.clone(),
                installs: self.life.children.iter().cloned().collect(),
                freezes: self.life.freezes.all().cloned().collect(),
                held: self.held_versions(),
                rollout: self.rollout.as_ref().map(|rollout| Box::new(rollout.view())),
            },
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.life.is_known()
    }
}

/// What a release must be for installs to be able to run it. The edge has verified the rest.
fn check_release(release: &Release) -> Result<(), Rejected> {
    let invalid = |message: String| Err(Rejected::new(RejectedCode::Invalid, message));
    let parts = &release.components;
    if parts.len() > COMPONENTS_MAX {
        return invalid(format!("{} components are more than {COMPONENTS_MAX}", parts.len()));
    }
    if let Some(bad) = parts.iter().find(|c| !is_name(&c.name)) {
        return invalid(format!("`{}` is no name for a component", bad.name));
    }
    let known = |name: &str| parts.iter().any(|c| c.name == name);
    for part in parts {
        if parts.iter().filter(|c| c.name == part.name).count() > 1 {
            return invalid(format!("component {} is there twice", part.name));
        }
        if let Some(need) = part.needs.iter().find(|n| !known(n)) {
            return invalid(format!("component {} needs {need}, which is not in the release", part.name));
        }
    }
    let nodes: Vec<Node<'_>> =
        parts.iter().map(|c| Node { name: &c.name, needs: &c.needs, action: Action::Deploy }).collect();
    graph::check_acyclic(&nodes).or_else(|cycle| invalid(cycle.to_string()))
}
