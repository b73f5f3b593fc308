//! What goes into an event loop and what comes out: nothing else crosses its border.
//!
//! Everything here is stored in the log and so keeps its serialised form: new fields get
//! a default, new variants a new name, old ones are never re-used.

use serde::{Deserialize, Serialize};

use crate::actor::Actor;
use crate::component::facts::Facts;
use crate::freeze::Freeze;
use crate::id::{Kind, ObjectId};
use crate::job::{AttemptId, Outcome};
use crate::plan::Reply;
use crate::rejected::{Rejected, RejectedCode};
use crate::release::Release;
use crate::standing::Standing;
use crate::time::Timestamp;
use crate::timeline::{Entry, Level};
use crate::{
    app::message as app, component::message as component, install::message as install, org::message as org,
    runner::message as runner,
};

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

/// What one loop tells another. The sender is the event's `by`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// To a parent: I exist now and want to know how you are.
    ChildCreated,
    /// To a parent: nothing of me is left.
    ChildGone,
    /// To a child: this is how your parent is now.
    ParentIs(Standing),
    /// To a child: what is new in you is a sandbox (or no longer).
    Sandbox(bool),
    /// To a child: these freezes hold for you.
    FreezesAre(Vec<Freeze>),
    /// Install to app: which release has this version (the newest, if none is named)?
    ReleaseWanted {
        /// The operation that asks.
        operation: u64,
        /// The version, or the newest.
        version: Option<String>,
        /// The newest of this channel only.
        #[serde(default)]
        channel: Option<String>,
    },
    /// App to install: this one.
    ReleaseIs {
        /// The operation that asked.
        operation: u64,
        /// The release.
        release: Release,
    },
    /// App to install: there is none.
    ReleaseUnknown {
        /// The operation that asked.
        operation: u64,
        /// What was looked for and what there is instead.
        message: String,
    },
    /// App to install: a newer release came out.
    ReleasePublished(Release),
    /// App to install: take this release by your policy, and say how it goes.
    UpdateOffered {
        /// The release.
        release: Release,
        /// The rollout's number in the app.
        rollout: u64,
        /// It is older than what the install is on.
        rollback: bool,
    },
    /// App to install: if you have not begun it, do not.
    UpdateWithdrawn {
        /// The rollout's number in the app.
        rollout: u64,
    },
    /// Install to app: this is how an update goes.
    UpdateIs {
        /// The rollout that told of it.
        rollout: u64,
        /// How it goes.
        progress: app::Progress,
    },
    /// Install to component: do this.
    Do(component::Task),
    /// Install to component: stop doing what you do for this operation.
    Stop {
        /// The operation.
        operation: u64,
        /// Why, for people.
        reason: String,
    },
    /// Component to install: the task's job was started by the runner.
    TaskStarted {
        /// The operation.
        operation: u64,
        /// Which try it is.
        attempt: u32,
    },
    /// Component to install: the task is over for good.
    TaskEnded {
        /// The operation.
        operation: u64,
        /// How it ended.
        outcome: Outcome,
        /// What the component is like now.
        facts: Facts,
    },
    /// Component to runner: run this attempt.
    Offer(component::JobSpec),
    /// Component to runner: this attempt must stop.
    Revoke {
        /// The attempt.
        attempt: AttemptId,
        /// Why, for people.
        reason: String,
    },
    /// Runner to component: it began.
    JobStarted(AttemptId),
    /// Runner to component: its terminal word.
    JobEnded {
        /// The attempt.
        attempt: AttemptId,
        /// How it ended.
        outcome: Outcome,
        /// The start of the runner that ran it, if one did.
        #[serde(default)]
        ran_by: Option<runner::Boot>,
    },
    /// Install to runner: the install exists from now on and wants a runner.
    RunnerWanted {
        /// The install's epoch: how many installs have had this name.
        epoch: u64,
    },
    /// Install to runner: the install is gone; so is your identity.
    RunnerUnwanted,
    /// Runner to install: how the runner is now.
    RunnerIs(runner::Presence),
    /// Runner to install: what the customer says of a plan.
    PlanAnswered {
        /// Whose plan.
        component: String,
        /// The plan's digest.
        digest: String,
        /// What they say.
        reply: Reply,
    },
    /// Runner to install: its process was started anew, or another runner took its place.
    RunnerBooted(runner::Boot),
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
