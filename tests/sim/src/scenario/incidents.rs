//! What happens to everybody: people's signals, crashes, outages, replaced hosts, hands in the world.

use remit_loops::job::FailureClass;
use remit_loops::runner::{self, Presence, Report};
use remit_loops::{Actor, Body, Signal, Timestamp};

use super::calls::failure;
use super::{HOUR_MS, Run, What, app_id, install_id};
use crate::broker::Answer;
use crate::bugs::Bug;
use crate::people;
use crate::runner::{Key, Runner, State};

/// How long a runner may be silent before it counts as gone.
const SILENCE_MAX_MS: i64 = 60_000;

impl Run {
    /// The newest runner of an install.
    pub(super) fn newest(&self, install: usize) -> Option<usize> {
        self.runners.iter().rposition(|r| r.install == install)
    }

    pub(super) fn status(&self, install: usize) -> String {
        self.broker.object(&install_id(install)).view().status.word
    }

    /// A host with an empty disk asks for an identity.
    pub(super) fn enrol(&mut self, install: usize) -> bool {
        let id = install_id(install).runner().expect("an install has a runner");
        let token_sha256 = format!("t{}", self.rng.u64(..));
        let expires = Timestamp(self.now_ms + HOUR_MS);
        let expect = runner::Signal::Expect { token_sha256: token_sha256.clone(), expires };
        if self.tell_broker(&id, &Signal::Runner(expect)) != Answer::Accepted {
            return false;
        }
        let spki_sha256 = format!("s{}", self.rng.u64(..));
        let report = Report::Enrol { token_sha256, spki_sha256 };
        // The answer may be lost: it asks again with the same token and the same key.
        let answered = (0..20).any(|_| {
            let answer = self.submit(&id, Actor::Runner, None, Body::Report(report.clone()));
            self.now_ms += if answer == Answer::Unknown { 5_000 } else { 0 };
            answer == Answer::Accepted
        });
        let generation = self.broker.object(&id).as_runner().map_or(0, runner::Runner::generation);
        if !answered || generation == 0 {
            return false;
        }
        self.runners.push(Runner::new(install, generation, self.now_ms));
        let runner = self.runners.len() - 1;
        self.after(50, What::Poll { runner });
        true
    }

    pub(super) fn person(&mut self, install: usize) {
        let next_ms = self.rng.i64(60_000..1_800_000);
        self.after(next_ms, What::Person { install });
        let deleting = self.status(install) == "deleting" || self.status(install) == "held";
        let signal = people::something(&mut self.rng, deleting);
        self.sent += 1;
        self.unanswered.push((self.sent, install, signal));
        let number = self.sent;
        self.resend(install, number);
    }

    /// Sends a signal again, with the same key, until somebody answers.
    pub(super) fn resend(&mut self, install: usize, number: u64) {
        let Some(index) = self.unanswered.iter().position(|(n, ..)| *n == number) else { return };
        let (_, _, signal) = self.unanswered[index].clone();
        let (id, key) = (install_id(install), format!("k{number}"));
        let answer = self.submit(&id, Actor::Person("ann".into()), Some(&key), Body::Signal(signal));
        if answer == Answer::Unknown {
            return self.after(5_000, What::Resend { install, number });
        }
        self.unanswered.swap_remove(index);
        let is_new = self.broker.object(&id).as_install().map_or(0, remit_loops::install::Install::epoch) > 1;
        let has_runner = self.has_identity(install);
        if answer == Answer::Accepted && is_new && !has_runner && self.faults {
            self.retire(install);
            self.enrol(install);
        }
    }

    /// Whether a runner that is there has the identity that may speak.
    pub(super) fn has_identity(&self, install: usize) -> bool {
        let id = install_id(install).runner().expect("an install has a runner");
        let generation = self.broker.object(&id).as_runner().map_or(0, runner::Runner::generation);
        let newest = self.newest(install).map(|r| &self.runners[r]);
        newest.is_some_and(|r| r.host_up && r.generation == generation)
    }

    /// The stack of a deleted install is removed: its host is gone.
    fn retire(&mut self, install: usize) {
        for runner in 0..self.runners.len() {
            if self.runners[runner].install == install {
                self.terminate(runner);
            }
        }
    }

    pub(super) fn vendor(&mut self) {
        let next_ms = self.rng.i64(HOUR_MS / 2..4 * HOUR_MS);
        self.after(next_ms, What::Vendor);
        self.releases += 1;
        self.tell_broker(&app_id(), &people::publish(self.releases));
    }

    pub(super) fn by_hand(&mut self, install: usize) {
        let next_ms = self.rng.i64(HOUR_MS..6 * HOUR_MS);
        self.after(next_ms, What::ByHand { install });
        let thing = self.world.thing(install, "network");
        thing.drifted = thing.exists;
    }

    pub(super) fn broker_outage(&mut self) {
        let (next_ms, length_ms) = (self.rng.i64(HOUR_MS..5 * HOUR_MS), self.rng.i64(5_000..1_200_000));
        self.after(next_ms, What::BrokerOutage);
        if self.faults {
            self.broker.down_until_ms = self.now_ms + length_ms;
        }
    }

    pub(super) fn runner_crash(&mut self, install: usize) {
        let next_ms = self.rng.i64(HOUR_MS / 2..4 * HOUR_MS);
        self.after(next_ms, What::RunnerCrash { install });
        let Some(runner) = self.newest(install).filter(|_| self.faults) else { return };
        if !self.runners[runner].up {
            return;
        }
        self.runners[runner].up = false;
        if self.rng.bool() {
            // Its children die with it; otherwise they live on as orphans.
            self.kill_all(runner);
        }
        let wait_ms = self.rng.i64(2_000..300_000);
        self.after(wait_ms, What::RunnerRestart { runner });
    }

    fn begun(&self, runner: usize) -> Vec<(Key, u64)> {
        let pid = |state: &State| match state {
            State::Begun { pid } => Some(*pid),
            State::Accepted | State::Ended { .. } => None,
        };
        self.runners[runner].journal.iter().filter_map(|(k, e)| Some((k.clone(), pid(&e.state)?))).collect()
    }

    fn kill_all(&mut self, runner: usize) {
        for (_, pid) in self.begun(runner) {
            self.world.kill(pid);
        }
    }

    /// Reads its journal, kills what is left of what it had begun, says so, and goes on.
    pub(super) fn runner_restart(&mut self, runner: usize) {
        if !self.runners[runner].host_up || self.runners[runner].up {
            return;
        }
        self.runners[runner].up = true;
        if self.bug != Some(Bug::LeaveOrphans) {
            self.kill_all(runner);
        }
        let unfinished: Vec<Key> = self.runners[runner].journal.keys().cloned().collect();
        for key in unfinished {
            self.end_and_report(runner, &key, failure(FailureClass::Transient));
        }
        self.after(100, What::Poll { runner });
    }

    /// The host is replaced; the old one may run on for a while, cut off.
    pub(super) fn host_replaced(&mut self, install: usize) {
        let next_ms = self.rng.i64(4 * HOUR_MS..12 * HOUR_MS);
        self.after(next_ms, What::HostReplaced { install });
        let Some(old) = self.newest(install).filter(|_| self.faults) else { return };
        if !self.enrol(install) {
            return;
        }
        if self.bug == Some(Bug::StealOnSilence) {
            self.declare_lost(install);
        }
        let wait_ms = self.rng.i64(1_000..HOUR_MS);
        self.after(wait_ms, What::OldHostGone { runner: old });
    }

    /// Somebody makes sure that the old host is terminated, and only then says so.
    pub(super) fn old_host_gone(&mut self, runner: usize) {
        self.terminate(runner);
        let install = self.runners[runner].install;
        // Not while another old host of the same install may still run something.
        let newest = self.newest(install);
        let others = |(i, r): (usize, &Runner)| r.install == install && Some(i) != newest && r.host_up;
        if !self.runners.iter().enumerate().any(others) {
            self.declare_lost(install);
        }
    }

    fn terminate(&mut self, runner: usize) {
        self.kill_all(runner);
        self.runners[runner].host_up = false;
    }

    pub(super) fn declare_lost(&mut self, install: usize) {
        let id = install_id(install).runner().expect("an install has a runner");
        let signal = runner::Signal::DeclareLost { reason: "the old host is terminated".into() };
        self.tell_broker(&id, &Signal::Runner(signal));
    }

    /// The edge's watch: a runner that has not been heard of for too long counts as gone.
    pub(super) fn silence(&mut self, install: usize) {
        self.after(30_000, What::Silence { install });
        let Some(runner) = self.newest(install) else { return };
        let id = install_id(install).runner().expect("an install has a runner");
        let object = self.broker.object(&id);
        let Some(state) = object.as_runner() else { return };
        let silent = self.now_ms - self.runners[runner].heard_ms > SILENCE_MAX_MS;
        if silent && matches!(state.presence(), Presence::Online { .. }) {
            let report = Report::Lost { generation: state.generation() };
            self.submit(&id, Actor::Clock, None, Body::Report(report));
        }
    }
}
