//! Rules at work: which one takes a failed step on, what it does next and when, and what is left of its
//! budget. What no rule takes on, or has given up, waits for a person as ever.

use std::collections::BTreeMap;

use super::Live;
use super::operation::{Operation, Phase};
use crate::component::message::ToComponent;
use crate::event::{Effect, record, record_at};
use crate::graph::StepState;
use crate::id::ObjectId;
use crate::job::{Action, Failure, Outcome};
use crate::notice::Notice;
use crate::plan::Stage;
use crate::remediation::{Remediation, Remedy, Rule, Use, View};
use crate::time::Timestamp;
use crate::timeline::Level;
use crate::waiting::{Evidence, Waiting};

/// How many uses of a rule are kept for people.
const HISTORY_MAX: usize = 20;

/// The uses of rules, by their names.
pub(super) type Uses = BTreeMap<String, Vec<Use>>;

impl Live {
    fn rules(&self) -> &[Rule] {
        self.release.as_ref().map(|release| &release.healing.rules[..]).unwrap_or_default()
    }

    /// A step has failed: the first rule that fits, and has budget left, takes it on.
    pub(super) fn remedy(&mut self, at: Timestamp, number: u64, component: &str) -> Vec<Effect> {
        let Some(op) = self.work.as_ref().filter(|op| op.number == number && op.is_running()) else {
            return vec![];
        };
        let is_it = |i: &usize| op.graph.steps[*i].component == component;
        let Some(index) = (0..op.graph.steps.len()).find(is_it) else { return vec![] };
        let (action, failure) = match op.graph.failure(index) {
            Some(failure) if failure.code != super::operation::STOPPED => {
                (op.graph.steps[index].failed_at(failure), failure.clone())
            }
            Some(_) | None => return vec![],
        };
        let mut effects = vec![];
        let fitting: Vec<Rule> =
            self.rules().iter().filter(|r| r.on.fits(component, action, &failure)).cloned().collect();
        for rule in fitting {
            let (took_on, entry) = self.take_on(at, (number, index), component, &rule, &failure);
            effects.push(entry);
            if took_on {
                effects.extend(self.mend(at));
                break;
            }
        }
        effects
    }

    /// Takes a step on by a rule, if its budget is not spent; what is said on the timeline either way.
    fn take_on(
        &mut self,
        at: Timestamp,
        (number, index): (u64, usize),
        component: &str,
        rule: &Rule,
        failure: &Failure,
    ) -> (bool, Effect) {
        let to_come = self.to_come(&rule.name);
        let uses = self.uses.entry(rule.name.clone()).or_default();
        // What is late, since nobody looked in time, is done now at the soonest.
        to_come.iter().for_each(|place| uses[*place].at = uses[*place].at.max(at));
        let of_step = |u: &&Use| u.component == component && u.operation == number;
        let before = u32::try_from(uses.iter().filter(of_step).count()).unwrap_or(u32::MAX);
        let due = at.plus_ms(rule.actions.first().map_or(0, |action| action.wait_ms(before)));
        let due = if rule.only_holds() { due } else { rule.cooled(&acts(uses), due) };
        let used = rule.used(uses, due, Some((component, number)));
        let times = rule.budget.times;
        if used >= times && !rule.only_holds() {
            let text =
                format!("{component}: rule {} was used {used} of {times} times; it is left", rule.name);
            return (false, record_at(Level::Warning, "rule.spent", text));
        }
        let (component, code) = (component.to_owned(), failure.code.clone());
        let text = format!(
            "{component}: rule {} acts on it: {}; {} of {times} times left",
            rule.name,
            rule.actions.iter().map(Remedy::words).collect::<Vec<_>>().join(", then "),
            times.saturating_sub(used + 1)
        );
        uses.push(Use { at: due, component, operation: number, code });
        let keep = HISTORY_MAX.max(times as usize);
        uses.drain(..uses.len().saturating_sub(keep));
        uses.sort_by_key(|u| u.at);
        if let Some(op) = &mut self.work {
            op.graph.steps[index].mending = Some(Box::new(Remediation {
                rule: rule.name.clone(),
                failure: failure.clone(),
                next: 0,
                due,
                runs: false,
                held: false,
                left: times.saturating_sub(used + 1),
                before,
            }));
        }
        (true, record("rule.acts", text))
    }

    /// The places of a rule's uses that it has not begun: it has taken a step on, and waits.
    fn to_come(&self, rule: &str) -> Vec<usize> {
        let uses = self.uses.get(rule).map(Vec::as_slice).unwrap_or_default();
        let Some(op) = &self.work else { return vec![] };
        let place = |(index, _): (usize, &Remediation)| {
            let name = &op.graph.steps[index].component;
            uses.iter().rposition(|u| u.operation == op.number && u.component == *name)
        };
        op.graph.mending().filter(|(_, m)| m.rule == rule && m.next == 0).filter_map(place).collect()
    }

    /// Whether a rule that is about to begin with a step must wait: it has acted meanwhile, later than was
    /// planned. Its use counts from when it really acts.
    fn is_put_off(&mut self, at: Timestamp, index: usize) -> bool {
        let Some(op) = &self.work else { return false };
        let step = &op.graph.steps[index];
        let Some(mending) = step.mending.as_deref().filter(|m| m.next == 0) else { return false };
        let Some(rule) = self.rules().iter().find(|r| r.name == mending.rule) else { return false };
        let (name, number, rule) = (step.component.clone(), op.number, rule.clone());
        let to_come = self.to_come(&rule.name);
        let Some(uses) = self.uses.get_mut(&rule.name) else { return false };
        let own = uses.iter().rposition(|u| u.operation == number && u.component == name);
        let has_acted = |(place, u): &(usize, &Use)| !to_come.contains(place) && u.at <= at;
        let acts: Vec<Timestamp> = uses.iter().enumerate().filter(has_acted).map(|(_, u)| u.at).collect();
        let free = if rule.only_holds() { at } else { rule.cooled(&acts, at) };
        if let Some(own) = own {
            uses[own].at = free;
            uses.sort_by_key(|u| u.at);
        }
        let mending = self.work.as_mut().and_then(|op| op.graph.steps[index].mending.as_mut());
        if let Some(mending) = mending.filter(|_| free > at) {
            mending.due = free;
        }
        free > at
    }

    /// When a rule goes on.
    pub(super) fn mend_deadline(&self) -> Option<Timestamp> {
        let op = self.work.as_ref().filter(|op| op.is_running())?;
        op.graph.mending().filter(|(_, m)| !m.runs && !m.held).map(|(_, m)| m.due).min()
    }

    /// Does what rules have to do by now.
    pub(super) fn mend(&mut self, at: Timestamp) -> Vec<Effect> {
        let Some(op) = self.work.as_ref().filter(|op| op.is_running()) else { return vec![] };
        let is_due = |(_, m): &(usize, &Remediation)| !m.runs && m.due <= at;
        let due: Vec<usize> = op.graph.mending().filter(is_due).map(|(index, _)| index).collect();
        due.into_iter().flat_map(|index| self.mend_step(at, index)).collect()
    }

    /// Goes on with the rule of one step, as far as it goes without waiting.
    fn mend_step(&mut self, at: Timestamp, index: usize) -> Vec<Effect> {
        let mut effects = vec![];
        if self.is_put_off(at, index) {
            return effects;
        }
        while !self.holds_command(at, index)
            && let Some((action, then_ms)) = self.next_remedy(at, index)
        {
            let Some(op) = &mut self.work else { break };
            let step = &mut op.graph.steps[index];
            let (name, Some(mending)) = (step.component.clone(), step.mending.as_mut()) else { break };
            mending.next += 1;
            let rule = mending.rule.clone();
            match action {
                Remedy::Notify { text } => {
                    let text = format!("{name}: rule {rule} says: {text}");
                    effects.push(record_at(Level::Warning, "rule.notifies", text));
                    mending.due = at.plus_ms(then_ms);
                }
                Remedy::Run { command } => {
                    effects.push(record("rule.runs", format!("{name}: rule {rule} runs `{command}`")));
                    mending.runs = true;
                    self.to_run.push((index, command));
                    return effects;
                }
                Remedy::Hold {} => {
                    step.mending = None;
                    let text = format!("{name}: rule {rule} leaves it to a person");
                    effects.push(record_at(Level::Warning, "rule.holds", text));
                }
                Remedy::Retry { .. } | Remedy::RePlan {} | Remedy::ReApply {} => {
                    if action == (Remedy::RePlan {}) {
                        step.replans = step.replans.max(1);
                    }
                    op.graph.again(index, at);
                    let text = format!("{name}: tried again by rule {rule} ({})", action.words());
                    effects.push(record("step.retried", text));
                }
            }
        }
        effects
    }

    /// Whether what comes next with a step is a command that is due and held: it may change things, as a deploy
    /// does, and so keeps to windows and freezes.
    fn holds_command(&mut self, at: Timestamp, index: usize) -> bool {
        let Some(op) = &self.work else { return false };
        let Some(mending) = op.graph.steps[index].mending.as_deref() else { return false };
        let rule = self.rules().iter().find(|rule| rule.name == mending.rule);
        let next = rule.and_then(|rule| rule.actions.get(mending.next));
        let is_next = mending.due <= at && matches!(next, Some(Remedy::Run { .. }));
        let held = is_next && self.step_hold(at, op).is_err();
        if let Some(mending) = self.work.as_mut().and_then(|op| op.graph.steps[index].mending.as_mut()) {
            mending.held = held;
        }
        held
    }

    /// The next thing that a step's rule does, if its time has come, and how long what comes after it waits. A
    /// rule that is over, or that a newer release has no more, lets the step go.
    fn next_remedy(&mut self, at: Timestamp, index: usize) -> Option<(Remedy, i64)> {
        let mending = self.work.as_ref()?.graph.steps[index].mending.as_deref()?;
        let rule = self.rules().iter().find(|rule| rule.name == mending.rule);
        let action = |number: usize| rule.and_then(|rule| rule.actions.get(number));
        let then_ms = action(mending.next + 1).map_or(0, |action| action.wait_ms(mending.before));
        let is_due = mending.due <= at;
        match action(mending.next).cloned() {
            Some(action) => is_due.then_some((action, then_ms)),
            None => {
                self.work.as_mut()?.graph.steps[index].mending = None;
                None
            }
        }
    }

    /// Gives the commands that rules want to run to their components.
    pub(super) fn run_commands(&mut self, id: &ObjectId, at: Timestamp) -> Vec<Effect> {
        let Some(mut op) = self.work.take() else { return vec![] };
        let mut effects = vec![];
        for (index, command) in std::mem::take(&mut self.to_run) {
            let mending = op.graph.steps[index].mending.take();
            op.graph.steps[index].stage = Stage::Whole;
            op.graph.set(index, StepState::Running, at);
            op.graph.steps[index].mending = mending;
            let (to, task) = (id.child(&op.graph.steps[index].component), self.task(&op, index));
            if let (Ok(to), Some(task)) = (to, task) {
                let task = crate::component::message::Task {
                    action: Action::Run,
                    command: Some(command),
                    input_digest: None,
                    ..task
                };
                effects.push(Effect::Tell { to, notice: Notice::Component(ToComponent::Do(task)) });
            }
        }
        self.work = Some(op);
        effects
    }

    /// Takes the end of a rule's command. None for any other end.
    pub(super) fn command_ended(
        &mut self,
        at: Timestamp,
        number: u64,
        component: &str,
        outcome: &Outcome,
    ) -> Option<Vec<Effect>> {
        let op = self.work.as_mut().filter(|op| op.number == number)?;
        let index = op.graph.running(component)?;
        let step = &op.graph.steps[index];
        let mut mending = step.mending.clone().filter(|m| m.runs)?;
        let goes_on = op.is_running() && step.stopping.is_none();
        let failed = StepState::Failed(mending.failure.clone());
        let rule = mending.rule.clone();
        let entry = match outcome {
            Outcome::Succeeded(success) => {
                record("rule.ran", format!("{component}: rule {rule} ran its command; {}", success.summary))
            }
            Outcome::Failed(failure) => {
                let text = format!("{component}: the command of rule {rule} failed: {}", failure.message);
                record_at(Level::Error, "rule.failed", text)
            }
            Outcome::Cancelled { message } => record_at(
                Level::Warning,
                "rule.failed",
                format!("{component}: rule {rule} was stopped: {message}"),
            ),
        };
        op.graph.set(index, failed, at);
        if let Phase::Stopping { reason } = &op.phase {
            op.graph.cancel_waiting(reason, at);
        }
        if goes_on && matches!(outcome, Outcome::Succeeded(_)) {
            mending.runs = false;
            let next = self.rules().iter().find(|r| r.name == rule).and_then(|r| r.actions.get(mending.next));
            mending.due = at.plus_ms(next.map_or(0, |action| action.wait_ms(mending.before)));
            if let Some(op) = &mut self.work {
                op.graph.steps[index].mending = Some(mending);
            }
        }
        let on = self.mend(at);
        Some([entry].into_iter().chain(on).collect())
    }

    pub(super) fn rule_views(&self) -> Vec<View> {
        let acting = |rule: &Rule| {
            let steps = self.work.iter().flat_map(|op| &op.graph.steps);
            let is_its = |s: &&crate::graph::Step| s.mending.as_ref().is_some_and(|m| m.rule == rule.name);
            steps.filter(is_its).map(|s| s.component.clone()).collect()
        };
        let view = |rule: &Rule| View {
            rule: rule.clone(),
            uses: self.uses.get(&rule.name).cloned().unwrap_or_default(),
            acting: acting(rule),
        };
        self.rules().iter().map(view).collect()
    }

    /// Whether a rule would act on a failed probe, and may.
    pub(super) fn has_remedy(&self, at: Timestamp, component: &str, failure: &Failure) -> bool {
        let is_free = |rule: &Rule| {
            let uses = self.uses.get(&rule.name).map(Vec::as_slice).unwrap_or_default();
            rule.used(uses, at, None) < rule.budget.times
        };
        let fits = |rule: &&Rule| rule.on.fits(component, Action::Health, failure) && !rule.only_holds();
        self.rules().iter().filter(fits).any(is_free)
    }

    /// Which rules would have acted on what is held, and have no budget left.
    pub(super) fn spent_rules(&self, component: &str, action: Action, failure: &Failure) -> String {
        let spent = |rule: &&Rule| {
            let uses = self.uses.get(&rule.name).map(Vec::len).unwrap_or_default();
            rule.on.fits(component, action, failure)
                && uses >= rule.budget.times as usize
                && !rule.only_holds()
        };
        let names: Vec<String> = self
            .rules()
            .iter()
            .filter(spent)
            .map(|r| format!("rule {} has used its {} times", r.name, r.budget.times))
            .collect();
        if names.is_empty() { String::new() } else { format!("; {}", names.join(", ")) }
    }
}

/// When a rule acted, or is to act.
fn acts(uses: &[Use]) -> Vec<Timestamp> {
    uses.iter().map(|u| u.at).collect()
}

impl Operation {
    /// Whether something of it would begin now, if nothing held it.
    pub(super) fn waits_to_begin(&self) -> bool {
        !self.graph.ready().is_empty() || self.graph.mending().any(|(_, mending)| mending.held)
    }

    /// Whether nothing of it goes on before a rule does.
    pub(super) fn only_mends(&self) -> bool {
        let runs = self.graph.steps.iter().any(|s| s.state == StepState::Running);
        self.is_running() && !runs && self.graph.ready().is_empty() && self.graph.mending().next().is_some()
    }

    /// A reason for each step that a rule has taken on.
    pub(super) fn mending_reasons(&self, id: &ObjectId, epoch: u64) -> Vec<Waiting> {
        let reason = |(index, mending): (usize, &Remediation)| {
            let step = &self.graph.steps[index];
            let (name, failure) = (&step.component, &mending.failure);
            let when = if mending.runs {
                "its command runs".to_owned()
            } else if mending.held {
                "its command waits for the window, or for the end of a freeze".to_owned()
            } else {
                format!("it goes on {}", mending.due)
            };
            Waiting {
                code: "waiting.rule".into(),
                reason: format!(
                    "{name} failed to {} ({}): {}; rule {} has taken it on: {when}, and it may act {} times more",
                    step.action.as_str(),
                    failure.code,
                    failure.message,
                    mending.rule,
                    mending.left
                ),
                since: step.since,
                on: id.child(name).ok(),
                remedy: format!("it goes on by itself; now: `remit signal {id} retry --component {name}`"),
                evidence: Some(Evidence { attempt: self.attempt(id, epoch, step), ..Evidence::of(failure) }),
            }
        };
        self.graph.mending().map(reason).collect()
    }
}
