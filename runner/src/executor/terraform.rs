//! Terraform modules: init, plan to a file, apply that very file, outputs checked.
//!
//! State is read and written through the runner's own backend on loopback, whatever backend the module
//! names: a generated override says so. Inputs go by a private variables file, never by argv.

mod differences;
mod document;
mod facts;
mod forgotten;
mod outputs;
mod plan;
mod source;
pub mod state;
mod stream;
mod version;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::future::BoxFuture;
use remit_seal::Digest;
use remit_seal::document::Value;

use super::tool::{Tail, disk, left_over, not_run, unusual};
use super::{Action, Done, Executor, Held, Hold, PLAN_FILE, Records, Stage, Undone, Work, classify};
use crate::config::Config;
use crate::outcome::{Class, Failure, Planned, SavedPlan, SourceFacts};
use crate::process::confine::Permissions;
use crate::process::{Exit, Tool};
use crate::storage::data_dir::{DataDir, make_dir, read_left, write_atomic};
use crate::storage::logs::Stream;
use document::{Document, unreadable};
use plan::Plan;
use remit_terraform::Inventory;
use state::{Session, States};
use stream::Events;

/// The largest plan as JSON.
const PLAN_LEN_MAX: usize = 64 << 20;
/// The largest saved plan.
const PLAN_FILE_LEN_MAX: u64 = 256 << 20;
const OUTPUTS_LEN_MAX: usize = 1 << 20;
const EXIT_CHANGES: i32 = 2;
const LOCK_FILE: &str = ".terraform.lock.hcl";
/// The settings of the program: providers come from where they are published, and from no folder that a source, a
/// home or the machine happens to have.
const CLI_CONFIG: &[u8] = b"disable_checkpoint = true\nprovider_installation {\n  direct {}\n}\n";
/// What terraform says of a plan that was made of another state.
const STALE: &str = "Saved plan is stale";
/// What terraform says when something was made and the state of it was not taken in.
const NOT_KEPT: [&str; 3] = ["Failed to save state", "Failed to persist state", "errored.tfstate"];
/// How it is made sure that a destroy has left nothing.
const SWEPT: &str = "terraform's state lists nothing";
const HOW_TO_GET: &str = "install terraform (https://developer.hashicorp.com/terraform/install) or OpenTofu where the runner's PATH finds it, or start the runner with --terraform FILE";

/// The executor of terraform modules, with their states.
#[derive(Clone, Debug)]
pub struct Terraform {
    program: Option<PathBuf>,
    states: States,
}

impl Terraform {
    /// With the program that was named, or the one on the PATH; serves the states from here on.
    pub async fn start(config: &Config, dir: &DataDir) -> std::io::Result<Self> {
        let objects = config.state.cells(dir, &config.install.id(), state::FOLDER);
        let states = States::serve(objects, dir).await?;
        Ok(Self { program: config.terraform.clone(), states })
    }
}

impl Executor for Terraform {
    /// The state is this attempt's from here on, and no earlier one's, wherever that runs.
    fn hold<'a>(&'a self, of: Hold<'a>) -> BoxFuture<'a, Result<Arc<dyn Held>, Undone>> {
        Box::pin(async move {
            let opened = self.states.open_counted(of.component, of.attempt, of.counted_ms).await;
            let session = opened.map_err(|e| e.failure())?;
            Ok(Arc::new(Module { program: self.program.clone(), session }) as Arc<dyn Held>)
        })
    }

    fn settle<'a>(&'a self, component: &'a str) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.states.settle(component).await.map_err(|e| e.failure()) })
    }

    fn is_unsent(&self, component: &str) -> bool {
        self.states.is_unsent(component)
    }

    fn records(&self) -> Option<Records> {
        Some(Records { kind: self.states.kind(), place: self.states.place("COMPONENT") })
    }
}

/// A module in an attempt's hand, with its state.
#[derive(Debug)]
struct Module {
    program: Option<PathBuf>,
    session: Session,
}

impl Held for Module {
    fn is_made(&self) -> BoxFuture<'_, bool> {
        Box::pin(async { self.session.head().await.is_some_and(|head| !head.is_empty) })
    }

    fn is_lost(&self) -> Option<Undone> {
        Some(no_state())
    }

    fn secrets(&self) -> Vec<Value> {
        vec![Value::String(self.session.password().to_owned())]
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Undone>> {
        Box::pin(async { Ok(self.session.close().await.map_err(|e| e.failure())?) })
    }

    fn run<'a>(&'a self, work: &'a Work) -> BoxFuture<'a, Result<Done, Undone>> {
        Box::pin(async move {
            let program = version::find(self.program.as_deref(), work.component.kind)?;
            let run = Run::prepare(work, program, &self.session)?;
            if work.action != Action::Deploy && run.session.head().await.is_none() {
                // There is no state to look at: that nothing is left is not for anybody to say then.
                let nothing = Done { summary: "nothing is deployed".to_owned(), ..Done::default() };
                return if work.is_there { Err(no_state()) } else { Ok(nothing) };
            }
            run.check_version().await?;
            run.init_within_policy().await?;
            match (work.action, work.stage) {
                (Action::Drift, _) => run.drift().await,
                (Action::Adopt, _) => run.adopt().await,
                (Action::Run | Action::Health, _) => Err(no_command()),
                (_, Stage::Plan) => {
                    let (plan, facts) = run.make_plan().await?;
                    let wants_customer = work.gate.needs_customer(Some(&facts));
                    Ok(Done { wants_customer, ..Done::planned(plan.planned) })
                }
                (Action::Deploy, Stage::Whole | Stage::Apply(_)) => run.deploy().await,
                (Action::Destroy, Stage::Whole | Stage::Apply(_)) => run.destroy().await,
            }
        })
    }
}

/// One attempt with its files.
struct Run<'a> {
    work: &'a Work,
    program: PathBuf,
    env: Vec<(OsString, OsString)>,
    session: &'a Session,
    variables: PathBuf,
    plan: PathBuf,
    /// Terraform's own files: modules, providers, where the state is.
    data: PathBuf,
    /// What the source says.
    inventory: Inventory,
}

impl<'a> Run<'a> {
    fn prepare(work: &'a Work, program: PathBuf, session: &'a Session) -> Result<Self, Undone> {
        let temp = &work.places.temp;
        let variables = temp.join("inputs.tfvars.json");
        let json = serde_json::to_vec(&work.inputs).expect("inputs are values without floats");
        let json = zeroize::Zeroizing::new(json);
        write_atomic(&variables, &json).map_err(|e| disk(&e))?;
        // Read before anything of the runner's is put beside it.
        let inventory = source::read(&work.places.source)?;
        // Where it is and by which password is said by the environment: a saved plan holds neither. The source
        // has no override file, so that no other comes after this one.
        let backend = serde_json::json!({"terraform": {"backend": {"http": {}}}});
        let over = work.places.source.join("remit_override.tf.json");
        write_atomic(&over, backend.to_string().as_bytes()).map_err(|e| disk(&e))?;
        let config = temp.join("terraform.rc");
        write_atomic(&config, CLI_CONFIG).map_err(|e| disk(&e))?;
        let data = work.places.state.join("terraform-data");
        make_dir(&data).map_err(|e| disk(&e))?;
        let mut env = work.environment.clone();
        for (name, value) in [
            ("TF_IN_AUTOMATION", OsString::from("1")),
            ("TF_INPUT", OsString::from("0")),
            ("CHECKPOINT_DISABLE", OsString::from("1")),
            ("TF_CLI_CONFIG_FILE", config.into()),
            ("TF_DATA_DIR", data.clone().into()),
            ("REMIT_STATE_DIR", work.places.state.clone().into()),
        ] {
            env.set(name, value);
        }
        for (name, value) in session.variables() {
            env.set(name, value);
        }
        let plan = work.places.plan.join(PLAN_FILE);
        Ok(Self { work, program, env: env.variables(), session, variables, plan, data, inventory })
    }

    fn tool(&self, args: &[&str], files: &[(&str, &Path)]) -> Tool {
        let mut all: Vec<OsString> = args.iter().map(Into::into).collect();
        for (flag, path) in files {
            let mut arg = OsString::from(flag);
            arg.push(path);
            all.push(arg);
        }
        Tool {
            program: self.program.clone(),
            args: all,
            env: self.env.clone(),
            dir: self.work.places.source.clone(),
            // It speaks with its providers over sockets in files.
            permissions: Permissions { unix_sockets: true, ..Permissions::default() },
        }
    }

    /// Runs a command for what it prints; its complaints go to the log.
    async fn capture(&self, tool: &Tool, len_max: usize) -> Result<Vec<u8>, Undone> {
        let (mut out, mut tail, mut over) = (Vec::new(), Tail::default(), false);
        let run = self.work.supervisor.run(tool, |stream, bytes| match stream {
            Stream::Out if out.len() + bytes.len() > len_max => over = true,
            Stream::Out => out.extend_from_slice(bytes),
            Stream::Err => {
                self.work.log.bytes(stream, bytes);
                tail.push(bytes);
            }
        });
        let exit = run.await.map_err(|e| not_run(&e, HOW_TO_GET))?;
        self.work.log.flush();
        self.expect_zero(&exit, &tail.text())?;
        if over {
            let words = format!("terraform printed more than {len_max} bytes where it may not");
            let hint = "split the component into smaller ones";
            return Err(Failure::new(Class::Bug, "executor.output_too_large", words, hint).into());
        }
        Ok(out)
    }

    /// Runs a command that reports as JSON lines; they become log and progress.
    async fn events(&self, tool: &Tool, total: u32) -> Result<(Exit, Events), Undone> {
        let mut events = Events::new(&self.work.log, &self.work.progress, total);
        let run = self.work.supervisor.run(tool, |stream, bytes| events.push(stream, bytes));
        let exit = run.await.map_err(|e| not_run(&e, HOW_TO_GET))?;
        events.finish();
        Ok((exit, events))
    }

    fn expect_zero(&self, exit: &Exit, words: &str) -> Result<(), Undone> {
        if let Some(undone) = unusual("terraform", exit, words) {
            return Err(undone);
        }
        match exit {
            Exit::Code(code) if *code != 0 => Err(classify::failed("terraform", *code, words).into()),
            _ => Ok(()),
        }
    }

    async fn check_version(&self) -> Result<(), Undone> {
        let tool = self.tool(&["version", "-json"], &[]);
        let out = self.capture(&tool, OUTPUTS_LEN_MAX).await?;
        let required = self.work.tools.get("terraform").map(|t| t.version.as_str());
        Ok(version::check(&out, required)?)
    }

    async fn init(&self) -> Result<(), Undone> {
        self.work.progress.say("preparing terraform", 0, 0);
        let tool = self.tool(&["init", "-input=false", "-no-color", "-reconfigure"], &[]);
        let mut tail = Tail::default();
        let run = self.work.supervisor.run(&tool, |stream, bytes| {
            self.work.log.bytes(stream, bytes);
            if stream == Stream::Err {
                tail.push(bytes);
            }
        });
        let exit = run.await.map_err(|e| not_run(&e, HOW_TO_GET))?;
        self.work.log.flush();
        self.expect_zero(&exit, &tail.text())
    }

    /// What the source says is asked about before anything of it runs, and what was then fetched after. Where
    /// terraform will keep the state, it says itself once it is initialised.
    async fn init_within_policy(&self) -> Result<(), Undone> {
        let lock = self.work.places.source.join(LOCK_FILE);
        let before = source::locked(&lock)?;
        let mut facts = facts_of(&self.inventory, &before);
        self.work.gate.source(facts.clone()).await?;
        self.init().await?;
        source::check_backend(&self.data)?;
        let asked = facts.clone();
        let fetched = source::read_fetched(&self.work.places.source, &self.data)?;
        let locked = source::locked(&lock)?;
        facts.extend(facts_of(&fetched, &locked));
        let new = locked.providers.difference(&before.providers);
        facts.escapes.extend(new.map(|provider| format!("provider:{provider}")));
        if facts == asked { Ok(()) } else { self.work.gate.source(facts).await }
    }

    async fn deploy(&self) -> Result<Done, Undone> {
        let planned = self.carry_out().await?;
        let outputs = self.outputs().await?;
        Ok(Done { outputs: Some(outputs), ..self.done(planned) })
    }

    async fn destroy(&self) -> Result<Done, Undone> {
        let planned = self.carry_out().await?;
        let head = self.session.head().await.ok_or_else(no_state)?;
        if !head.managed.is_empty() {
            return Err(left_over(&head.managed).into());
        }
        let forgotten = forgotten::read(&self.work.places.state)?;
        let done = self.done(planned);
        if forgotten.is_empty() {
            return Ok(Done { swept: SWEPT.to_owned(), ..done });
        }
        // What terraform was told to forget is in no state, and nobody looked for it.
        Ok(Done { summary: format!("{}; {}", done.summary, forgotten::words(&forgotten)), ..done })
    }

    fn done(&self, planned: Planned) -> Done {
        let changes = planned.changes;
        Done { changes, summary: changes.to_string(), planned: Some(planned), ..Done::default() }
    }

    /// Makes a plan, or takes the one that was approved, and carries out that.
    async fn carry_out(&self) -> Result<Planned, Undone> {
        let (plan, facts) = match self.work.stage {
            Stage::Apply(_) => self.read_plan().await?,
            Stage::Whole | Stage::Plan => self.make_plan().await?,
        };
        let before = self.session.head().await;
        forgotten::note(&self.work.places.state, &plan.forgotten)?;
        self.apply(&plan, &facts).await?;
        let is_new = self.session.head().await != before;
        if plan.changes_state() && !is_new { Err(unwritten("")) } else { Ok(plan.planned) }
    }

    async fn drift(&self) -> Result<Done, Undone> {
        self.work.progress.say("comparing with the real world", 0, 0);
        let args = ["plan", "-input=false", "-json", "-lock=false", "-detailed-exitcode"];
        let tool = self.tool(&args, &[("-out=", &self.plan), ("-var-file=", &self.variables)]);
        let (exit, events) = self.events(&tool, 0).await?;
        if exit != Exit::Code(EXIT_CHANGES) {
            self.expect_zero(&exit, &events.errors())?;
            return Ok(Done { summary: "as deployed".to_owned(), ..Done::default() });
        }
        let json = self.show_plan().await?;
        let document = Document::read(&json).map_err(|e| unreadable("plan", &e))?;
        let plan = Plan::of(&document);
        let differences = differences::differences(&document);
        if differences.list.is_empty() {
            // Terraform's word for "there is a difference" is said of outputs, too: of nothing in the world.
            let summary = format!("as deployed; {} would be another", plan.named());
            return Ok(Done { summary, ..Done::default() });
        }
        let summary = format!("drifted: {}", plan.named());
        let changes = plan.planned.changes;
        Ok(Done { drifted: true, changes, summary, differences, ..Done::default() })
    }

    /// What is there goes into the state; nothing of the world is changed. What the code says otherwise
    /// is still different then, and is told.
    async fn adopt(&self) -> Result<Done, Undone> {
        self.work.progress.say("taking over what is there", 0, 0);
        let args = ["plan", "-input=false", "-json", "-refresh-only"];
        let tool = self.tool(&args, &[("-out=", &self.plan), ("-var-file=", &self.variables)]);
        let (exit, events) = self.events(&tool, 0).await?;
        self.expect_zero(&exit, &events.errors())?;
        let (plan, facts) = self.read_plan().await?;
        // Where nothing differs, terraform refuses to carry it out.
        if plan.is_applyable {
            self.apply(&plan, &facts).await?;
        }
        let outputs = self.outputs().await?;
        Ok(Done { outputs: Some(outputs), ..self.drift().await? })
    }

    async fn make_plan(&self) -> Result<(Plan, SavedPlan), Undone> {
        self.work.progress.say("planning", 0, 0);
        let more: &[&str] = if self.work.action == Action::Destroy { &["-destroy"] } else { &[] };
        let args = [&["plan", "-input=false", "-json"], more].concat();
        let tool = self.tool(&args, &[("-out=", &self.plan), ("-var-file=", &self.variables)]);
        let (exit, events) = self.events(&tool, 0).await?;
        self.expect_zero(&exit, &events.errors())?;
        let (plan, facts) = self.read_plan().await?;
        self.work.log.line(&plan.planned.summary());
        Ok((plan, facts))
    }

    async fn show_plan(&self) -> Result<Vec<u8>, Undone> {
        let plan = self.plan.to_string_lossy();
        let tool = self.tool(&["show", "-json", &plan], &[]);
        self.capture(&tool, PLAN_LEN_MAX).await
    }

    async fn read_plan(&self) -> Result<(Plan, SavedPlan), Undone> {
        let json = self.show_plan().await?;
        let document = Document::read(&json).map_err(|e| unreadable("plan", &e))?;
        let file = read_left(&self.plan, PLAN_FILE_LEN_MAX).map_err(|e| disk(&e))?.unwrap_or_default();
        let facts = SavedPlan { facts: facts::plan_facts(&document), digest: Digest::of(&file).hex() };
        Ok((Plan::of(&document), facts))
    }

    /// Applies the saved plan, and nothing else, once the customer's policy lets it through.
    async fn apply(&self, plan: &Plan, facts: &SavedPlan) -> Result<(), Undone> {
        self.work.gate.plan(facts).await?;
        let changes = plan.planned.changes;
        let parts = changes.total() + changes.replace;
        self.work.progress.say("applying", 0, parts);
        let file = self.plan.to_string_lossy();
        let tool = self.tool(&["apply", "-input=false", "-json", &file], &[]);
        let (exit, events) = self.events(&tool, parts).await?;
        let words = events.errors();
        // Terraform looks at this before it changes anything.
        if matches!(exit, Exit::Code(code) if code != 0) && words.contains(STALE) {
            return Err(Undone::Refused { code: "executor.plan_stale", message: words });
        }
        if exit != Exit::Code(0) && NOT_KEPT.iter().any(|said| words.contains(said)) {
            return Err(unwritten(&words));
        }
        self.expect_zero(&exit, &words)
    }
}

/// A deploy succeeded here, and its state is gone: what is there is not known.
fn no_state() -> Undone {
    let words = "a deploy of this component succeeded here, and there is no terraform state of it";
    let hint = "find out where the state went and restore it; without it nobody knows what is there";
    Failure::new(Class::Bug, "executor.state_missing", words, hint).into()
}

/// Something was changed of which the runner has no record. Never again by itself: it would be made twice.
fn unwritten(words: &str) -> Undone {
    let said = "terraform changed something, and no new state of it arrived at the runner";
    let words = if words.is_empty() { said.to_owned() } else { format!("{said}: {words}") };
    let hint = "look in the account for what was made, and import or remove it before a retry";
    Failure::new(Class::Bug, "executor.state_unwritten", words, hint).into()
}

/// Modules declare no commands, which the release's own check sees to.
fn no_command() -> Undone {
    let hint = "the vendor runs commands of scripts only";
    Failure::new(Class::Bug, "executor.command_missing", "a terraform module has no command to run", hint)
        .into()
}

/// What a policy is asked about a source.
fn facts_of(inventory: &Inventory, locked: &source::Locked) -> SourceFacts {
    SourceFacts {
        escapes: inventory.escapes(),
        data: inventory.data(),
        modules: inventory.modules().map(|(source, _)| source.to_owned()).collect(),
        providers: locked.providers.clone(),
        packages: locked.packages.clone(),
    }
}
