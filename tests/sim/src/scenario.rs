//! One run: everything that happens, in the order of virtual time, from one seed.

mod calls;
mod healing;
mod incidents;

use std::collections::BTreeMap;

use remit_loops::job::AttemptId;
use remit_loops::runner::Report;
use remit_loops::{Actor, Body, Kind, ObjectId, Signal, app, org};

use crate::broker::{Answer, Broker, Crash};
use crate::bugs::Bug;
use crate::people;
use crate::runner::{Key, Runner};
use crate::trace::Trace;
use crate::violations;
use crate::world::World;

const HOUR_MS: i64 = 3_600_000;

/// What to run.
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) installs: u32,
    pub(crate) hours: i64,
    pub(crate) bug: Option<Bug>,
    pub(crate) trace: bool,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) violation: Option<String>,
    pub(crate) simulated_ms: i64,
    pub(crate) events: u64,
    pub(crate) digest: u64,
    pub(crate) last_lines: Vec<String>,
}

/// Something that is going to happen. Runners are named by their place in the list of all there ever were.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Poll { runner: usize },
    Wake { runner: usize },
    Start { runner: usize, key: Key },
    Finish { runner: usize, key: Key, pid: u64 },
    StopCheck { runner: usize, key: Key },
    Killed { runner: usize, key: Key, pid: u64 },
    Report { runner: usize, key: Key },
    Echo { install: usize, report: Report },
    RunnerCrash { install: usize },
    RunnerRestart { runner: usize },
    HostReplaced { install: usize },
    OldHostGone { runner: usize },
    Silence { install: usize },
    Tick { object: ObjectId },
    Person { install: usize },
    Resend { install: usize, number: u64 },
    Vendor,
    ByHand { install: usize },
    BrokerOutage,
}

pub(crate) struct Run {
    pub(crate) rng: fastrand::Rng,
    pub(crate) now_ms: i64,
    pub(crate) broker: Broker,
    pub(crate) world: World,
    pub(crate) runners: Vec<Runner>,
    pub(crate) installs: usize,
    pub(crate) trace: Trace,
    pub(crate) bug: Option<Bug>,
    /// Whether anything changed since the invariants were checked last.
    pub(crate) dirty: bool,
    /// Whether bad luck happens; false once everything is being healed.
    pub(crate) faults: bool,
    /// By time, then in the order in which it was planned.
    plan: BTreeMap<(i64, u64), What>,
    scheduled: u64,
    sent: u64,
    releases: u64,
    /// Signals that were sent and not answered yet, by number.
    unanswered: Vec<(u64, usize, Signal)>,
}

pub(crate) fn install_id(install: usize) -> ObjectId {
    format!("ins_demo.shop.c{install}").parse().expect("made of allowed letters")
}

fn app_id() -> ObjectId {
    "app_demo.shop".parse().expect("made of allowed letters")
}

impl Scenario {
    pub(crate) fn run(&self) -> Outcome {
        let mut run = Run::new(self);
        let violation = run.prepare().or_else(|| run.bad_luck(self.hours * HOUR_MS)).or_else(|| run.heal());
        Outcome {
            violation,
            simulated_ms: run.now_ms,
            events: run.trace.events,
            digest: run.trace.digest(),
            last_lines: run.trace.into_lines(),
        }
    }
}

impl Run {
    fn new(scenario: &Scenario) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(scenario.seed),
            now_ms: 0,
            broker: Broker { bug: scenario.bug, ..Broker::default() },
            world: World::default(),
            runners: vec![],
            installs: scenario.installs as usize,
            trace: Trace::new(scenario.trace),
            bug: scenario.bug,
            dirty: true,
            faults: true,
            plan: BTreeMap::new(),
            scheduled: 0,
            sent: 0,
            releases: 0,
            unanswered: vec![],
        }
    }

    pub(crate) fn after(&mut self, wait_ms: i64, what: What) {
        self.scheduled += 1;
        self.plan.insert((self.now_ms + wait_ms, self.scheduled), what);
    }

    /// Whether something happens that happens so many times out of a thousand, while luck is bad.
    pub(crate) fn unlucky(&mut self, per_mille: u32) -> bool {
        self.faults && self.rng.u32(0..1_000) < per_mille
    }

    fn prepare(&mut self) -> Option<String> {
        let org: ObjectId = "org_demo".parse().expect("made of allowed letters");
        self.tell_broker(&org, &Signal::Org(org::Signal::Create {}));
        self.tell_broker(&app_id(), &Signal::App(app::Signal::Create {}));
        self.after(0, What::Vendor);
        self.after(HOUR_MS, What::BrokerOutage);
        for install in 0..self.installs {
            self.tell_broker(&install_id(install), &people::create());
            self.enrol(install);
            for (wait_ms, what) in [
                (600_000, What::Person { install }),
                (2 * HOUR_MS, What::RunnerCrash { install }),
                (3 * HOUR_MS, What::HostReplaced { install }),
                (HOUR_MS, What::ByHand { install }),
                (30_000, What::Silence { install }),
            ] {
                let spread = self.rng.i64(0..wait_ms);
                self.after(spread, what);
            }
        }
        self.check()
    }

    fn check(&mut self) -> Option<String> {
        if !std::mem::take(&mut self.dirty) {
            return None;
        }
        violations::check(&self.broker, &self.world, self.installs)
    }

    fn bad_luck(&mut self, until_ms: i64) -> Option<String> {
        self.go_on(until_ms)
    }

    /// Lets things happen until a time, or until an invariant is broken.
    pub(crate) fn go_on(&mut self, until_ms: i64) -> Option<String> {
        while let Some(next) = self.plan.first_entry().filter(|next| next.key().0 <= until_ms) {
            let ((at_ms, _), what) = next.remove_entry();
            self.now_ms = self.now_ms.max(at_ms);
            self.trace.line(at_ms, &format!("{what:?}"));
            self.happen(what);
            if let Some(violation) = self.check() {
                return Some(violation);
            }
        }
        self.now_ms = until_ms;
        None
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Poll { runner } => self.poll(runner),
            What::Wake { runner } => {
                self.lease(runner);
            }
            What::Start { runner, key } => self.start(runner, &key),
            What::Finish { runner, key, pid } => self.finish(runner, &key, pid),
            What::StopCheck { runner, key } => self.stop_check(runner, &key),
            What::Killed { runner, key, pid } => self.killed(runner, &key, pid),
            What::Report { runner, key } => self.report(runner, &key),
            What::Echo { install, report } => self.echo(install, report),
            What::RunnerCrash { install } => self.runner_crash(install),
            What::RunnerRestart { runner } => self.runner_restart(runner),
            What::HostReplaced { install } => self.host_replaced(install),
            What::OldHostGone { runner } => self.old_host_gone(runner),
            What::Silence { install } => self.silence(install),
            What::Tick { object } => self.tick(&object),
            What::Person { install } => self.person(install),
            What::Resend { install, number } => self.resend(install, number),
            What::Vendor => self.vendor(),
            What::ByHand { install } => self.by_hand(install),
            What::BrokerOutage => self.broker_outage(),
        }
    }

    /// Gives the broker an event and arms what the new states ask for.
    pub(crate) fn submit(&mut self, to: &ObjectId, by: Actor, key: Option<&str>, body: Body) -> Answer {
        if !self.broker.is_up(self.now_ms) {
            return Answer::Unknown;
        }
        let crash = match (self.unlucky(4), self.rng.bool()) {
            (false, _) => Crash::None,
            (true, true) => Crash::BeforeCommit,
            (true, false) => Crash::AfterCommit,
        };
        let answer = self.broker.submit(self.now_ms, to, by, key, body, crash);
        if crash != Crash::None {
            self.broker.down_until_ms = self.now_ms + self.rng.i64(500..20_000);
        }
        self.trace.line(self.now_ms, &format!("  {to} ← {answer:?}"));
        self.dirty = true;
        for object in std::mem::take(&mut self.broker.touched) {
            self.wake(&object);
            if let Some(deadline) = self.broker.object(&object).deadline() {
                let wait_ms = (deadline.0 - self.now_ms).max(0);
                self.after(wait_ms, What::Tick { object });
            }
        }
        answer
    }

    /// A hint to a waiting runner; it can get lost, then the next poll finds the truth.
    fn wake(&mut self, object: &ObjectId) {
        if object.kind() != Kind::Runner || self.unlucky(100) {
            return;
        }
        let waiting = (0..self.runners.len())
            .rev()
            .find(|r| install_id(self.runners[*r].install).runner().as_ref() == Some(object));
        if let Some(runner) = waiting {
            let wait_ms = self.rng.i64(1..50);
            self.after(wait_ms, What::Wake { runner });
        }
    }

    /// A signal whose sender asks again, with the same key, until it is answered.
    pub(crate) fn tell_broker(&mut self, to: &ObjectId, signal: &Signal) -> Answer {
        self.sent += 1;
        let key = format!("k{}", self.sent);
        for _ in 0..1_000 {
            let body = Body::Signal(signal.clone());
            let answer = self.submit(to, Actor::Person("ann".into()), Some(&key), body);
            if answer != Answer::Unknown {
                return answer;
            }
            self.now_ms += 1_000;
        }
        Answer::Unknown
    }

    fn tick(&mut self, object: &ObjectId) {
        let due = self.broker.object(object).deadline();
        if due.is_some_and(|at| at.0 <= self.now_ms)
            && self.submit(object, Actor::Clock, None, Body::Tick) == Answer::Unknown
        {
            self.after(1_000, What::Tick { object: object.clone() });
        }
    }
}

/// The operation that an attempt belongs to: its job's epoch and operation, without component and action.
pub(crate) fn operation_of(id: &AttemptId) -> String {
    let parts: Vec<&str> = id.job.split('.').collect();
    let len = parts.len();
    parts[len.saturating_sub(3)..len.saturating_sub(1)].join(".")
}
