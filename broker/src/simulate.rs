//! A product's installs on a virtual clock: the production loops, driven in memory, with rehearsals in place
//! of runners. Thousands of installs take seconds, and the same plan gives the same report.
//!
//! It does no IO, and knows no other clock than its own.

mod report;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};

use remit_loops::approval::Policy;
use remit_loops::install::Rehearsal;
use remit_loops::job::{Failure, FailureClass, JobSpec, Mode, Outcome, Success};
use remit_loops::release::Release;
use remit_loops::runner::{Info, Report as RunnerSays};
use remit_loops::scenario::Scenario;
use remit_loops::{
    Actor, Body, Effect, Event, Kind, Notice, Object, ObjectId, Signal, Timestamp, app, install, org, runner,
};

use report::Tally;
pub use report::{Phase, Report, Series, State, Waited};

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
    /// How many installs.
    pub installs: u32,
    /// What goes wrong, and how long things take.
    pub scenario: Scenario,
    /// How many jobs a runner carries out at once.
    pub capacity: usize,
    /// How long a person needs to look at what is held and have it tried again; never, without.
    pub people_after_ms: Option<i64>,
    /// When the second release comes out.
    pub update_at_ms: i64,
    /// When the simulation ends at the latest.
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
    for number in 0..plan.installs {
        let id = app.child(&format!("i{number:05}")).map_err(|e| Error::Plan(e.to_string()))?;
        world.make(&id, plan)?;
    }
    world.later(plan.update_at_ms, Due::Asked(app, Box::new(publish(&plan.releases[1]))));
    world.go(plan)?;
    Ok(world.tally.report(plan, world.now, world.events))
}

impl World {
    fn new(plan: &Plan) -> Self {
        Self {
            now: Timestamp(0),
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
        }
    }

    /// An install with a runner that is there.
    fn make(&mut self, id: &ObjectId, plan: &Plan) -> Result<(), Error> {
        let rehearsal = Rehearsal { scenario: Some(plan.scenario.clone()), ..Rehearsal::default() };
        let create = install::Signal::Create {
            inputs: BTreeMap::new(),
            mode: Mode::Sandbox,
            labels: BTreeMap::new(),
            rehearsal: Some(rehearsal),
            // Nobody is there who could approve.
            approval: Policy::default(),
        };
        self.ask(id, Signal::Install(create))?;
        let Some(runner) = id.runner() else { return Ok(()) };
        let (token_sha256, spki_sha256) = ("00".repeat(32), "11".repeat(32));
        let expect = runner::Signal::Expect { token_sha256: token_sha256.clone(), expires: Timestamp(1) };
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
            if at.0 > plan.until_ms {
                self.now = Timestamp(plan.until_ms);
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
                Effect::Tell { to: target, notice } => told.push((to.clone(), target, notice)),
                Effect::WakeRunner(runner) => self.woken.push_back(runner),
                Effect::Record(entry) => is_news |= self.tally.record(to, self.now, &entry),
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
                let code = code.unwrap_or_else(|| "simulated".to_owned());
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
mod tests {
    use super::*;
    use remit_loops::release::ReleaseComponent;
    use remit_loops::scenario::{Fails, Span, StepRule};

    fn release(version: &str, counter: u64) -> Release {
        let component = |name: &str, needs: &[&str]| ReleaseComponent {
            name: name.into(),
            kind: "terraform".into(),
            digest: format!("sha256:{name}{counter}"),
            needs: needs.iter().map(|n| (*n).to_owned()).collect(),
            longest_run_ms: 600_000,
            sandbox: false,
            recipe: None,
        };
        Release {
            digest: format!("sha256:{version}"),
            counter,
            version: version.into(),
            rollback_floor: 0,
            channel: "stable".into(),
            inputs: vec![],
            approvals: BTreeMap::new(),
            healing: Default::default(),
            components: vec![component("network", &[]), component("web", &["network"])],
        }
    }

    fn plan(installs: u32, rules: Vec<StepRule>) -> Plan {
        Plan {
            org: "demo".into(),
            app: "shop".into(),
            releases: [release("1.0.0", 1), release("2.0.0", 2)],
            installs,
            scenario: Scenario { seed: 7, steps: rules, ..Scenario::default() },
            capacity: 4,
            people_after_ms: Some(3_600_000),
            update_at_ms: 86_400_000,
            until_ms: 7 * 86_400_000,
        }
    }

    fn rule(percent: u8, class: FailureClass) -> StepRule {
        let fails = Some(Fails { class, message: "no".into(), code: None, hint: None });
        StepRule { percent, fails, attempts: vec![1], ..StepRule::default() }
    }

    #[test]
    fn all_goes_well_where_nothing_goes_wrong() {
        let takes = StepRule { percent: 100, takes: Some(Span::exactly(60_000)), ..StepRule::default() };
        let report = run(&plan(50, vec![takes])).unwrap();
        assert_eq!((report.phases[0].done, report.phases[1].done), (50, 50));
        assert_eq!(report.phases[1].p50_ms, 120_000, "two components, one after the other");
        assert!(report.failures.is_empty() && report.waited.is_empty());
        assert_eq!(report.series.last().unwrap().counts[&State::Updated], 50);
    }

    #[test]
    fn the_same_plan_gives_the_same_report() {
        let rules = || vec![rule(20, FailureClass::Quota), rule(30, FailureClass::Transient)];
        let (one, two) = (run(&plan(40, rules())).unwrap(), run(&plan(40, rules())).unwrap());
        assert_eq!(one, two);
        assert!(one.failures.contains_key(&FailureClass::Quota));
    }

    #[test]
    fn people_end_what_is_held_and_without_them_it_stays() {
        let quota = || vec![rule(100, FailureClass::Quota)];
        let helped = run(&plan(10, quota())).unwrap();
        assert_eq!((helped.phases[1].done, helped.held), (10, 0));
        assert!(helped.waited.iter().any(|w| w.what.contains("person") && w.longest_ms == 3_600_000));
        let alone = run(&Plan { people_after_ms: None, ..plan(10, quota()) }).unwrap();
        assert_eq!((alone.phases[1].done, alone.held), (0, 10));
    }
}
