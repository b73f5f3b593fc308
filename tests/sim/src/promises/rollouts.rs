//! Rollouts as they were asked for: never over the budget, never into the next wave before its time.

use std::collections::BTreeMap;

use remit_loops::Timestamp;
use remit_loops::app::{Plan, RolloutView, Signal};
use remit_loops::job::{Action, JobSpec};
use remit_loops::view::{Detail, OperationView, View};

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
}

impl Rollouts {
    pub(super) fn hear(&mut self, signal: &Signal) {
        match signal {
            Signal::Create {} => *self = Self::default(),
            Signal::StartRollout { plan } => {
                let number = self.number + 1;
                *self =
                    Self { plan: Some(plan.clone()), number, budget: plan.failures_max, ..Self::default() };
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
