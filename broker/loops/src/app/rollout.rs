//! A rollout: a release goes to installs in waves, each watched for a while before the next.
//!
//! The app tells an install of the release; the install takes it by its own policy and says how it
//! goes. More failures than the budget halt it: nothing new is told, and what waits is taken back.

pub(crate) mod members;
mod view;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::message::{Plan, Progress, Wave};
use crate::children::Children;
use crate::event::{Effect, Event, record, record_at};
use crate::id::ObjectId;
use crate::install::message::ToInstall;
use crate::notice::Notice;
use crate::page::Page;
use crate::rejected::{Rejected, RejectedCode, check_reason, conflict};
use crate::release::{Release, ReleaseRef};
use crate::time::Timestamp;
use crate::timeline::Level;
use members::{Counts, Member, Members, Page as MembersPage, Sort};

/// The most installs of one rollout.
const MEMBERS_MAX: usize = 10_000;

/// The most waves of one rollout.
const WAVES_MAX: usize = 50;

/// The longest bake time: a month.
const BAKE_MS_MAX: i64 = 31 * 24 * 3_600_000;

/// Where a rollout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Phase {
    Going,
    /// The wave is done and watched.
    Baking {
        until: Timestamp,
    },
    Paused {
        by: String,
        reason: String,
        /// By itself: more failed than its budget.
        halted: bool,
    },
    Done,
    Aborted {
        by: String,
        reason: String,
    },
}

/// A wave under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Under {
    name: String,
    bake_ms: i64,
    members: Members,
}

/// A rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rollout {
    pub(crate) number: u64,
    pub(crate) release: Release,
    by: String,
    began: Timestamp,
    since: Timestamp,
    waves: Vec<Under>,
    /// The wave that is told or watched.
    wave: usize,
    phase: Phase,
    failures_max: u32,
    at_once: u32,
    leaves_waiting: bool,
    pub(crate) rollback: bool,
}

impl Rollout {
    pub(crate) fn new(
        number: u64,
        event: &Event,
        release: &Release,
        plan: &Plan,
        installs: &Children,
    ) -> Result<Self, Rejected> {
        check(plan, installs)?;
        let under = |wave: &Wave| Under {
            name: wave.name.clone(),
            bake_ms: wave.bake_ms,
            members: wave.installs.iter().map(|name| (name.clone(), Member::Ahead)).collect(),
        };
        Ok(Self {
            number,
            release: release.clone(),
            by: event.by.to_string(),
            began: event.at,
            since: event.at,
            waves: plan.waves.iter().map(under).collect(),
            wave: 0,
            phase: Phase::Going,
            failures_max: plan.failures_max,
            at_once: plan.at_once,
            leaves_waiting: plan.leaves_waiting,
            rollback: plan.rollback,
        })
    }

    /// Of all waves.
    fn counts(&self) -> Counts {
        self.waves.iter().map(|wave| *wave.members.counts()).sum()
    }

    fn failed(&self) -> u32 {
        self.counts().of(Sort::Failed)
    }

    fn is_over_budget(&self) -> bool {
        self.failed() > self.failures_max
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Aborted { .. })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match self.phase {
            Phase::Baking { until } => Some(until),
            Phase::Going | Phase::Paused { .. } | Phase::Done | Phase::Aborted { .. } => None,
        }
    }

    fn enter(&mut self, phase: Phase, at: Timestamp) {
        self.phase = phase;
        self.since = at;
    }

    /// An install says how it goes; what it says of another rollout changes nothing.
    pub(crate) fn hear(&mut self, install: &str, progress: &Progress) {
        self.waves.iter_mut().for_each(|wave| wave.members.set(install, Member::Is(progress.clone())));
    }

    pub(crate) fn forget(&mut self, install: &str) {
        self.waves.iter_mut().for_each(|wave| wave.members.set(install, Member::Gone));
    }

    /// Does what can be done now. The same path after every event.
    pub(crate) fn turn(&mut self, app: &ObjectId, at: Timestamp) -> Vec<Effect> {
        let mut effects = vec![];
        while self.step(app, at, &mut effects) {}
        effects
    }

    fn step(&mut self, app: &ObjectId, at: Timestamp, effects: &mut Vec<Effect>) -> bool {
        match self.phase {
            Phase::Going | Phase::Baking { .. } if self.is_over_budget() => {
                effects.extend(self.halt(app, at));
                false
            }
            Phase::Going => {
                effects.extend(self.tell(app));
                self.end_wave(at, effects)
            }
            Phase::Baking { until } if until <= at => self.next_wave(at, effects),
            Phase::Baking { .. } | Phase::Paused { .. } | Phase::Done | Phase::Aborted { .. } => false,
        }
    }

    /// Tells as many installs of the wave as may be at it at once.
    fn tell(&mut self, app: &ObjectId) -> Vec<Effect> {
        let room = self.at_once.saturating_sub(self.counts().busy());
        let Some(wave) = self.waves.get_mut(self.wave) else { return vec![] };
        let told = wave.members.tell(room);
        let (rollout, rollback) = (self.number, self.rollback);
        let tell = |name: String| {
            let release = self.release.for_install(&name);
            let notice = Notice::Install(ToInstall::UpdateOffered { release, rollout, rollback });
            app.child(&name).ok().map(|to| Effect::Tell { to, notice })
        };
        told.into_iter().filter_map(tell).collect()
    }

    fn end_wave(&mut self, at: Timestamp, effects: &mut Vec<Effect>) -> bool {
        let Some(wave) = self.waves.get(self.wave) else { return false };
        let counts = wave.members.counts();
        let left = if self.leaves_waiting { counts.of(Sort::Waiting) } else { 0 };
        if counts.over() + left < counts.all() {
            return false;
        }
        let text = format!("wave {} of rollout {} is through", wave.name, self.number);
        effects.push(record("rollout.wave", text));
        let until = at.plus_ms(wave.bake_ms);
        self.enter(Phase::Baking { until }, at);
        true
    }

    fn next_wave(&mut self, at: Timestamp, effects: &mut Vec<Effect>) -> bool {
        if self.wave + 1 < self.waves.len() {
            self.wave += 1;
            self.enter(Phase::Going, at);
            return true;
        }
        // Those that were left waiting may still fail; what they do then is on their own record.
        self.enter(Phase::Done, at);
        let text = format!("rollout {} of release {} is done", self.number, self.release.version);
        effects.push(record("rollout.done", text));
        false
    }

    fn halt(&mut self, app: &ObjectId, at: Timestamp) -> Vec<Effect> {
        let reason = format!("{} failed, its budget is {}", self.failed(), self.failures_max);
        let text = format!("rollout {} of release {} halts: {reason}", self.number, self.release.version);
        let effects = self.withdraw(app);
        self.enter(Phase::Paused { by: "itself".to_owned(), reason, halted: true }, at);
        [record_at(Level::Error, "rollout.halted", text)].into_iter().chain(effects).collect()
    }

    /// Takes back what was told and has not begun: it may be told again.
    fn withdraw(&mut self, app: &ObjectId) -> Vec<Effect> {
        let rollout = self.number;
        let withdrawn = self.waves.iter_mut().flat_map(|wave| wave.members.withdraw());
        let withdraw = |name: String| {
            app.child(&name).ok().map(|to| Effect::Tell {
                to,
                notice: Notice::Install(ToInstall::UpdateWithdrawn { rollout }),
            })
        };
        withdrawn.filter_map(withdraw).collect()
    }

    pub(crate) fn pause(
        &mut self,
        app: &ObjectId,
        event: &Event,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        check_reason(reason)?;
        self.check_open()?;
        let (by, reason) = (event.by.to_string(), reason.to_owned());
        let text = format!("rollout {} was paused by {by}: {reason}", self.number);
        let effects = self.withdraw(app);
        self.enter(Phase::Paused { by, reason, halted: false }, event.at);
        Ok([record("rollout.paused", text)].into_iter().chain(effects).collect())
    }

    pub(crate) fn resume(
        &mut self,
        event: &Event,
        failures_max: Option<u32>,
    ) -> Result<Vec<Effect>, Rejected> {
        let Phase::Paused { .. } = self.phase else {
            return Err(conflict(&format!("rollout {} is not paused", self.number)));
        };
        let budget = failures_max.unwrap_or(self.failures_max);
        if self.failed() > budget {
            let message = format!(
                "{} installs failed, its budget is {budget}: mend them, or resume it with a greater budget",
                self.failed()
            );
            return Err(conflict(&message));
        }
        self.failures_max = budget;
        // The wave that was told has members that are ahead again: it goes on with them.
        let first_ahead = |wave: &Under| wave.members.counts().of(Sort::Ahead) > 0;
        self.wave = self.waves.iter().position(first_ahead).map_or(self.wave, |first| first.min(self.wave));
        self.enter(Phase::Going, event.at);
        let text = format!("rollout {} was resumed by {}, with a budget of {budget}", self.number, event.by);
        Ok(vec![record("rollout.resumed", text)])
    }

    pub(crate) fn abort(
        &mut self,
        app: &ObjectId,
        event: &Event,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        check_reason(reason)?;
        self.check_open()?;
        let (by, reason) = (event.by.to_string(), reason.to_owned());
        let text = format!("rollout {} was aborted by {by}: {reason}", self.number);
        let effects = self.withdraw(app);
        self.enter(Phase::Aborted { by, reason }, event.at);
        Ok([record_at(Level::Warning, "rollout.aborted", text)].into_iter().chain(effects).collect())
    }

    fn check_open(&self) -> Result<(), Rejected> {
        if self.is_over() {
            return Err(conflict(&format!("rollout {} is over", self.number)));
        }
        Ok(())
    }

    /// The pages of its members.
    pub(crate) fn pages(&self) -> Vec<Page> {
        let of = |(wave, under): (u16, &Under)| {
            let pages = (0_u16..).zip(under.members.pages());
            pages.map(|(place, page)| Page::of_members(wave, place, page)).collect::<Vec<_>>()
        };
        (0_u16..).zip(&self.waves).flat_map(of).collect()
    }

    /// How many installs it is for.
    pub(crate) fn len(&self) -> usize {
        self.counts().all() as usize
    }

    /// It without the pages of its members.
    pub(crate) fn without_pages(&self) -> Self {
        let empty = |under: &Under| Under {
            name: under.name.clone(),
            bake_ms: under.bake_ms,
            members: Members::default(),
        };
        let waves = self.waves.iter().map(empty).collect();
        Self { waves, ..self.clone() }
    }

    /// Puts a page of a wave's members back; none if there is no such wave.
    pub(crate) fn put_page(&mut self, wave: usize, page: MembersPage) -> Option<()> {
        self.waves.get_mut(wave).map(|under| under.members.put(page))
    }

    /// Names the release, as people do.
    pub(crate) fn of(&self) -> ReleaseRef {
        ReleaseRef::from(&self.release)
    }
}

fn check(plan: &Plan, installs: &Children) -> Result<(), Rejected> {
    let invalid = |message: String| Err(Rejected::new(RejectedCode::RolloutInvalid, message));
    let count: usize = plan.waves.iter().map(|wave| wave.installs.len()).sum();
    if count == 0 || count > MEMBERS_MAX || plan.waves.len() > WAVES_MAX {
        return invalid(format!(
            "a rollout has 1 to {MEMBERS_MAX} installs in at most {WAVES_MAX} waves, not {count} in {}",
            plan.waves.len()
        ));
    }
    if plan.at_once == 0 {
        return invalid("not one install may be at it at once: it would never end".to_owned());
    }
    let known: BTreeSet<&str> = installs.iter().map(ObjectId::name).collect();
    let mut seen = BTreeSet::new();
    for wave in &plan.waves {
        if !(0..=BAKE_MS_MAX).contains(&wave.bake_ms) {
            return invalid(format!("wave {} bakes for at most 31 days", wave.name));
        }
        if wave.installs.is_empty() {
            return invalid(format!("wave {} has no installs", wave.name));
        }
        for install in &wave.installs {
            if !known.contains(install.as_str()) {
                return invalid(format!("the app has no install {install}"));
            }
            if !seen.insert(install) {
                return invalid(format!("install {install} is in two waves"));
            }
        }
    }
    Ok(())
}
