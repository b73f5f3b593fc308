//! What a query answers: an object as people and programs see it.

use serde::{Deserialize, Serialize};

use crate::app::message as app;
use crate::break_glass::BreakGlass;
use crate::component::facts::{Facts, Removed};
use crate::freeze::Freeze;
use crate::id::ObjectId;
use crate::install::offers as install;
use crate::job::{Action, AttemptId, Mode};
use crate::org::message as org;
use crate::release::{Release, ReleaseRef};
use crate::runner::message as runner;
use crate::standing::Standing;
use crate::status::{LastOperation, OperationView, QueuedView, Status};
use crate::time::Timestamp;
use crate::values::Values;
use crate::waiting::Waiting;
use crate::{approval, drift, health, remediation, scenario};

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
        rules: Vec<remediation::View>,
        /// Somebody lets it pass the vendor's own rules.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        glass: Option<Box<BreakGlass>>,
    },
    /// A component's.
    Component {
        /// What is there.
        facts: Facts,
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
    pub removed: Removed,
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
    pub facts: Facts,
    /// How it is probed, and what that said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Box<health::View>>,
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
