//! What happens to runners and their hosts: they enrol, die, come back, are stopped, are replaced.

use remit_loops::job::FailureClass;
use remit_loops::runner::{self, Presence, Report};
use remit_loops::{Actor, Body, Signal, Timestamp};
use remit_model::action::Action as Step;

use super::endings::failure;
use super::{HOUR_MS, Run, What};
use crate::broker::Answer;
use crate::bugs::Bug;
use crate::follow::Cause;
use crate::luck::Luck;
use crate::names::runner_id;
use crate::runner::{Key, Runner, State};

/// How long a runner may be silent before it counts as gone.
const SILENCE_MAX_MS: i64 = 60_000;

impl Run {
    /// The newest runner of an install.
    pub(super) fn newest(&self, install: usize) -> Option<usize> {
        self.hosts.get(install)?.last().copied()
    }

    /// A host with an empty disk asks for an identity.
    pub(super) fn enrol(&mut self, install: usize) -> bool {
        let id = runner_id(install);
        let token_sha256 = format!("t{}", self.dice.rng(Luck::Timing, install).u64(..));
        let expires = Timestamp(self.now_ms + self.broker.skew_ms + HOUR_MS);
        let expect = runner::Signal::Expect { token_sha256: token_sha256.clone(), expires };
        if self.tell_broker(&id, &Signal::Runner(expect)) != Answer::Accepted {
            return false;
        }
        let spki_sha256 = format!("s{}", self.dice.rng(Luck::Timing, install).u64(..));
        let report = Report::Enrol { token_sha256, spki_sha256 };
        let before = self.generation(install);
        self.cause = Cause::Replaced;
        // The answer may be lost: it asks again with the same token and the same key.
        let answered = (0..20).any(|_| {
            let answer = self.submit(&id, Actor::Runner, None, Body::Report(report.clone()));
            self.now_ms += if answer == Answer::Unknown { 5_000 } else { 0 };
            answer == Answer::Accepted
        });
        self.cause = Cause::Other;
        let generation = self.generation(install);
        if generation == 0 || (!answered && generation == before) {
            return false;
        }
        let (host, runner) = (self.hosts[install].len(), self.runners.len());
        self.runners.push(Runner::new(install, generation, host, self.now_ms));
        self.hosts[install].push(runner);
        self.after(50, What::Poll { runner });
        answered
    }

    /// Whether a runner that is there has the identity that may speak.
    pub(super) fn has_identity(&self, install: usize) -> bool {
        let generation = self.generation(install);
        let newest = self.newest(install).map(|r| &self.runners[r]);
        newest.is_some_and(|r| r.host_up && r.generation == generation)
    }

    /// The stack of a deleted install is removed: its hosts are gone.
    pub(super) fn retire(&mut self, install: usize) {
        for runner in self.hosts[install].clone() {
            self.terminate(runner);
        }
    }

    /// How long something of a stopped process has to wait, if it is stopped.
    pub(super) fn is_paused(&self, what: &What) -> Option<i64> {
        let (What::Poll { runner }
        | What::Wake { runner }
        | What::Start { runner, .. }
        | What::Begin { runner, .. }
        | What::StopCheck { runner, .. }
        | What::Killed { runner, .. }
        | What::Ended { runner, .. }
        | What::Report { runner, .. }) = what
        else {
            return None;
        };
        let wait_ms = self.runners[*runner].paused_until_ms - self.now_ms;
        (wait_ms > 0 && self.runners[*runner].works()).then_some(wait_ms)
    }

    /// SIGSTOP, for longer than any lease.
    pub(super) fn pause(&mut self, install: usize) {
        let (next_ms, length_ms) =
            (self.dice.wait_ms(install, HOUR_MS..5 * HOUR_MS), self.dice.wait_ms(install, 20_000..900_000));
        self.after(next_ms, What::Paused { install });
        if let Some(runner) = self.newest(install)
            && self.dice.strikes(Luck::Pause, install, 1_000)
        {
            self.runners[runner].paused_until_ms = self.now_ms + length_ms;
        }
    }

    pub(super) fn disk_full(&mut self, install: usize) {
        let (next_ms, length_ms) =
            (self.dice.wait_ms(install, HOUR_MS..8 * HOUR_MS), self.dice.wait_ms(install, 5_000..1_200_000));
        self.after(next_ms, What::DiskFull { install });
        if let Some(runner) = self.newest(install)
            && self.dice.strikes(Luck::DiskFull, install, 1_000)
        {
            self.runners[runner].full_until_ms = self.now_ms + length_ms;
        }
    }

    /// Its clock jumps, by less or by more than an envelope lasts; somebody puts it right later.
    pub(super) fn runner_clock(&mut self, install: usize) {
        let next_ms = self.dice.wait_ms(install, HOUR_MS / 2..4 * HOUR_MS);
        self.after(next_ms, What::RunnerClock { install });
        let Some(runner) = self.newest(install) else { return };
        let jumps = self.runners[runner].skew_ms == 0 && self.dice.strikes(Luck::RunnerClock, install, 500);
        let skew_ms = self.dice.rng(Luck::RunnerClock, install).i64(-HOUR_MS..HOUR_MS);
        self.runners[runner].skew_ms = if jumps { skew_ms } else { 0 };
    }

    pub(super) fn runner_crash(&mut self, install: usize) {
        let next_ms = self.dice.wait_ms(install, HOUR_MS / 2..4 * HOUR_MS);
        self.after(next_ms, What::RunnerCrash { install });
        let Some(runner) = self.newest(install) else { return };
        if !self.runners[runner].works() || !self.dice.strikes(Luck::RunnerDies, install, 1_000) {
            return;
        }
        self.runners[runner].up = false;
        self.follower.host(install, Step::Crash { host: self.runners[runner].host });
        if self.dice.rng(Luck::RunnerDies, install).bool() {
            // Its children die with it; otherwise they live on as orphans.
            self.kill_all(runner);
        }
        let wait_ms = self.dice.wait_ms(install, 2_000..300_000);
        self.after(wait_ms, What::RunnerRestart { runner });
    }

    fn kill_all(&mut self, runner: usize) {
        let (install, host) = (self.runners[runner].install, self.runners[runner].host);
        for (fence, component) in self.end_all(runner) {
            self.follower.attempt(install, &component, fence, |fence| Step::OrphanEnds { host, fence });
        }
    }

    /// Ends all that runs on a host, and says of which attempts it was.
    fn end_all(&mut self, runner: usize) -> Vec<(u64, String)> {
        let install = self.runners[runner].install;
        let pid = |state: &State| match state {
            State::Running { pid } => Some(*pid),
            State::Accepted | State::Begun | State::Ended { .. } => None,
        };
        let journal = self.runners[runner].journal.iter();
        let mut all: Vec<(u64, String, u64)> =
            journal.filter_map(|(k, e)| Some((k.1, e.spec.component.clone(), pid(&e.state)?))).collect();
        all.retain(|(.., pid)| self.world.is_running(install, *pid));
        all.iter().for_each(|(.., pid)| self.world.kill(install, *pid));
        all.into_iter().map(|(fence, component, _)| (fence, component)).collect()
    }

    /// Reads its journal, kills what is left of what it had begun, says so, and goes on.
    pub(super) fn runner_restart(&mut self, runner: usize) {
        let this = &self.runners[runner];
        let (install, host) = (this.install, this.host);
        if !this.host_up || this.up {
            return;
        }
        if !self.has_bug(Bug::LeaveOrphans) {
            self.kill_all(runner);
        }
        self.follower.host(install, Step::Restart { host });
        let this = &mut self.runners[runner];
        (this.up, this.boot, this.paused_until_ms, this.asks) = (true, this.boot + 1, 0, true);
        // A disk that takes nothing lets no runner start.
        this.full_until_ms = 0;
        let unfinished: Vec<Key> = this.journal.keys().cloned().collect();
        for key in unfinished {
            let this = &mut self.runners[runner];
            let Some(entry) = this.journal.get(&key) else { continue };
            let is_over = matches!(entry.state, State::Ended { reported: true, .. });
            if !is_over {
                this.end(&key, failure(FailureClass::Transient));
                self.after(5, What::Report { runner, key });
            }
        }
        self.after(100, What::Poll { runner });
    }

    /// The host is replaced; the old one may run on for a while, cut off.
    pub(super) fn host_replaced(&mut self, install: usize) {
        let next_ms = self.dice.wait_ms(install, 4 * HOUR_MS..12 * HOUR_MS);
        self.after(next_ms, What::HostReplaced { install });
        let Some(old) = self.newest(install) else { return };
        if !self.dice.strikes(Luck::HostReplaced, install, 1_000) || !self.enrol(install) {
            return;
        }
        if self.has_bug(Bug::StealOnSilence) {
            self.declare_lost(install);
        }
        let wait_ms = self.dice.wait_ms(install, 1_000..HOUR_MS);
        if self.has_bug(Bug::UnconfirmedExpires) && wait_ms > 5_000 {
            self.after(5_000, What::GiveUp { install });
        }
        self.after(wait_ms, What::OldHostGone { runner: old });
    }

    /// Somebody makes sure that the old host is terminated, and only then says so.
    pub(super) fn old_host_gone(&mut self, runner: usize) {
        self.terminate(runner);
        let install = self.runners[runner].install;
        // Not while another old host of the same install may still run something.
        let newest = self.newest(install);
        let mut others = self.hosts[install].iter().filter(|r| Some(**r) != newest);
        if !others.any(|r| self.runners[*r].host_up) {
            self.declare_lost(install);
        }
    }

    pub(super) fn terminate(&mut self, runner: usize) {
        if !self.runners[runner].host_up {
            return;
        }
        let (install, host) = (self.runners[runner].install, self.runners[runner].host);
        self.runners[runner].host_up = false;
        self.follower.host(install, Step::Terminate { host });
        // In the model nothing is left on a host that is gone.
        self.end_all(runner);
    }

    pub(super) fn declare_lost(&mut self, install: usize) {
        let evidence = "somebody looked".into();
        let proof = runner::Proof::HostTerminated { host: "the old one".into(), evidence };
        let signal = runner::Signal::DeclareLost {
            reason: "the old host is terminated".into(),
            component: None,
            proof: Some(proof),
        };
        self.cause = Cause::Declared;
        self.tell_broker(&runner_id(install), &Signal::Runner(signal));
        self.cause = Cause::Other;
    }

    /// The edge's watch: a runner that has not been heard of for too long counts as gone.
    pub(super) fn silence(&mut self, install: usize) {
        self.after(30_000, What::Silence { install });
        let Some(runner) = self.newest(install) else { return };
        let object = self.broker.object(&runner_id(install));
        let Some(state) = object.as_runner() else { return };
        let silent = self.now_ms - self.runners[runner].heard_ms > SILENCE_MAX_MS;
        if silent && matches!(state.presence(), Presence::Online { .. }) {
            let report = Report::Lost { generation: state.generation() };
            self.submit(&runner_id(install), Actor::Clock, None, Body::Report(report));
        }
    }
}
