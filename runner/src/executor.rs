//! What changes the customer's world: one trait, and an executor for each kind of component.

mod classify;
pub mod gate;
pub mod rehearsal;
pub mod script;
pub mod terraform;
mod tool;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use remit_seal::Digest;
use remit_seal::document::{Component, ComponentKind, Rehearsal, Tool, Value};
use serde::Serialize;

use crate::config::Config;
use crate::outcome::{Attempt, Changes, Differences, Failure, Planned, Undone};
use crate::process::{Environment, Places, Supervisor};
use crate::progress::Progress;
use crate::storage::data_dir::DataDir;
use crate::storage::logs::Log;
use crate::storage::outputs::Outputs;

pub use classify::{classify, failed};
pub use gate::Gate;

/// What a job does to its component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make it as the release says.
    Deploy,
    /// Remove it.
    Destroy,
    /// Compare the world with what was deployed; changes nothing.
    Drift,
    /// Take what is there for what is known to be there; changes nothing but the tool's own records.
    Adopt,
    /// Run a command that the component declares.
    Run,
    /// Look whether it does its work; changes nothing.
    Health,
}

impl Action {
    /// The action of an operation's name; `None` for one that this runner does not know.
    pub fn of(operation: &str) -> Option<Self> {
        match operation {
            "deploy" => Some(Action::Deploy),
            "destroy" => Some(Action::Destroy),
            "drift" => Some(Action::Drift),
            "adopt" => Some(Action::Adopt),
            "health" => Some(Action::Health),
            _ => None,
        }
    }

    /// The operation's name; `run` for every command.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Deploy => "deploy",
            Action::Destroy => "destroy",
            Action::Drift => "drift",
            Action::Adopt => "adopt",
            Action::Run => "run",
            Action::Health => "health",
        }
    }
}

/// How much of an action a job asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// All of it: to work out what would change, and to carry that out.
    Whole,
    /// To work out what would change, and to keep that. Changes nothing.
    Plan,
    /// To carry out the plan of this digest, and nothing else.
    Apply(Digest),
}

/// The name of a saved plan in the place for it.
pub const PLAN_FILE: &str = "plan.bin";

/// One attempt's work, everything about it verified and resolved.
#[derive(Clone, Debug)]
pub struct Work {
    /// What to do.
    pub action: Action,
    /// How much of it.
    pub stage: Stage,
    /// The operation's name: for a script, that of its command.
    pub operation: String,
    /// Whether a deploy of it has succeeded here and no destroy since.
    pub is_there: bool,
    /// The install's id.
    pub install: String,
    /// The component, as the release says.
    pub component: Component,
    /// The tools that the release asks for.
    pub tools: BTreeMap<String, Tool>,
    /// The release's digest, hexadecimal.
    pub release: String,
    /// The component's inputs.
    pub inputs: BTreeMap<String, Value>,
    /// How long all of it may take.
    pub longest_run: Duration,
    /// What a rehearsal is to pretend, where its job says so.
    pub rehearsal: Option<Rehearsal>,
    /// Where to work.
    pub places: Places,
    /// The environment that tools get.
    pub environment: Environment,
    /// Starts tools, and knows when to stop.
    pub supervisor: Supervisor,
    /// Asks the customer's policy before anything is changed.
    pub gate: Gate,
    /// The attempt's log.
    pub log: Log,
    /// What to tell people.
    pub progress: Progress,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.inputs.values_mut().for_each(crate::value::wipe);
    }
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// All outputs, sensitive ones among them. `None` when the action gives none.
    pub outputs: Option<Outputs>,
    /// Things made, changed, removed, replaced.
    pub changes: Changes,
    /// For a drift check: the world differs from what was deployed.
    pub drifted: bool,
    /// One line for people.
    pub summary: String,
    /// What was planned; `None` where nothing is.
    pub planned: Option<Planned>,
    /// The customer's policy wants the customer's approval of what was planned.
    pub wants_customer: bool,
    /// For a destroy: how it was made sure that nothing is left; empty where nobody could look.
    pub swept: String,
    /// For a drift check: what differs.
    pub differences: Differences,
}

impl Done {
    /// Only planned.
    pub fn planned(planned: Planned) -> Self {
        Self {
            changes: planned.changes,
            summary: planned.summary(),
            planned: Some(planned),
            ..Self::default()
        }
    }
}

/// Carries out the components of one kind.
pub trait Executor: Send + Sync {
    /// Takes what outlives attempts of a component into this one's hand, and out of every earlier one's.
    fn hold<'a>(&'a self, of: Hold<'a>) -> BoxFuture<'a, Result<Arc<dyn Held>, Undone>>;

    /// Brings what an earlier attempt recorded of a component where it belongs.
    fn settle<'a>(&'a self, _component: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    /// Whether something that was recorded of a component has not arrived where it belongs.
    fn is_unsent(&self, _component: &str) -> bool {
        false
    }

    /// Where it records what it made; `None` when it does not.
    fn records(&self) -> Option<Records> {
        None
    }
}

/// What is taken into whose hand.
#[derive(Clone, Copy, Debug)]
pub struct Hold<'a> {
    /// The component.
    pub component: &'a str,
    /// The attempt.
    pub attempt: &'a Attempt,
    /// Since when its fence is counted.
    pub counted_ms: i64,
}

/// A component in an attempt's hand, with all that its executor knows of it.
pub trait Held: Send + Sync {
    /// Whether what is recorded says that something of it was made.
    fn is_made(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { false })
    }

    /// What it means that a deploy succeeded here and nothing of it is on record; `None` where nothing is recorded.
    fn is_lost(&self) -> Option<Undone> {
        None
    }

    /// What must not be in a log.
    fn secrets(&self) -> Vec<Value> {
        Vec::new()
    }

    /// Does the work, or ends early when the supervisor's stop is asked for. Returns only when nothing that
    /// it started runs any more.
    fn run<'a>(&'a self, work: &'a Work) -> BoxFuture<'a, Result<Done, Undone>>;

    /// Ends the hold. Fails when what was recorded has not arrived, or when another attempt has taken over.
    fn close(&self) -> BoxFuture<'_, Result<(), Undone>> {
        Box::pin(async { Ok(()) })
    }
}

/// Where an executor's records are, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Records {
    /// One word.
    pub kind: &'static str,
    /// Where, of a component called `COMPONENT`.
    pub place: String,
}

/// The executors of this runner.
#[derive(Clone)]
pub struct Executors {
    by_kind: BTreeMap<ComponentKind, Arc<dyn Executor>>,
    rehearsal: Arc<dyn Executor>,
}

impl Executors {
    /// All of them, each with what it keeps.
    pub async fn start(config: &Config, dir: &DataDir) -> std::io::Result<Self> {
        let all: [(ComponentKind, Arc<dyn Executor>); 2] = [
            (ComponentKind::Terraform, Arc::new(terraform::Terraform::start(config, dir).await?)),
            (ComponentKind::Script, Arc::new(script::Script)),
        ];
        Ok(Self { by_kind: all.into(), rehearsal: Arc::new(rehearsal::Rehearse) })
    }

    /// The one for a component; `None` for a kind that can only be rehearsed yet.
    pub fn pick(&self, kind: ComponentKind, rehearse: bool) -> Option<Arc<dyn Executor>> {
        if rehearse { Some(self.rehearsal.clone()) } else { self.by_kind.get(&kind).cloned() }
    }

    /// The kinds of components that are really run here.
    pub fn kinds(&self) -> Vec<String> {
        self.by_kind.keys().map(|kind| kind.as_str().to_owned()).collect()
    }

    /// Brings what any of them recorded of a component where it belongs.
    pub async fn settle(&self, component: &str) -> Result<(), Failure> {
        for executor in self.by_kind.values() {
            executor.settle(component).await?;
        }
        Ok(())
    }

    /// Whether something that was recorded of a component has not arrived where it belongs.
    pub fn is_unsent(&self, component: &str) -> bool {
        self.by_kind.values().any(|executor| executor.is_unsent(component))
    }

    /// Where those that record what they made do so.
    pub fn records(&self) -> impl Iterator<Item = Records> {
        self.by_kind.values().filter_map(|executor| executor.records())
    }
}
