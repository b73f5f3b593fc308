//! What an org and an app have in common: they are made, paused, resumed, and go only
//! when their last child is gone; their children are told each time.

use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::children::Children;
use crate::event::{Effect, Event, record, sender};
use crate::freeze::{AddFreeze, RemoveFreeze};
use crate::freezes::Freezes;
use crate::id::ObjectId;
use crate::notice::Notice;
use crate::parent::ToChild;
use crate::rejected::{Rejected, check_reason, deleting, exists, not_found};
use crate::standing::Standing;
use crate::status::Status;
use crate::time::Timestamp;
use crate::waiting::Waiting;

/// The life of a parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Life {
    pub(crate) id: ObjectId,
    pub(crate) epoch: u64,
    pub(crate) phase: Phase,
    pub(crate) since: Timestamp,
    pub(crate) children: Children,
    #[serde(default, skip_serializing_if = "Freezes::is_empty")]
    pub(crate) freezes: Freezes,
}

/// Where in its life a parent is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Absent,
    Active,
    Paused { reason: String, by: Actor },
    Deleting { by: Actor },
    Deleted,
}

impl Life {
    pub(crate) fn new(id: ObjectId) -> Self {
        Self {
            id,
            epoch: 0,
            phase: Phase::Absent,
            since: Timestamp(0),
            children: Children::default(),
            freezes: Freezes::default(),
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.epoch > 0
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.phase {
            Phase::Absent | Phase::Deleted => Standing::Absent,
            Phase::Active => Standing::Active,
            Phase::Paused { .. } => Standing::Paused,
            Phase::Deleting { .. } => Standing::Deleting,
        }
    }

    fn enter(&mut self, phase: Phase, at: Timestamp) {
        self.phase = phase;
        self.since = at;
    }

    /// Refuses unless it is there to be asked something.
    pub(crate) fn check_alive(&self) -> Result<(), Rejected> {
        match self.phase {
            Phase::Active | Phase::Paused { .. } => Ok(()),
            Phase::Absent | Phase::Deleted => Err(not_found(&self.id)),
            Phase::Deleting { .. } => Err(deleting(&self.id)),
        }
    }

    pub(crate) fn create(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        match self.phase {
            Phase::Absent | Phase::Deleted => {
                self.epoch += 1;
                self.freezes.own.clear();
                self.enter(Phase::Active, event.at);
                Ok(vec![record("created", format!("{} was made by {}", self.id, event.by))])
            }
            Phase::Active | Phase::Paused { .. } => Err(exists(&self.id)),
            Phase::Deleting { .. } => Err(deleting(&self.id)),
        }
    }

    pub(crate) fn pause(&mut self, event: &Event, reason: &str) -> Result<Vec<Effect>, Rejected> {
        self.check_alive()?;
        check_reason(reason)?;
        let text = format!("{} was paused by {}: {reason}", self.id, event.by);
        self.enter(Phase::Paused { reason: reason.to_owned(), by: event.by.clone() }, event.at);
        Ok(vec![record("paused", text)])
    }

    pub(crate) fn resume(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        self.check_alive()?;
        self.enter(Phase::Active, event.at);
        Ok(vec![record("resumed", format!("{} was resumed by {}", self.id, event.by))])
    }

    pub(crate) fn delete(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        self.check_alive()?;
        let text = format!(
            "{} is to be deleted, says {}; it waits for {} in it",
            self.id,
            event.by,
            self.children.len()
        );
        self.enter(Phase::Deleting { by: event.by.clone() }, event.at);
        Ok(vec![record("deleting", text)])
    }

    pub(crate) fn child_created(
        &mut self,
        event: &Event,
        standing: Standing,
        sandbox: bool,
    ) -> Result<Vec<Effect>, Rejected> {
        let child = sender(event)?;
        // One that came before its parent waits too: it is told when the parent is made.
        self.children.insert(child.clone());
        let freezes = Some(self.freezes.told(event.at)).filter(|freezes| !freezes.is_empty());
        // Before it may begin, it knows whether it is a sandbox, and which freezes hold for it.
        let known = sandbox
            .then_some(Notice::Child(ToChild::Sandbox(true)))
            .into_iter()
            .chain(freezes.map(|freezes| Notice::Child(ToChild::FreezesAre(freezes))));
        let notices = known.chain([Notice::Child(ToChild::ParentIs(standing))]);
        Ok(notices.map(|notice| Effect::Tell { to: child.clone(), notice }).collect())
    }

    /// What is new in it is a sandbox from now on, or no longer; its children are told where they pass it on.
    pub(crate) fn say_sandbox(&self, event: &Event, on: bool, tell: bool) -> Vec<Effect> {
        let how = if on { "a sandbox from now on" } else { "no sandbox any more" };
        let entry = record("sandbox", format!("what is new in {} is {how}, says {}", self.id, event.by));
        let told = self.children.iter().filter(|_| tell);
        let told =
            told.map(|to| Effect::Tell { to: to.clone(), notice: Notice::Child(ToChild::Sandbox(on)) });
        [entry].into_iter().chain(told).collect()
    }

    pub(crate) fn freeze(&mut self, event: &Event, freeze: &AddFreeze) -> Result<Vec<Effect>, Rejected> {
        self.check_alive()?;
        let entry = self.freezes.add(&self.id, event, freeze)?;
        Ok([entry].into_iter().chain(self.tell_freezes(event.at)).collect())
    }

    pub(crate) fn unfreeze(&mut self, event: &Event, freeze: &RemoveFreeze) -> Result<Vec<Effect>, Rejected> {
        self.check_alive()?;
        let entry = self.freezes.remove(&self.id, event, freeze)?;
        Ok([entry].into_iter().chain(self.tell_freezes(event.at)).collect())
    }

    /// Tells its children which freezes hold for them.
    pub(crate) fn tell_freezes(&self, at: Timestamp) -> Vec<Effect> {
        let freezes = self.freezes.told(at);
        let tell = |to: &ObjectId| Effect::Tell {
            to: to.clone(),
            notice: Notice::Child(ToChild::FreezesAre(freezes.clone())),
        };
        self.children.iter().map(tell).collect()
    }

    pub(crate) fn child_gone(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        self.children.remove(&sender(event)?);
        Ok(vec![])
    }

    /// Whether the last thing to wait for is gone; call after each event.
    pub(crate) fn finish_deletion(&mut self, at: Timestamp) -> Option<Effect> {
        let over = matches!(self.phase, Phase::Deleting { .. }) && self.children.is_empty();
        over.then(|| {
            self.enter(Phase::Deleted, at);
            record("deleted", format!("{} is deleted: nothing is left in it", self.id))
        })
    }

    pub(crate) fn tell_children(&self, standing: Standing) -> Vec<Effect> {
        let tell = |to: &ObjectId| Effect::Tell {
            to: to.clone(),
            notice: Notice::Child(ToChild::ParentIs(standing)),
        };
        self.children.iter().map(tell).collect()
    }

    pub(crate) fn why(&self) -> Vec<Waiting> {
        match &self.phase {
            Phase::Absent | Phase::Active | Phase::Deleted => vec![],
            Phase::Paused { reason, by } => vec![Waiting {
                code: "waiting.paused".into(),
                reason: format!("{} was paused by {by}: {reason}", self.id),
                since: self.since,
                on: None,
                remedy: format!("`remit signal {} resume`", self.id),
                evidence: None,
            }],
            Phase::Deleting { .. } => vec![Waiting {
                code: "waiting.children".into(),
                reason: format!("its deletion waits for {} to be gone", list(&self.children)),
                since: self.since,
                on: self.children.iter().next().cloned(),
                remedy: "delete what is in it".into(),
                evidence: None,
            }],
        }
    }

    pub(crate) fn status(&self) -> Status {
        let (word, description) = match &self.phase {
            Phase::Absent => ("absent", "nobody has made it".to_owned()),
            Phase::Active => ("active", format!("{} in it", self.children.len())),
            Phase::Paused { reason, by } => ("paused", format!("paused by {by}: {reason}")),
            Phase::Deleting { by } => {
                ("deleting", format!("asked by {by}; waits for {}", list(&self.children)))
            }
            Phase::Deleted => ("deleted", "nothing is left of it".to_owned()),
        };
        Status { word: word.to_owned(), description, since: self.since }
    }
}

fn list(ids: &Children) -> String {
    let mut names: Vec<String> = ids.iter().take(3).map(ObjectId::to_string).collect();
    if ids.len() > names.len() {
        names.push(format!("{} more", ids.len() - names.len()));
    }
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}
