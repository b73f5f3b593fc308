//! What an install can be asked, and what is particular to each of its operations. A new
//! operation is written here and nowhere else.

use serde::{Deserialize, Serialize};

use super::control::conflict;
use super::{Install, Live, Part, Policy, Rehearsal, State};
use crate::approval;
use crate::drift::{Choice, Word};
use crate::event::{Actor, Effect, Event, Rejected, RejectedCode, Timestamp, Values};
use crate::freeze::{AddFreeze, RemoveFreeze};
use crate::id::ObjectId;
use crate::job::{Action, Failure, Mode};
use crate::lanes::Lane;
use crate::life::{check_reason, deleting, exists, not_found, record};
use crate::scenario::Scenario;

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
    fn reason(&self) -> Option<&str> {
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

/// What an operation is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// To bring the install to a release: this version, or the newest.
    Deploy { version: Option<String> },
    /// To deploy again what is not as it should be, or not there, by the release it is on.
    Heal,
    /// To deploy everything again.
    Reprovision,
    /// To deploy these again by the release that the install is on.
    Revert { components: Vec<String> },
    /// To take these as they are.
    Adopt { components: Vec<String>, reason: String },
    /// To find out what is not as it should be.
    DriftCheck,
    /// To find out whether these do their work.
    HealthCheck { components: Vec<String> },
    /// To let a rule act on one that does not.
    Recover { component: String, failure: Failure },
    /// To remove everything.
    Teardown,
}

/// All that is particular to an operation.
pub(super) struct Plan {
    /// Its name.
    pub(super) kind: &'static str,
    /// What the install is called while it runs.
    pub(super) word: &'static str,
    pub(super) lane: Lane,
    /// It begins only while the app is active.
    pub(super) waits_for_parent: bool,
    pub(super) steps: Steps,
}

/// Which steps an operation has.
pub(super) enum Steps {
    /// Those of a release of this version, or of the newest; what has not changed is left out.
    OfRelease(Option<String>),
    /// This action for each part that fits.
    OfParts(Action, fn(&Part) -> bool),
    /// Deploys of these parts.
    OfNamed(Vec<String>),
    /// What takes these parts for what they are.
    Adopting(Vec<String>),
    /// Probes of these parts.
    Probing(Vec<String>),
    /// A deploy of this part, which counts as failed in this way.
    Failed(String, Failure),
}

impl What {
    pub(super) fn plan(&self) -> Plan {
        let work = |kind, word, steps| Plan { kind, word, lane: Lane::Work, waits_for_parent: true, steps };
        match self {
            What::Deploy { version } => work("deploy", "updating", Steps::OfRelease(version.clone())),
            What::Heal => {
                // What was never made, too: something that is to be mended may need it.
                let is_unwell = |p: &Part| p.facts.drift.is_some() || !p.is_whole();
                work("heal", "healing", Steps::OfParts(Action::Deploy, is_unwell))
            }
            What::Reprovision => {
                work("reprovision", "reprovisioning", Steps::OfParts(Action::Deploy, |_| true))
            }
            What::Revert { components } => work("revert", "healing", Steps::OfNamed(components.clone())),
            What::Adopt { components, .. } => work("adopt", "adopting", Steps::Adopting(components.clone())),
            What::DriftCheck => {
                let steps = Steps::OfParts(Action::Drift, |p| p.facts.deployed.is_some());
                Plan { lane: Lane::Read, ..work("drift check", "active", steps) }
            }
            What::HealthCheck { components } => {
                let steps = Steps::Probing(components.clone());
                Plan { lane: Lane::Read, ..work("health check", "active", steps) }
            }
            What::Recover { component, failure } => {
                work("recovery", "healing", Steps::Failed(component.clone(), failure.clone()))
            }
            What::Teardown => {
                let steps = Steps::OfParts(Action::Destroy, |p| p.facts.may_exist);
                Plan { waits_for_parent: false, ..work("teardown", "deleting", steps) }
            }
        }
    }

    pub(super) fn as_str(&self) -> &'static str {
        self.plan().kind
    }

    /// Somebody's word that what is there is accepted, if that is what it is for.
    pub(super) fn word(&self, by: &Actor) -> Option<Word> {
        match self {
            What::Adopt { reason, .. } => Some(Word { by: by.to_string(), reason: reason.clone() }),
            What::Deploy { .. }
            | What::Heal
            | What::Revert { .. }
            | What::Reprovision
            | What::DriftCheck
            | What::HealthCheck { .. }
            | What::Recover { .. }
            | What::Teardown => None,
        }
    }
}

impl Install {
    pub(super) fn signal(&mut self, event: &Event, signal: &Signal) -> Result<Vec<Effect>, Rejected> {
        if let Signal::Create { inputs, mode, labels, rehearsal, approval } = signal {
            return self.create(event, (inputs, labels), *mode, rehearsal.as_ref(), approval);
        }
        signal.reason().map_or(Ok(()), check_reason)?;
        let id = self.id.clone();
        let live = match &mut self.state {
            State::Live(live) => live,
            State::Absent => return Err(not_found(&id)),
            State::Gone(_) => return Err(gone(&id)),
        };
        match signal {
            Signal::Create { .. } => Err(exists(&id)),
            Signal::Deploy { version } => {
                live.check_open(&id)?;
                Ok(live.enqueue_deploy(event.at, &event.by, version.clone()))
            }
            Signal::DeployNow { version, reason, override_freeze } => {
                live.check_open(&id)?;
                Ok(live.deploy_now(event, version.clone(), reason, *override_freeze))
            }
            Signal::Proceed { .. }
            | Signal::SetPolicy { .. }
            | Signal::SetChannel { .. }
            | Signal::OptIn { .. }
            | Signal::Decline { .. }
            | Signal::Snooze { .. }
            | Signal::Freeze(_)
            | Signal::Unfreeze(_) => live.update_signal(&id, event, signal),
            Signal::Heal {} => live.ask(&id, event, &What::Heal),
            Signal::Reprovision {} => live.ask(&id, event, &What::Reprovision),
            Signal::CheckDrift {} => live.ask(&id, event, &What::DriftCheck),
            Signal::CheckHealth {} => live.check_health(&id, event),
            Signal::BreakGlass { for_ms, reason } => live.break_glass(event, *for_ms, reason),
            Signal::MendGlass {} => live.mend_glass(event),
            Signal::Revert { components, reason } => live.revert(&id, event, components, reason),
            Signal::Adopt { components, reason } => {
                let (components, reason) = (live.meant(components)?, reason.clone());
                live.ask(&id, event, &What::Adopt { components, reason })
            }
            Signal::SetDrift { choice } => live.set_drift(event, *choice),
            Signal::Pause { reason } => Ok(live.pause(event, reason)),
            Signal::Resume {} => {
                live.paused = None;
                Ok(vec![record("install.resumed", format!("resumed by {}", event.by))])
            }
            Signal::Cancel { operation, reason } => live.cancel(&id, event, *operation, reason),
            Signal::CancelStep { component, reason } => live.cancel_step(&id, event, component, reason),
            Signal::Retry { component } => live.retry(event, component.as_deref()),
            Signal::Skip { component, reason } => live.skip(event, component, reason),
            Signal::Approve { plan, component, operation } => {
                live.approve(event, plan, component.as_deref(), *operation)
            }
            Signal::Deny { plan, component, operation, reason } => {
                live.deny(event, plan, component.as_deref(), *operation, reason)
            }
            Signal::SetApproval { policy } => live.set_approval(event, policy),
            Signal::SetInputs { inputs } => live.set_inputs(event, inputs),
            Signal::SetScenario { scenario } => live.set_scenario(event, scenario.as_ref()),
            Signal::Promote {} => live.promote(&id, event),
            Signal::Delete {} => live.delete(&id, event),
            Signal::Forget { reason } => Ok(self.forget(event, reason)),
        }
    }
}

impl Live {
    /// Refuses when it is being deleted or its queue is full: before anything is accepted.
    fn check_open(&self, id: &ObjectId) -> Result<(), Rejected> {
        if self.deleting.is_some() {
            return Err(deleting(id));
        }
        self.lanes.check_room()
    }

    /// Queues an operation on what is there.
    pub(super) fn ask(&mut self, id: &ObjectId, event: &Event, what: &What) -> Result<Vec<Effect>, Rejected> {
        self.check_open(id)?;
        let plan = what.plan();
        if self.release.is_none() && matches!(plan.steps, Steps::OfParts(Action::Deploy, _)) {
            return Err(conflict(&format!("nothing was deployed yet; there is nothing to {}", plan.kind)));
        }
        Ok(self.enqueue_once(event, what))
    }

    /// Queues it; an older one of the same kind that still waits gives way.
    fn enqueue_once(&mut self, event: &Event, what: &What) -> Vec<Effect> {
        let older = self.lanes.take_where(|q| q.what == *what);
        let number = self.enqueue(event.at, &event.by, what.clone());
        let text = |older: u64| format!("operation {older} gives way to the newer {number}");
        older.into_iter().map(|q| record("operation.superseded", text(q.number))).collect()
    }
}

fn gone(id: &ObjectId) -> Rejected {
    Rejected::new(RejectedCode::NotFound, format!("{id} is gone; only its tombstone is left"))
}
