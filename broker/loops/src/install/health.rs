//! Health of an install's components: the probe at the end of a deploy, those by a schedule, and what is done
//! when a component does not do its work.

use super::Live;
use super::drift::spread;
use super::operation::{Operation, What};
use crate::actor::Actor;
use crate::component::facts::Facts;
use crate::component::message::{Task, ToComponent};
use crate::event::{Effect, Event, record, record_at};
use crate::graph::StepState;
use crate::health::{News, View};
use crate::id::ObjectId;
use crate::job::{Action, Failure, Outcome, Success};
use crate::notice::Notice;
use crate::plan::Stage;
use crate::rejected::{Rejected, conflict};
use crate::time::Timestamp;
use crate::timeline::Level;
use crate::waiting::{Evidence, Waiting};

impl Live {
    /// A deploy is made: where its component has a probe, it is done when one passes. None where there is none.
    pub(super) fn begin_gate(
        &mut self,
        id: &ObjectId,
        at: Timestamp,
        number: u64,
        component: &str,
        outcome: &Outcome,
    ) -> Option<Vec<Effect>> {
        let Outcome::Succeeded(success) = outcome else { return None };
        let mut op = self.work.take_if(|op| op.number == number)?;
        let told = self.gate(id, at, &mut op, component, success);
        self.work = Some(op);
        told
    }

    fn gate(
        &mut self,
        id: &ObjectId,
        at: Timestamp,
        op: &mut Operation,
        component: &str,
        success: &Success,
    ) -> Option<Vec<Effect>> {
        let index = op.graph.running(component)?;
        let step = &mut op.graph.steps[index];
        let makes = step.action == Action::Deploy && step.stage != Stage::Plan;
        let part = self.parts.get_mut(component).filter(|part| makes && part.probe.is_some())?;
        part.health.unproven = true;
        if step.stopping.is_some() || !op.is_running() {
            // It is made, and nobody is to look at it any more: that is not a deploy that is done.
            let message = "it was stopped before a probe of it had passed".to_owned();
            let ended = op.step_ended(at, component, &Outcome::Cancelled { message });
            return Some(ended.into_iter().collect());
        }
        let step = &mut op.graph.steps[index];
        step.gate = Some(success.summary.clone());
        step.since = at;
        let to = id.child(component).ok()?;
        let task = Task { gate: true, stage: Stage::Whole, ..self.task_of(op, index, Action::Health)? };
        let text = format!("{component}: deploy made; {}; it is done when its probe passes", success.summary);
        Some(vec![
            record("step.probed", text),
            Effect::Tell { to, notice: Notice::Component(ToComponent::Do(task)) },
        ])
    }

    /// Takes the end of the probe that a deploy waits for. None for any other end.
    pub(super) fn gate_ended(
        &mut self,
        at: Timestamp,
        number: u64,
        component: &str,
        outcome: &Outcome,
        facts: &Facts,
    ) -> Option<Vec<Effect>> {
        let op = self.operation(number)?;
        let made = op.graph.steps[op.graph.running(component)?].gate.clone()?;
        if let Some(part) = self.parts.get_mut(component) {
            part.facts = facts.clone();
        }
        let mut effects = self.heard(at, component, outcome, 1);
        let outcome = match outcome {
            Outcome::Succeeded(success) => Outcome::Succeeded(Success {
                summary: format!("{made}; {}", success.summary),
                ..success.clone()
            }),
            Outcome::Failed(_) | Outcome::Cancelled { .. } => outcome.clone(),
        };
        effects.extend(self.operation_mut(number)?.step_ended(at, component, &outcome));
        effects.extend(self.remedy(at, number, component));
        Some(effects)
    }

    /// Takes the end of a probe by a schedule, or that somebody asked for.
    pub(super) fn probed(
        &mut self,
        at: Timestamp,
        number: u64,
        component: &str,
        outcome: &Outcome,
    ) -> Vec<Effect> {
        let is_probe = self.operation(number).is_some_and(|op| matches!(op.what, What::HealthCheck { .. }));
        let enough = self.parts.get(component).and_then(|part| part.probe).map_or(1, |probe| probe.failures);
        if is_probe { self.heard(at, component, outcome, enough) } else { vec![] }
    }

    /// What a probe said; so many in a row make a component unwell.
    fn heard(&mut self, at: Timestamp, component: &str, outcome: &Outcome, enough: u32) -> Vec<Effect> {
        let Some(part) = self.parts.get_mut(component) else { return vec![] };
        let (news, words) = match outcome {
            Outcome::Succeeded(success) => (part.health.passed(at), &success.summary),
            Outcome::Failed(failure) => (part.health.failed(at, failure, enough), &failure.message),
            Outcome::Cancelled { .. } => return vec![],
        };
        let line = |level, code, text: String| vec![record_at(level, code, format!("{component}: {text}"))];
        match news {
            News::None | News::StillUnwell => vec![],
            News::Well => line(Level::Info, "health.well", format!("it does its work again: {words}")),
            News::Unwell => line(Level::Error, "health.unwell", words.clone()),
            News::Unknown => {
                line(Level::Warning, "health.unknown", format!("it could not be probed: {words}"))
            }
        }
    }

    /// A probe by the schedule found a component unwell, or still unwell: a rule that is for that acts on it.
    pub(super) fn recover(&mut self, at: Timestamp, number: u64, component: &str, outcome: &Outcome) {
        let Outcome::Failed(failure) = outcome else { return };
        let by_clock = self.operation(number).is_some_and(Operation::is_quiet);
        let Some(part) = self.parts.get(component).filter(|_| by_clock) else { return };
        let enough = part.probe.map_or(1, |probe| probe.failures.max(1));
        let is_turn = part.health.unwell.is_some() && part.health.failures.is_multiple_of(enough);
        let is_its = |what: &What| matches!(what, What::Recover { component: name, .. } if name == component);
        let is_at_it = self.work.iter().any(|op| is_its(&op.what))
            || self.lanes.iter().any(|(_, _, queued)| is_its(&queued.what));
        if is_turn && !is_at_it && self.has_remedy(at, component, failure) {
            let what = What::Recover { component: component.to_owned(), failure: failure.clone() };
            self.enqueue(at, &Actor::Clock, what);
        }
    }

    /// When a component at rest is probed next, the soonest first.
    pub(super) fn probe_due(&self, id: &ObjectId) -> Option<Timestamp> {
        self.probes(id).map(|(_, due)| due).min()
    }

    fn probes<'a>(&'a self, id: &'a ObjectId) -> impl Iterator<Item = (&'a String, Timestamp)> {
        let rests = self.rests();
        self.parts.iter().filter(move |_| rests).filter_map(move |(name, part)| {
            let every_ms = part.probe?.every_ms?;
            let since = part.facts.deployed.as_ref()?.at.max(part.health.checked.unwrap_or_default());
            Some((name, since.plus_ms(spread(id, every_ms))))
        })
    }

    /// Asks for the probes whose time has come. They wait behind nothing: there is nothing then.
    pub(super) fn probe_if_due(&mut self, id: &ObjectId, at: Timestamp) {
        let due = self.probes(id).filter(|(_, due)| *due <= at);
        let components: Vec<String> = due.map(|(name, _)| name.clone()).collect();
        if !components.is_empty() {
            self.enqueue(at, &Actor::Clock, What::HealthCheck { components });
        }
    }

    /// Somebody wants to know now.
    pub(super) fn check_health(&mut self, id: &ObjectId, event: &Event) -> Result<Vec<Effect>, Rejected> {
        let is_probed = |part: &super::Part| part.probe.is_some() && part.facts.deployed.is_some();
        let components: Vec<String> =
            self.parts.iter().filter(|(_, part)| is_probed(part)).map(|(name, _)| name.clone()).collect();
        if components.is_empty() {
            return Err(conflict(
                "nothing that is deployed has a health probe; `health` in remit.toml is one",
            ));
        }
        self.ask(id, event, &What::HealthCheck { components })
    }

    /// What does not do its work, for people.
    pub(super) fn unwell(&self) -> impl Iterator<Item = (&String, &crate::health::Unwell)> {
        let is_there = |(_, part): &(&String, &super::Part)| part.facts.deployed.is_some();
        let parts = self.parts.iter().filter(is_there);
        parts.filter_map(|(name, part)| Some((name, part.health.unwell.as_deref()?)))
    }

    pub(super) fn health_reasons(&self, id: &ObjectId) -> Vec<Waiting> {
        let reason = |(name, unwell): (&String, &crate::health::Unwell)| Waiting {
            code: "attention.unwell".into(),
            reason: format!(
                "{name} is deployed and does not do its work: {}{}",
                unwell.failure.message,
                self.spent_rules(name, Action::Health, &unwell.failure)
            ),
            since: unwell.since,
            on: id.child(name).ok(),
            remedy: format!(
                "`remit logs {id}`; `remit signal {id} check_health` looks again, `remit signal {id} heal` deploys it again"
            ),
            evidence: Some(Evidence::of(&unwell.failure)),
        };
        self.unwell().map(reason).collect()
    }
}

impl super::Part {
    /// How it is probed and what that said, if it has a probe.
    pub(super) fn health_view(&self) -> Option<Box<View>> {
        self.probe.map(|probe| Box::new(View { probe, health: self.health.clone() }))
    }
}

impl Operation {
    /// Whether it comes and goes without a line on the timeline: what it finds is on it.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.what, What::HealthCheck { .. }) && self.by == Actor::Clock
    }

    /// Whether it is given up as soon as it is stuck: it was begun by a rule, and no rule goes on.
    pub(super) fn gives_up(&self) -> bool {
        matches!(self.what, What::Recover { .. })
    }

    /// A step that has failed already: what a probe said.
    pub(super) fn fail_first(&mut self, at: Timestamp, failure: &Failure) {
        for index in 0..self.graph.steps.len() {
            self.graph.set(index, StepState::Failed(failure.clone()), at);
        }
    }
}
