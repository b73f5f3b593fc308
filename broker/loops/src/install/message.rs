//! What an install is asked, and when it takes releases. Data only.

use super::offers::Policy;
use crate::approval;
use crate::component::facts::Facts;
use crate::drift::Choice;
use crate::freeze::{AddFreeze, RemoveFreeze};
use crate::id::ObjectId;
use crate::job::{Mode, Outcome};
use crate::plan::Reply;
use crate::release::Release;
use crate::runner::message::{Boot, Presence};
use crate::scenario::Scenario;
use crate::time::Timestamp;
use crate::values::Values;
use serde::{Deserialize, Serialize};

/// What an install can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signal {
    /// Make it; it deploys the newest release as soon as its app is active and its runner is there.
    Create {
        /// Inputs of broker authority, as JSON texts by name.
        #[serde(default)]
        inputs: Values,
        /// Whether it touches the real world.
        #[serde(default)]
        mode: Mode,
        /// For grouping.
        #[serde(default)]
        labels: Values,
        /// For a sandbox: what it rehearses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rehearsal: Option<Rehearsal>,
        /// Which plans are asked for, and who may approve them: JSON, as `set_approval` takes it.
        #[serde(default, skip_serializing_if = "approval::Policy::is_default")]
        approval: approval::Policy,
    },
    /// Bring it to a release.
    Deploy {
        /// The release's version, or the newest.
        #[serde(default)]
        version: Option<String>,
    },
    /// Bring it to a release now, whatever its window says.
    DeployNow {
        /// The release's version, or the newest.
        #[serde(default)]
        version: Option<String>,
        /// Why, for people; it stays on the record.
        reason: String,
        /// In spite of a freeze too.
        #[serde(default)]
        override_freeze: bool,
    },
    /// Let what waits for a window go on now.
    Proceed {
        /// The operation's number, or whatever waits.
        #[serde(default)]
        operation: Option<u64>,
        /// Why, for people; it stays on the record.
        reason: String,
        /// In spite of a freeze too.
        #[serde(default)]
        override_freeze: bool,
    },
    /// When it takes a release that came out: `{"latest":{}}`, `{"manual":{}}`, or
    /// `{"window":{"zone":"Europe/Berlin","days":["sat"],"start":"22:00","length_minutes":240}}`.
    SetPolicy {
        /// The policy.
        policy: Policy,
    },
    /// Which line of releases it follows.
    SetChannel {
        /// The channel, or every one.
        #[serde(default)]
        channel: Option<String>,
    },
    /// Take a release that waits.
    OptIn {
        /// Its version, or the newest that waits.
        #[serde(default)]
        version: Option<String>,
    },
    /// Never take a release that waits.
    Decline {
        /// Its version, or the newest that waits.
        #[serde(default)]
        version: Option<String>,
        /// Why, for people.
        reason: String,
    },
    /// Put a release that waits off.
    Snooze {
        /// Its version, or the newest that waits.
        #[serde(default)]
        version: Option<String>,
        /// The first moment at which it counts again, milliseconds since the Unix epoch.
        until: Timestamp,
    },
    /// Change nothing in a time. What runs when it begins is finished.
    Freeze(AddFreeze),
    /// Take a freeze away.
    Unfreeze(RemoveFreeze),
    /// Deploy again what has drifted or failed, by the release it is on.
    Heal {},
    /// Deploy everything again by the release it is on, changed or not.
    Reprovision {},
    /// Compare the world with what was deployed; changes nothing and holds up nothing.
    CheckDrift {},
    /// Bring back what has drifted: deploy these components again by the release they are on.
    Revert {
        /// The components, or all that have drifted.
        #[serde(default)]
        components: Vec<String>,
        /// Why, for people.
        reason: String,
    },
    /// Accept what has drifted as it is. Where the code says otherwise, the next deploy that changes the
    /// component brings it back all the same.
    Adopt {
        /// The components, or all that have drifted.
        #[serde(default)]
        components: Vec<String>,
        /// Why, for people; it stays on the record.
        reason: String,
    },
    /// Say how often drift is looked for: `"as_released"`, `"never"` or
    /// `{"every":{"every_ms":21600000,"then":"report"}}`; `then` is `report` or `heal`.
    SetDrift {
        /// How often, and what then.
        choice: Choice,
    },
    /// Look now whether its components do their work; changes nothing and holds up nothing.
    CheckHealth {},
    /// Let it pass the vendor's own rules for a time: windows, freezes, the vendor's approvals. What the
    /// customer's remit says holds as ever, and each job tells the customer.
    BreakGlass {
        /// For how long, milliseconds: from a minute to 8 hours.
        for_ms: i64,
        /// Why; it is shown to the customer and stays on the record.
        reason: String,
    },
    /// End a broken glass before its time.
    MendGlass {},
    /// Start nothing new until it is resumed; what runs goes on.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// Go on.
    Resume {},
    /// Stop an operation.
    Cancel {
        /// Its number, or the one that runs.
        #[serde(default)]
        operation: Option<u64>,
        /// Why, for people.
        reason: String,
    },
    /// Stop one running step; the others go on, and what needs it waits for `retry` or `skip`.
    CancelStep {
        /// The step's component.
        component: String,
        /// Why, for people.
        reason: String,
    },
    /// Try a failed step of the held operation again, or all of them.
    Retry {
        /// The step's component, or all failed ones.
        #[serde(default)]
        component: Option<String>,
    },
    /// Go on without a step that has failed or not begun.
    Skip {
        /// The step's component.
        component: String,
        /// Why, for people.
        reason: String,
    },
    /// Approve a plan that waits, or all of them at once.
    Approve {
        /// The plan's digest, or the one of all plans that wait: `sha256:…`.
        plan: String,
        /// The step's component.
        #[serde(default)]
        component: Option<String>,
        /// The operation's number.
        #[serde(default)]
        operation: Option<u64>,
    },
    /// Refuse a plan that waits; its step is held.
    Deny {
        /// The plan's digest, or the one of all plans that wait: `sha256:…`.
        plan: String,
        /// The step's component.
        #[serde(default)]
        component: Option<String>,
        /// The operation's number.
        #[serde(default)]
        operation: Option<u64>,
        /// Why, for people.
        reason: String,
    },
    /// Say which plans are asked for and who may approve them; counts from the next plan on.
    SetApproval {
        /// The whole of it as JSON, like `{"ask":"by_rule","no_destroy":true}`; what is left out gets its default.
        policy: approval::Policy,
    },
    /// Change inputs of broker authority; they count from the next deploy on.
    SetInputs {
        /// As JSON texts by name; others stay.
        inputs: Values,
    },
    /// For a sandbox: what its rehearsals are to be like from the next step on.
    SetScenario {
        /// The scenario, or none for rehearsals in which all goes well.
        #[serde(default)]
        scenario: Option<Scenario>,
    },
    /// Make a sandbox real: what it rehearsed is forgotten, and its release is deployed in earnest.
    Promote {},
    /// Tear everything down, make sure, and only then forget it.
    Delete {},
    /// Forget it without destroying what is left; a tombstone keeps the list.
    Forget {
        /// Why, for people; on the record for good.
        reason: String,
    },
}

impl Signal {
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Signal::Pause { reason }
            | Signal::Cancel { reason, .. }
            | Signal::CancelStep { reason, .. }
            | Signal::Skip { reason, .. }
            | Signal::DeployNow { reason, .. }
            | Signal::Proceed { reason, .. }
            | Signal::Decline { reason, .. }
            | Signal::Freeze(AddFreeze { reason, .. })
            | Signal::Unfreeze(RemoveFreeze { reason, .. })
            | Signal::Deny { reason, .. }
            | Signal::Revert { reason, .. }
            | Signal::Adopt { reason, .. }
            | Signal::BreakGlass { reason, .. }
            | Signal::Forget { reason } => Some(reason),
            Signal::Create { .. }
            | Signal::Deploy { .. }
            | Signal::Heal {}
            | Signal::Reprovision {}
            | Signal::CheckDrift {}
            | Signal::CheckHealth {}
            | Signal::MendGlass {}
            | Signal::SetDrift { .. }
            | Signal::Resume {}
            | Signal::SetPolicy { .. }
            | Signal::SetChannel { .. }
            | Signal::OptIn { .. }
            | Signal::Snooze { .. }
            | Signal::Retry { .. }
            | Signal::Approve { .. }
            | Signal::SetApproval { .. }
            | Signal::SetInputs { .. }
            | Signal::SetScenario { .. }
            | Signal::Promote {}
            | Signal::Delete {} => None,
        }
    }
}

/// What a new sandbox install rehearses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Rehearsal {
    /// What its rehearsals are to be like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Scenario>,
    /// The install that it is a copy of, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub copy_of: Option<ObjectId>,
    /// The version of its first release, if not the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What an install is told by its app, its components and its runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a notice lives for one event: a box would only cost")]
pub enum ToInstall {
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
    /// Runner to install: how the runner is now.
    RunnerIs(Presence),
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
    RunnerBooted(Boot),
}
