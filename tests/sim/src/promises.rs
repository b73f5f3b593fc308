//! What people were promised about when an install is changed, to what, and by whose leave: written down as
//! they said it, apart from the brokers, and held against what is begun in the customer's world.

mod glass;
mod health;
mod rollouts;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::approval::{Ask, Policy as Approval};
use remit_loops::freeze::{AddFreeze, RemoveFreeze};
use remit_loops::install::{Policy, Signal as InstallSignal};
use remit_loops::job::Outcome;
use remit_loops::plan::{Plan, Side, Stage};
use remit_loops::runner::JobSpec;
use remit_loops::status::OperationView;
use remit_loops::view::{Detail, View};
use remit_loops::{ObjectId, Signal, Timestamp, app, org};

use crate::names::{install_of, operation_of};
use crate::people;
use crate::runner::Key;
use crate::world::{Look, Thing, World};
use glass::Glasses;
pub(crate) use health::{Health, Told};
use rollouts::Rollouts;
pub(crate) use rules::Acted;
use rules::Uses;

/// A time in which nothing is to be changed.
#[derive(Clone)]
struct Frozen {
    from: Timestamp,
    until: Timestamp,
    /// When somebody said so.
    said: Timestamp,
}

/// The freezes of one object, by name.
type Freezes = BTreeMap<String, Frozen>;

/// What was said of one install since it was made.
#[derive(Clone, Default)]
struct Stated {
    policy: Policy,
    policy_said: Timestamp,
    freezes: Freezes,
    /// Operations that a person lets pass windows; `true` for freezes too.
    passed: BTreeMap<u64, bool>,
    /// A deploy has succeeded: from now on a deploy is an update.
    provisioned: bool,
    /// Which plans are asked for, from when on.
    asks: Vec<(Timestamp, Approval)>,
    /// Who said yes to which plan.
    yes: BTreeSet<(String, String)>,
    /// Plans that the customer said yes to.
    customer_yes: BTreeSet<String>,
    /// The counter of the release that it goes by.
    on: Option<u64>,
    /// The last operation that was looked at.
    last: u64,
    /// When an attempt of each job was first told that it may start.
    first: BTreeMap<String, Timestamp>,
    glasses: Glasses,
    /// It is paused: only these operations, which were under way, go on.
    paused: Option<BTreeSet<u64>>,
}

/// What a component says of what it gives back, since it has not begun in time.
const TIME_IS_OVER: &str = "its time to begin is over";

/// All that people were promised.
#[derive(Clone, Default)]
pub(crate) struct Promises {
    installs: BTreeMap<usize, Stated>,
    /// Of the app and the org.
    above: BTreeMap<ObjectId, Freezes>,
    rollouts: Rollouts,
    /// What rules did, by the timelines.
    pub(crate) uses: Uses,
    /// What probes saw, and what was said of it.
    pub(crate) health: Health,
    /// Versions that somebody asked an install to deploy by name.
    asked: BTreeSet<(usize, String)>,
    /// Signals that are written down, by their keys.
    heard: BTreeSet<(ObjectId, String)>,
    /// Steps that were left out because nothing of them had changed.
    pub(crate) unchanged: u64,
    /// Changes that were held against what was said.
    pub(crate) changes: u64,
}

impl Promises {
    /// Writes down what somebody said and was told yes to: once for each key.
    pub(crate) fn hear(&mut self, said: &Said<'_>) {
        if !self.heard.insert((said.to.clone(), said.key.to_owned())) {
            return;
        }
        match said.signal {
            Signal::Install(signal) => {
                if let Some(install) = install_of(said.to) {
                    if let InstallSignal::Deploy { version: Some(version) } = signal {
                        self.asked.insert((install, version.clone()));
                    }
                    self.installs.entry(install).or_default().hear(said, signal);
                }
            }
            Signal::App(app::Signal::Freeze(AddFreeze { name, from, until, .. }))
            | Signal::Org(org::Signal::Freeze(AddFreeze { name, from, until, .. })) => {
                let freezes = self.above.entry(said.to.clone()).or_default();
                freezes.insert(name.clone(), Frozen::new(said.at, *from, *until));
            }
            Signal::App(app::Signal::Unfreeze(RemoveFreeze { name, .. }))
            | Signal::Org(org::Signal::Unfreeze(RemoveFreeze { name, .. })) => {
                self.above.entry(said.to.clone()).or_default().remove(name);
            }
            Signal::App(signal) => self.rollouts.hear(signal),
            Signal::Org(_) | Signal::Component(_) | Signal::Runner(_) => {}
        }
    }

    /// The customer's yes, where their runner is.
    pub(crate) fn customer_says(&mut self, install: usize, digest: &str) {
        self.installs.entry(install).or_default().customer_yes.insert(digest.to_owned());
    }

    /// The brokers say that an attempt which changes something may start: its step is under way from now on.
    pub(crate) fn started(&mut self, install: usize, job: &str, at: Timestamp) {
        let stated = self.installs.entry(install).or_default();
        stated.first.entry(job.to_owned()).or_insert(at);
    }

    /// What is wrong with beginning this now. `started` is when the brokers said that it may.
    pub(crate) fn begins(
        &mut self,
        install: usize,
        spec: &JobSpec,
        started: Timestamp,
        (view, app): (&View, &View),
        world: &World,
    ) -> Option<String> {
        let op = view.operation.as_ref()?;
        let is_it = operation_of(&spec.id) == format!("e{}.o{}", view.epoch, op.number);
        if !is_it || spec.stage == Stage::Plan || !spec.action.mutates() {
            return None;
        }
        self.changes += 1;
        let above: Vec<Frozen> = self.above.values().flat_map(|freezes| freezes.values().cloned()).collect();
        let stated = self.installs.entry(install).or_default();
        let name = &spec.component;
        let wrong = stated.covered(spec, op, (started, &above), &world.plan(install, spec));
        let wrong =
            wrong.map(|wrong| format!("{wrong}: {name} of install {install}, operation {}", op.number));
        let is_asked = self.asked.contains(&(install, spec.release.version.clone()));
        wrong.or_else(|| self.rollouts.begins(install, spec, op, app).filter(|_| !is_asked))
    }

    /// What is wrong with beginning this, of this operation, as far as pauses go.
    pub(crate) fn begins_paused(&self, install: usize, operation: u64) -> Option<String> {
        let going = self.installs.get(&install)?.paused.as_ref()?;
        (!going.contains(&operation)).then(|| {
            format!("paused install {install} begins operation {operation}; {going:?} were under way")
        })
    }

    /// A runner has said how a probe ended.
    pub(crate) fn probed(&mut self, key: &Key, look: &Look, is_accepted: bool) {
        self.health.hear(key, look, is_accepted);
    }

    /// What is wrong with an install as it is now.
    pub(crate) fn look(&mut self, install: usize, view: &View, world: &World) -> Option<String> {
        self.rollouts.look_at_install(install, view);
        let Detail::Install { release, last, .. } = &view.detail else { return None };
        let stated = self.installs.entry(install).or_default();
        let counter = release.as_ref().map(|release| release.counter);
        let before = std::mem::replace(&mut stated.on, counter);
        if let Some((before, now)) = before.zip(counter)
            && now < people::release(before).rollback_floor
        {
            return Some(format!("floor install {install} goes back from release {before} to {now}"));
        }
        let last = last.as_ref().filter(|last| last.number > stated.last)?;
        stated.last = last.number;
        let success = match &last.outcome {
            Outcome::Succeeded(success) => success,
            Outcome::Cancelled { message } if message.contains(TIME_IS_OVER) => {
                let number = last.number;
                return Some(format!(
                    "window operation {number} of install {install} was given up, not held"
                ));
            }
            Outcome::Failed(_) | Outcome::Cancelled { .. } => return None,
        };
        if last.kind != "deploy" {
            return None;
        }
        stated.provisioned = true;
        self.unchanged += left_out(&success.summary);
        let is_deploying = view.operation.as_ref().is_some_and(|op| op.kind == "deploy");
        if is_deploying || success.summary.contains("skipped") {
            return None;
        }
        as_released(install, counter?, world)
    }

    /// A rule did something to an install that looks so now.
    pub(crate) fn acted(&mut self, acted: &Acted, view: &View) -> Option<String> {
        let operation = view.operation.as_ref().map_or(0, |op| op.number);
        self.uses.hear(acted, install_of(&acted.of)?, view.epoch, operation)
    }

    /// What is wrong with what a timeline says of health.
    pub(crate) fn told(&mut self, told: &Told, world: &World) -> Option<String> {
        self.health.look(told, world)
    }

    /// Whether there is a rollout, and something unwell that it may have to count.
    pub(crate) fn watches_unwell(&self) -> bool {
        self.rollouts.watches_unwell()
    }

    /// An app's rollout beside installs that are unwell.
    pub(crate) fn look_at_unwell(&self, view: &View, at: Timestamp) -> Option<String> {
        self.rollouts.look_at_unwell(view, at)
    }

    /// An app's rollout as it is now.
    pub(crate) fn look_at_app(&mut self, view: &View) -> Option<String> {
        self.rollouts.look(view)
    }
}

/// A signal that was accepted.
pub(crate) struct Said<'a> {
    pub(crate) at: Timestamp,
    pub(crate) to: &'a ObjectId,
    pub(crate) by: &'a str,
    pub(crate) key: &'a str,
    pub(crate) signal: &'a Signal,
    /// The object before and after it.
    pub(crate) before: &'a View,
    pub(crate) after: &'a View,
}

impl Frozen {
    fn new(at: Timestamp, from: Option<Timestamp>, until: Timestamp) -> Self {
        Self { from: from.unwrap_or(at), until, said: at }
    }

    /// Whether it holds at this moment for what was under way since then. Said at the same moment it need not:
    /// a clock that was put back stands still for a while.
    fn holds(&self, at: Timestamp, known: Timestamp) -> bool {
        self.said < known && self.from <= at && at < self.until
    }
}

impl Stated {
    fn hear(&mut self, said: &Said<'_>, signal: &InstallSignal) {
        match signal {
            InstallSignal::Create { .. } => *self = Stated { last: 0, ..Stated::default() },
            InstallSignal::SetPolicy { policy } => {
                (self.policy, self.policy_said) = (policy.clone(), said.at);
            }
            InstallSignal::Freeze(AddFreeze { name, from, until, .. }) => {
                self.freezes.insert(name.clone(), Frozen::new(said.at, *from, *until));
            }
            InstallSignal::Unfreeze(RemoveFreeze { name, .. }) => drop(self.freezes.remove(name)),
            InstallSignal::DeployNow { override_freeze, .. } => {
                let deploys = numbers(said.after, Some("deploy"));
                self.pass(deploys, *override_freeze);
            }
            InstallSignal::Proceed { operation, override_freeze, .. } => {
                let meant = operation.map_or_else(|| numbers(said.after, None), |number| vec![number]);
                self.pass(meant, *override_freeze);
            }
            InstallSignal::BreakGlass { for_ms, reason } => {
                let Detail::Install { glass, .. } = &said.after.detail else { return };
                let since = glass.as_ref().map_or(said.at, |glass| glass.since);
                self.glasses.broken(said.by, reason, since, *for_ms);
            }
            InstallSignal::MendGlass {} => self.glasses.mended(said.at),
            InstallSignal::Pause { .. } => {
                let going = [&said.after.operation, &said.after.reading].into_iter().flatten();
                self.paused = Some(going.map(|op| op.number).collect());
            }
            InstallSignal::Resume {} => self.paused = None,
            InstallSignal::SetApproval { policy } => self.asks.push((said.at, policy.clone())),
            InstallSignal::Approve { plan, .. } => {
                let steps = said.before.operation.iter().flat_map(|op| &op.steps);
                let waiting = steps.filter_map(|step| Some(step.asking.as_ref()?.plan.digest.clone()));
                let all = said.before.operation.as_ref().and_then(|op| op.all_plans.as_ref());
                let meant = if all == Some(plan) { waiting.collect() } else { vec![plan.clone()] };
                self.yes.extend(meant.into_iter().map(|digest| (digest, said.by.to_owned())));
            }
            _ => {}
        }
    }

    fn pass(&mut self, numbers: Vec<u64>, freezes: bool) {
        for number in numbers {
            *self.passed.entry(number).or_default() |= freezes;
        }
    }

    /// No change that its window, a freeze or the vendor's people do not allow, unless a broken glass covers it;
    /// and then the job says so to the customer. What the customer must allow, no glass covers.
    fn covered(
        &self,
        spec: &JobSpec,
        op: &OperationView,
        (started, above): (Timestamp, &[Frozen]),
        plan: &Plan,
    ) -> Option<String> {
        if let Some(wrong) = spec.glass.as_ref().and_then(|glass| self.glasses.said(glass)) {
            return Some(wrong);
        }
        let known = self.first.get(&spec.id.job).copied().unwrap_or(started);
        let passes = self.in_time(spec, op, started, above).or_else(|| self.by_leave(spec, op));
        match passes {
            Some(wrong) if !self.glasses.cover(started, known) => Some(wrong),
            Some(wrong) if spec.glass.is_none() => {
                Some(format!("glass passed, and the customer is not told: {wrong}"))
            }
            Some(_) | None => self.by_plan(spec, plan),
        }
    }

    /// No change outside the window, and none in a freeze, unless somebody said why. What is said while a
    /// step is under way lets its further tries go on.
    fn in_time(
        &self,
        spec: &JobSpec,
        op: &OperationView,
        started: Timestamp,
        above: &[Frozen],
    ) -> Option<String> {
        let known = self.first.get(&spec.id.job).copied().unwrap_or(started);
        let passed = self.passed.get(&op.number).copied();
        let is_held = op.kind != "teardown";
        if is_held && passed != Some(true) {
            let frozen = above.iter().chain(self.freezes.values()).find(|f| f.holds(started, known));
            if let Some(Frozen { from, until, .. }) = frozen {
                return Some(format!("freeze {} lies between {} and {}", started.0, from.0, until.0));
            }
        }
        let Policy::Window(window) = &self.policy else { return None };
        // What a probe and a rule began keeps to windows like an update.
        let is_update = op.kind == "recovery" || (op.kind == "deploy" && self.provisioned);
        let schedule = window.schedule().ok()?;
        (is_update && passed.is_none() && self.policy_said < known && schedule.open_at(started).is_none())
            .then(|| format!("window {} is outside the {}", started.0, self.policy))
    }

    /// Nothing is carried out that too few of the vendor's people approved.
    fn by_leave(&self, spec: &JobSpec, op: &OperationView) -> Option<String> {
        let before = self.asks.iter().rfind(|(at, _)| *at < op.since);
        let since = self.asks.iter().filter(|(at, _)| *at >= op.since);
        let rules: Vec<&Approval> = before.into_iter().chain(since).map(|(_, rule)| rule).collect();
        let is_asked = before.is_some() && rules.iter().all(|rule| rule.ask == Ask::Always);
        let quorum = rules.iter().map(|rule| rule.quorum as usize).min().filter(|_| is_asked).unwrap_or(0);
        let Stage::Apply(approved) = &spec.stage else {
            return is_asked.then(|| "approval carried out without a plan".to_owned());
        };
        let yes = self.yes.iter().filter(|(digest, _)| *digest == approved.digest).count();
        if yes < quorum {
            let digest = &approved.digest;
            return Some(format!("approval {digest} carried out: {yes} said yes, {quorum} must"));
        }
        None
    }

    /// Nothing is carried out but the plan that was approved, and by the customer where their remit wants it.
    fn by_plan(&self, spec: &JobSpec, plan: &Plan) -> Option<String> {
        let customer = plan.customer_approval_needed;
        let Stage::Apply(approved) = &spec.stage else {
            let name = &spec.component;
            return customer.then(|| format!("approval {name} carried out, and the customer was not asked"));
        };
        if plan.digest != approved.digest {
            let (is, was) = (&plan.digest, &approved.digest);
            return Some(format!("approval {is} carried out, and {was} was approved"));
        }
        let says_customer = approved.approvals.iter().any(|a| a.side == Side::Customer);
        (customer && !(says_customer && self.customer_yes.contains(&approved.digest)))
            .then(|| format!("approval {} carried out without the customer", approved.digest))
    }
}

/// The operations of an install that began or wait, of one kind or of all.
fn numbers(view: &View, kind: Option<&str>) -> Vec<u64> {
    let fits = |k: &str| kind.is_none_or(|kind| kind == k);
    let begun = view.operation.iter().filter(|op| fits(&op.kind)).map(|op| op.number);
    begun.chain(view.queue.iter().filter(|q| fits(&q.kind)).map(|q| q.number)).collect()
}

/// How many steps a deploy's summary says were left out.
fn left_out(summary: &str) -> u64 {
    let part = summary.split(", ").find_map(|part| part.strip_suffix(" unchanged"));
    part.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// After a deploy that succeeded every component is made as its release says, whether it ran or was left out.
fn as_released(install: usize, counter: u64, world: &World) -> Option<String> {
    let release = people::release(counter);
    let is_other = |name: &String| {
        let thing = world.things.get(&(install, name.clone())).cloned().unwrap_or_default();
        let Thing { exists, recipe, .. } = thing;
        (!exists || recipe != people::recipe(counter, name)) && !world.is_unknown(install, name)
    };
    let names = release.components.into_iter().map(|component| component.name);
    let other = names.into_iter().find(is_other)?;
    Some(format!("unchanged {other} of install {install} is not as release {counter} wants it"))
}
