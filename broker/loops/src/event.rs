//! What goes into an event loop and what comes out: nothing else crosses its border.
//!
//! Everything here is stored in the log and so keeps its serialised form: new fields get
//! a default, new variants a new name, old ones are never re-used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::freeze::Freeze;
use crate::id::ObjectId;
use crate::job::{AttemptId, Failure, JobSpec, Outcome};
use crate::plan::Reply;
use crate::release::Release;
use crate::{app, component, install, org, runner};

/// Milliseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This time and so many milliseconds more.
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// How many milliseconds have passed since an earlier time; never negative.
    pub fn since_ms(self, earlier: Timestamp) -> i64 {
        self.0.saturating_sub(earlier.0).max(0)
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // To the second: what people read.
        match jiff::Timestamp::from_second(self.0.div_euclid(1_000)) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// Who caused an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person or their program, by the name of their token.
    Person(String),
    /// Another event loop, by its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    Object(ObjectId),
    /// The runner of the object's install.
    Runner,
    /// Time itself.
    Clock,
}

impl std::fmt::Display for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Actor::Person(name) => f.write_str(name),
            Actor::Object(id) => write!(f, "{id}"),
            Actor::Runner => f.write_str("the runner"),
            Actor::Clock => f.write_str("the clock"),
        }
    }
}

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
        facts: component::Facts,
    },
    /// Component to runner: run this attempt.
    Offer(JobSpec),
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

/// How a parent is, as far as its children need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It does not exist (yet).
    Absent,
    /// It is well: go on.
    Active,
    /// Somebody paused it.
    Paused,
    /// It is being deleted.
    Deleting,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Standing::Absent => "absent",
            Standing::Active => "active",
            Standing::Paused => "paused",
            Standing::Deleting => "being deleted",
        })
    }
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

/// A line on the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// A stable word for programs, e.g. `operation.started`.
    pub code: String,
    /// One sentence for people.
    pub text: String,
    /// Whether it is news, a worry or a failure.
    pub level: Level,
}

/// How much a timeline entry matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// News.
    Info,
    /// Something to look at.
    Warning,
    /// A failure.
    Error,
}

/// Why an event was not taken. The object is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Rejected {
    /// A stable code, e.g. `loop.deleting`.
    pub code: RejectedCode,
    /// What is the matter and what to do, for people.
    pub message: String,
}

/// The stable codes of rejections; each has a page in `docs/errors/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectedCode {
    /// The object does not exist.
    NotFound,
    /// The object exists already.
    Exists,
    /// The object is being deleted or is gone.
    Deleting,
    /// The queue is full.
    QueueFull,
    /// The signal does not fit the state that the object is in.
    Conflict,
    /// The signal's content is not allowed.
    Invalid,
    /// The event is for another kind of object.
    WrongKind,
    /// A word of an older or unknown attempt, generation or operation.
    Stale,
    /// No runner is enrolled, and it needs one.
    RunnerMissing,
    /// A window that can never open, or is written wrongly.
    WindowInvalid,
    /// There is no such time zone.
    ZoneUnknown,
    /// A freeze that is over before it begins, or is written wrongly.
    FreezeInvalid,
    /// Two freezes of one object at the same time.
    FreezeOverlaps,
    /// A rollout that cannot be: of no release, of no installs, without end.
    RolloutInvalid,
    /// A release below the rollback floor of the one that is there.
    BelowFloor,
    /// The word is of another plan than the one that waits for it.
    PlanStale,
    /// The approval of this person does not count.
    NotApprover,
    /// A glass broken for too long, or for a reason that cannot be shown.
    BreakGlassInvalid,
    /// Nobody has shown that what is to be given up runs no more.
    ProofMissing,
}

impl RejectedCode {
    /// The code as it is shown and documented.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectedCode::NotFound => "loop.not_found",
            RejectedCode::Exists => "loop.exists",
            RejectedCode::Deleting => "loop.deleting",
            RejectedCode::QueueFull => "loop.queue_full",
            RejectedCode::Conflict => "loop.conflict",
            RejectedCode::Invalid => "loop.invalid",
            RejectedCode::WrongKind => "loop.wrong_kind",
            RejectedCode::Stale => "loop.stale",
            RejectedCode::RunnerMissing => "loop.runner_missing",
            RejectedCode::WindowInvalid => "loop.window_invalid",
            RejectedCode::ZoneUnknown => "loop.zone_unknown",
            RejectedCode::FreezeInvalid => "loop.freeze_invalid",
            RejectedCode::FreezeOverlaps => "loop.freeze_overlaps",
            RejectedCode::RolloutInvalid => "loop.rollout_invalid",
            RejectedCode::BelowFloor => "loop.below_floor",
            RejectedCode::PlanStale => "loop.plan_stale",
            RejectedCode::NotApprover => "loop.not_approver",
            RejectedCode::BreakGlassInvalid => "loop.break_glass_invalid",
            RejectedCode::ProofMissing => "loop.proof_missing",
        }
    }
}

impl Rejected {
    /// A rejection with its sentence.
    pub fn new(code: RejectedCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// One reason why an object is not done yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Waiting {
    /// A stable word for programs, e.g. `waiting.runner_offline`.
    pub code: String,
    /// One sentence for people.
    pub reason: String,
    /// Since when it has been so.
    pub since: Timestamp,
    /// The object to look at next, if it is not this one's own doing.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub on: Option<ObjectId>,
    /// What would end it.
    pub remedy: String,
    /// What it rests on, where somebody said more than this.
    #[serde(default)]
    pub evidence: Option<Evidence>,
}

/// What a reason rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// The words of the tool, or of whoever said it; empty where it is only under way.
    pub words: String,
    /// The stable code of the failure, if it was one.
    pub code: Option<String>,
    /// The attempt that it is about.
    pub attempt: Option<AttemptId>,
    /// The digest of the plan that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

impl Evidence {
    pub(crate) fn of(failure: &Failure) -> Self {
        Self { words: failure.message.clone(), code: Some(failure.code.clone()), ..Self::default() }
    }
}

/// How much a reason matters, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Something failed, and a person decides how it goes on.
    Failed,
    /// Something is not as it should be, and nothing happens about it by itself.
    Attention,
    /// It waits for somebody or something else.
    Waiting,
    /// It is being worked at, and ends by itself.
    Underway,
}

impl Waiting {
    /// How much it matters.
    pub fn urgency(&self) -> Urgency {
        match self.code.as_str() {
            code if code.starts_with("held.") => Urgency::Failed,
            "waiting.unconfirmed" | "waiting.runner_revoked" | "waiting.approval" => Urgency::Attention,
            code if code.starts_with("attention.") => Urgency::Attention,
            "waiting.step" | "waiting.rule" | "waiting.job" | "waiting.stop" | "waiting.retry" => {
                Urgency::Underway
            }
            _ => Urgency::Waiting,
        }
    }
}

/// Values by name, in a fixed order. Values are JSON texts or plain strings, as their owner says.
pub type Values = BTreeMap<String, String>;
