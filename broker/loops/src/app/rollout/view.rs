//! A rollout as people and programs see it: sums, and the installs that somebody should know of.

use super::{Member, Phase, Rollout, Sort, Under};
use crate::app::message::{NamedMember, RolloutView, WaveView};
use crate::id::ObjectId;
use crate::waiting::Waiting;

/// How many installs of one sort are named.
const NAMED_MAX: usize = 20;

fn named(wave: &Under) -> Vec<NamedMember> {
    let told = |sort, state: &'static str| {
        let named = move |(install, member): (&String, &Member)| {
            let why = member.why()?.to_owned();
            Some(NamedMember { install: install.clone(), state: state.to_owned(), why })
        };
        wave.members.of(sort).filter_map(named).take(NAMED_MAX)
    };
    let sorts = [(Sort::Failed, "failed"), (Sort::Waiting, "waiting"), (Sort::Refused, "refused")];
    sorts.into_iter().flat_map(|(sort, state)| told(sort, state)).collect()
}

impl Under {
    fn view(&self) -> WaveView {
        let counts = self.members.counts();
        WaveView {
            name: self.name.clone(),
            installs: counts.all(),
            ahead: counts.of(Sort::Ahead),
            waiting: counts.of(Sort::Waiting),
            running: counts.busy(),
            done: counts.of(Sort::Done),
            failed: counts.of(Sort::Failed),
            refused: counts.of(Sort::Refused),
            named: named(self),
        }
    }
}

impl Rollout {
    pub(crate) fn view(&self) -> RolloutView {
        let (state, description) = self.words();
        RolloutView {
            number: self.number,
            release: self.of(),
            rollback: self.rollback,
            state: state.to_owned(),
            description,
            by: self.by.clone(),
            began: self.began,
            since: self.since,
            next: self.deadline(),
            failed: self.failed(),
            failures_max: self.failures_max,
            wave: u32::try_from(self.wave + 1).unwrap_or(u32::MAX),
            waves: self.waves.iter().map(Under::view).collect(),
        }
    }

    fn words(&self) -> (&'static str, String) {
        let wave = self.waves.get(self.wave).map(|wave| wave.name.as_str()).unwrap_or_default();
        match &self.phase {
            Phase::Going => ("going", format!("wave {wave} is under way")),
            Phase::Baking { until } => ("baking", format!("wave {wave} is watched until {until}")),
            Phase::Paused { reason, halted: true, .. } => {
                ("halted", format!("it halted by itself: {reason}"))
            }
            Phase::Paused { by, reason, halted: false } => ("paused", format!("paused by {by}: {reason}")),
            Phase::Done => ("done", "every wave is through".to_owned()),
            Phase::Aborted { by, reason } => ("aborted", format!("aborted by {by}: {reason}")),
        }
    }

    /// Why it is not done yet.
    pub(crate) fn why(&self) -> Option<Waiting> {
        let (code, remedy) = match &self.phase {
            Phase::Done | Phase::Aborted { .. } => return None,
            Phase::Going => ("waiting.rollout", "`remit rollout status` shows who waits for what"),
            Phase::Baking { .. } => ("waiting.rollout", "the next wave begins by itself"),
            Phase::Paused { .. } => {
                ("held.rollout", "`remit rollout resume`, `remit rollout abort` or `remit rollout rollback`")
            }
        };
        let first = self.waves.iter().find_map(|wave| wave.members.of(Sort::Waiting).next());
        let waits = match first.and_then(|(name, member)| Some((name, member.why()?))) {
            Some((name, why)) => {
                format!("; {} installs wait, {name} because {why}", self.counts().of(Sort::Waiting))
            }
            None => String::new(),
        };
        let (number, version) = (self.number, &self.release.version);
        Some(Waiting {
            code: code.to_owned(),
            reason: format!("rollout {number} of release {version}: {}{waits}", self.words().1),
            since: self.since,
            on: None::<ObjectId>,
            remedy: remedy.to_owned(),
            evidence: None,
        })
    }
}
