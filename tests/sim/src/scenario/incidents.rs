//! What people do, and what happens to the brokers.

use remit_loops::runner::Report;
use remit_loops::{Actor, Body, Signal, install};

use super::{HOUR_MS, Run, What};
use crate::broker::Answer;
use crate::bugs::Bug;
use crate::luck::Luck;
use crate::names::{app_id, install_id, runner_id};
use crate::people;
use crate::runner::State;

/// How many requests a tenant sends at once that asks for far more than its share.
const FLOOD: usize = 1_100;

impl Run {
    pub(super) fn status(&self, install: usize) -> String {
        let object = self.broker.objects.get(&install_id(install));
        object.map_or_else(|| "absent".to_owned(), |object| object.view().status.word)
    }

    pub(super) fn person(&mut self, install: usize) {
        let next_ms = self.dice.wait_ms(install, 60_000..1_800_000);
        self.after(next_ms, What::Person { install });
        // Nobody leaves something behind where everything is to go.
        let operation = self.broker.object(&install_id(install)).view().operation;
        let deleting = operation.is_some_and(|op| op.kind == "teardown") || self.status(install) == "held";
        let signal = people::something(self.dice.rng(Luck::Person, install), deleting);
        if !self.dice.strikes(Luck::Person, install, 1_000) {
            return;
        }
        self.sent += 1;
        let number = self.sent;
        self.unanswered.insert(number, (install, signal, 0));
        self.resend(install, number);
    }

    /// Sends a signal again, with the same key, until somebody answers.
    pub(super) fn resend(&mut self, install: usize, number: u64) {
        let Some((_, signal, tries)) = self.unanswered.get_mut(&number) else { return };
        *tries += 1;
        let (signal, tries) = (signal.clone(), *tries);
        let key = match self.bug {
            Some(Bug::NewKeyEachTime) => format!("p{number}.{tries}"),
            _ => format!("p{number}"),
        };
        self.trace.line(self.now_ms, &format!("  {} asks for {signal:?}", people::name(number)));
        let to = install_id(install);
        let by = people::name(number);
        let mut answer = self.submit(&to, Actor::Person(by.into()), Some(key), Body::Signal(signal));
        if self.dice.strikes(Luck::AnswerLost, install, 60) {
            answer = Answer::Unknown;
        }
        if answer == Answer::Unknown {
            return self.after(5_000, What::Resend { install, number });
        }
        self.unanswered.remove(&number);
        let object = self.broker.object(&to);
        let is_new = object.as_install().map_or(0, install::Install::epoch) > 1;
        if answer == Answer::Accepted && is_new && !self.has_identity(install) && self.dice.faults {
            self.retire(install);
            self.enrol(install);
        }
    }

    /// A tenant asks for far more than its share; what is too much is refused, and nobody else notices.
    pub(super) fn flood(&mut self, install: usize) {
        let next_ms = self.dice.wait_ms(install, 12 * HOUR_MS..24 * HOUR_MS);
        self.after(next_ms, What::Flood { install });
        if self.status(install) != "active" || !self.dice.strikes(Luck::Flood, install, 300) {
            return;
        }
        for _ in 0..FLOOD {
            self.sent += 1;
            let (key, body) = (format!("f{}", self.sent), Signal::Install(install::Signal::Reprovision {}));
            self.submit(&install_id(install), Actor::Person("bob".into()), Some(key), Body::Signal(body));
        }
    }

    pub(super) fn vendor(&mut self) {
        let next_ms = self.dice.wait_ms(0, HOUR_MS / 2..4 * HOUR_MS);
        self.after(next_ms, What::Vendor);
        let hold = self.dice.rng(Luck::Vendor, 0).bool();
        if self.dice.strikes(Luck::Vendor, 0, 1_000) {
            self.releases += 1;
            self.tell_broker(&app_id(), &people::publish(self.releases, hold));
        }
    }

    pub(super) fn by_hand(&mut self, install: usize) {
        let next_ms = self.dice.wait_ms(install, HOUR_MS..6 * HOUR_MS);
        self.after(next_ms, What::ByHand { install });
        if self.dice.strikes(Luck::ByHand, install, 1_000) {
            let thing = self.world.thing(install, "network");
            thing.drifted = thing.exists;
        }
    }

    pub(super) fn broker_outage(&mut self) {
        let (next_ms, length_ms) =
            (self.dice.wait_ms(0, HOUR_MS..5 * HOUR_MS), self.dice.wait_ms(0, 5_000..1_200_000));
        self.after(next_ms, What::BrokerOutage);
        if self.dice.strikes(Luck::Outage, 0, 1_000) {
            (0..self.broker.engines()).for_each(|which| self.broker.kill(which));
            self.broker.down_until_ms = self.now_ms + length_ms;
        }
    }

    /// One of them is gone, and at once another process is in its place.
    pub(super) fn broker_killed(&mut self) {
        let next_ms = self.dice.wait_ms(0, HOUR_MS / 4..2 * HOUR_MS);
        self.after(next_ms, What::BrokerKilled);
        if self.dice.strikes(Luck::BrokerKilled, 0, 1_000) {
            let which = self.dice.rng(Luck::BrokerKilled, 0).usize(0..self.broker.engines());
            self.broker.kill(which);
        }
    }

    pub(super) fn broker_clock(&mut self) {
        let next_ms = self.dice.wait_ms(0, HOUR_MS / 2..5 * HOUR_MS);
        self.after(next_ms, What::BrokerClock);
        let jumps = self.broker.skew_ms == 0 && self.dice.strikes(Luck::BrokerClock, 0, 500);
        let skew_ms = self.dice.rng(Luck::BrokerClock, 0).i64(-HOUR_MS..HOUR_MS);
        self.broker.skew_ms = if jumps { skew_ms } else { 0 };
        self.arm_tick(self.now_ms);
    }

    /// Somebody copies the store, and it may be put back up to three hours later.
    pub(super) fn backup(&mut self) {
        let next_ms = self.dice.wait_ms(0, 4 * HOUR_MS..8 * HOUR_MS);
        self.after(next_ms, What::Backup);
        let wait_ms = self.dice.wait_ms(0, 60_000..3 * HOUR_MS);
        if self.dice.strikes(Luck::Restore, 0, 300) {
            self.broker.back_up();
            self.world.back_up();
            self.backed_up = Some(self.promises.clone());
            self.after(wait_ms, What::Restore);
        }
    }

    /// The store is put back, and every runner's loop is told, as the broker does it at its start.
    /// Hosts that the broker does not know of are people's business: they see to it that none stays.
    pub(super) fn restore(&mut self) {
        if !self.broker.restore() {
            return;
        }
        self.follower.forget(&self.installs);
        self.watch.forget();
        if let Some(promises) = self.backed_up.take() {
            self.promises = promises;
        }
        let in_hand = self.runners.iter().flat_map(|runner| runner.journal.iter());
        let in_hand = in_hand.filter(|(_, entry)| !matches!(entry.state, State::Ended { .. }));
        let in_hand = in_hand.map(|((id, fence), _)| (id.job.clone(), id.attempt, *fence));
        self.world.put_back(in_hand);
        // What was on its way to the brokers' former processes arrives nowhere.
        self.plan.retain(|_, what| !matches!(what, What::Echo { .. }));
        for install in self.installs.clone() {
            // Whose identity was void before may be good again: people start it anew.
            let newest = self.newest(install).filter(|runner| self.runners[*runner].works());
            if let Some(runner) = newest.filter(|runner| !self.runners[*runner].asks) {
                self.runners[runner].asks = true;
                self.after(100, What::Poll { runner });
            }
            if self.generation(install) != 0 {
                self.tell_report(install, &Report::Restored {});
            }
            if !self.has_identity(install) {
                self.retire(install);
                if self.enrol(install) {
                    self.declare_lost(install);
                }
            }
        }
    }

    /// What the broker tells a runner's loop until it is stored.
    fn tell_report(&mut self, install: usize, report: &Report) {
        let body = Body::Report(report.clone());
        for _ in 0..1_000 {
            let answer = self.submit(&runner_id(install), Actor::Clock, None, body.clone());
            if answer != Answer::Unknown {
                return;
            }
            self.now_ms += 1_000;
        }
    }
}
