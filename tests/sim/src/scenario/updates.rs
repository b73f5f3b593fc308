//! What people do about updates: when an install is changed, what is approved, who gets a release first.
//! And what is written down of it, apart from the brokers, to hold them to it.

use remit_loops::freeze::RemoveFreeze;
use remit_loops::job::{Failure, FailureClass, Outcome};
use remit_loops::plan::{Reply, Stage};
use remit_loops::runner::JobSpec;
use remit_loops::runner::Report;
use remit_loops::view::{Detail, View};
use remit_loops::{Actor, Body, ObjectId, Signal, Timestamp, app, install, org};

use super::{HOUR_MS, Run, What};
use crate::broker::Answer;
use crate::bugs::{Bug, misheard};
use crate::luck::Luck;
use crate::names::{app_id, install_id, operation_of, org_id, runner_id};
use crate::people::{self, wishes};
use crate::promises::Said;
use crate::runner::Key;

/// How many plans a person remembers.
const REMEMBERED_MAX: usize = 8;

/// A signal on its way.
pub(super) struct Saying {
    to: ObjectId,
    by: String,
    key: String,
    signal: Signal,
    before: View,
}

impl Run {
    /// When the brokers' clock says that it is.
    pub(super) fn by_brokers(&self) -> Timestamp {
        Timestamp(self.now_ms + self.broker.skew_ms).max(self.broker.notes().last)
    }

    pub(super) fn about_to_say(
        &self,
        to: &ObjectId,
        by: &Actor,
        key: Option<&str>,
        body: &Body,
    ) -> Option<Saying> {
        let (Body::Signal(signal), Some(key)) = (body, key) else { return None };
        let (to, by, key, signal) = (to.clone(), by.to_string(), key.to_owned(), signal.clone());
        let before = self.broker.object(&to).view();
        Some(Saying { to, by, key, signal, before })
    }

    /// Writes down what is stored, whether its sender was told or not.
    pub(super) fn was_said(&mut self, saying: Option<Saying>) {
        let Some(Saying { to, by, key, signal, before }) = saying else { return };
        let notes = self.broker.notes();
        let (at, is_stored) = (notes.last, notes.keys.contains_key(&(to.clone(), key.clone())));
        drop(notes);
        if is_stored {
            let after = &self.broker.object(&to).view();
            let said = Said { at, to: &to, by: &by, key: &key, signal: &signal, before: &before, after };
            self.promises.hear(&said);
        }
    }

    /// What the brokers hear, if a bug is planted in their ears.
    pub(super) fn misheard(&self, to: &ObjectId, body: Body) -> Body {
        match (self.bug, body) {
            (Some(bug), Body::Signal(signal)) => {
                Body::Signal(misheard(bug, signal, self.by_brokers(), &self.broker.object(to).view()))
            }
            (_, body) => body,
        }
    }

    /// Somebody says when an install is changed, or answers a plan that waits.
    pub(super) fn customer(&mut self, install: usize) {
        let next_ms = self.dice.wait_ms(install, 300_000..2_400_000);
        self.after(next_ms, What::Customer { install });
        let view = self.broker.object(&install_id(install)).view();
        let (at, name) = (self.by_brokers(), format!("f{}", self.sent));
        let seen = self.seen_plans.entry(install).or_default();
        let wish = wishes::about_updates(self.dice.rng(Luck::Customer, install), &view, at, seen, name);
        for digest in wishes::plans(&view).map(|(_, plan)| plan.plan.digest.clone()) {
            seen.retain(|known| *known != digest);
            seen.push(digest);
        }
        let over = seen.len().saturating_sub(REMEMBERED_MAX);
        seen.drain(..over);
        if !self.dice.strikes(Luck::Customer, install, 1_000) {
            return;
        }
        self.customer_answers(install, &view);
        let Some(signal) = wish else { return };
        self.sent += 1;
        let number = self.sent;
        self.unanswered.insert(number, (install, Signal::Install(signal), 0));
        self.resend(install, number);
    }

    /// The customer's word on plans that wait for it, by way of their runner.
    fn customer_answers(&mut self, install: usize, view: &View) {
        let waiting: Vec<(String, String)> = wishes::plans(view)
            .filter(|(_, asking)| asking.customer)
            .map(|(name, asking)| (name.to_owned(), asking.plan.digest.clone()))
            .collect();
        for (component, digest) in waiting {
            let until = self.by_brokers().plus_ms(24 * HOUR_MS);
            let reply = Reply::Approved { by: "eve".into(), until };
            let generation = self.generation(install);
            let report = Report::PlanAnswered { generation, component, digest: digest.clone(), reply };
            self.promises.customer_says(install, &digest);
            self.say(install, report);
        }
    }

    /// Somebody of the vendor freezes, rolls out, halts, goes on, goes back.
    pub(super) fn operator(&mut self) {
        let next_ms = self.dice.wait_ms(0, HOUR_MS / 6..HOUR_MS);
        self.after(next_ms, What::Operator);
        let (app, org) = (self.broker.object(&app_id()).view(), self.broker.object(&org_id()).view());
        let (at, name) = (self.by_brokers(), format!("f{}", self.sent));
        let wish = wishes::of_the_vendor(self.dice.rng(Luck::Operator, 0), (&app, &org), at, name);
        if let Some(signal) = wish.filter(|_| self.dice.strikes(Luck::Operator, 0, 1_000)) {
            self.trace.line(self.now_ms, &format!("  ann asks for {signal:?}"));
            let to = if matches!(signal, Signal::Org(_)) { org_id() } else { app_id() };
            self.tell_broker(&to, &signal);
        }
    }

    /// Why the runner does not carry out a plan: another one would be carried out, or the yes is too old.
    pub(super) fn is_not_approved(&self, runner: usize, spec: &JobSpec) -> Option<Outcome> {
        let this = &self.runners[runner];
        let Stage::Apply(approved) = &spec.stage else {
            // What the customer's remit wants to see first is not done without a plan.
            let makes = spec.stage == Stage::Whole && spec.action.makes();
            let asks = makes && self.world.plan(this.install, spec).customer_approval_needed;
            return asks.then(|| refused("runner.approval_needed", "the customer must approve its plan"));
        };
        let now = Timestamp(self.now_ms + this.skew_ms);
        let is_old = approved.approvals.iter().any(|approval| approval.until <= now);
        let is_other = self.world.plan(this.install, spec).digest != approved.digest;
        let code = match (is_old, is_other && !self.has_bug(Bug::ApplyAnotherPlan)) {
            (true, _) => "runner.approval_expired",
            (false, true) => "runner.plan_changed",
            (false, false) => return None,
        };
        Some(refused(code, "the plan is not the one that was approved"))
    }

    /// Holds what begins against what people said.
    pub(super) fn is_as_promised(&mut self, install: usize, key: &Key, spec: &JobSpec) {
        let Detail::Runner { jobs, .. } = self.broker.object(&runner_id(install)).view().detail else {
            return;
        };
        let is_it = |job: &&remit_loops::view::JobView| (&job.attempt, job.fence) == (&key.0, key.1);
        let Some(job) = jobs.iter().find(is_it).filter(|job| job.state == "running") else { return };
        let view = self.broker.object(&install_id(install)).view();
        let app = self.broker.object(&app_id()).view();
        let begun = [&view.operation, &view.reading].into_iter().flatten();
        let begun =
            begun.map(|op| op.number).find(|n| operation_of(&key.0) == format!("e{}.o{n}", view.epoch));
        let paused = begun.and_then(|number| self.promises.begins_paused(install, number));
        self.watch.found = self.watch.found.take().or(paused);
        let found = self.promises.begins(install, spec, job.since, (&view, &app), &self.world);
        if let (Some(found), None) = (found, &self.watch.found) {
            self.watch.found = Some(found);
        }
    }

    /// Nothing holds up an install any more.
    pub(super) fn let_all_go_on(&mut self, install: usize) {
        self.tell(install, install::Signal::SetPolicy { policy: install::Policy::Latest {} });
        let never = remit_loops::approval::Policy::default();
        self.tell(install, install::Signal::SetApproval { policy: never });
        let view = self.broker.object(&install_id(install)).view();
        let Detail::Install { updates, .. } = view.detail else { return };
        for freeze in updates.freezes.into_iter().filter(|freeze| freeze.of == install_id(install)) {
            self.tell(
                install,
                install::Signal::Unfreeze(RemoveFreeze { name: freeze.name, reason: "all is well".into() }),
            );
        }
    }

    /// Nothing of the app or the org holds up installs any more.
    pub(super) fn let_all_above_go_on(&mut self) {
        let reason = || "all is well".to_owned();
        let (app, org) = (self.broker.object(&app_id()).view(), self.broker.object(&org_id()).view());
        if let Detail::App { freezes, rollout, .. } = app.detail {
            for freeze in freezes.into_iter().filter(|freeze| freeze.of == app_id()) {
                let signal = app::Signal::Unfreeze(RemoveFreeze { name: freeze.name, reason: reason() });
                self.tell_broker(&app_id(), &Signal::App(signal));
            }
            if rollout.is_some_and(|rollout| wishes::is_open(&rollout)) {
                let signal = app::Signal::AbortRollout { reason: reason() };
                self.tell_broker(&app_id(), &Signal::App(signal));
            }
        }
        if let Detail::Org { freezes, .. } = org.detail {
            for freeze in freezes {
                let signal = org::Signal::Unfreeze(RemoveFreeze { name: freeze.name, reason: reason() });
                self.tell_broker(&org_id(), &Signal::Org(signal));
            }
        }
    }

    /// Everybody says yes to every plan that waits.
    pub(super) fn approve_all(&mut self, install: usize) {
        let view = self.broker.object(&install_id(install)).view();
        self.customer_answers(install, &view);
        let waiting: Vec<String> =
            wishes::plans(&view).map(|(_, asking)| asking.plan.digest.clone()).collect();
        for (digest, person) in waiting.iter().flat_map(|digest| (0..3).map(move |n| (digest, n))) {
            self.sent += 1;
            let approve = install::Signal::Approve { plan: digest.clone(), component: None, operation: None };
            let body = Body::Signal(Signal::Install(approve));
            let by = Actor::Person(people::name(person).into());
            let answer = self.submit(&install_id(install), by, Some(format!("a{}", self.sent)), body);
            debug_assert_ne!(answer, Answer::Unknown, "nothing goes wrong any more");
        }
    }
}

fn refused(code: &str, message: &str) -> Outcome {
    let (code, message, hint) = (code.to_owned(), message.to_owned(), String::new());
    Outcome::Failed(Failure { class: FailureClass::Refused, code, message, hint })
}
