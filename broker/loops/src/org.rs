//! The event loop of an org: a tenant of the broker. It lives, pauses and goes; apps wait for it.

pub(crate) mod message;

pub use message::{Quotas, Signal};

use serde::{Deserialize, Serialize};

use crate::children::Children;
use crate::event::{Body, Effect, Event, record, wrong_kind};
use crate::id::ObjectId;
use crate::lifecycle::Life;
use crate::notice::Notice;
use crate::parent::ToParent;
use crate::rejected::{Rejected, RejectedCode};
use crate::view::{Detail, View};
use crate::waiting::Waiting;

/// The most that an org can weigh.
const WEIGHT_MAX: u32 = 100;

/// An org.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Org {
    life: Life,
    #[serde(default)]
    quotas: Quotas,
    /// What is new in it is a sandbox.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sandbox: bool,
}

impl Org {
    pub(crate) fn new(id: ObjectId) -> Self {
        Self { life: Life::new(id), quotas: Quotas::default(), sandbox: false }
    }

    /// The apps in it.
    pub fn apps(&self) -> &Children {
        &self.life.children
    }

    /// How much it may hold.
    pub fn quotas(&self) -> Quotas {
        self.quotas
    }

    pub(crate) fn apply(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        let before = self.life.standing();
        let mut effects = match &event.body {
            Body::Signal(crate::event::Signal::Org(signal)) => self.signal(event, signal)?,
            Body::Notice(Notice::Parent(ToParent::ChildCreated)) => {
                self.life.child_created(event, before, self.sandbox)?
            }
            Body::Notice(Notice::Parent(ToParent::ChildGone)) => self.life.child_gone(event)?,
            Body::Tick => vec![],
            Body::Signal(_)
            | Body::Report(_)
            | Body::Notice(
                Notice::Child(_)
                | Notice::App(_)
                | Notice::Install(_)
                | Notice::Component(_)
                | Notice::Runner(_),
            ) => {
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
            Signal::Create {} => {
                let effects = self.life.create(event)?;
                (self.quotas, self.sandbox) = (Quotas::default(), false);
                Ok(effects)
            }
            Signal::SetQuotas { apps, installs_per_app, weight } => {
                self.life.check_alive()?;
                self.set_quotas(event, *apps, *installs_per_app, *weight)
            }
            Signal::Pause { reason } => self.life.pause(event, reason),
            Signal::Resume {} => self.life.resume(event),
            Signal::SetSandbox { on } => {
                self.life.check_alive()?;
                self.sandbox = *on;
                Ok(self.life.say_sandbox(event, *on, true))
            }
            Signal::Freeze(freeze) => self.life.freeze(event, freeze),
            Signal::Unfreeze(freeze) => self.life.unfreeze(event, freeze),
            Signal::Delete {} => self.life.delete(event),
        }
    }

    fn set_quotas(
        &mut self,
        event: &Event,
        apps: Option<u32>,
        installs_per_app: Option<u32>,
        weight: Option<u32>,
    ) -> Result<Vec<Effect>, Rejected> {
        let now = self.quotas;
        let weight = weight.unwrap_or(now.weight);
        if !(1..=WEIGHT_MAX).contains(&weight) {
            let message = format!("a weight is from 1 to {WEIGHT_MAX}, not {weight}");
            return Err(Rejected::new(RejectedCode::Invalid, message));
        }
        let apps = apps.unwrap_or(now.apps);
        let installs_per_app = installs_per_app.unwrap_or(now.installs_per_app);
        self.quotas = Quotas { apps, installs_per_app, weight };
        let text = format!(
            "it may hold {apps} apps and {installs_per_app} installs of each, and weighs {weight}, says {}",
            event.by
        );
        Ok(vec![record("org.quotas", text)])
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
            detail: Detail::Org {
                apps: self.life.children.iter().cloned().collect(),
                quotas: self.quotas,
                sandbox: self.sandbox,
                freezes: self.life.freezes.all().cloned().collect(),
            },
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.life.is_known()
    }
}
