//! What was counted, summed up for the report.

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::app::{RolloutView, Wave, WaveView};
use remit_loops::{ObjectId, Timestamp};

use super::super::report::{GroupDone, Phase, Report, RolloutDone, Series, Waited, WaveDone};
use super::super::{Group, Plan};
use super::{Past, Tally};

/// How many points a series has at most, of all installs and of a wave.
const POINTS_MAX: usize = 120;
const WAVE_POINTS_MAX: usize = 60;

impl Tally {
    pub(in super::super) fn report(
        mut self,
        plan: &Plan,
        end: Timestamp,
        events: u64,
        rollout: Option<Box<RolloutView>>,
    ) -> Report {
        let held: Vec<(ObjectId, Timestamp)> =
            self.pasts.iter().filter_map(|(id, past)| Some((id.clone(), past.held_since?))).collect();
        for (id, since) in &held {
            self.waits(id, "a person, who never came", end.since_ms(*since));
        }
        let open: Vec<_> =
            self.pasts.iter().filter_map(|(id, past)| Some((id.clone(), past.waits?))).collect();
        for (id, (what, since)) in open {
            self.waits(&id, what, end.since_ms(since));
        }
        let mut waited: Vec<Waited> = self.waited.values().cloned().collect();
        waited.sort_by_key(|w| std::cmp::Reverse(w.total_ms));
        let begins = [self.begins, self.update_at];
        let phases = (0..2).map(|n| self.phase(n, &plan.releases[n].version, begins[n])).collect();
        Report {
            installs: plan.fleet.installs(),
            seed: plan.seed,
            took_ms: end.since_ms(self.begins),
            events,
            phases,
            held: u32::try_from(held.len()).unwrap_or(u32::MAX),
            failures: self.failures.clone(),
            failed_components: self.components.clone(),
            waited,
            series: self.series(&self.pasts.values(), (self.begins, end), POINTS_MAX),
            began: self.begins.0,
            groups: plan.fleet.groups.iter().map(|group| self.group(group)).collect(),
            rollout: rollout.map(|rollout| self.rollout(plan, &rollout, end)),
        }
    }

    fn of<'a>(&'a self, names: impl Fn(&str) -> bool + 'a) -> impl Iterator<Item = &'a Past> {
        self.pasts.iter().filter(move |(id, _)| names(id.name())).map(|(_, past)| past)
    }

    fn group(&self, group: &Group) -> GroupDone {
        let names: BTreeSet<String> = (0..group.installs).map(|n| group.install(n)).collect();
        let pasts: Vec<&Past> = self.of(|name| names.contains(name)).collect();
        let done = pasts.iter().filter_map(|past| Some(past.done[1]?.since_ms(self.update_at)));
        let mut took: Vec<i64> = done.collect();
        took.sort_unstable();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        GroupDone {
            name: group.name.clone(),
            policy: group.policy.to_string(),
            installs: group.installs,
            done: count(took.len()),
            held: count(pasts.iter().filter(|past| past.held_since.is_some()).count()),
            p50_ms: took.get(took.len().div_ceil(2).saturating_sub(1)).copied().unwrap_or(0),
            max_ms: took.last().copied().unwrap_or(0),
        }
    }

    fn rollout(&self, plan: &Plan, view: &RolloutView, end: Timestamp) -> RolloutDone {
        let planned = plan.fleet.rollout.iter().flat_map(|rollout| &rollout.waves);
        let wave = |(wave, planned): (&WaveView, &Wave)| self.wave(wave, planned, end);
        RolloutDone {
            state: view.state.clone(),
            description: view.description.clone(),
            failed: view.failed,
            failures_max: view.failures_max,
            halts: self.halts,
            waves: view.waves.iter().zip(planned).map(wave).collect(),
        }
    }

    fn wave(&self, wave: &WaveView, planned: &Wave, end: Timestamp) -> WaveDone {
        let names: BTreeSet<&str> = planned.installs.iter().map(String::as_str).collect();
        let pasts: Vec<&Past> = self.of(|name| names.contains(name)).collect();
        let ms = |at: Timestamp| at.since_ms(self.begins);
        let through = self.through.get(&wave.name).copied();
        let is_left = |past: &&&Past| through.is_some_and(|at| past.done[1].is_none_or(|done| done > at));
        let done = pasts.iter().filter_map(|past| past.done[1]);
        let over = done.clone().max().filter(|_| done.count() == pasts.len());
        WaveDone {
            name: wave.name.clone(),
            installs: wave.installs,
            began_ms: pasts.iter().filter_map(|past| past.told).min().map(ms),
            through_ms: through.map(ms),
            bake_ms: planned.bake_ms,
            done: wave.done,
            waiting: wave.waiting,
            failed: wave.failed,
            ahead: wave.ahead,
            over_ms: over.map(ms),
            left: u32::try_from(pasts.iter().filter(is_left).count()).unwrap_or(u32::MAX),
            series: self.series(&pasts.iter().copied(), (self.update_at, end), WAVE_POINTS_MAX),
        }
    }

    fn phase(&self, number: usize, version: &str, begin: Timestamp) -> Phase {
        let mut took: Vec<i64> =
            self.pasts.values().filter_map(|p| p.done[number]).map(|at| at.since_ms(begin)).collect();
        took.sort_unstable();
        let at = |percent: usize| took.get((took.len() * percent).div_ceil(100).saturating_sub(1));
        Phase {
            version: version.to_owned(),
            done: u32::try_from(took.len()).unwrap_or(u32::MAX),
            p50_ms: at(50).copied().unwrap_or(0),
            p90_ms: at(90).copied().unwrap_or(0),
            max_ms: took.last().copied().unwrap_or(0),
        }
    }

    /// Points at which something changes, not spread evenly over days in which nothing does.
    fn series<'a>(
        &self,
        pasts: &(impl Iterator<Item = &'a Past> + Clone),
        (from, until): (Timestamp, Timestamp),
        points: usize,
    ) -> Vec<Series> {
        let states = pasts.clone().flat_map(|p| p.states.iter().map(|(at, _)| *at));
        let mut changes: Vec<Timestamp> = states.filter(|at| *at >= from).chain([from]).collect();
        changes.sort_unstable();
        let last = changes.len() - 1;
        let mut times: Vec<Timestamp> = (0..=points).map(|n| changes[last * n / points]).collect();
        // The last change is among them, and then the end.
        times.push(until);
        times.dedup();
        let point = |at: Timestamp| {
            let mut counts = BTreeMap::new();
            for state in pasts.clone().filter_map(|p| p.at(at)) {
                *counts.entry(state).or_default() += 1;
            }
            Series { at_ms: at.since_ms(self.begins), counts }
        };
        times.into_iter().map(point).collect()
    }
}
