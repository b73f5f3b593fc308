//! One run: everything that happens, in the order of virtual time, from one seed.

mod calls;
mod endings;
mod healing;
mod hosts;
mod incidents;
mod probes;
mod updates;
mod violations;

use std::collections::{BTreeMap, BTreeSet};

use remit_broker::engine::Submission;
use remit_loops::job::Outcome as Ending;
use remit_loops::runner::Report;
use remit_loops::view::Detail;
use remit_loops::{Actor, Body, Kind, ObjectId, Signal, app, org};

use crate::broker::{Answer, Broker};
use crate::bugs::Bug;
use crate::follow::{Cause, Follower};
use crate::luck::{Dice, Luck, Struck};
use crate::names::{app_id, install_id, install_of, org_id};
use crate::people;
use crate::promises::Promises;
use crate::runner::{Key, Runner};
use crate::store::Crash;
use crate::trace::Trace;
use crate::world::World;
use violations::Watch;

pub(crate) const HOUR_MS: i64 = 3_600_000;

/// What to run.
#[derive(Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) installs: u32,
    /// How long luck is bad, milliseconds.
    pub(crate) length_ms: i64,
    pub(crate) bug: Option<Bug>,
    pub(crate) trace: bool,
    /// Only these misfortunes happen, if they are named.
    pub(crate) keep: Option<BTreeSet<Struck>>,
    /// The installs that nobody makes.
    pub(crate) without: BTreeSet<usize>,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) violation: Option<String>,
    pub(crate) simulated_ms: i64,
    /// Lines of the event log.
    pub(crate) lines: u64,
    /// Events that were committed.
    pub(crate) events: u64,
    pub(crate) digest: u64,
    pub(crate) last_lines: Vec<String>,
    /// The misfortunes that struck.
    pub(crate) struck: Vec<Struck>,
    /// Steps of lock, lease and fence that the model took as well.
    pub(crate) followed: u64,
    /// Steps that were left out because nothing of them had changed.
    pub(crate) unchanged: u64,
    /// How often rules acted.
    pub(crate) mended: u64,
    /// Changes that were held against what people had said.
    pub(crate) changes: u64,
    /// Deploys of components that were done, by their probes if they have some.
    pub(crate) proven: u64,
    /// How often something was said to be unwell.
    pub(crate) unwell: u64,
}

/// Something that is going to happen. Runners are named by their place in the list of all there ever were.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Poll { runner: usize },
    Wake { runner: usize },
    Start { runner: usize, key: Key },
    Begin { runner: usize, key: Key },
    Finish { runner: usize, key: Key, pid: u64 },
    StopCheck { runner: usize, key: Key },
    Killed { runner: usize, key: Key, pid: u64 },
    Ended { runner: usize, key: Key, outcome: Ending },
    Report { runner: usize, key: Key },
    Echo { install: usize, report: Report },
    RunnerCrash { install: usize },
    RunnerRestart { runner: usize },
    HostReplaced { install: usize },
    OldHostGone { runner: usize },
    GiveUp { install: usize },
    Paused { install: usize },
    DiskFull { install: usize },
    RunnerClock { install: usize },
    Silence { install: usize },
    Tick,
    Person { install: usize },
    Flood { install: usize },
    Customer { install: usize },
    Operator,
    Resend { install: usize, number: u64 },
    Vendor,
    ByHand { install: usize },
    FallsIll { install: usize },
    BrokerOutage,
    BrokerKilled,
    BrokerClock,
    Backup,
    Restore,
}

pub(crate) struct Run {
    pub(crate) dice: Dice,
    pub(crate) now_ms: i64,
    pub(crate) broker: Broker,
    pub(crate) world: World,
    pub(crate) runners: Vec<Runner>,
    /// The runners of each install, the newest last.
    pub(crate) hosts: Vec<Vec<usize>>,
    pub(crate) installs: Vec<usize>,
    pub(crate) trace: Trace,
    pub(crate) bug: Option<Bug>,
    pub(crate) watch: Watch,
    pub(crate) follower: Follower,
    /// Why the brokers' word about attempts may change just now.
    cause: Cause,
    /// By time, then in the order in which it was planned.
    plan: BTreeMap<(i64, u64), What>,
    ticks: BTreeSet<i64>,
    scheduled: u64,
    sent: u64,
    releases: u64,
    /// Signals that were sent and not answered yet, by number.
    unanswered: BTreeMap<u64, (usize, Signal, u32)>,
    pub(crate) promises: Promises,
    /// The promises of when the store was copied.
    backed_up: Option<Promises>,
    /// Plans that people of each install have seen wait.
    seen_plans: BTreeMap<usize, Vec<String>>,
}

impl Scenario {
    pub(crate) fn run(&self) -> Outcome {
        let mut run = Run::new(self);
        let violation = run.prepare().or_else(|| run.go_on(self.length_ms)).or_else(|| run.heal());
        let events = run.broker.notes().events;
        Outcome {
            violation,
            simulated_ms: run.now_ms,
            lines: run.trace.lines,
            events,
            digest: run.trace.digest(),
            last_lines: run.trace.into_lines(),
            struck: run.dice.struck,
            followed: run.follower.steps,
            unchanged: run.promises.unchanged,
            mended: run.promises.uses.count,
            changes: run.promises.changes,
            proven: run.promises.health.done,
            unwell: run.promises.health.unwell,
        }
    }
}

impl Run {
    fn new(scenario: &Scenario) -> Self {
        let mut dice = Dice::new(scenario.seed, scenario.keep.clone());
        let rng = dice.rng(Luck::Timing, 0);
        // One broker or two; commits that carry few notices, so that some wait for the next.
        let (engines, notices_max) = (rng.usize(1..3), [2, 5, 8_192][rng.usize(0..3)]);
        let installs = (0..scenario.installs as usize).filter(|i| !scenario.without.contains(i)).collect();
        Self {
            dice,
            now_ms: 0,
            broker: Broker::new(engines, notices_max, scenario.bug),
            world: World::default(),
            runners: vec![],
            hosts: vec![vec![]; scenario.installs as usize],
            installs,
            trace: Trace::new(scenario.trace),
            bug: scenario.bug,
            watch: Watch::default(),
            follower: Follower::default(),
            cause: Cause::Other,
            plan: BTreeMap::new(),
            ticks: BTreeSet::new(),
            scheduled: 0,
            sent: 0,
            releases: 0,
            unanswered: BTreeMap::new(),
            promises: Promises::default(),
            backed_up: None,
            seen_plans: BTreeMap::new(),
        }
    }

    pub(crate) fn has_bug(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn after(&mut self, wait_ms: i64, what: What) {
        self.scheduled += 1;
        self.plan.insert((self.now_ms + wait_ms, self.scheduled), what);
    }

    fn prepare(&mut self) -> Option<String> {
        self.tell_broker(&org_id(), &Signal::Org(org::Signal::Create {}));
        self.tell_broker(&app_id(), &Signal::App(app::Signal::Create {}));
        self.releases = 1;
        self.tell_broker(&app_id(), &people::publish(1, false));
        for (wait_ms, what) in [
            (HOUR_MS, What::Vendor),
            (HOUR_MS, What::Operator),
            (HOUR_MS, What::BrokerOutage),
            (HOUR_MS / 2, What::BrokerKilled),
            (3 * HOUR_MS, What::BrokerClock),
            (HOUR_MS, What::Backup),
        ] {
            self.after(wait_ms, what);
        }
        for install in self.installs.clone() {
            self.tell_broker(&install_id(install), &people::create());
            self.enrol(install);
            for (wait_ms, what) in [
                (600_000, What::Person { install }),
                (HOUR_MS, What::Customer { install }),
                (2 * HOUR_MS, What::RunnerCrash { install }),
                (3 * HOUR_MS, What::HostReplaced { install }),
                (2 * HOUR_MS, What::Paused { install }),
                (4 * HOUR_MS, What::DiskFull { install }),
                (4 * HOUR_MS, What::RunnerClock { install }),
                (6 * HOUR_MS, What::Flood { install }),
                (HOUR_MS, What::ByHand { install }),
                (2 * HOUR_MS, What::FallsIll { install }),
                (30_000, What::Silence { install }),
            ] {
                let spread_ms = self.dice.wait_ms(install, 0..wait_ms);
                self.after(spread_ms, what);
            }
        }
        self.check()
    }

    /// Lets things happen until a time, or until an invariant is broken.
    pub(crate) fn go_on(&mut self, until_ms: i64) -> Option<String> {
        while let Some(next) = self.plan.first_entry().filter(|next| next.key().0 <= until_ms) {
            let ((at_ms, _), what) = next.remove_entry();
            self.now_ms = self.now_ms.max(at_ms);
            if let Some(wait_ms) = self.is_paused(&what) {
                self.after(wait_ms, what);
                continue;
            }
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
            What::Wake { runner } => drop(self.lease(runner)),
            What::Start { runner, key } => self.start(runner, &key),
            What::Begin { runner, key } => self.begin(runner, &key),
            What::Finish { runner, key, pid } => self.finish(runner, &key, pid),
            What::StopCheck { runner, key } => self.stop_check(runner, &key),
            What::Killed { runner, key, pid } => self.killed(runner, &key, pid),
            What::Ended { runner, key, outcome } => self.ended(runner, &key, outcome),
            What::Report { runner, key } => self.report(runner, &key),
            What::Echo { install, report } => drop(self.say(install, report)),
            What::RunnerCrash { install } => self.runner_crash(install),
            What::RunnerRestart { runner } => self.runner_restart(runner),
            What::HostReplaced { install } => self.host_replaced(install),
            What::OldHostGone { runner } => self.old_host_gone(runner),
            What::GiveUp { install } => self.declare_lost(install),
            What::Paused { install } => self.pause(install),
            What::DiskFull { install } => self.disk_full(install),
            What::RunnerClock { install } => self.runner_clock(install),
            What::Silence { install } => self.silence(install),
            What::Tick => self.tick(),
            What::Person { install } => self.person(install),
            What::Flood { install } => self.flood(install),
            What::Customer { install } => self.customer(install),
            What::Operator => self.operator(),
            What::Resend { install, number } => self.resend(install, number),
            What::Vendor => self.vendor(),
            What::ByHand { install } => self.by_hand(install),
            What::FallsIll { install } => self.falls_ill(install),
            What::BrokerOutage => self.broker_outage(),
            What::BrokerKilled => self.broker_killed(),
            What::BrokerClock => self.broker_clock(),
            What::Backup => self.backup(),
            What::Restore => self.restore(),
        }
    }

    /// Gives one of the brokers an event and arms what the new states ask for.
    pub(crate) fn submit(&mut self, to: &ObjectId, by: Actor, key: Option<String>, body: Body) -> Answer {
        if !self.broker.is_up(self.now_ms) {
            return Answer::Unknown;
        }
        let install = install_of(to).unwrap_or(0);
        let crash = match self.dice.strikes(Luck::BrokerDies, install, 4) {
            false => Crash::None,
            true if self.dice.rng(Luck::BrokerDies, install).bool() => Crash::BeforeCommit,
            true => Crash::AfterCommit,
        };
        let engines = self.broker.engines();
        let which = self.dice.rng(Luck::Timing, install).usize(0..engines);
        let said = self.about_to_say(to, &by, key.as_deref(), &body);
        let body = self.misheard(to, body);
        let event = Submission { to: to.clone(), by, key, body };
        let answer = self.broker.submit(self.now_ms, which, event, crash);
        self.was_said(said);
        if crash != Crash::None && engines == 1 {
            self.broker.down_until_ms = self.now_ms + self.dice.wait_ms(install, 500..20_000);
        }
        self.trace.line(self.now_ms, &format!("  {to} ← {answer:?}"));
        self.take_up();
        answer
    }

    /// Arms what the new states ask for: a tick in time, a word to a waiting runner.
    pub(crate) fn take_up(&mut self) {
        for object in std::mem::take(&mut self.broker.touched) {
            if let Some(install) = install_of(&object) {
                self.watch.dirty.insert(install);
            }
            self.watch.app_is_dirty |= object.kind() == Kind::App;
            self.observe(&object);
            self.wake(&object);
            if let Some(deadline) = self.broker.object(&object).deadline() {
                self.arm_tick((deadline.0 - self.broker.skew_ms).max(self.now_ms));
            }
        }
    }

    /// The model looks at what the brokers now say of an install's attempts.
    fn observe(&mut self, object: &ObjectId) {
        let (Some(install), Kind::Runner) = (install_of(object), object.kind()) else { return };
        if self.bug.is_some() {
            return;
        }
        let view = self.broker.object(object).view();
        if let Detail::Runner { jobs, generation, .. } = view.detail {
            self.follower.enrolled(install, generation);
            self.follower.observe(install, &jobs, self.cause);
        }
    }

    fn arm_tick(&mut self, at_ms: i64) {
        if self.ticks.insert(at_ms) {
            self.after(at_ms - self.now_ms, What::Tick);
        }
    }

    /// A hint to a waiting runner; it can get lost, then the next poll finds the truth.
    fn wake(&mut self, object: &ObjectId) {
        let Some(install) = install_of(object).filter(|_| object.kind() == Kind::Runner) else { return };
        if self.dice.strikes(Luck::WakeLost, install, 100) {
            return;
        }
        if let Some(runner) = self.newest(install) {
            let wait_ms = self.dice.wait_ms(install, 1..50);
            self.after(wait_ms, What::Wake { runner });
        }
    }

    /// A signal whose sender asks again, with the same key, until it is answered.
    pub(crate) fn tell_broker(&mut self, to: &ObjectId, signal: &Signal) -> Answer {
        self.sent += 1;
        let key = format!("k{}", self.sent);
        for _ in 0..1_000 {
            let body = Body::Signal(signal.clone());
            let answer = self.submit(to, Actor::Person("ann".into()), Some(key.clone()), body);
            if answer != Answer::Unknown {
                return answer;
            }
            self.now_ms += 1_000;
        }
        Answer::Unknown
    }

    /// The brokers do what is due. Two of them leave each other's ticks for a moment.
    fn tick(&mut self) {
        self.ticks.retain(|at_ms| *at_ms > self.now_ms);
        if !self.broker.is_up(self.now_ms) {
            return self.arm_tick(self.broker.down_until_ms);
        }
        self.broker.run(self.now_ms);
        self.take_up();
        let now_ms = self.now_ms + self.broker.skew_ms;
        let is_due = |object: &remit_loops::Object| object.deadline().is_some_and(|at| at.0 <= now_ms);
        let due = self.broker.objects.iter().find(|(_, object)| is_due(object)).map(|(id, _)| id.clone());
        self.watch.nobody_comes(due.as_ref(), self.now_ms);
        if due.is_some() {
            self.arm_tick(self.now_ms + 1_000);
        }
    }
}
