//! One object of any kind, and the one way in: `apply`.

mod pages;

use serde::{Deserialize, Serialize};

use crate::app::App;
use crate::component::Component;
use crate::event::{Effect, Event};
use crate::id::{Kind, ObjectId};
use crate::install::Install;
use crate::org::Org;
use crate::rejected::Rejected;
use crate::runner::Runner;
use crate::time::Timestamp;
use crate::view::View;
use crate::waiting::Waiting;
use crate::wake::Wake;

/// The state of one event loop. An object that nobody made yet is one too: its state says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A tenant.
    Org(Org),
    /// A product.
    App(App),
    /// A running copy.
    Install(Box<Install>),
    /// A part of a running copy.
    Component(Box<Component>),
    /// An agent.
    Runner(Box<Runner>),
}

impl Object {
    /// The object with this id, before anything happened to it.
    pub fn new(id: &ObjectId) -> Self {
        match id.kind() {
            Kind::Org => Object::Org(Org::new(id.clone())),
            Kind::App => Object::App(App::new(id.clone())),
            Kind::Install => Object::Install(Box::new(Install::new(id.clone()))),
            Kind::Component => Object::Component(Box::new(Component::new(id.clone()))),
            Kind::Runner => Object::Runner(Box::new(Runner::new(id.clone()))),
        }
    }

    /// Takes one event. Total and deterministic; a rejected event leaves the object as it was.
    pub fn apply(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        match self {
            Object::Org(o) => o.apply(event),
            Object::App(o) => o.apply(event),
            Object::Install(o) => o.apply(event),
            Object::Component(o) => o.apply(event),
            Object::Runner(o) => o.apply(event),
        }
    }

    /// When to give the object a tick, if ever.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.wake().map(|(at, _)| at)
    }

    /// The same, and what wakes it then.
    pub fn wake(&self) -> Option<(Timestamp, Wake)> {
        match self {
            Object::Component(o) => o.wake(),
            Object::Install(o) => o.wake(),
            Object::App(o) => o.wake(),
            Object::Org(_) | Object::Runner(_) => None,
        }
    }

    /// The reasons why it is not done yet, the first to act on first.
    pub fn why(&self) -> Vec<Waiting> {
        match self {
            Object::Org(o) => o.why(),
            Object::App(o) => o.why(),
            Object::Install(o) => o.why(),
            Object::Component(o) => o.why(),
            Object::Runner(o) => o.why(),
        }
    }

    /// The object as people and programs see it.
    pub fn view(&self) -> View {
        match self {
            Object::Org(o) => o.view(),
            Object::App(o) => o.view(),
            Object::Install(o) => o.view(),
            Object::Component(o) => o.view(),
            Object::Runner(o) => o.view(),
        }
    }

    /// Whether anybody ever made it; a deleted one was made.
    pub fn is_known(&self) -> bool {
        match self {
            Object::Org(o) => o.is_known(),
            Object::App(o) => o.is_known(),
            Object::Install(o) => o.is_known(),
            Object::Component(o) => o.is_known(),
            Object::Runner(o) => o.is_known(),
        }
    }

    /// The runner's loop, if this is one.
    pub fn as_runner(&self) -> Option<&Runner> {
        match self {
            Object::Runner(o) => Some(o),
            Object::Org(_) | Object::App(_) | Object::Install(_) | Object::Component(_) => None,
        }
    }

    /// The install's loop, if this is one.
    pub fn as_install(&self) -> Option<&Install> {
        match self {
            Object::Install(o) => Some(o),
            Object::Org(_) | Object::App(_) | Object::Component(_) | Object::Runner(_) => None,
        }
    }

    /// The org's loop, if this is one.
    pub fn as_org(&self) -> Option<&Org> {
        match self {
            Object::Org(o) => Some(o),
            Object::App(_) | Object::Install(_) | Object::Component(_) | Object::Runner(_) => None,
        }
    }

    /// The app's loop, if this is one.
    pub fn as_app(&self) -> Option<&App> {
        match self {
            Object::App(o) => Some(o),
            Object::Org(_) | Object::Install(_) | Object::Component(_) | Object::Runner(_) => None,
        }
    }
}
