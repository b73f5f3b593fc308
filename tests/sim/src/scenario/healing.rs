//! The end of every run: bad luck stops, people put things right, and everything must come to rest.

use remit_loops::job::Outcome;
use remit_loops::view::Detail;
use remit_loops::{Signal, install};

use super::{HOUR_MS, Run, What, violations};
use crate::names::install_id;

/// How long the loops get to come to rest once nothing is in their way.
const REST_HOURS: i64 = 12;

impl Run {
    pub(super) fn heal(&mut self) -> Option<String> {
        self.dice.faults = false;
        self.broker.down_until_ms = self.now_ms;
        self.broker.skew_ms = 0;
        self.forget_incidents();
        self.world.cure_all();
        for runner in 0..self.runners.len() {
            (self.runners[runner].skew_ms, self.runners[runner].paused_until_ms) = (0, 0);
            let is_newest = self.newest(self.runners[runner].install) == Some(runner);
            if !is_newest {
                self.old_host_gone(runner);
            } else if self.runners[runner].host_up {
                self.runner_restart(runner);
            }
        }
        self.let_all_above_go_on();
        for install in self.installs.clone() {
            self.declare_lost(install);
            self.tell(install, install::Signal::Resume {});
            self.let_all_go_on(install);
        }
        for _ in 0..REST_HOURS {
            for install in self.installs.clone() {
                self.nudge(install);
            }
            let until_ms = self.now_ms + HOUR_MS;
            if let Some(violation) = self.go_on(until_ms) {
                return Some(violation);
            }
        }
        violations::check_rest(self)
    }

    /// Nothing new is done to anybody from now on.
    fn forget_incidents(&mut self) {
        self.unanswered.clear();
        let is_incident = |what: &What| match what {
            What::RunnerCrash { .. }
            | What::HostReplaced { .. }
            | What::OldHostGone { .. }
            | What::Paused { .. }
            | What::DiskFull { .. }
            | What::RunnerClock { .. }
            | What::GiveUp { .. }
            | What::Person { .. }
            | What::Flood { .. }
            | What::Customer { .. }
            | What::Operator
            | What::Vendor
            | What::ByHand { .. }
            | What::FallsIll { .. }
            | What::BrokerOutage
            | What::BrokerKilled
            | What::BrokerClock
            | What::Backup
            | What::Restore => true,
            What::Poll { .. }
            | What::Wake { .. }
            | What::Start { .. }
            | What::Begin { .. }
            | What::Finish { .. }
            | What::StopCheck { .. }
            | What::Killed { .. }
            | What::Ended { .. }
            | What::Report { .. }
            | What::Echo { .. }
            | What::RunnerRestart { .. }
            | What::Silence { .. }
            | What::Tick
            | What::Resend { .. } => false,
        };
        self.plan.retain(|_, what| !is_incident(what));
    }

    /// What a person would do about the state that the install is in.
    fn nudge(&mut self, install: usize) {
        self.approve_all(install);
        match self.status(install).as_str() {
            "held" => self.tell(install, install::Signal::Retry { component: None }),
            "drifted" => self.tell(install, install::Signal::Heal {}),
            // The newest may be below the floor of the one that it is on.
            "degraded" if self.has_failed_by_words(install, "rollback floor") => {
                self.tell(install, install::Signal::Heal {});
            }
            "degraded" => self.tell(install, install::Signal::Deploy { version: None }),
            "paused" => self.tell(install, install::Signal::Resume {}),
            _ => {}
        }
        let has_identity = self.has_identity(install);
        let live = !matches!(self.status(install).as_str(), "absent" | "deleted" | "delete_incomplete");
        if live && !has_identity {
            self.retire(install);
            self.enrol(install);
            // No other host of it is there any more.
            self.declare_lost(install);
        }
    }

    fn has_failed_by_words(&self, install: usize, words: &str) -> bool {
        let view = self.broker.object(&install_id(install)).view();
        let Detail::Install { last: Some(last), .. } = view.detail else { return false };
        match last.outcome {
            Outcome::Failed(failure) => failure.message.contains(words),
            Outcome::Cancelled { message } => message.contains(words),
            Outcome::Succeeded(_) => false,
        }
    }

    pub(super) fn tell(&mut self, install: usize, signal: install::Signal) {
        self.tell_broker(&install_id(install), &Signal::Install(signal));
    }
}
