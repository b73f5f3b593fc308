//! What changes the customer's world: one trait, and an executor for each kind of component.

mod classify;
pub mod gate;
pub mod rehearsal;
pub mod script;
pub mod terraform;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use remit_seal::Digest;
use remit_seal::document::{Component, ComponentKind, Rehearsal, Tool, Value};

use crate::executor::terraform::state::Session;
use crate::outcome::{Changes, Class, Differences, Failure, Planned, Undone};
use crate::process::{self, Environment, Exit, Places, Supervisor};
use crate::progress::Progress;
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
    /// For a terraform module: its state, held by this attempt.
    pub state: Option<Arc<Session>>,
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

/// What is left after a destroy, found by looking.
pub(crate) fn left_over(left: &[String]) -> Failure {
    let shown = left.iter().take(LEFT_SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = left.len().saturating_sub(LEFT_SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let hint = "retry; if it stays, look at what holds these";
    let words = format!("still there after destroying: {shown}{more}");
    Failure::new(Class::Conflict, "executor.destroy_incomplete", words, hint)
}

/// Carries out work. Returns only when nothing that it started runs any more.
pub trait Executor: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;

    /// Does it, or ends early when the supervisor's stop is asked for.
    fn run<'a>(&'a self, work: &'a Work) -> BoxFuture<'a, Result<Done, Undone>>;
}

/// The executors of this runner.
#[derive(Clone)]
pub struct Executors {
    terraform: Arc<dyn Executor>,
    script: Arc<dyn Executor>,
    rehearsal: Arc<dyn Executor>,
}

impl Executors {
    /// All of them; terraform is this program, or the one on the PATH.
    pub fn new(terraform: Option<PathBuf>) -> Self {
        Self {
            terraform: Arc::new(terraform::Terraform::new(terraform)),
            script: Arc::new(script::Script),
            rehearsal: Arc::new(rehearsal::Rehearse),
        }
    }

    /// The one for a component; `None` for a kind that can only be rehearsed yet.
    pub fn pick(&self, kind: ComponentKind, rehearse: bool) -> Option<Arc<dyn Executor>> {
        if rehearse {
            return Some(self.rehearsal.clone());
        }
        match kind {
            ComponentKind::Terraform => Some(self.terraform.clone()),
            ComponentKind::Script => Some(self.script.clone()),
            ComponentKind::Helm | ComponentKind::Kubernetes | ComponentKind::Image => None,
        }
    }

    /// The kinds of components that are really run here.
    pub fn kinds(&self) -> Vec<String> {
        [&self.terraform, &self.script].map(|e| e.name().to_owned()).to_vec()
    }
}

/// How many things that are left are named.
const LEFT_SHOWN_MAX: usize = 20;
/// A way a tool ended that has nothing to do with what it was asked.
pub(crate) fn unusual(tool: &str, exit: &Exit, words: &str) -> Option<Undone> {
    match exit {
        Exit::Code(_) => None,
        Exit::Stopped(reason) => Some(Undone::Stopped(reason.clone())),
        Exit::Killed(signal) => Some(Undone::Failed(Failure::new(
            Class::Interference,
            "executor.killed",
            format!("{tool} was ended from outside by signal {signal}. {words}"),
            "look for what killed it: the out-of-memory killer, an operator, a shutdown; the next attempt goes on from what was recorded",
        ))),
    }
}

/// A tool that could not be run at all.
pub(crate) fn not_run(error: &process::Error, how_to_get: &str) -> Undone {
    let words = crate::error::chain(error);
    Undone::Failed(match error {
        process::Error::Missing(_) => Failure::new(Class::Bug, "executor.tool_missing", words, how_to_get),
        process::Error::Start { .. } | process::Error::Wait(_) => Failure::new(
            Class::Transient,
            "executor.tool_not_started",
            words,
            "look at the runner's machine: memory, number of processes, right to run the file",
        ),
        process::Error::Confine(_) => Failure::new(
            Class::Transient,
            "executor.not_confined",
            words,
            "look at `confinement` in `remit-runner status --json` and at what the words name; nothing was run",
        ),
        process::Error::Journal(_) => Failure::new(
            Class::Transient,
            "journal.write_failed",
            words,
            "make room on the runner's disk; nothing was changed by this tool",
        ),
    })
}

/// Outputs that do not fit what the release declares.
pub(crate) fn check_outputs(component: &Component, values: &BTreeMap<String, Value>) -> Result<(), Failure> {
    for (name, output) in &component.outputs {
        let (code, words) = match values.get(name) {
            Some(value) if crate::value::is_of(value, output.value_type) => continue,
            Some(_) => (
                "executor.output_type",
                format!("output `{name}` is not of its declared type {:?}", output.value_type),
            ),
            None => (
                "executor.output_missing",
                format!("output `{name}` is declared in the release and was not given"),
            ),
        };
        let hint = "the vendor corrects the component's outputs, or their declaration in remit.toml";
        return Err(Failure::new(Class::Bug, code, words, hint));
    }
    Ok(())
}
