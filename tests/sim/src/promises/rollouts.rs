//! Rollouts as they were asked for: never over the budget, never into the next wave before its time.

use std::collections::BTreeMap;

use remit_loops::Timestamp;
use remit_loops::app::{Plan, RolloutView, Signal};
use remit_loops::job::Action;
use remit_loops::runner::JobSpec;
use remit_loops::status::OperationView;
use remit_loops::view::{Detail, View};

/// The rollouts that were asked for, and how far the last one was seen to be.
#[derive(Clone, Default)]
pub(crate) struct Rollouts {
    /// The one that was asked for last.
    plan: Option<Plan>,
    /// How many it has been.
    number: u64,
    budget: u32,
    /// As it was seen last.
    seen: Option<RolloutView>,
    /// When each wave was seen to be through.
    through: BTreeMap<u32, Timestamp>,
    /// The furthest wave that it was seen at, from 1.
    furthest: u32,
    /// Installs that do not do their work, by what their own views say: on which release, since when.
    unwell: BTreeMap<usize, (String, Timestamp)>,
}

/// How long the app may not know that an install is unwell: brokers may die in between.
const TOLD_WITHIN_MS: i64 = 60_000;

impl Rollouts {
    pub(super) fn hear(&mut self, signal: &Signal) {
        match signal {
            Signal::Create {} => *self = Self { unwell: std::mem::take(&mut self.unwell), ..Self::default() },
            Signal::StartRollout { plan } => {
                let number = self.number + 1;
                let (plan, budget) = (Some(plan.clone()), plan.failures_max);
                let unwell = std::mem::take(&mut self.unwell);
                *self = Self { plan, number, budget, unwell, ..Self::default() };
            }
            Signal::ResumeRollout { failures_max } => self.budget = failures_max.unwrap_or(self.budget),
            _ => {}
        }
    }

    pub(super) fn look(&mut self, view: &View) -> Option<String> {
        let Detail::App { rollout, .. } = &view.detail else { return None };
        let now = rollout.as_ref().filter(|now| now.number == self.number)?;
        let plan = self.plan.as_ref()?;
        let before = self.seen.replace((**now).clone());
        if now.failed > self.budget && matches!(now.state.as_str(), "going" | "baking" | "done") {
            let (number, failed, budget) = (now.number, now.failed, self.budget);
            // Once it is done, those that were left waiting may still fail.
            let was_over = before.as_ref().is_some_and(|before| before.state == "done");
            return (!was_over).then(|| {
                format!("budget rollout {number} is {} with {failed} failed of {budget}", now.state)
            });
        }
        if now.state == "baking" {
            self.through.insert(now.wave, now.since);
        }
        let from = before.map_or(1, |before| before.wave);
        let upto = if now.state == "done" { now.wave + 1 } else { now.wave };
        self.furthest = self.furthest.max(now.wave);
        for wave in from..upto {
            let asked = plan.waves.get(wave as usize - 1)?.bake_ms;
            let watched = self.through.get(&wave).map_or(0, |through| now.since.since_ms(*through));
            if watched < asked {
                let number = now.number;
                return Some(format!(
                    "bake wave {wave} of rollout {number} was watched for {watched} of {asked} ms"
                ));
            }
        }
        None
    }

    /// Whether an install that is at rest does its work.
    pub(super) fn look_at_install(&mut self, install: usize, view: &View) {
        let Detail::Install { release, components, .. } = &view.detail else { return };
        let unwell = components.iter().filter(|component| component.state == "unwell");
        let since = unwell.filter_map(|c| Some(c.health.as_ref()?.health.unwell.as_ref()?.since)).min();
        let is_at_rest = view.operation.is_none() && view.status.word != "deleting";
        match since.zip(release.as_ref()).filter(|_| is_at_rest) {
            Some((since, release)) => {
                self.unwell.insert(install, (release.version.clone(), since));
            }
            None => drop(self.unwell.remove(&install)),
        }
    }

    pub(super) fn watches_unwell(&self) -> bool {
        self.plan.is_some() && !self.unwell.is_empty()
    }

    /// As long as a wave is watched, nobody counts as done who does not do their work: of each wave at least
    /// as many are not done as are unwell.
    pub(super) fn look_at_unwell(&self, view: &View, at: Timestamp) -> Option<String> {
        let Detail::App { rollout, .. } = &view.detail else { return None };
        let now = rollout.as_ref().filter(|now| now.number == self.number)?;
        if !matches!(now.state.as_str(), "going" | "baking") {
            return None;
        }
        let is_unwell = |install: &usize| {
            let (version, since) = &self.unwell[install];
            *version == now.release.version && at.since_ms(*since) > TOLD_WITHIN_MS
        };
        let unwell: Vec<String> =
            self.unwell.keys().filter(|install| is_unwell(install)).map(|n| format!("c{n}")).collect();
        let waves = self.plan.as_ref()?.waves.iter().zip(&now.waves);
        let wrong = waves.take(now.wave as usize).find_map(|(asked, is)| {
            let ill: Vec<&String> = asked.installs.iter().filter(|name| unwell.contains(name)).collect();
            (is.done as usize + ill.len() > is.installs as usize).then_some((is, ill))
        });
        let (wave, ill) = wrong?;
        let (number, done) = (now.number, wave.done);
        Some(format!(
            "budget rollout {number} counts {done} of {} in wave {} as done, and {ill:?} are unwell",
            wave.installs, wave.name
        ))
    }

    /// A release that is only rolled out goes to nobody whose wave has not come.
    pub(super) fn begins(
        &self,
        install: usize,
        spec: &JobSpec,
        op: &OperationView,
        app: &View,
    ) -> Option<String> {
        let Detail::App { rollout, held, .. } = &app.detail else { return None };
        let now = rollout.as_ref().filter(|now| now.number == self.number && !now.rollback)?;
        let version = &spec.release.version;
        let is_rolled_out = op.kind == "deploy" && spec.action == Action::Deploy;
        if !is_rolled_out || now.release.version != *version || !held.contains(version) {
            return None;
        }
        let name = format!("c{install}");
        let wave = self.plan.as_ref()?.waves.iter().position(|wave| wave.installs.contains(&name));
        let has_come = wave.is_some_and(|wave| wave < self.furthest as usize);
        (!has_come).then(|| {
            format!(
                "wave {version} begins at install {install}, and rollout {} is at wave {}",
                self.number, now.wave
            )
        })
    }
}
