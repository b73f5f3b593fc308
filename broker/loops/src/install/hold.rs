//! What keeps a change of an install waiting: its window, and freezes. Who may pass them, and when
//! the install looks again.
//!
//! A window holds updates, and mends that no person asked for; a freeze holds every change but a
//! teardown; looking is held by nothing. What runs at the end is finished, and nothing new begins.

use super::lanes::{Lane, Queued};
use super::offers::{Answer, Offer, Policy};
use super::operation::{Operation, Steps, What};
use super::reconcile::gives_way;
use super::updates::Pass;
use super::{Install, Live, State};
use crate::actor::Actor;
use crate::component::message::ToComponent;
use crate::event::{Effect, Event, record, record_at};
use crate::freeze::Freeze;
use crate::graph::StepState;
use crate::id::ObjectId;
use crate::notice::Notice;
use crate::rejected::Rejected;
use crate::release::Release;
use crate::time::Timestamp;
use crate::timeline::Level;
use crate::waiting::Waiting;
use crate::wake::{self, Wake};
use crate::window::{Late, Opening, Schedule, Window};

/// How soon to look again where no better time is known: a zone that a newer table no longer has.
const LOOK_AGAIN_MS: i64 = 24 * 3_600_000;

/// Why a change waits, and until when at the earliest.
pub(super) struct Hold {
    code: &'static str,
    pub(super) reason: String,
    pub(super) until: Timestamp,
    on: Option<ObjectId>,
    is_freeze: bool,
}

/// What a change keeps to.
#[derive(Clone, Copy)]
struct Bounds {
    window: bool,
    freeze: bool,
}

impl Hold {
    fn frozen(freeze: &Freeze) -> Self {
        let reason = format!(
            "nothing is changed until {}: freeze {} of {} by {}: {}",
            freeze.until, freeze.name, freeze.of, freeze.by, freeze.reason
        );
        let on = Some(freeze.of.clone());
        Self { code: "waiting.freeze", reason, until: freeze.until, on, is_freeze: true }
    }

    fn closed(schedule: &Schedule, next: Opening, how: &str) -> Self {
        let after = schedule.openings(next.closes).find(|opening| opening.opens > next.opens);
        let after = after.map(|o| format!(", then {}", schedule.local(o.opens))).unwrap_or_default();
        let reason = format!("{how}: its window opens {}{after}", schedule.local(next.opens));
        Self { code: "waiting.window", reason, until: next.opens, on: None, is_freeze: false }
    }

    fn broken(at: Timestamp, words: &str) -> Self {
        let until = at.plus_ms(LOOK_AGAIN_MS);
        let reason = format!("nobody can say when its window opens: {words}");
        Self { code: "waiting.window", reason, until, on: None, is_freeze: false }
    }

    fn waiting(self, id: &ObjectId, what: &str, since: Timestamp) -> Waiting {
        let over = if self.is_freeze { " --override-freeze true" } else { "" };
        Waiting {
            code: self.code.to_owned(),
            reason: format!("{what} waits; {}", self.reason),
            since,
            on: self.on.filter(|on| on != id),
            remedy: format!("it goes on by itself; now: `remit signal {id} proceed{over} --reason …`"),
            evidence: None,
        }
    }
}

impl Install {
    /// When to look again, and for what, if something waits for a time.
    pub(crate) fn wake(&self) -> Option<(Timestamp, Wake)> {
        match &self.state {
            State::Live(live) => wake::first([
                (live.updates.wake, Wake::Hold),
                (live.plan_deadline(), Wake::PlanAge),
                (live.look_due(&self.id), Wake::DriftCheck),
                (live.probe_due(&self.id), Wake::Probe),
                (live.mend_deadline(), Wake::Rule),
                (live.glass_until(), Wake::BreakGlass),
            ]),
            State::Absent | State::Gone(_) => None,
        }
    }
}

impl Live {
    fn bounds(&self, what: &What, by: &Actor, number: u64) -> Bounds {
        let plan = what.plan();
        // A teardown waits for nothing; looking changes nothing.
        let changes = plan.lane == Lane::Work && plan.waits_for_parent;
        let window = match plan.steps {
            Steps::OfRelease(_) => self.provisioned,
            Steps::OfParts(..)
            | Steps::OfNamed(_)
            | Steps::Adopting(_)
            | Steps::Probing(_)
            | Steps::Failed(..) => !matches!(by, Actor::Person(_)),
        };
        let pass = self.updates.passes.get(&number).copied().unwrap_or_default();
        Bounds { window: changes && window && !pass.window, freeze: changes && !pass.freeze }
    }

    /// Until when a change may go on that keeps to this; or what holds it.
    fn allowed(&self, at: Timestamp, bounds: Bounds, begins: bool) -> Result<Option<Timestamp>, Hold> {
        if self.glass_at(at).is_some() {
            return Ok(None);
        }
        let mut end = None;
        if bounds.freeze {
            if let Some(freeze) = self.updates.freezes.holding(at) {
                return Err(Hold::frozen(freeze));
            }
            end = self.updates.freezes.next(at);
        }
        if let (true, Policy::Window(window)) = (bounds.window, &self.updates.policy) {
            let closes = self.open(at, window, begins)?.closes;
            end = Some(end.map_or(closes, |end| end.min(closes)));
        }
        Ok(end)
    }

    fn open(&self, at: Timestamp, window: &Window, begins: bool) -> Result<Opening, Hold> {
        let schedule = window.schedule().map_err(|rejected| Hold::broken(at, &rejected.message))?;
        let mut openings = schedule.openings(at);
        let Some(opening) = openings.next() else {
            return Err(Hold::broken(at, "the calendar ends"));
        };
        if !opening.holds(at) {
            return Err(Hold::closed(&schedule, opening, "its window is closed"));
        }
        let is_late = begins && window.late == Late::Wait && !self.fits(at, opening);
        match openings.next().filter(|_| is_late) {
            Some(next) => {
                let how = "its window is open, but not for as long as a deploy took here";
                Err(Hold::closed(&schedule, next, how))
            }
            None => Ok(opening),
        }
    }

    /// Whether an update should be done before its window closes. What takes longer than the window
    /// itself begins with it, or it never would.
    fn fits(&self, at: Timestamp, opening: Opening) -> bool {
        let whole = opening.closes.since_ms(opening.opens);
        let needed = self.updates.longest_deploy_ms.min(whole / 10 * 9);
        opening.closes.since_ms(at) >= needed
    }

    /// Whether a queued operation is held, and by what.
    pub(super) fn queue_hold(&self, at: Timestamp, queued: &Queued<What>) -> Option<Hold> {
        self.allowed(at, self.bounds(&queued.what, &queued.by, queued.number), true).err()
    }

    /// Until when the steps of an operation may begin; or what holds them.
    pub(super) fn step_hold(&self, at: Timestamp, op: &Operation) -> Result<Option<Timestamp>, Hold> {
        self.allowed(at, self.bounds(&op.what, &op.by, op.number), false)
    }

    /// Whether a release may be taken out of the inbox.
    pub(super) fn may_update(&self, at: Timestamp) -> Result<Option<Timestamp>, Hold> {
        // What somebody opted in to waits for no window: that is the policy's, and it is `manual`.
        self.allowed(at, Bounds { window: self.provisioned, freeze: true }, true)
    }

    /// A line for the timeline, when a release that came out is not taken at once.
    pub(super) fn says_it_waits(&self, at: Timestamp, release: &Release) -> Option<Effect> {
        let version = &release.version;
        if self.updates.candidate().is_none() {
            let text = format!("release {version} waits for somebody to opt in");
            return Some(record("update.waiting", text));
        }
        let hold = self.may_update(at).err()?;
        Some(record("update.waiting", format!("release {version} waits; {}", hold.reason)))
    }

    /// Lets what waits for a window go on now, or for a freeze if that is said.
    pub(super) fn proceed(
        &mut self,
        event: &Event,
        number: Option<u64>,
        reason: &str,
        override_freeze: bool,
    ) -> Result<Vec<Effect>, Rejected> {
        let at = event.at;
        let working = self.work.iter().filter_map(|op| Some((op.number, self.step_hold(at, op).err()?)));
        let waiting = self.lanes.iter().filter_map(|(_, _, q)| Some((q.number, self.queue_hold(at, q)?)));
        let held: Vec<(u64, Hold)> = working.chain(waiting).collect();
        let found = held.into_iter().find(|(held, _)| number.is_none_or(|number| number == *held));
        let (target, hold) = match (found, self.updates.candidate()) {
            (Some((number, hold)), _) => (Ok(number), hold),
            (None, Some(place)) if number.is_none() => match self.may_update(at) {
                Err(hold) => (Err(place), hold),
                Ok(_) => return Err(crate::rejected::conflict("nothing waits for a window or a freeze")),
            },
            (None, _) => return Err(crate::rejected::conflict("nothing waits for a window or a freeze")),
        };
        if hold.is_freeze && !override_freeze {
            let message = format!("{}; `override_freeze` lets it go on", hold.reason);
            return Err(crate::rejected::conflict(&message));
        }
        let mut effects = vec![];
        let number = target.unwrap_or_else(|place| {
            effects.extend(self.take(at, place));
            self.number
        });
        effects.extend(self.pass(event, number, reason, override_freeze));
        Ok(effects)
    }

    /// From now on this operation keeps to no window, and to no freeze if that is said.
    fn pass(&mut self, event: &Event, number: u64, reason: &str, freeze: bool) -> Vec<Effect> {
        self.updates.passes.insert(number, Pass { window: true, freeze });
        let what = if freeze { "windows and freezes" } else { "windows" };
        let text = format!("{} lets operation {number} pass {what}: {reason}", event.by);
        let entry = record_at(Level::Warning, "window.passed", text);
        [entry].into_iter().chain(self.outdone_by(number, freeze)).collect()
    }

    /// Older deploys that wait give way to a newer that passes whatever they pass.
    fn outdone_by(&mut self, number: u64, freeze: bool) -> Vec<Effect> {
        let passes = &self.updates.passes;
        let is_deploy = |q: &Queued<What>| matches!(q.what, What::Deploy { .. });
        if !self.lanes.iter().any(|(_, _, q)| q.number == number && is_deploy(q)) {
            return vec![];
        }
        let passes_more = |older: u64| passes.get(&older).is_some_and(|pass| pass.freeze && !freeze);
        let older = self.lanes.take_where(|q| is_deploy(q) && q.number < number && !passes_more(q.number));
        older.into_iter().map(|q| gives_way(q.number, number)).collect()
    }

    /// A deploy that passes windows; one that is held in the middle goes on before it.
    pub(super) fn deploy_now(
        &mut self,
        event: &Event,
        version: Option<String>,
        reason: &str,
        override_freeze: bool,
    ) -> Vec<Effect> {
        let mut effects = self.enqueue_deploy(event.at, &event.by, version);
        let before =
            self.work.as_ref().filter(|op| matches!(op.what, What::Deploy { .. })).map(|op| op.number);
        for number in before.into_iter().chain([self.number]) {
            effects.extend(self.pass(event, number, reason, override_freeze));
        }
        effects
    }

    /// Takes back what was given out and not begun when its time was over; it is given out again.
    pub(super) fn recall(&mut self, id: &ObjectId, at: Timestamp) -> Vec<Effect> {
        let hold = self.work.as_ref().and_then(|op| self.step_hold(at, op).err());
        let until = self.glass_at(at).map(|glass| glass.until);
        let Some(op) = self.work.as_mut().filter(|op| op.is_running()) else { return vec![] };
        let operation = op.number;
        let fits = |s: &&mut crate::graph::Step| {
            s.state == StepState::Running && s.attempt == 0 && s.stopping.is_none() && !s.recalled
        };
        let mut effects = vec![];
        for step in op.graph.steps.iter_mut().filter(fits) {
            let is_whole = step.by_glass && step.begin_by > until;
            let reason = match &hold {
                Some(hold) => hold.reason.clone(),
                None if is_whole => "the glass is whole again".to_owned(),
                None => continue,
            };
            step.recalled = true;
            let stop = Notice::Component(ToComponent::Stop { operation, reason });
            effects.extend(id.child(&step.component).ok().map(|to| Effect::Tell { to, notice: stop }));
        }
        effects
    }

    /// A component did not begin in time: the step waits for the next.
    pub(super) fn gave_back(&mut self, at: Timestamp, operation: u64, component: &str) {
        let is_held =
            self.work.as_ref().is_some_and(|op| op.number == operation && self.step_hold(at, op).is_err());
        let Some(op) = self.work.as_mut().filter(|op| op.number == operation) else { return };
        let Some(index) = op.graph.running(component) else { return };
        let step = &mut op.graph.steps[index];
        step.recalled |= is_held || step.begin_by.is_some_and(|by| by <= at);
    }

    /// Works out when to look again, and forgets what is over. A tick that came too early changes nothing.
    pub(super) fn set_wake(&mut self, at: Timestamp, is_tick: bool) {
        let before = (self.updates.wake, self.updates.looked);
        let numbers: Vec<u64> =
            self.work.iter().map(|op| op.number).chain(self.lanes.iter().map(|(_, _, q)| q.number)).collect();
        self.updates.passes.retain(|number, _| numbers.contains(number));
        let queued = self.lanes.iter().filter_map(|(_, _, q)| Some(self.queue_hold(at, q)?.until));
        let offered = self.updates.candidate().and_then(|_| Some(self.may_update(at).err()?.until));
        let snoozed = self.updates.inbox.iter().filter_map(|offer| match offer.answer {
            Answer::Snoozed { until, .. } => Some(until),
            Answer::Open | Answer::OptedIn { .. } | Answer::Declined { .. } => None,
        });
        let running = self.work.as_ref().and_then(|op| self.wake_of(at, op));
        let all = queued.chain(offered).chain(snoozed).chain(running);
        self.updates.wake = all.min().map(|wake| wake.max(at.plus_ms(1)));
        self.updates.looked = self.updates.wake.map(|_| at);
        if is_tick && self.updates.wake == before.0 {
            self.updates.looked = before.1;
        }
    }

    /// When an operation that runs must be looked at: as long as something of it has not begun.
    fn wake_of(&self, at: Timestamp, op: &Operation) -> Option<Timestamp> {
        let not_begun = |s: &crate::graph::Step| s.state == StepState::Running && s.attempt == 0;
        match self.step_hold(at, op) {
            Err(hold) => Some(hold.until).filter(|_| op.waits_to_begin()),
            Ok(end) => end.filter(|_| op.graph.steps.iter().any(not_begun)),
        }
    }

    /// What waits for a window, a freeze, a person's word or a time.
    pub(super) fn update_reasons(&self, id: &ObjectId) -> Vec<Waiting> {
        let mut why = self.updates.looked.map(|at| self.hold_reasons(id, at)).unwrap_or_default();
        why.extend(self.updates.inbox.iter().filter_map(|offer| self.answer_reason(id, offer)));
        why
    }

    /// What is held, as it was when it was looked at last.
    fn hold_reasons(&self, id: &ObjectId, at: Timestamp) -> Vec<Waiting> {
        let mut why = vec![];
        if let Some(op) = &self.work
            && let Err(hold) = self.step_hold(at, op)
            && op.waits_to_begin()
        {
            let what = format!("the rest of operation {} ({})", op.number, op.what.as_str());
            why.push(hold.waiting(id, &what, op.since));
        }
        for (_, _, queued) in self.lanes.iter() {
            if let Some(hold) = self.queue_hold(at, queued) {
                let what = format!("operation {} ({})", queued.number, queued.what.as_str());
                why.push(hold.waiting(id, &what, queued.since));
            }
        }
        if let Some(offer) = self.updates.candidate().and_then(|place| self.updates.inbox.get(place))
            && let Err(hold) = self.may_update(at)
        {
            why.push(hold.waiting(id, &format!("release {}", offer.release.version), offer.since));
        }
        why
    }

    /// A release that waits for a person.
    fn answer_reason(&self, id: &ObjectId, offer: &Offer) -> Option<Waiting> {
        let (version, name) = (&offer.release.version, id.name());
        let (code, reason, remedy) = match &offer.answer {
            Answer::Snoozed { by, until } => (
                "waiting.snoozed",
                format!("release {version} waits until {until}; {by} put it off"),
                format!("it counts again then; now: `remit opt-in {name}`"),
            ),
            Answer::Open if self.updates.policy == Policy::Manual {} => (
                "waiting.opt_in",
                format!("release {version} waits for somebody to opt in"),
                format!("`remit updates {name}` shows what would change; `remit opt-in {name}`"),
            ),
            Answer::Open | Answer::OptedIn { .. } | Answer::Declined { .. } => return None,
        };
        let (code, since) = (code.to_owned(), offer.since);
        Some(Waiting { code, reason, since, on: None, remedy, evidence: None })
    }
}
