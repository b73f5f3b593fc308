//! How an attempt ends: by itself, because it must stop, and who hears of it.

use remit_loops::job::{Action, Failure, FailureClass, Outcome, Success};
use remit_loops::plan::{Plan, Stage};
use remit_loops::runner::Report;
use remit_model::action::Action as Step;

use super::{Run, What};
use crate::broker::Answer;
use crate::bugs::Bug;
use crate::follow::word;
use crate::luck::Luck;
use crate::runner::{Key, State};

impl Run {
    /// The tool's process comes to its end by itself.
    pub(super) fn finish(&mut self, runner: usize, key: &Key, pid: u64) {
        let (install, host) = (self.runners[runner].install, self.runners[runner].host);
        if !self.world.is_running(install, pid) {
            return;
        }
        let Some(spec) = self.runners[runner].journal.get(key).map(|e| e.spec.clone()) else { return };
        if spec.action == Action::Health {
            return self.probe_ends(runner, key, pid, &spec);
        }
        let failed = self.dice.strikes(Luck::ToolFails, install, 150);
        let planned = (spec.stage == Stage::Plan).then(|| self.world.plan(install, &spec));
        let passes_all = self.has_bug(Bug::GlassForCustomer) && spec.glass.is_some();
        let planned = planned.map(|plan| Plan {
            customer_approval_needed: plan.customer_approval_needed && !passes_all,
            ..plan
        });
        if failed {
            self.world.kill(install, pid);
        } else {
            self.world.finish(install, pid, &spec.release.version);
            if spec.action == Action::Deploy && planned.is_none() {
                self.is_made_ill(install, &spec);
            }
        }
        let class = match self.dice.rng(Luck::ToolFails, install).u32(0..10) {
            0..7 => FailureClass::Transient,
            7..9 => FailureClass::Permission,
            _ => FailureClass::Bug,
        };
        let drifted = self.world.thing(install, &spec.component).drifted && spec.action == Action::Drift;
        let lies = match spec.action {
            _ if planned.is_some() => false,
            Action::Deploy => self.has_bug(Bug::DeploySaysDone),
            Action::Destroy => self.has_bug(Bug::DestroySaysDone),
            Action::Drift | Action::Adopt | Action::Run | Action::Health => false,
        };
        let outcome = if failed && !lies { failure(class) } else { success(drifted, planned) };
        // A runner that is not there learns of it when it comes back.
        if self.runners[runner].works() {
            self.end_and_report(runner, key, outcome);
        } else {
            let component = &spec.component;
            self.follower.attempt(install, component, key.1, |fence| Step::OrphanEnds { host, fence });
        }
    }

    pub(super) fn stop_check(&mut self, runner: usize, key: &Key) {
        let this = &self.runners[runner];
        let Some(State::Running { pid }) = this.journal.get(key).map(|e| e.state.clone()) else { return };
        if !this.works() {
            return;
        }
        let install = this.install;
        // A broker that is away stops nothing: the job in hand is finished.
        if !self.broker.is_up(self.now_ms) || !self.must_stop(runner, key) {
            return self.after(5_000, What::StopCheck { runner, key: key.clone() });
        }
        if self.has_bug(Bug::UnlockBeforeKill) {
            self.end_and_report(runner, key, cancelled());
        }
        let grace_ms = self.dice.wait_ms(install, 10..9_000);
        self.after(grace_ms, What::Killed { runner, key: key.clone(), pid });
    }

    /// The last process of a stopped attempt is dead: only now is it over.
    pub(super) fn killed(&mut self, runner: usize, key: &Key, pid: u64) {
        let install = self.runners[runner].install;
        if !self.runners[runner].works() || !self.world.is_running(install, pid) {
            return;
        }
        self.world.kill(install, pid);
        self.end_and_report(runner, key, cancelled());
    }

    /// Nothing of it runs any more: puts that on record, however long the disk refuses.
    pub(super) fn end_and_report(&mut self, runner: usize, key: &Key, outcome: Outcome) {
        if self.runners[runner].full_until_ms > self.now_ms {
            let wait_ms = self.runners[runner].full_until_ms - self.now_ms;
            return self.after(wait_ms, What::Ended { runner, key: key.clone(), outcome });
        }
        self.ended(runner, key, outcome);
    }

    pub(super) fn ended(&mut self, runner: usize, key: &Key, outcome: Outcome) {
        let this = &self.runners[runner];
        let Some(entry) = this.journal.get(key).filter(|_| this.works()) else { return };
        let (install, host, word) = (this.install, this.host, word(&outcome));
        let (component, boot) = (entry.spec.component.clone(), entry.state.clone());
        let step = |fence| match boot {
            State::Running { .. } => Some(Step::Finish { host, fence, word }),
            State::Accepted | State::Begun => Some(Step::GiveUp { host, fence }),
            State::Ended { .. } => None,
        };
        if step(0).is_some() {
            self.follower.attempt(install, &component, key.1, |fence| {
                step(fence).unwrap_or(Step::GiveUp { host, fence })
            });
        }
        self.runners[runner].end(key, outcome);
        self.after(5, What::Report { runner, key: key.clone() });
    }

    pub(super) fn report(&mut self, runner: usize, key: &Key) {
        let this = &self.runners[runner];
        let Some(entry) = this.journal.get(key).filter(|_| this.works()) else { return };
        let State::Ended { outcome, reported: false } = entry.state.clone() else { return };
        let (install, host, component) = (this.install, this.host, entry.spec.component.clone());
        let (generation, fence) = (this.generation, key.1);
        self.follower.attempt(install, &component, fence, |fence| Step::Say { host, fence });
        let ended = Report::Ended {
            generation,
            attempt: key.0.clone(),
            fence,
            outcome: outcome.clone(),
            receipts: None,
        };
        let answer = self.send(runner, ended);
        if answer == Answer::Unknown && !self.has_bug(Bug::CompleteOnce) {
            return self.after(2_000, What::Report { runner, key: key.clone() });
        }
        self.follower.attempt(install, &component, fence, |fence| Step::Settle { host, fence });
        if let Some(entry) = self.runners[runner].journal.get_mut(key) {
            entry.state = State::Ended { outcome, reported: true };
        }
    }
}

pub(super) fn failure(class: FailureClass) -> Outcome {
    let (code, message) = ("sim.failed".to_owned(), "it did not work".to_owned());
    Outcome::Failed(Failure { class, code, message, hint: String::new() })
}

pub(super) fn cancelled() -> Outcome {
    Outcome::Cancelled { message: "stopped".into() }
}

fn success(drifted: bool, plan: Option<Plan>) -> Outcome {
    Outcome::Succeeded(Success { drifted, summary: "done".into(), plan, ..Success::default() })
}

#[cfg(test)]
mod tests {
    use remit_model::state::Word;

    use super::*;

    #[test]
    fn the_model_knows_two_words() {
        assert_eq!(word(&success(true, None)), Word::Done);
        assert_eq!(word(&cancelled()), Word::Failed);
    }
}
