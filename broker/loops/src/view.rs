//! What a query answers: an object as people and programs see it.

use serde::{Deserialize, Serialize};

use crate::event::{Standing, Timestamp, Values, Waiting};
use crate::freeze::Freeze;
use crate::id::ObjectId;
use crate::job::{Action, AttemptId, Mode, Outcome, ReleaseRef};
use crate::plan::Asking;
use crate::release::Release;
use crate::{app, approval, component, drift, glass, health, install, org, rules, runner, scenario};

/// One object, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct View {
    /// The object's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ObjectId,
    /// How it is, in a word and a sentence.
    pub status: Status,
    /// How many objects have had this name, this one among them.
    pub epoch: u64,
    /// The one operation that is changing it, if any.
    pub operation: Option<OperationView>,
    /// The read-only operation beside it, if any.
    pub reading: Option<OperationView>,
    /// What comes after, in order.
    pub queue: Vec<QueuedView>,
    /// The reasons why it is not done yet; empty when it rests.
    pub why: Vec<Waiting>,
    /// What only this kind has.
    pub detail: Detail,
}

/// How an object is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// A stable word, e.g. `active`, `provisioning`, `held`, `deleted`.
    pub word: String,
    /// One sentence.
    pub description: String,
    /// Since when it has been so.
    pub since: Timestamp,
}

/// An operation that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationView {
    /// Its number in the object, from 1.
    pub number: u64,
    /// Its kind: `deploy`, `teardown`, `heal`, `drift check`.
    pub kind: String,
    /// The release it works by, if any.
    pub release: Option<ReleaseRef>,
    /// Who asked.
    pub by: String,
    /// When it began.
    pub since: Timestamp,
    /// Its graph.
    pub steps: Vec<StepView>,
    /// One digest for all plans that wait for an approval, where several do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all_plans: Option<String>,
}

/// One step of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    /// The component it is about.
    pub component: String,
    /// What it does.
    pub action: Action,
    /// The components whose steps come first.
    pub needs: Vec<String>,
    /// `waiting`, `ready`, `planning`, `approval`, `running`, `probing`, `mending`, `stopping`, `succeeded`, `failed`, `skipped` or `cancelled`.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// Why it was skipped, how it failed, what came of it.
    pub note: String,
    /// Which try is running or was the last; 0 before the first.
    pub attempt: u32,
    /// The plan that waits for somebody's yes, and whose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<Asking>,
}

/// An operation that waits for its turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct QueuedView {
    /// Its number.
    pub number: u64,
    /// Its place, from 1.
    pub position: u32,
    /// `work` or `read`.
    pub lane: String,
    /// Its kind.
    pub kind: String,
    /// Who asked.
    pub by: String,
    /// When it was asked for.
    pub since: Timestamp,
    /// What it waits for.
    pub waits_for: String,
}

/// What only one kind of object has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a view is made, shown and dropped; few are there at once")]
pub enum Detail {
    /// An org's.
    Org {
        /// The apps in it.
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
        apps: Vec<ObjectId>,
        /// How much it may hold.
        #[serde(default)]
        quotas: org::Quotas,
        /// What is new in it is a sandbox.
        #[serde(default)]
        sandbox: bool,
        /// Its freezes.
        #[serde(default)]
        freezes: Vec<Freeze>,
    },
    /// An app's.
    App {
        /// What is new in it is a sandbox.
        #[serde(default)]
        sandbox: bool,
        /// The newest releases, oldest first.
        releases: Vec<Release>,
        /// The installs of it.
        #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
        installs: Vec<ObjectId>,
        /// The releases that are out for nobody, by version.
        #[serde(default)]
        held: Vec<String>,
        /// The rollout under way, or the last.
        #[serde(default)]
        rollout: Option<Box<app::RolloutView>>,
        /// The freezes that hold for it, its org's first.
        #[serde(default)]
        freezes: Vec<Freeze>,
    },
    /// An install's.
    Install {
        /// Whether it touches the real world.
        mode: Mode,
        /// What its rehearsals are to be like, if anybody said.
        #[serde(default)]
        scenario: Option<scenario::Summary>,
        /// The install that it is a copy of.
        #[serde(default)]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
        copy_of: Option<ObjectId>,
        /// How its app is.
        parent: Standing,
        /// The release it is on.
        release: Option<ReleaseRef>,
        /// The newest release it knows of and is not on.
        pending: Option<ReleaseRef>,
        /// Inputs of broker authority, as JSON texts by name.
        inputs: Values,
        /// For grouping, as it was made.
        #[serde(default)]
        labels: Values,
        /// Which plans are asked for, and who may approve them.
        #[serde(default)]
        approval: approval::Policy,
        /// Its components, as they reported last.
        components: Vec<ComponentView>,
        /// Of an install that is gone: the receipts of what was destroyed.
        #[serde(default)]
        removed: Vec<RemovedView>,
        /// Its runner.
        runner: runner::Presence,
        /// How its last operation ended.
        last: Option<LastOperation>,
        /// When it is changed, and what waits for that.
        #[serde(default)]
        updates: Box<install::UpdatesView>,
        /// When drift is looked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drift: Option<Box<drift::View>>,
        /// What is done by itself about failed steps, and how often it was.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rules: Vec<rules::View>,
        /// Somebody lets it pass the vendor's own rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        glass: Option<Box<glass::Glass>>,
    },
    /// A component's.
    Component {
        /// What is there.
        facts: component::Facts,
        /// The job in hand, if any.
        job: Option<AttemptId>,
    },
    /// A runner's.
    Runner {
        /// Whether it is there.
        presence: runner::Presence,
        /// Which generation of identity it has; 0 before the first.
        generation: u64,
        /// The attempts it has or may take.
        jobs: Vec<JobView>,
        /// Where it must prove to be, if that was declared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<runner::Place>,
    },
}

/// A component that was destroyed with its install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RemovedView {
    /// Its name.
    pub component: String,
    /// The receipt.
    pub removed: component::Removed,
}

/// A component of an install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComponentView {
    /// Its name.
    pub name: String,
    /// Its kind: `terraform`, `script`, …
    pub kind: String,
    /// `absent`, `deployed`, `unwell`, `drifted`, `failed`, or `incomplete`: a change of it was stopped.
    pub state: String,
    /// What is there.
    pub facts: component::Facts,
    /// How it is probed, and what that said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Box<health::View>>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastOperation {
    /// Its number.
    pub number: u64,
    /// Its kind.
    pub kind: String,
    /// When it ended.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
}

/// An attempt in the hands of a runner, or offered to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobView {
    /// Which attempt.
    pub attempt: AttemptId,
    /// The component.
    pub component: String,
    /// What it does.
    pub action: Action,
    /// `offered`, `running`, `stopping` or `unconfirmed`.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// Its place in the install's sequence of envelopes.
    pub seq: u64,
    /// Its fence.
    pub fence: u64,
}
