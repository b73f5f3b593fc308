//! What a runner does, call by call. Each call can be lost on the way there or on the way back, or come twice.

use remit_loops::job::{Action, Failure, FailureClass, Outcome, Success};
use remit_loops::runner::{Info, Offer, Presence, Report};
use remit_loops::{Actor, Body};

use super::{Run, What, install_id, operation_of};
use crate::broker::Answer;
use crate::bugs::Bug;
use crate::runner::{Entry, Key, State};
use crate::world::Process;

/// How many attempts a runner takes at once.
const CAPACITY: usize = 3;

impl Run {
    /// A report on its way: lost, delivered, delivered twice, or delivered with the answer lost.
    fn send(&mut self, runner: usize, report: Report) -> Answer {
        if self.unlucky(60) {
            return Answer::Unknown;
        }
        let to = install_id(self.runners[runner].install).runner().expect("an install has a runner");
        let report = self.believed(report);
        let mut answer = self.submit(&to, Actor::Runner, None, Body::Report(report.clone()));
        if self.unlucky(40) {
            answer = self.submit(&to, Actor::Runner, None, Body::Report(report.clone()));
        }
        if self.unlucky(60) {
            // The network kept a copy and delivers it when nobody expects it any more.
            let wait_ms = self.rng.i64(1_000..600_000);
            self.after(wait_ms, What::Echo { install: self.runners[runner].install, report });
        }
        if self.unlucky(60) { Answer::Unknown } else { answer }
    }

    pub(super) fn echo(&mut self, install: usize, report: Report) {
        let to = install_id(install).runner().expect("an install has a runner");
        let report = self.believed(report);
        self.submit(&to, Actor::Runner, None, Body::Report(report));
    }

    /// The planted bug of a broker that does not look at generation and fence.
    fn believed(&self, report: Report) -> Report {
        if self.bug != Some(Bug::AcceptAnyCompletion) {
            return report;
        }
        let Report::Ended { attempt, outcome, .. } = report else { return report };
        for object in self.broker.objects.values() {
            let Some(runner) = object.as_runner() else { continue };
            let remit_loops::view::Detail::Runner { jobs, .. } = object.view().detail else { continue };
            if let Some(job) = jobs.into_iter().find(|j| j.attempt.job == attempt.job) {
                let (generation, fence) = (runner.generation(), job.fence);
                return Report::Ended { generation, attempt: job.attempt, fence, outcome };
            }
        }
        Report::Ended { generation: 0, attempt, fence: 0, outcome }
    }

    /// One long poll after another, as long as the runner is there and its identity is good.
    pub(super) fn poll(&mut self, runner: usize) {
        if self.lease(runner) {
            let wait_ms = self.rng.i64(10_000..50_000);
            self.after(wait_ms, What::Poll { runner });
        }
    }

    /// Asks for work; false when it need not ask again.
    pub(super) fn lease(&mut self, runner: usize) -> bool {
        let this = &self.runners[runner];
        if !this.up || !this.host_up {
            return false;
        }
        if !self.broker.is_up(self.now_ms) || this.busy() >= CAPACITY {
            return true;
        }
        let id = install_id(this.install).runner().expect("an install has a runner");
        let object = self.broker.object(&id);
        let Some(state) = object.as_runner() else { return false };
        if state.generation() != this.generation {
            // Its identity is void: it asks no more.
            return false;
        }
        self.runners[runner].heard_ms = self.now_ms;
        if !matches!(state.presence(), Presence::Online { .. }) {
            let generation = self.runners[runner].generation;
            self.send(runner, Report::Seen { generation, info: Info::default() });
        }
        let offer = state.next_offer().or_else(|| self.replayed(runner)).filter(|_| !self.unlucky(60));
        if let Some(offer) = offer {
            let this = &mut self.runners[runner];
            let seen = offer.seq <= this.seq_high && self.bug != Some(Bug::ForgetHighWater);
            let key = (offer.spec.id.clone(), offer.fence);
            if !seen {
                this.seq_high = this.seq_high.max(offer.seq);
                this.journal
                    .insert(key.clone(), Entry { spec: offer.spec, seq: offer.seq, state: State::Accepted });
                let wait_ms = self.rng.i64(1..500);
                self.after(wait_ms, What::Start { runner, key });
            }
            // There may be more: it asks again at once.
            self.after(20, What::Wake { runner });
        }
        true
    }

    /// An envelope of before, once more: the network's doing or a hostile broker's.
    fn replayed(&mut self, runner: usize) -> Option<Offer> {
        if !self.unlucky(50) {
            return None;
        }
        let (key, entry) = self.runners[runner].journal.iter().next_back()?;
        Some(Offer { spec: entry.spec.clone(), seq: entry.seq, fence: key.1 })
    }

    /// Journalled and locked: asks whether it may start, until it is told.
    pub(super) fn start(&mut self, runner: usize, key: &Key) {
        let this = &self.runners[runner];
        let accepted = this.journal.get(key).is_some_and(|e| e.state == State::Accepted);
        if !this.up || !this.host_up || !accepted {
            return;
        }
        if this.is_locked(key) {
            return self.after(1_000, What::Start { runner, key: key.clone() });
        }
        let (generation, fence) = (this.generation, key.1);
        let answer = match self.bug {
            Some(Bug::StartUnconfirmed) => Answer::Accepted,
            _ => self.send(runner, Report::Started { generation, attempt: key.0.clone(), fence }),
        };
        match answer {
            Answer::Accepted | Answer::Duplicate => {
                let must_stop = self.must_stop(runner, key) && self.bug != Some(Bug::StartUnconfirmed);
                if must_stop {
                    return self.end_and_report(runner, key, cancelled());
                }
                self.begin(runner, key);
            }
            Answer::Rejected(_) => self.end_and_report(runner, key, cancelled()),
            Answer::Unknown => self.after(2_000, What::Start { runner, key: key.clone() }),
        }
    }

    fn must_stop(&self, runner: usize, key: &Key) -> bool {
        let this = &self.runners[runner];
        let id = install_id(this.install).runner().expect("an install has a runner");
        let object = self.broker.object(&id);
        let Some(state) = object.as_runner() else { return true };
        state.generation() != this.generation || state.stop_reason(&key.0, key.1).is_some()
    }

    fn begin(&mut self, runner: usize, key: &Key) {
        let this = &self.runners[runner];
        let Some(entry) = this.journal.get(key) else { return };
        let process = Process {
            install: this.install,
            component: entry.spec.component.clone(),
            action: entry.spec.action,
            job: key.0.job.clone(),
            attempt: key.0.attempt,
            fence: key.1,
            operation: operation_of(&key.0),
        };
        self.dirty = true;
        let pid = self.world.spawn(process, entry.seq);
        if let Some(entry) = self.runners[runner].journal.get_mut(key) {
            entry.state = State::Begun { pid };
        }
        let run_ms = self.rng.i64(2_000..240_000);
        self.after(run_ms, What::Finish { runner, key: key.clone(), pid });
        self.after(5_000, What::StopCheck { runner, key: key.clone() });
    }

    /// The tool's process comes to its end by itself.
    pub(super) fn finish(&mut self, runner: usize, key: &Key, pid: u64) {
        if !self.world.is_running(pid) {
            return;
        }
        let Some(spec) = self.runners[runner].journal.get(key).map(|e| e.spec.clone()) else { return };
        self.dirty = true;
        let failed = self.unlucky(150);
        if failed {
            self.world.kill(pid);
        } else {
            self.world.finish(pid, &spec.release.version);
        }
        let class = match self.rng.u32(0..10) {
            0..7 => FailureClass::Transient,
            7..9 => FailureClass::Permission,
            _ => FailureClass::Bug,
        };
        let this = &self.runners[runner];
        let drifted = self.world.thing(this.install, &spec.component).drifted && spec.action == Action::Drift;
        let outcome = if failed { failure(class) } else { success(drifted) };
        // A runner that is not there learns of it when it comes back.
        if self.runners[runner].up && self.runners[runner].host_up {
            self.end_and_report(runner, key, outcome);
        }
    }

    pub(super) fn stop_check(&mut self, runner: usize, key: &Key) {
        let this = &self.runners[runner];
        let Some(State::Begun { pid }) = this.journal.get(key).map(|e| e.state.clone()) else { return };
        if !this.up || !this.host_up {
            return;
        }
        // A broker that is away stops nothing: the job in hand is finished.
        if !self.broker.is_up(self.now_ms) || !self.must_stop(runner, key) {
            return self.after(5_000, What::StopCheck { runner, key: key.clone() });
        }
        if self.bug == Some(Bug::UnlockBeforeKill) {
            self.end_and_report(runner, key, cancelled());
        }
        let grace_ms = self.rng.i64(10..9_000);
        self.after(grace_ms, What::Killed { runner, key: key.clone(), pid });
    }

    /// The last process of a stopped attempt is dead: only now is it over.
    pub(super) fn killed(&mut self, runner: usize, key: &Key, pid: u64) {
        if !self.world.is_running(pid) {
            return;
        }
        self.world.kill(pid);
        if self.runners[runner].up && self.runners[runner].host_up {
            self.end_and_report(runner, key, cancelled());
        }
    }

    pub(super) fn end_and_report(&mut self, runner: usize, key: &Key, outcome: Outcome) {
        self.runners[runner].end(key, outcome);
        self.after(5, What::Report { runner, key: key.clone() });
    }

    pub(super) fn report(&mut self, runner: usize, key: &Key) {
        let this = &self.runners[runner];
        let Some(State::Ended { outcome, reported: false }) = this.journal.get(key).map(|e| e.state.clone())
        else {
            return;
        };
        if !this.up || !this.host_up {
            return;
        }
        let (generation, fence) = (this.generation, key.1);
        let ended = Report::Ended { generation, attempt: key.0.clone(), fence, outcome: outcome.clone() };
        let answer = self.send(runner, ended);
        if answer == Answer::Unknown && self.bug != Some(Bug::CompleteOnce) {
            return self.after(2_000, What::Report { runner, key: key.clone() });
        }
        if let Some(entry) = self.runners[runner].journal.get_mut(key) {
            entry.state = State::Ended { outcome, reported: true };
        }
    }
}

pub(super) fn cancelled() -> Outcome {
    Outcome::Cancelled { message: "stopped".into() }
}

fn success(drifted: bool) -> Outcome {
    Outcome::Succeeded(Success { drifted, summary: "done".into(), ..Success::default() })
}

pub(super) fn failure(class: FailureClass) -> Outcome {
    let (code, message) = ("sim.failed".to_owned(), "it did not work".to_owned());
    Outcome::Failed(Failure { class, code, message, hint: String::new() })
}
