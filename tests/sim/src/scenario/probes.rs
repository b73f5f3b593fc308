//! Probes, as runners make them: what they see is the world's truth, as long as no bug is planted.

use remit_loops::health::UNHEALTHY;
use remit_loops::job::{Failure, FailureClass, Outcome, Success};
use remit_loops::runner::JobSpec;
use remit_loops::{Signal, install};

use super::endings::failure;
use super::{HOUR_MS, Run, What};
use crate::bugs::Bug;
use crate::luck::Luck;
use crate::people;
use crate::runner::Key;
use crate::world::Cure;

impl Run {
    /// Something of an install stops doing its work.
    pub(super) fn falls_ill(&mut self, install: usize) {
        let next_ms = self.dice.wait_ms(install, 2 * HOUR_MS..7 * HOUR_MS);
        self.after(next_ms, What::FallsIll { install });
        let component = people::PROBED[self.dice.rng(Luck::Unwell, install).usize(0..people::PROBED.len())];
        let cure = self.cure(install, 0);
        if self.dice.strikes(Luck::Unwell, install, 700) {
            self.world.fall_ill(install, component, cure);
            self.somebody_looks(install);
        }
    }

    /// Who needs what is ill looks, sooner than the schedule does: not at all, once or twice.
    fn somebody_looks(&mut self, install: usize) {
        for _ in 0..self.dice.rng(Luck::Unwell, install).u32(0..3) {
            let wait_ms = self.dice.wait_ms(install, 60_000..1_800_000);
            self.sent += 1;
            let (number, look) = (self.sent, Signal::Install(install::Signal::CheckHealth {}));
            self.unanswered.insert(number, (install, look, 0));
            self.after(wait_ms, What::Resend { install, number });
        }
    }

    /// What a deploy has made does not do its work, now and then.
    pub(super) fn is_made_ill(&mut self, install: usize, spec: &JobSpec) {
        if people::probe(spec.release.counter, &spec.component).is_none() {
            return;
        }
        let cure = self.cure(install, spec.release.counter);
        if self.dice.strikes(Luck::MadeUnwell, install, 120) {
            self.world.fall_ill(install, &spec.component, cure);
        }
    }

    fn cure(&mut self, install: usize, release: u64) -> Cure {
        let rng = self.dice.rng(Luck::Unwell, install);
        match rng.u32(0..10) {
            0..4 => Cure::Time(self.now_ms + rng.i64(30_000..4 * HOUR_MS)),
            4..8 => Cure::Deploy,
            8 => Cure::Release(release),
            _ => Cure::Person,
        }
    }

    /// A probe's process has an answer. While a deploy waits for it, it is made again as long as another whole
    /// one fits into its time.
    pub(super) fn probe_ends(&mut self, runner: usize, key: &Key, pid: u64, spec: &JobSpec) {
        let install = self.runners[runner].install;
        let Some(probe) = people::probe(spec.release.counter, &spec.component) else {
            self.world.kill(install, pid);
            return self.end_probe(runner, key, failure(FailureClass::Bug));
        };
        if self.dice.strikes(Luck::ToolFails, install, 60) {
            // It could not be made: that says nothing of the component.
            self.world.kill(install, pid);
            return self.end_probe(runner, key, failure(FailureClass::Transient));
        }
        self.world.looked((install, pid), key, &probe, self.now_ms);
        let well = self.world.looks.get(key).is_some_and(|look| look.well);
        let began_ms = self.world.began_ms(install, pid).unwrap_or(self.now_ms);
        let pause_ms = self.dice.wait_ms(install, 1_000..20_000);
        let again_ms = pause_ms + probe.timeout_ms;
        let fits = self.now_ms + again_ms <= began_ms + spec.longest_run_ms;
        if !well && (fits || self.has_bug(Bug::ProbeOverTime)) && !self.has_bug(Bug::ProbeSaysWell) {
            return self.after(again_ms, What::Finish { runner, key: key.clone(), pid });
        }
        self.world.kill(install, pid);
        let outcome = if well || self.has_bug(Bug::ProbeSaysWell) {
            Outcome::Succeeded(Success { summary: "it answers".into(), ..Success::default() })
        } else {
            self.unhealthy(install)
        };
        self.end_probe(runner, key, outcome);
    }

    /// The class is by the probe's words, and says nothing of whether another try is worth it.
    fn unhealthy(&mut self, install: usize) -> Outcome {
        let classes = [FailureClass::Transient, FailureClass::Bug, FailureClass::Timeout];
        let class = classes[self.dice.rng(Luck::Unwell, install).usize(0..classes.len())];
        let (code, message) = (UNHEALTHY.to_owned(), people::NO_ANSWER.to_owned());
        Outcome::Failed(Failure { class, code, message, hint: String::new() })
    }

    fn end_probe(&mut self, runner: usize, key: &Key, outcome: Outcome) {
        if self.runners[runner].works() {
            self.end_and_report(runner, key, outcome);
        }
    }
}
