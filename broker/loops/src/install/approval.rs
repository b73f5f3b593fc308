//! Plan, approve, apply: which steps are planned first, whose yes their plans need, and what a yes or a no
//! does. A yes is of one plan, by its digest; another plan of the same step needs another.

mod prompt;

use super::Live;
use super::operation::Operation;
use super::unchanged::Fields;
use crate::actor::Actor;
use crate::approval::Ask;
use crate::event::{Effect, Event, record, record_at};
use crate::graph::{Step, StepState};
use crate::job::{Action, Failure, FailureClass, Outcome};
use crate::plan::{Approval, ApprovedPlan, Asking, Needed, Plan, Reply, Side, Stage, Terms};
use crate::rejected::{Rejected, RejectedCode, conflict};
use crate::time::Timestamp;
use crate::timeline::Level;

/// How often in a row a step is planned again because its approved plan was worth nothing.
const REPLANS_MAX: u32 = 5;

/// What is hashed first for the digest of all plans that wait.
const ALL_SCHEME: &str = "remit plans that wait 1";

/// Words of runners for: this cannot be carried out as it is, and another plan may do.
const PLAN_AGAIN: [&str; 8] = [
    "seal.break_glass_over",
    "runner.plan_missing",
    "runner.plan_changed",
    "executor.plan_stale",
    "seal.approval_missing",
    "seal.approval_expired",
    "runner.approval_needed",
    "runner.approval_expired",
];

impl Live {
    /// How much of its action a step that is ready does next.
    pub(super) fn next_stage(&self, at: Timestamp, op: &Operation, index: usize) -> Stage {
        let step = &op.graph.steps[index];
        if matches!(step.stage, Stage::Apply(_)) {
            return step.stage.clone();
        }
        let asks = (self.approval.ask != Ask::Never && self.glass_at(at).is_none()) || step.replans > 0;
        let plans = step.action.makes() && (asks || self.needed(at, op, step) != Needed::None);
        if plans { Stage::Plan } else { Stage::Whole }
    }

    /// Whose approval the signed release wants for a step; a broken glass passes the vendor's.
    fn needed(&self, at: Timestamp, op: &Operation, step: &Step) -> Needed {
        let approvals = if step.action == Action::Deploy {
            op.release.as_ref().map(|release| &release.approvals)
        } else {
            self.parts.get(&step.component).map(|part| &part.approvals)
        };
        let needed = approvals.and_then(|all| all.get(step.action.as_str())).copied().unwrap_or_default();
        if self.glass_at(at).is_some() { needed.of_customer() } else { needed }
    }

    /// The terms of the vendor's approval that the signed release wants for a step.
    fn terms(&self, op: &Operation, step: &Step) -> Option<Terms> {
        let terms = if step.action == Action::Deploy {
            op.release.as_ref().map(|release| &release.terms)
        } else {
            self.parts.get(&step.component).map(|part| &part.terms)
        };
        terms.and_then(|all| all.get(step.action.as_str())).cloned()
    }

    /// Takes a task's end that is about its plan: made, or worth nothing. None for any other end.
    pub(super) fn plan_ended(
        &mut self,
        at: Timestamp,
        number: u64,
        component: &str,
        outcome: &Outcome,
    ) -> Option<Vec<Effect>> {
        let op = self.operation(number)?;
        let index = op.graph.running(component)?;
        let step = &op.graph.steps[index];
        let goes_on = op.is_running() && step.stopping.is_none();
        match (&step.stage, outcome) {
            (Stage::Plan, Outcome::Succeeded(success)) if goes_on => {
                let asking = success.plan.as_ref().map(|plan| self.asking(at, op, step, plan));
                let op = self.operation_mut(number)?;
                Some(match asking {
                    Some(asking) => op.planned(at, index, asking),
                    None => op.unplanned(at, index),
                })
            }
            (Stage::Plan, Outcome::Succeeded(_)) => {
                let message = "it was stopped when it was only planned".to_owned();
                let op = self.operation_mut(number)?;
                Some(op.step_ended(at, component, &Outcome::Cancelled { message }).into_iter().collect())
            }
            (_, Outcome::Failed(failure)) if goes_on && PLAN_AGAIN.contains(&failure.code.as_str()) => {
                self.operation_mut(number)?.plan_again(at, index, failure)
            }
            (_, Outcome::Succeeded(_) | Outcome::Failed(_) | Outcome::Cancelled { .. }) => None,
        }
    }

    /// Whose yes a plan needs, and why.
    pub(super) fn asking(&self, at: Timestamp, op: &Operation, step: &Step, plan: &Plan) -> Asking {
        let needed = self.needed(at, op, step);
        let rule = self.approval.asks(&step.component, plan).filter(|_| self.glass_at(at).is_none());
        let terms = self.terms(op, step).filter(|_| needed.vendor());
        let quorum = self.approval.quorum.max(terms.as_ref().map_or(1, |terms| terms.quorum));
        let customer = needed.customer() || plan.customer_approval_needed;
        let vendor = if needed.vendor() || rule.is_some() { quorum } else { 0 };
        let signed = (needed != Needed::None).then(|| "the signed release wants it".to_owned());
        let remit = plan.customer_approval_needed.then(|| "the customer's remit wants it".to_owned());
        let few = terms.as_ref().and_then(|terms| self.approval.too_few(terms, quorum));
        let reasons: Vec<String> = [signed, remit, rule, few].into_iter().flatten().collect();
        Asking { plan: plan.clone(), vendor, customer, reason: reasons.join("; "), approvals: vec![], terms }
    }

    /// When a plan that waits gets too old.
    pub(super) fn plan_deadline(&self) -> Option<Timestamp> {
        let op = self.work.as_ref().filter(|op| op.is_running())?;
        let too_old =
            |(index, _): (usize, &Asking)| op.graph.steps[index].since.plus_ms(self.approval.plan_age_ms);
        op.graph.asking().map(too_old).min()
    }

    /// Lets plans that got too old be made again: nobody should approve what was true a month ago.
    pub(super) fn age_plans(&mut self, at: Timestamp) -> Vec<Effect> {
        let age_ms = self.approval.plan_age_ms;
        let Some(op) = self.work.as_mut().filter(|op| op.is_running()) else { return vec![] };
        let is_old = |(index, _): &(usize, &Asking)| op.graph.steps[*index].since.plus_ms(age_ms) <= at;
        let old: Vec<usize> = op.graph.asking().filter(is_old).map(|(index, _)| index).collect();
        let again = |index: usize| {
            op.graph.again(index, at);
            let name = &op.graph.steps[index].component;
            record("plan.expired", format!("{name}: nobody approved its plan in time; it is planned again"))
        };
        old.into_iter().map(again).collect()
    }

    /// Somebody of the vendor says yes to a plan, or to all that wait at once.
    pub(super) fn approve(
        &mut self,
        event: &Event,
        digest: &str,
        component: Option<&str>,
        number: Option<u64>,
    ) -> Result<Vec<Effect>, Rejected> {
        let Actor::Person(by) = &event.by else {
            return Err(Rejected::new(RejectedCode::NotApprover, "only a person approves a plan"));
        };
        let policy = self.approval.clone();
        let (op, steps) = self.waiting(digest, component, number)?;
        policy.counts(by, &op.by.to_string())?;
        let terms = op
            .graph
            .asking()
            .filter(|(index, _)| steps.contains(index))
            .filter_map(|(_, a)| a.terms.as_ref());
        let terms: Vec<&Terms> = terms.collect();
        terms.iter().try_for_each(|terms| terms.counts(by))?;
        let valid_ms = terms.iter().map(|terms| terms.valid_ms).fold(policy.valid_ms, i64::min);
        let until = event.at.plus_ms(valid_ms);
        let approval = Approval { side: Side::Vendor, by: by.clone(), at: event.at, until };
        let has_said = |(index, asking): (usize, &Asking)| {
            steps.contains(&index) && asking.valid(event.at).any(|a| a.side == Side::Vendor && a.by == *by)
        };
        if op.graph.asking().any(has_said) {
            return Err(conflict(&format!(
                "{by} has approved it already; another person's approval is missing"
            )));
        }
        Ok(steps.into_iter().flat_map(|index| op.approve(event.at, index, approval.clone())).collect())
    }

    /// Somebody of the vendor says no: the step is held until somebody says what now.
    pub(super) fn deny(
        &mut self,
        event: &Event,
        digest: &str,
        component: Option<&str>,
        number: Option<u64>,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        let (op, steps) = self.waiting(digest, component, number)?;
        let by = event.by.to_string();
        Ok(steps.into_iter().map(|index| op.deny(event.at, index, &by, reason)).collect())
    }

    /// The steps that a word on plans is about: those whose plans it names.
    fn waiting(
        &mut self,
        digest: &str,
        component: Option<&str>,
        number: Option<u64>,
    ) -> Result<(&mut Operation, Vec<usize>), Rejected> {
        let none = || conflict("no plan waits for an approval here; `remit why` says what it waits for");
        let op = self.work.as_mut().filter(|op| op.is_running()).ok_or_else(none)?;
        if number.is_some_and(|number| number != op.number) {
            return Err(conflict(&format!("operation {} is the one that runs now", op.number)));
        }
        let fits = |index: &usize| component.is_none_or(|name| op.graph.steps[*index].component == name);
        let steps: Vec<usize> = op.graph.asking().map(|(index, _)| index).filter(fits).collect();
        if steps.is_empty() {
            return Err(none());
        }
        let named: Vec<usize> = steps.iter().copied().filter(|i| op.graph.plan(*i) == Some(digest)).collect();
        if !named.is_empty() {
            return Ok((op, named));
        }
        if op.all_plans().as_deref() == Some(digest) && component.is_none() {
            return Ok((op, steps));
        }
        let now: Vec<String> = steps
            .iter()
            .filter_map(|i| Some(format!("{} {}", op.graph.steps[*i].component, op.graph.plan(*i)?)))
            .collect();
        let message = format!("{digest} is not a plan that waits now; these are: {}", now.join(", "));
        Err(Rejected::new(RejectedCode::PlanStale, message))
    }

    /// The customer's word on a plan, by way of their runner. A late one is only written down.
    pub(super) fn answered(
        &mut self,
        at: Timestamp,
        component: &str,
        digest: &str,
        reply: &Reply,
    ) -> Vec<Effect> {
        let late = || {
            vec![record(
                "plan.answered_late",
                format!("the customer's word on {component} is of a plan that waits no more"),
            )]
        };
        let Some(op) = self.work.as_mut().filter(|op| op.is_running()) else { return late() };
        let is_it =
            |i: &usize| op.graph.steps[*i].component == component && op.graph.plan(*i) == Some(digest);
        let Some(index) = (0..op.graph.steps.len()).find(is_it) else { return late() };
        match reply {
            Reply::Approved { by, until } => {
                let approval = Approval { side: Side::Customer, by: by.clone(), at, until: *until };
                op.approve(at, index, approval)
            }
            Reply::Denied { by, reason } => vec![op.deny(at, index, &format!("{by} (customer)"), reason)],
        }
    }
}

impl Operation {
    /// A plan is made: it waits for whoever must approve it, or goes on.
    fn planned(&mut self, at: Timestamp, index: usize, asking: Asking) -> Vec<Effect> {
        let (name, summary) = (self.graph.steps[index].component.clone(), asking.plan.summary());
        let made = record("plan.made", format!("{name}: planned {summary} ({})", asking.plan.digest));
        let entry = if asking.is_complete(at) {
            record("plan.approved_by_rule", format!("{name}: no rule asks for a person's approval of it"))
        } else {
            record(
                "plan.waits",
                format!("{name}: its plan waits for {}: {}", asking.missing(), asking.reason),
            )
        };
        self.graph.set(index, StepState::Asking(Box::new(asking)), at);
        self.go_on_if_complete(at, index);
        vec![made, entry]
    }

    fn unplanned(&mut self, at: Timestamp, index: usize) -> Vec<Effect> {
        let failure = Failure {
            class: FailureClass::Bug,
            code: "loop.plan_unreported".to_owned(),
            message: "the runner planned it and reported no plan".to_owned(),
            hint: "bring the runner to the broker's version".to_owned(),
        };
        let text = format!("{}: {}", self.graph.steps[index].component, failure.message);
        self.graph.set(index, StepState::Failed(failure), at);
        vec![record_at(Level::Error, "step.failed", text)]
    }

    /// An approved plan is worth nothing any more: another is made, a few times in a row.
    fn plan_again(&mut self, at: Timestamp, index: usize, failure: &Failure) -> Option<Vec<Effect>> {
        let step = &mut self.graph.steps[index];
        if step.replans >= REPLANS_MAX {
            return None;
        }
        step.replans += 1;
        let text = format!("{}: it is planned again ({}): {}", step.component, failure.code, failure.message);
        self.graph.again(index, at);
        Some(vec![record_at(Level::Warning, "plan.void", text)])
    }

    fn approve(&mut self, at: Timestamp, index: usize, approval: Approval) -> Vec<Effect> {
        let step = &mut self.graph.steps[index];
        let StepState::Asking(asking) = &mut step.state else { return vec![] };
        step.replans = 0;
        let text = format!("{}: {} approved {}", step.component, approval.by, asking.plan.digest);
        asking.approvals.retain(|a| a.until > at && (a.side, &a.by) != (approval.side, &approval.by));
        asking.approvals.push(approval);
        self.go_on_if_complete(at, index);
        vec![record("plan.approved", text)]
    }

    /// Everybody who must has said yes: the step may start, with this plan and no other.
    fn go_on_if_complete(&mut self, at: Timestamp, index: usize) {
        let step = &mut self.graph.steps[index];
        let StepState::Asking(asking) = &step.state else { return };
        if asking.is_complete(at) {
            let approvals = asking.valid(at).cloned().collect();
            step.stage = Stage::Apply(ApprovedPlan { digest: asking.plan.digest.clone(), approvals });
            self.graph.set(index, StepState::Waiting, at);
        }
    }

    /// The vendor's people need not say anything any more.
    pub(super) fn pass_vendor(&mut self, at: Timestamp, index: usize) -> Option<Effect> {
        let step = &mut self.graph.steps[index];
        let StepState::Asking(asking) = &mut step.state else { return None };
        if asking.vendor == 0 {
            return None;
        }
        asking.vendor = 0;
        let text = format!("{}: its plan passes the vendor's approval by the broken glass", step.component);
        self.go_on_if_complete(at, index);
        Some(record_at(Level::Warning, "plan.passed", text))
    }

    fn deny(&mut self, at: Timestamp, index: usize, by: &str, reason: &str) -> Effect {
        let failure = Failure {
            class: FailureClass::Refused,
            code: "loop.plan_denied".to_owned(),
            message: format!("{by} denied its plan: {reason}"),
            hint: "change what they did not want".to_owned(),
        };
        let text = format!("{}: {}", self.graph.steps[index].component, failure.message);
        self.graph.set(index, StepState::Failed(failure), at);
        record_at(Level::Warning, "plan.denied", text)
    }

    /// One digest for all plans that wait now, if there are several.
    pub(super) fn all_plans(&self) -> Option<String> {
        let plans: Vec<&str> = self.graph.asking().map(|(_, asking)| asking.plan.digest.as_str()).collect();
        (plans.len() > 1).then(|| format!("sha256:{}", Fields::of(ALL_SCHEME, &plans)))
    }
}
