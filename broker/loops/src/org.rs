//! The event loop of an org: a tenant of the broker. It lives, pauses and goes; apps wait for it.

use serde::{Deserialize, Serialize};

use crate::event::{Body, Effect, Event, Notice, Rejected, Waiting};
use crate::id::ObjectId;
use crate::life::Life;
use crate::object::wrong_kind;
use crate::view::{Detail, View};

/// What an org can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signal {
    /// Make it.
    Create {},
    /// Start nothing new in it until it is resumed.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// Go on.
    Resume {},
    /// Remove it, once nothing is left in it.
    Delete {},
}

/// An org.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Org {
    life: Life,
}

impl Org {
    pub(crate) fn new(id: ObjectId) -> Self {
        Self { life: Life::new(id) }
    }

    pub(crate) fn apply(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        let before = self.life.standing();
        let mut effects = match &event.body {
            Body::Signal(crate::Signal::Org(signal)) => self.signal(event, signal)?,
            Body::Notice(Notice::ChildCreated) => self.life.child_created(event, before)?,
            Body::Notice(Notice::ChildGone) => self.life.child_gone(event)?,
            Body::Tick => vec![],
            Body::Signal(_) | Body::Report(_) | Body::Notice(_) => {
                return Err(wrong_kind(&self.life.id, event));
            }
        };
        effects.extend(self.life.finish_deletion(event.at));
        let after = self.life.standing();
        if after != before {
            effects.extend(self.life.tell_children(after));
        }
        Ok(effects)
    }

    fn signal(&mut self, event: &Event, signal: &Signal) -> Result<Vec<Effect>, Rejected> {
        match signal {
            Signal::Create {} => self.life.create(event),
            Signal::Pause { reason } => self.life.pause(event, reason),
            Signal::Resume {} => self.life.resume(event),
            Signal::Delete {} => self.life.delete(event),
        }
    }

    pub(crate) fn why(&self) -> Vec<Waiting> {
        self.life.why()
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
            detail: Detail::Org { apps: self.life.children.iter().cloned().collect() },
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.life.is_known()
    }
}
