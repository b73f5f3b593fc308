//! What goes into an event loop and what comes out: nothing else crosses its border.
//!
//! Everything here is stored in the log and so keeps its serialised form: new fields get
//! a default, new variants a new name, old ones are never re-used.

use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::app::message as app;
use crate::component::message as component;
use crate::id::{Kind, ObjectId};
use crate::install::message as install;
use crate::notice::Notice;
use crate::org::message as org;
use crate::rejected::{Rejected, RejectedCode};
use crate::runner::message as runner;
use crate::time::Timestamp;
use crate::timeline::{Entry, Level};

/// One thing that happened to one object. `at` is the only clock a loop knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When it was accepted; stamped once, on entry.
    pub at: Timestamp,
    /// Who caused it.
    pub by: Actor,
    /// What happened.
    pub body: Body,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Somebody asks the loop to do something.
    Signal(Signal),
    /// The runner of the install says something (to the runner's loop).
    Report(runner::Report),
    /// Another loop says something.
    Notice(Notice),
    /// The object's deadline may have come; a stale tick changes nothing.
    Tick,
}

/// A request to one object, typed by the object's kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// To an org.
    Org(org::Signal),
    /// To an app.
    App(app::Signal),
    /// To an install.
    Install(install::Signal),
    /// To one component of an install.
    Component(component::Signal),
    /// To the runner of an install.
    Runner(runner::Signal),
}

/// What a loop asks for. Let out only by the commit that stored the state it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every effect is a `Tell`; a box for each would cost more"
)]
pub enum Effect {
    /// Give another loop a notice: applied in the same commit, or stored with it.
    Tell {
        /// To whom.
        to: ObjectId,
        /// What.
        notice: Notice,
    },
    /// A line on the object's timeline, for people.
    Record(Entry),
    /// A hint: the runner of this object may have work to lease or an attempt to stop.
    WakeRunner(ObjectId),
}

impl Body {
    /// A word for the event, as in the golden tables and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Body::Signal(_) => "signal",
            Body::Report(_) => "report",
            Body::Notice(_) => "notice",
            Body::Tick => "tick",
        }
    }
}

impl Signal {
    /// The kind of object that takes it.
    pub fn kind(&self) -> Kind {
        match self {
            Signal::Org(_) => Kind::Org,
            Signal::App(_) => Kind::App,
            Signal::Install(_) => Kind::Install,
            Signal::Component(_) => Kind::Component,
            Signal::Runner(_) => Kind::Runner,
        }
    }
}

/// The rejection of an event that this kind of object never takes.
pub(crate) fn wrong_kind(id: &ObjectId, event: &Event) -> Rejected {
    let message = format!("{id} takes no such {}: it is for another kind of object", event.body.word());
    Rejected::new(RejectedCode::WrongKind, message)
}

/// The object that sent a notice.
pub(crate) fn sender(event: &Event) -> Result<ObjectId, Rejected> {
    match &event.by {
        Actor::Object(id) => Ok(id.clone()),
        Actor::Person(_) | Actor::Runner | Actor::Clock => {
            Err(Rejected::new(RejectedCode::Invalid, "only another object may send a notice"))
        }
    }
}

pub(crate) fn record(code: &str, text: impl Into<String>) -> Effect {
    Effect::Record(Entry { code: code.to_owned(), text: text.into(), level: Level::Info })
}

pub(crate) fn record_at(level: Level, code: &str, text: impl Into<String>) -> Effect {
    Effect::Record(Entry { code: code.to_owned(), text: text.into(), level })
}
