//! A dry run: what a signal would do to an object, found out on a copy of it. Nothing changes.

use serde::{Deserialize, Serialize};

use crate::app::message::ToApp;
use crate::component::message::ToComponent;
use crate::event::{Effect, Event};
use crate::id::ObjectId;
use crate::install::message::ToInstall;
use crate::notice::Notice;
use crate::object::Object;
use crate::parent::{ToChild, ToParent};
use crate::rejected::Rejected;
use crate::runner::message::ToRunner;
use crate::status::Status;
use crate::timeline::Entry;
use crate::view::View;

/// What would happen at once. What others answer to it comes later, and is not tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Trial))]
pub struct DryRun {
    /// How the object is now.
    pub before: Status,
    /// The object as it would be.
    pub view: View,
    /// The lines that its timeline would get.
    pub timeline: Vec<Entry>,
    /// What it would ask of others.
    pub asks: Vec<Asked>,
}

/// Something that one object would ask of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Asked {
    /// Of whom.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub of: ObjectId,
    /// What, in a few words.
    pub what: String,
}

impl Object {
    /// Tries an event on a copy: the same code as in earnest, so the same answer, a refusal too.
    pub fn dry_run(&self, event: &Event) -> Result<DryRun, Rejected> {
        let mut copy = self.clone();
        let effects = copy.apply(event)?;
        let (mut timeline, mut asks) = (vec![], vec![]);
        for effect in effects {
            match effect {
                Effect::Record(entry) => timeline.push(entry),
                Effect::Tell { to, notice } => asks.push(Asked { of: to, what: words(&notice) }),
                Effect::WakeRunner(_) => {}
            }
        }
        Ok(DryRun { before: self.view().status, view: copy.view(), timeline, asks })
    }
}

/// What a notice asks or says, for people.
fn words(notice: &Notice) -> String {
    match notice {
        Notice::Component(ToComponent::Do(task)) => {
            format!("{} by release {}", task.action.as_str(), task.release.version)
        }
        Notice::Component(ToComponent::Stop { reason, .. })
        | Notice::Runner(ToRunner::Revoke { reason, .. }) => format!("stop: {reason}"),
        Notice::Runner(ToRunner::Offer(spec)) => format!("run {}, attempt {}", spec.id.job, spec.id.attempt),
        Notice::App(ToApp::ReleaseWanted { version: Some(version), .. }) => {
            format!("which release is {version}?")
        }
        Notice::App(ToApp::ReleaseWanted { version: None, .. }) => "which release is the newest?".to_owned(),
        Notice::Install(ToInstall::ReleasePublished(release)) => {
            format!("release {} is out", release.version)
        }
        Notice::Install(ToInstall::UpdateOffered { release, .. }) => {
            format!("take release {} by your policy", release.version)
        }
        Notice::Install(ToInstall::UpdateWithdrawn { .. }) => "do not begin what you were told of".to_owned(),
        Notice::Child(ToChild::ParentIs(standing)) => format!("what you are in is {standing}"),
        Notice::Child(ToChild::Sandbox(on)) => {
            format!("you are {}a sandbox", if *on { "" } else { "no longer " })
        }
        Notice::Child(ToChild::FreezesAre(freezes)) => format!("{} freezes hold for you", freezes.len()),
        Notice::Parent(ToParent::ChildCreated) => "one more is in you".to_owned(),
        Notice::Parent(ToParent::ChildGone) => "one in you is gone".to_owned(),
        Notice::Runner(ToRunner::RunnerWanted { .. }) => "wait for a runner to enrol".to_owned(),
        Notice::Runner(ToRunner::RunnerUnwanted) => "your identity is gone".to_owned(),
        Notice::Install(ToInstall::RunnerIs(_) | ToInstall::RunnerBooted(_)) => {
            "how the runner is now".to_owned()
        }
        Notice::App(ToApp::UpdateIs { .. })
        | Notice::Install(ToInstall::TaskStarted { .. })
        | Notice::Component(ToComponent::JobStarted(_)) => "how it goes".to_owned(),
        Notice::Install(ToInstall::TaskEnded { .. }) | Notice::Component(ToComponent::JobEnded { .. }) => {
            "it is over".to_owned()
        }
        Notice::Install(ToInstall::ReleaseIs { .. } | ToInstall::ReleaseUnknown { .. }) => {
            "which release is meant".to_owned()
        }
        Notice::Install(ToInstall::PlanAnswered { .. }) => "what the customer says of a plan".to_owned(),
    }
}
