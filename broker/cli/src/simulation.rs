//! A product's installs on a virtual clock: the production loops, driven in memory, with rehearsals in place
//! of runners. Thousands of installs take seconds, and the same plan gives the same report.
//!
//! It does no IO, and knows no other clock than its own.

pub mod fleet;
mod report;
mod tally;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};

use remit_loops::approval::Policy;
use remit_loops::health::UNHEALTHY;
use remit_loops::install::Rehearsal;
use remit_loops::install::ToInstall;
use remit_loops::job::{Action, Failure, FailureClass, Mode, Outcome, Success};
use remit_loops::release::Release;
use remit_loops::runner::JobSpec;
use remit_loops::runner::{Info, Report as RunnerSays};
use remit_loops::view::Detail;
use remit_loops::{
    Actor, Body, Effect, Event, Kind, Notice, Object, ObjectId, Signal, Timestamp, app, install, org, runner,
};

pub use fleet::{Fleet, Group};
pub use report::{GroupDone, Phase, Report, RolloutDone, Series, State, Waited, WaveDone};
use tally::Tally;

/// How long a rehearsed attempt takes where the scenario does not say, milliseconds.
const TAKES_MS: i64 = 2_000;
/// More events than this are a loop that never ends.
const EVENTS_MAX: u64 = 200_000_000;

/// What is simulated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The org's name.
    pub org: String,
    /// The app's name.
    pub app: String,
    /// The release that installs begin with, and the one that they are then updated to.
    pub releases: [Release; 2],
    /// The installs.
    pub fleet: Fleet,
    /// The seed that all luck comes from, for the report.
    pub seed: u64,
    /// How many jobs a runner carries out at once.
    pub capacity: usize,
    /// How long a person needs to look at what is held and have it tried again; never, without.
    pub people_after_ms: Option<i64>,
    /// When the second release comes out, after the beginning.
    pub update_at_ms: i64,
    /// When the simulation ends at the latest, after the beginning.
    pub until_ms: i64,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The plan says something that no loop takes.
    #[error("the simulation cannot begin: {0}")]
    Plan(String),
    /// It does not come to rest.
    #[error("the simulation does not come to rest: {EVENTS_MAX} events and no end")]
    Restless,
}

/// What happens at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Due {
    /// An object's deadline.
    Tick(ObjectId),
    /// A runner ends an attempt.
    Ended { runner: ObjectId, report: Box<RunnerSays> },
    /// Somebody asks for something.
    Asked(ObjectId, Box<Signal>),
    /// Somebody lets a rollout go on that halted.
    Resumed(ObjectId),
}

/// A runner's part of what it holds.
#[derive(Default)]
struct Slots {
    busy: usize,
}

struct World {
    now: Timestamp,
    objects: HashMap<ObjectId, Object>,
    due: BinaryHeap<Reverse<(Timestamp, u64)>>,
    what: HashMap<u64, Due>,
    order: u64,
    slots: BTreeMap<ObjectId, Slots>,
    woken: VecDeque<ObjectId>,
    events: u64,
    tally: Tally,
    capacity: usize,
    people_after_ms: Option<i64>,
    resume_after_ms: Option<i64>,
    /// How long until somebody opts in, by install.
    opts_in: HashMap<ObjectId, i64>,
}

/// Runs a plan to its end.
pub fn run(plan: &Plan) -> Result<Report, Error> {
    let mut world = World::new(plan);
    let path = |names: &[&str], kind| ObjectId::new(kind, names).map_err(|e| Error::Plan(e.to_string()));
    let org = path(&[&plan.org], Kind::Org)?;
    let app = path(&[&plan.org, &plan.app], Kind::App)?;
    world.ask(&org, Signal::Org(org::Signal::Create {}))?;
    world.ask(&app, Signal::App(app::Signal::Create {}))?;
    let publish =
        |release: &Release| Signal::App(app::Signal::Publish { release: release.clone(), hold: false });
    world.ask(&app, publish(&plan.releases[0]))?;
    for freeze in &plan.fleet.freezes {
        world.ask(&app, Signal::App(app::Signal::Freeze(freeze.clone())))?;
    }
    for group in &plan.fleet.groups {
        for number in 0..group.installs {
            let id = app.child(&group.install(number)).map_err(|e| Error::Plan(e.to_string()))?;
            world.make(&id, group)?;
        }
    }
    let update_at = plan.fleet.begins.plus_ms(plan.update_at_ms).0;
    let release = plan.releases[1].clone();
    match &plan.fleet.rollout {
        None => world.later(update_at, Due::Asked(app.clone(), Box::new(publish(&release)))),
        Some(rollout) => {
            let held = Signal::App(app::Signal::Publish { release, hold: true });
            world.later(update_at, Due::Asked(app.clone(), Box::new(held)));
            let start = Signal::App(app::Signal::StartRollout { plan: rollout.clone() });
            world.later(update_at, Due::Asked(app.clone(), Box::new(start)));
        }
    }
    world.go(plan)?;
    let rollout = world.rollout(&app);
    Ok(world.tally.report(plan, world.now, world.events, rollout))
}

impl World {
    fn new(plan: &Plan) -> Self {
        Self {
            now: plan.fleet.begins,
            objects: HashMap::new(),
            due: BinaryHeap::new(),
            what: HashMap::new(),
            order: 0,
            slots: BTreeMap::new(),
            woken: VecDeque::new(),
            events: 0,
            tally: Tally::new(plan),
            capacity: plan.capacity.max(1),
            people_after_ms: plan.people_after_ms,
            resume_after_ms: plan.fleet.resume_after_ms,
            opts_in: HashMap::new(),
        }
    }

    /// An install with a runner that is there.
    fn make(&mut self, id: &ObjectId, group: &Group) -> Result<(), Error> {
        let rehearsal = Rehearsal { scenario: Some(group.scenario.clone()), ..Rehearsal::default() };
        let create = install::Signal::Create {
            inputs: BTreeMap::new(),
            mode: Mode::Sandbox,
            labels: group.labels.clone(),
            rehearsal: Some(rehearsal),
            // Nobody is there who could approve.
            approval: Policy::default(),
        };
        self.ask(id, Signal::Install(create))?;
        if group.policy != install::Policy::default() {
            let policy = group.policy.clone();
            self.ask(id, Signal::Install(install::Signal::SetPolicy { policy }))?;
        }
        if let Some(after_ms) = group.opts_in_after_ms {
            self.opts_in.insert(id.clone(), after_ms);
        }
        let Some(runner) = id.runner() else { return Ok(()) };
        let (token_sha256, spki_sha256) = ("00".repeat(32), "11".repeat(32));
        let expires = self.now.plus_ms(1);
        let expect = runner::Signal::Expect { token_sha256: token_sha256.clone(), expires };
        self.ask(&runner, Signal::Runner(expect))?;
        self.says(&runner, RunnerSays::Enrol { token_sha256, spki_sha256 });
        let info = Info { boot: "simulated".to_owned(), ..Info::default() };
        self.says(&runner, RunnerSays::Seen { generation: 1, info });
        self.serve();
        Ok(())
    }

    fn later(&mut self, at_ms: i64, due: Due) {
        self.order += 1;
        self.due.push(Reverse((Timestamp(at_ms), self.order)));
        self.what.insert(self.order, due);
    }

    /// Everything that comes, in the order of its time, until nothing comes any more.
    fn go(&mut self, plan: &Plan) -> Result<(), Error> {
        while let Some(Reverse((at, order))) = self.due.pop() {
            let until = plan.fleet.begins.plus_ms(plan.until_ms);
            if at > until {
                self.now = until;
                break;
            }
            self.now = self.now.max(at);
            let Some(due) = self.what.remove(&order) else { continue };
            match due {
                Due::Tick(id) => self.give(&id, Actor::Clock, Body::Tick),
                Due::Ended { runner, report } => {
                    if let Some(slots) = self.slots.get_mut(&runner) {
                        slots.busy = slots.busy.saturating_sub(1);
                    }
                    self.says(&runner, *report);
                    self.woken.push_back(runner);
                }
                Due::Asked(id, signal) => self.give(&id, person(), Body::Signal(*signal)),
                Due::Resumed(app) => self.resume(&app),
            }
            self.serve();
            if self.events > EVENTS_MAX {
                return Err(Error::Restless);
            }
        }
        Ok(())
    }

    /// A signal that must be taken.
    fn ask(&mut self, id: &ObjectId, signal: Signal) -> Result<(), Error> {
        let event = Event { at: self.now, by: person(), body: Body::Signal(signal) };
        let told = self.apply(id, &event).map_err(|rejected| Error::Plan(rejected.to_string()))?;
        self.pass_on(told);
        Ok(())
    }

    fn says(&mut self, runner: &ObjectId, report: RunnerSays) {
        self.give(runner, Actor::Runner, Body::Report(report));
    }

    /// An event, and all that follows from it at once. What is refused changes nothing.
    fn give(&mut self, to: &ObjectId, by: Actor, body: Body) {
        let told = self.apply(to, &Event { at: self.now, by, body }).unwrap_or_default();
        self.pass_on(told);
    }

    fn pass_on(&mut self, told: Vec<(ObjectId, ObjectId, Notice)>) {
        let mut queue = VecDeque::from(told);
        while let Some((from, to, notice)) = queue.pop_front() {
            let event = Event { at: self.now, by: Actor::Object(from), body: Body::Notice(notice) };
            queue.extend(self.apply(&to, &event).unwrap_or_default());
        }
    }

    fn apply(
        &mut self,
        to: &ObjectId,
        event: &Event,
    ) -> Result<Vec<(ObjectId, ObjectId, Notice)>, remit_loops::Rejected> {
        self.events += 1;
        let object = self.objects.entry(to.clone()).or_insert_with(|| Object::new(to));
        let before = object.deadline();
        let effects = object.apply(event)?;
        let deadline = object.deadline().filter(|deadline| Some(*deadline) != before);
        let mut told = vec![];
        let mut is_news = false;
        for effect in effects {
            match effect {
                Effect::Tell { to: target, notice } => {
                    if matches!(notice, Notice::Install(ToInstall::UpdateOffered { .. })) {
                        self.tally.told(&target, self.now);
                    }
                    told.push((to.clone(), target, notice));
                }
                Effect::WakeRunner(runner) => self.woken.push_back(runner),
                Effect::Record(entry) => {
                    is_news |= self.tally.record(to, self.now, &entry);
                    self.call_for(to, &entry.code);
                }
            }
        }
        if is_news && let Some(object) = self.objects.get(to) {
            let word = object.view().status.word;
            if word == "held" && self.tally.held(to, self.now) {
                self.call_people(to);
            }
        }
        if let Some(deadline) = deadline {
            self.later(deadline.0, Due::Tick(to.clone()));
        }
        Ok(told)
    }

    /// People who are wanted: to opt in to a release, to look at a rollout that halted.
    fn call_for(&mut self, of: &ObjectId, code: &str) {
        match code {
            "update.waiting" => {
                let Some(after_ms) = self.opts_in.get(of) else { return };
                let opt_in = Signal::Install(install::Signal::OptIn { version: None });
                self.later(self.now.plus_ms(*after_ms).0, Due::Asked(of.clone(), Box::new(opt_in)));
            }
            "rollout.halted" => {
                let Some(after_ms) = self.resume_after_ms else { return };
                self.later(self.now.plus_ms(after_ms).0, Due::Resumed(of.clone()));
            }
            _ => {}
        }
    }

    /// The rollout of the app, as it is now.
    fn rollout(&self, app: &ObjectId) -> Option<Box<app::RolloutView>> {
        match self.objects.get(app)?.view().detail {
            Detail::App { rollout, .. } => rollout,
            _ => None,
        }
    }

    /// Somebody has looked at what failed and lets the rollout go on: as many may fail once more.
    fn resume(&mut self, app: &ObjectId) {
        let Some(rollout) = self.rollout(app).filter(|rollout| rollout.state == "halted") else { return };
        let failures_max = Some(rollout.failed + rollout.failures_max.max(1));
        let signal = Signal::App(app::Signal::ResumeRollout { failures_max });
        self.give(app, person(), Body::Signal(signal));
    }

    /// A person looks at what is held and has it tried again.
    fn call_people(&mut self, install: &ObjectId) {
        let Some(after_ms) = self.people_after_ms else { return };
        let retry = Signal::Install(install::Signal::Retry { component: None });
        self.later(self.now.plus_ms(after_ms).0, Due::Asked(install.clone(), Box::new(retry)));
    }

    /// Runners take what is offered to them, as far as they have slots.
    fn serve(&mut self) {
        while let Some(id) = self.woken.pop_front() {
            while self.slots.entry(id.clone()).or_default().busy < self.capacity {
                let offer = self.objects.get(&id).and_then(Object::as_runner).and_then(|r| r.next_offer());
                let Some(offer) = offer else { break };
                let (attempt, fence) = (offer.spec.id.clone(), offer.fence);
                self.says(&id, RunnerSays::Started { generation: 1, attempt: attempt.clone(), fence });
                let (takes_ms, outcome) = self.rehearse(&offer.spec);
                let report =
                    Box::new(RunnerSays::Ended { generation: 1, attempt, fence, outcome, receipts: None });
                self.later(self.now.plus_ms(takes_ms).0, Due::Ended { runner: id.clone(), report });
                self.slots.entry(id.clone()).or_default().busy += 1;
            }
        }
    }

    /// What a runner's rehearsal would come to.
    fn rehearse(&mut self, spec: &JobSpec) -> (i64, Outcome) {
        let act = spec.act.clone().unwrap_or_default();
        let takes_ms = act.takes_ms.unwrap_or(TAKES_MS).min(spec.longest_run_ms);
        let is_too_long = act.takes_ms.is_some_and(|ms| ms > spec.longest_run_ms);
        let fails = match act.fails {
            Some(fails) if !is_too_long => Some((fails.class, fails.message, fails.code)),
            _ if is_too_long => Some((FailureClass::Timeout, "it took too long".to_owned(), None)),
            _ => None,
        };
        let outcome = match fails {
            Some((class, message, code)) => {
                self.tally.failed(&spec.component, class);
                let plain = if spec.action == Action::Health { UNHEALTHY } else { "simulated" };
                let code = code.unwrap_or_else(|| plain.to_owned());
                Outcome::Failed(Failure { class, code, message, hint: String::new() })
            }
            None => Outcome::Succeeded(Success {
                changes: act.changes.unwrap_or_default(),
                drifted: act.drift.is_some(),
                summary: act.drift.unwrap_or_else(|| "rehearsed".to_owned()),
                ..Success::default()
            }),
        };
        (takes_ms, outcome)
    }
}

fn person() -> Actor {
    Actor::Person("simulate".to_owned())
}

#[cfg(test)]
mod tests;
