//! How a runner gets work and begins it. Each call can be lost on the way there or on the way back, or come twice.

use remit_loops::break_glass::BreakGlass;
use remit_loops::job::{Action, Failure, FailureClass, Outcome};
use remit_loops::plan::Stage;
use remit_loops::runner::{Info, Offer, Presence, Report};
use remit_loops::view::Detail;
use remit_loops::{Actor, Body, Timestamp};
use remit_model::action::Action as Step;

use super::endings::{cancelled, failure};
use super::violations::CAPACITY;
use super::{Run, What};
use crate::broker::Answer;
use crate::bugs::Bug;
use crate::follow::{Cause, word};
use crate::luck::Luck;
use crate::names::{install_id, operation_of, runner_id};
use crate::runner::{Entry, Key, State};
use crate::world::Process;

/// How long after it was issued an envelope may be started, and how far clocks may be apart.
const START_WITHIN_MS: i64 = 15 * 60_000;

impl Run {
    /// A report on its way: lost, delivered, delivered twice, or delivered with the answer lost.
    pub(super) fn send(&mut self, runner: usize, report: Report) -> Answer {
        let install = self.runners[runner].install;
        if self.dice.strikes(Luck::Lost, install, 60) {
            return Answer::Unknown;
        }
        let mut answer = self.say(install, report.clone());
        if self.dice.strikes(Luck::Twice, install, 40) {
            answer = self.say(install, report.clone());
        }
        if self.dice.strikes(Luck::Echo, install, 60) {
            // The network kept a copy and delivers it when nobody expects it any more.
            let wait_ms = self.dice.wait_ms(install, 1_000..600_000);
            self.after(wait_ms, What::Echo { install, report });
        }
        if self.dice.strikes(Luck::AnswerLost, install, 60) { Answer::Unknown } else { answer }
    }

    /// A report arrives.
    pub(super) fn say(&mut self, install: usize, report: Report) -> Answer {
        let id = runner_id(install);
        let speaks = self.generation(install);
        let (generation, cause) = match &report {
            Report::Started { generation, .. } => {
                let mut hosts = self.hosts[install].iter().rev().map(|runner| &self.runners[*runner]);
                let host = hosts.find(|runner| runner.generation == *generation).map_or(0, |r| r.host);
                (*generation, Cause::Asked { host })
            }
            Report::Ended { generation, fence, outcome, .. } => {
                let (generation, fence) = (*generation, *fence);
                (generation, Cause::Ended { generation, fence, word: word(outcome) })
            }
            Report::Seen { generation, .. }
            | Report::Lost { generation }
            | Report::PlanAnswered { generation, .. }
            | Report::Marks { generation, .. } => (*generation, Cause::Other),
            Report::Restored {} => (speaks, Cause::Other),
            Report::Enrol { .. } | Report::EnrolProven { .. } => (speaks, Cause::Replaced),
        };
        let begins = self.is_begun_by(install, &report);
        let probe = match &report {
            Report::Ended { attempt, fence, .. } => Some((attempt.clone(), *fence)),
            _ => None,
        };
        let report = self.believed(install, report);
        let before = self.broker.is_up(self.now_ms).then(|| self.broker.object(&id));
        self.cause = cause;
        let answer = self.submit(&id, Actor::Runner, None, Body::Report(report));
        self.cause = Cause::Other;
        if let (Some(job), Answer::Accepted) = (begins, answer) {
            let at = self.broker.notes().last;
            self.promises.started(install, &job, at);
        }
        if let Some((key, look)) = probe.and_then(|key| Some((key.clone(), self.world.looks.get(&key)?))) {
            self.promises.probed(&key, look, answer == Answer::Accepted);
        }
        let changed = before.is_some_and(|before| before != self.broker.object(&id));
        if answer == Answer::Accepted && generation != speaks && changed {
            let words =
                format!("I16 generation {generation} was heard on install {install}; {speaks} speaks");
            self.watch.found.get_or_insert(words);
        }
        answer
    }

    /// The job of which something may change once this is heard.
    fn is_begun_by(&self, install: usize, report: &Report) -> Option<String> {
        let Report::Started { attempt, fence, .. } = report else { return None };
        let key = (attempt.clone(), *fence);
        let entry =
            self.hosts[install].iter().rev().find_map(|host| self.runners[*host].journal.get(&key))?;
        (entry.spec.stage != Stage::Plan).then(|| attempt.job.clone())
    }

    /// The generation that may speak for an install.
    pub(super) fn generation(&self, install: usize) -> u64 {
        let object = self.broker.objects.get(&runner_id(install));
        object.and_then(|object| object.as_runner()).map_or(0, |runner| runner.generation())
    }

    /// The planted bug of a broker that does not look at generation and fence.
    fn believed(&self, install: usize, report: Report) -> Report {
        let Report::Ended { attempt, outcome, generation, fence, receipts } = report else { return report };
        let object = self.broker.object(&runner_id(install));
        if let Detail::Runner { jobs, .. } = object.view().detail
            && self.has_bug(Bug::AcceptAnyCompletion)
            && let Some(job) = jobs.into_iter().find(|j| j.attempt.job == attempt.job)
        {
            let generation = self.generation(install);
            return Report::Ended { generation, attempt: job.attempt, fence: job.fence, outcome, receipts };
        }
        Report::Ended { attempt, outcome, generation, fence, receipts }
    }

    /// One long poll after another, as long as the runner is there and its identity is good.
    pub(super) fn poll(&mut self, runner: usize) {
        self.runners[runner].asks = self.lease(runner);
        if self.runners[runner].asks {
            let wait_ms = self.dice.wait_ms(self.runners[runner].install, 10_000..50_000);
            self.after(wait_ms, What::Poll { runner });
        }
    }

    /// Asks for work; false when it need not ask again.
    pub(super) fn lease(&mut self, runner: usize) -> bool {
        let this = &self.runners[runner];
        let (install, generation) = (this.install, this.generation);
        if !this.works() {
            return false;
        }
        let is_full = this.busy() >= CAPACITY && !self.has_bug(Bug::PastCapacity);
        if !self.broker.is_up(self.now_ms) || is_full || this.full_until_ms > self.now_ms {
            return true;
        }
        if self.generation(install) != generation {
            // Its identity is void: it asks no more.
            return false;
        }
        self.hear(runner);
        self.tell_marks(runner);
        self.follow_again(install, runner);
        let object = self.broker.object(&runner_id(install));
        let held = |offer: &Offer| {
            let entry = self.runners[runner].journal.get(&(offer.spec.id.clone(), offer.fence));
            entry.is_some_and(|e| !matches!(e.state, State::Ended { reported: true, .. }))
        };
        let offer = object.as_runner().and_then(|runner| runner.next_offer()).filter(|offer| !held(offer));
        let offer = match offer {
            Some(offer) => {
                let is_lost = self.dice.strikes(Luck::OfferLost, install, 60);
                Some(offer).filter(|_| !is_lost).map(|offer| self.sealed(offer))
            }
            None => self.replayed(runner),
        };
        if let Some(offer) = offer {
            self.take(runner, offer);
            // There may be more: it asks again at once.
            self.after(20, What::Wake { runner });
        }
        true
    }

    /// An envelope as the brokers sign it: of a broken glass it says something as long as that lasts.
    fn sealed(&self, mut offer: Offer) -> Offer {
        let now = self.by_brokers();
        let unseen = self.has_bug(Bug::GlassUnseen);
        offer.spec.glass = offer.spec.glass.filter(|glass| glass.holds(now) && !unseen);
        offer
    }

    /// The edge hears of a runner and tells its loop what it does not know yet.
    fn hear(&mut self, runner: usize) {
        let this = &mut self.runners[runner];
        this.heard_ms = self.now_ms;
        let (install, generation, boot) = (this.install, this.generation, this.boot.to_string());
        let object = self.broker.object(&runner_id(install));
        let Some(state) = object.as_runner() else { return };
        if !matches!(state.presence(), Presence::Online { .. }) || state.info().boot != boot {
            let info = Info { boot, capacity: u32::try_from(CAPACITY).unwrap_or(1), ..Info::default() };
            self.say(install, Report::Seen { generation, info });
        }
    }

    /// A broker that knows less than its runner was restored: it learns how far the runner had got.
    fn tell_marks(&mut self, runner: usize) {
        let this = &self.runners[runner];
        let (install, generation, seq, fence) =
            (this.install, this.generation, this.seq_high, this.fence_high);
        let object = self.broker.object(&runner_id(install));
        if !object.as_runner().is_some_and(|state| state.wants_marks(seq, fence)) {
            return;
        }
        let in_hand = |entry: &Entry| !matches!(entry.state, State::Ended { reported: true, .. });
        let held = this.journal.iter().filter(|(_, e)| in_hand(e)).map(|(key, _)| key.clone()).collect();
        self.say(install, Report::Marks { generation, seq, fence, held });
    }

    /// The models follow an install again that has come to rest after a restore.
    fn follow_again(&mut self, install: usize, runner: usize) {
        let this = &self.runners[runner];
        let object = self.broker.object(&runner_id(install));
        let Some(state) = object.as_runner().filter(|_| self.follower.is_off(install)) else { return };
        let Detail::Runner { jobs, .. } = object.view().detail else { return };
        let mut others = self.hosts[install].iter().filter(|other| **other != runner);
        let is_alone = self.newest(install) == Some(runner) && !others.any(|r| self.runners[*r].host_up);
        let is_idle = |entry: &Entry| matches!(entry.state, State::Ended { reported: true, .. });
        let is_caught_up = state.generation() == this.generation
            && !state.wants_marks(this.seq_high, this.fence_high)
            && jobs.is_empty();
        let is_at_rest = this.journal.values().all(is_idle) && self.world.of(install).next().is_none();
        if is_alone && is_caught_up && is_at_rest {
            self.follower.begin_anew(install, this.host, this.generation);
        }
    }

    /// An envelope of before, once more: the network's doing or a hostile broker's.
    fn replayed(&mut self, runner: usize) -> Option<Offer> {
        if !self.dice.strikes(Luck::Replay, self.runners[runner].install, 50) {
            return None;
        }
        let (key, entry) = self.runners[runner].journal.iter().next_back()?;
        Some(Offer { spec: entry.spec.clone(), seq: entry.seq, fence: key.1, place: None })
    }

    /// Checks an envelope and puts it on record.
    fn take(&mut self, runner: usize, offer: Offer) {
        let (attempt, fence, component) = (offer.spec.id.clone(), offer.fence, offer.spec.component.clone());
        let key = (attempt, fence);
        let forgets = self.has_bug(Bug::ForgetHighWater);
        let this = &self.runners[runner];
        let (install, host) = (this.install, this.host);
        match this.journal.get(&key).map(|entry| &entry.state) {
            Some(State::Ended { reported: true, outcome }) if !forgets => {
                // Carried to its end already: it says so again.
                let (generation, outcome) = (this.generation, outcome.clone());
                let (attempt, fence) = key;
                self.follower.says_again(install, &component, fence, host);
                self.send(runner, Report::Ended { generation, attempt, fence, outcome, receipts: None });
                return;
            }
            Some(State::Accepted | State::Begun | State::Running { .. }) => return,
            Some(State::Ended { .. }) if !forgets => return,
            Some(State::Ended { .. }) | None => {}
        }
        let apart_ms = (this.skew_ms - self.broker.skew_ms).abs();
        if (offer.seq <= this.seq_high && !forgets) || apart_ms > START_WITHIN_MS {
            return self.refuse(runner, offer, apart_ms <= START_WITHIN_MS);
        }
        let is_whole_again = |glass: &BreakGlass| !glass.holds(Timestamp(self.now_ms + this.skew_ms));
        if offer.spec.glass.as_ref().is_some_and(is_whole_again) {
            return self.glass_is_whole(runner, offer);
        }
        let this = &mut self.runners[runner];
        this.seq_high = this.seq_high.max(offer.seq);
        this.fence_high = this.fence_high.max(offer.fence);
        this.journal.insert(key.clone(), Entry { spec: offer.spec, seq: offer.seq, state: State::Accepted });
        self.follower.attempt(install, &component, fence, |fence| Step::Accept { host, fence });
        let wait_ms = self.dice.wait_ms(install, 1..500);
        self.after(wait_ms, What::Start { runner, key });
    }

    /// An envelope says that it passes by a glass that is not broken any more.
    fn glass_is_whole(&mut self, runner: usize, offer: Offer) {
        let (code, message) = ("seal.break_glass_over".to_owned(), "the time for it is over".to_owned());
        let failure = Failure { class: FailureClass::Refused, code, message, hint: String::new() };
        self.refuse_as(runner, offer, false, Outcome::Failed(failure));
    }

    /// Says that it will not take it, and remembers that: another time it says the same.
    fn refuse(&mut self, runner: usize, offer: Offer, is_old: bool) {
        self.refuse_as(runner, offer, is_old, failure(FailureClass::Refused));
    }

    fn refuse_as(&mut self, runner: usize, offer: Offer, is_old: bool, outcome: Outcome) {
        let Offer { spec, seq, fence, .. } = offer;
        let this = &mut self.runners[runner];
        let (install, host, generation) = (this.install, this.host, this.generation);
        let (attempt, component) = (spec.id.clone(), spec.component.clone());
        let state = State::Ended { outcome: outcome.clone(), reported: true };
        this.journal.insert((attempt.clone(), fence), Entry { spec, seq, state });
        self.follower.attempt(install, &component, fence, |fence| match is_old {
            true => Step::Accept { host, fence },
            false => Step::Refuse { host, fence },
        });
        self.send(runner, Report::Ended { generation, attempt, fence, outcome, receipts: None });
    }

    /// Takes the lock, puts that on record, and asks whether it may start until it is told.
    pub(super) fn start(&mut self, runner: usize, key: &Key) {
        let this = &self.runners[runner];
        let Some(entry) = this.journal.get(key).filter(|_| this.works()) else { return };
        let (install, generation, fence) = (this.install, this.generation, key.1);
        match entry.state {
            State::Accepted if this.is_locked(key) => {
                return self.after(1_000, What::Start { runner, key: key.clone() });
            }
            State::Accepted => {
                if !self.lock(runner, key) {
                    return;
                }
            }
            State::Begun => {}
            State::Running { .. } | State::Ended { .. } => return,
        }
        let answer = match self.bug {
            Some(Bug::StartUnconfirmed) => Answer::Accepted,
            _ => self.send(runner, Report::Started { generation, attempt: key.0.clone(), fence }),
        };
        match answer {
            Answer::Accepted | Answer::Duplicate => {
                if self.must_stop(runner, key) && !self.has_bug(Bug::StartUnconfirmed) {
                    return self.end_and_report(runner, key, cancelled());
                }
                let wait_ms = self.dice.wait_ms(install, 1..50);
                self.after(wait_ms, What::Begin { runner, key: key.clone() });
            }
            Answer::Rejected(_) => self.end_and_report(runner, key, cancelled()),
            Answer::Unknown => self.after(2_000, What::Start { runner, key: key.clone() }),
        }
    }

    /// The component's lock, with a fence above every one that held it; false if it is not to be had.
    fn lock(&mut self, runner: usize, key: &Key) -> bool {
        let full = self.runners[runner].full_until_ms > self.now_ms;
        let forgets = self.has_bug(Bug::ForgetHighWater);
        let this = &mut self.runners[runner];
        let (install, host, fence) = (this.install, this.host, key.1);
        let Some(entry) = this.journal.get_mut(key) else { return false };
        let component = entry.spec.component.clone();
        let held = this.fences.entry(component.clone()).or_default();
        if full || (fence <= *held && !forgets) {
            self.end_and_report(runner, key, failure(FailureClass::Refused));
            return false;
        }
        *held = fence.max(*held);
        entry.state = State::Begun;
        self.follower.attempt(install, &component, fence, |fence| Step::Begin { host, fence });
        true
    }

    pub(super) fn must_stop(&self, runner: usize, key: &Key) -> bool {
        let this = &self.runners[runner];
        let object = self.broker.object(&runner_id(this.install));
        let Some(state) = object.as_runner() else { return true };
        state.generation() != this.generation || state.stop_reason(&key.0, key.1).is_some()
    }

    /// Told that it may: the tool is started.
    pub(super) fn begin(&mut self, runner: usize, key: &Key) {
        let this = &self.runners[runner];
        let Some(entry) = this.journal.get(key).filter(|e| this.works() && e.state == State::Begun) else {
            return;
        };
        let (install, host, spec) = (this.install, this.host, entry.spec.clone());
        if let Some(failure) = self.is_not_approved(runner, &spec) {
            return self.end_and_report(runner, key, failure);
        }
        self.is_as_promised(install, key, &spec);
        let view = self.broker.object(&install_id(install)).view();
        let is_teardown = view.operation.as_ref().is_some_and(|operation| operation.kind == "teardown");
        let drops_by = match &view.detail {
            Detail::Install { release: Some(release), .. } => Some(release.counter).filter(|_| !is_teardown),
            _ => None,
        };
        let process = Process {
            drops_by,
            install,
            component: spec.component.clone(),
            action: spec.action,
            only_plans: spec.stage == Stage::Plan,
            job: key.0.job.clone(),
            attempt: key.0.attempt,
            fence: key.1,
            operation: operation_of(&key.0),
            release: spec.release.counter,
            began_ms: self.now_ms,
        };
        let seq = self.runners[runner].journal.get(key).map_or(0, |entry| entry.seq);
        let (component, action) = (spec.component, spec.action);
        let pid = self.world.spawn(process, runner, seq);
        self.follower.attempt(install, &component, key.1, |fence| Step::Spawn { host, fence });
        if let Some(entry) = self.runners[runner].journal.get_mut(key) {
            entry.state = State::Running { pid };
        }
        let longest_ms = if action == Action::Health { 5_000 } else { 240_000 };
        let run_ms = self.dice.wait_ms(install, 2_000..longest_ms);
        self.after(run_ms, What::Finish { runner, key: key.clone(), pid });
        self.after(5_000, What::StopCheck { runner, key: key.clone() });
    }
}
