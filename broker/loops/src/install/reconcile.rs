//! What an install does by itself after every event: finish what is over, start what may
//! start, hand out the steps that are ready. The same path for every event, idempotent.

use super::lanes::{Lane, Queued};
use super::operation::{Operation, Phase, Steps, What};
use super::{Install, Live, Part, State, Tombstone};
use crate::actor::Actor;
use crate::app::message::ToApp;
use crate::component::facts::Facts;
use crate::component::message::{Task, ToComponent};
use crate::event::{Effect, record, record_at};
use crate::graph::{Graph, Node, Step, StepState};
use crate::id::ObjectId;
use crate::job::{Action, Mode, Outcome};
use crate::notice::Notice;
use crate::plan::Stage;
use crate::release::{Release, ReleaseRef};
use crate::standing::Standing;
use crate::status::LastOperation;
use crate::time::Timestamp;
use crate::timeline::Level;

impl Install {
    /// Does all that can be done now.
    pub(super) fn drive(&mut self, at: Timestamp, is_tick: bool) -> Vec<Effect> {
        let mut effects = vec![];
        let State::Live(live) = &mut self.state else { return effects };
        effects.extend(live.glass_over(at));
        effects.extend(live.updates.wake_snoozed(at));
        live.look_if_due(&self.id, at);
        live.probe_if_due(&self.id, at);
        effects.extend(live.mend(at));
        effects.extend(live.run_commands(&self.id, at));
        while live.turn(&self.id, at, &mut effects) {}
        effects.extend(live.run_commands(&self.id, at));
        effects.extend(live.recall(&self.id, at));
        live.set_wake(at, is_tick);
        effects.extend(live.report_rollout(&self.id, at));
        if let Some(tombstone) = live.buried.take() {
            effects.extend(tombstone.farewell(&self.id));
            self.state = State::Gone(tombstone);
        }
        effects
    }
}

/// A line for the timeline, of an operation that waits no more because a newer does.
pub(super) fn gives_way(older: u64, newer: u64) -> Effect {
    record("operation.superseded", format!("operation {older} gives way to the newer {newer}"))
}

impl Live {
    /// One thing that can be done now; false when there is none.
    fn turn(&mut self, id: &ObjectId, at: Timestamp, effects: &mut Vec<Effect>) -> bool {
        if self.admit(at, effects) {
            return true;
        }
        for lane in [Lane::Work, Lane::Read] {
            if self.finish(at, lane, effects) || self.begin(id, at, lane, effects) {
                return true;
            }
            if lane == Lane::Work && self.leave_out(at, effects) {
                return true;
            }
            effects.extend(self.hand_out(id, at, lane));
        }
        false
    }

    fn slot(&mut self, lane: Lane) -> &mut Option<Operation> {
        match lane {
            Lane::Work => &mut self.work,
            Lane::Read => &mut self.read,
        }
    }

    /// Ends the lane's operation if it is over, or stuck with a newer one to take its place.
    fn finish(&mut self, at: Timestamp, lane: Lane, effects: &mut Vec<Effect>) -> bool {
        let newer = self.next_in(at, lane).map(|q| q.number);
        let is_deploy = |q: &&Queued<What>| matches!(q.what, What::Deploy { .. });
        let newer_deploy = self.next_in(at, lane).filter(is_deploy).map(|q| q.number);
        let slot = self.slot(lane);
        let Some(op) = slot else { return false };
        let stuck = op.held_since().is_some();
        let superseded = stuck && (newer.is_some() || lane == Lane::Read || op.gives_up());
        if let Some(newer) = newer_deploy.filter(|_| op.only_asks() || op.only_mends()) {
            let reason = format!("operation {newer} takes its place");
            op.graph.cancel_waiting(&reason, at);
            op.phase = Phase::Stopping { reason };
        }
        if !op.is_over() && !superseded {
            return false;
        }
        let Some(op) = slot.take() else { return false };
        if let Some(newer) = newer.filter(|_| superseded) {
            let text = format!("operation {} takes the place of the held operation {}", newer, op.number);
            effects.push(record("operation.superseded", text));
        }
        let closed = self.close(at, &op);
        effects.extend(Some(closed).filter(|_| !op.is_quiet()));
        effects.extend(self.looked(at, &op));
        true
    }

    /// Writes down how an operation ended.
    pub(super) fn close(&mut self, at: Timestamp, op: &Operation) -> Effect {
        let outcome = op.outcome();
        let kind = op.what.as_str();
        self.rolled(op, &outcome);
        let entry = match &outcome {
            Outcome::Succeeded(success) => record(
                "operation.succeeded",
                format!("{kind} (operation {}) is done: {}", op.number, success.summary),
            ),
            Outcome::Failed(failure) => {
                let text = format!("{kind} (operation {}) failed: {}", op.number, failure.message);
                record_at(Level::Error, "operation.failed", text)
            }
            Outcome::Cancelled { message } => record(
                "operation.cancelled",
                format!("{kind} (operation {}) was stopped: {message}", op.number),
            ),
        };
        let succeeded = matches!(outcome, Outcome::Succeeded(_));
        if succeeded && matches!(op.what, What::Deploy { .. }) {
            self.provisioned = true;
            self.updates.longest_deploy_ms = self.updates.longest_deploy_ms.max(at.since_ms(op.since));
        }
        if op.what == What::Teardown {
            match &outcome {
                Outcome::Succeeded(_) => {
                    let (leaked, removed) = (op.left_behind(), self.receipts());
                    self.buried = Some(Tombstone { by: op.by.clone(), forgotten: None, leaked, removed });
                }
                Outcome::Failed(_) | Outcome::Cancelled { .. } => self.deleting = None,
            }
        }
        if !op.is_quiet() {
            self.last = Some(LastOperation { number: op.number, kind: kind.to_owned(), at, outcome });
        }
        entry
    }

    /// The operation that may start next in a lane, if anything may. What waits for a window or the end
    /// of a freeze lets others go first.
    fn next_in(&self, at: Timestamp, lane: Lane) -> Option<&Queued<What>> {
        let next = self.lanes.of(lane).find(|next| self.queue_hold(at, next).is_none())?;
        let is_allowed = !next.what.plan().waits_for_parent || self.parent == Standing::Active;
        (self.paused.is_none() && is_allowed && self.buried.is_none()).then_some(next)
    }

    fn begin(&mut self, id: &ObjectId, at: Timestamp, lane: Lane, effects: &mut Vec<Effect>) -> bool {
        if self.slot(lane).is_some() {
            return false;
        }
        let Some(number) = self.next_in(at, lane).map(|next| next.number) else { return false };
        let Some(queued) = self.lanes.take_where(|q| q.number == number).pop() else { return false };
        let mut op = Operation {
            number: queued.number,
            by: queued.by,
            since: at,
            phase: Phase::Running,
            release: None,
            graph: Graph::default(),
            what: queued.what,
        };
        match op.what.plan().steps {
            Steps::OfRelease(version) => {
                op.phase = Phase::Resolving;
                let channel = self.updates.channel.clone();
                let notice = Notice::App(ToApp::ReleaseWanted { operation: op.number, version, channel });
                effects.extend(id.parent().map(|to| Effect::Tell { to, notice }));
            }
            Steps::OfParts(action, fits) => {
                op.release = self.release.clone().filter(|_| action == Action::Deploy);
                op.graph = self.graph_of(at, op.release.as_ref(), |_, p| fits(p).then_some(action));
            }
            Steps::OfNamed(names) => {
                op.release.clone_from(&self.release);
                let named = |name: &String, _: &Part| names.contains(name).then_some(Action::Deploy);
                op.graph = self.graph_of(at, op.release.as_ref(), named);
            }
            Steps::Probing(names) => {
                let named = |name: &String, _: &Part| names.contains(name).then_some(Action::Health);
                op.graph = self.graph_of(at, None, named);
            }
            Steps::Failed(name, failure) => {
                op.release.clone_from(&self.release);
                let named = |other: &String, _: &Part| (*other == name).then_some(Action::Deploy);
                op.graph = self.graph_of(at, op.release.as_ref(), named);
                op.fail_first(at, &failure);
            }
            Steps::Adopting(names) => {
                let named = |name: &String, p: &Part| names.contains(name).then(|| Live::adopting(p));
                op.graph = self.graph_of(at, None, named);
            }
        }
        let text = format!("{} (operation {}) begins, asked by {}", op.what.as_str(), op.number, op.by);
        let is_loud = !op.is_quiet();
        effects.extend(is_loud.then(|| record("operation.started", text)));
        let (number, failed) = (op.number, op.graph.failed().map(|(step, _)| step.component.clone()).next());
        *self.slot(lane) = Some(op);
        effects.extend(failed.into_iter().flat_map(|name| self.remedy(at, number, &name)));
        true
    }

    /// A graph over the parts that something is done with: those of a release go by its needs, the others
    /// by their own.
    fn graph_of<'a>(
        &'a self,
        at: Timestamp,
        release: Option<&'a Release>,
        does: impl Fn(&String, &Part) -> Option<Action>,
    ) -> Graph {
        let node = |(name, part): (&'a String, &'a Part)| {
            let action = does(name, part)?;
            let needs = match release {
                Some(release) => &release.components.iter().find(|c| c.name == *name)?.needs[..],
                None if action.makes() => &part.needs[..],
                None => &[],
            };
            Some(Node { name, needs, action })
        };
        let nodes: Vec<Node<'_>> = self.parts.iter().filter_map(node).collect();
        let removes = nodes.iter().any(|node| node.action == Action::Destroy);
        let graph = if removes { Graph::reverse(&nodes, at) } else { Graph::forward(&nodes, at) };
        // Parts of two releases together could form a cycle that neither has; then one after another will do.
        graph.unwrap_or_else(|_| Graph::serial(&nodes, at))
    }

    /// Queues a deploy; queued older ones give way to it, on the record.
    pub(super) fn enqueue_deploy(
        &mut self,
        at: Timestamp,
        by: &Actor,
        version: Option<String>,
    ) -> Vec<Effect> {
        let passes = &self.updates.passes;
        // What may pass a window or a freeze does not wait for it again.
        let keeps_to_all =
            |q: &Queued<What>| matches!(q.what, What::Deploy { .. }) && !passes.contains_key(&q.number);
        let older = self.lanes.take_where(keeps_to_all);
        let number = self.enqueue(at, by, What::Deploy { version });
        older.into_iter().map(|q| gives_way(q.number, number)).collect()
    }

    pub(super) fn enqueue(&mut self, at: Timestamp, by: &Actor, what: What) -> u64 {
        self.number += 1;
        let (number, lane) = (self.number, what.plan().lane);
        self.lanes.push(lane, Queued { number, by: by.clone(), since: at, what });
        number
    }

    /// The app says which release is meant: now the graph can be made.
    pub(super) fn resolved(&mut self, at: Timestamp, number: u64, release: &Release) -> Vec<Effect> {
        if !self.work.as_ref().is_some_and(|op| op.number == number && op.phase == Phase::Resolving) {
            return vec![];
        }
        if let Some(floor) = self.below_floor(release, at) {
            return self.unresolved(at, number, &floor);
        }
        for component in &release.components {
            self.parts.entry(component.name.clone()).or_insert_with(|| Part::of(release, component));
        }
        let nodes: Vec<Node<'_>> = release
            .components
            .iter()
            .map(|c| Node { name: &c.name, needs: &c.needs, action: Action::Deploy })
            .collect();
        let deploy = Graph::forward(&nodes, at).unwrap_or_else(|_| Graph::serial(&nodes, at));
        let is_dropped = |name: &str| !release.components.iter().any(|c| c.name == name);
        self.parts.retain(|name, part| !is_dropped(name) || part.facts.may_exist);
        let dropped: Vec<String> = self.parts.keys().filter(|n| is_dropped(n)).cloned().collect();
        let removed: Vec<Node<'_>> = dropped
            .iter()
            .map(|name| Node { name, needs: &self.parts[name].needs, action: Action::Destroy })
            .collect();
        let graph = deploy.then(Graph::reverse(&removed, at).unwrap_or_else(|_| Graph::serial(&removed, at)));
        self.release = Some(release.clone());
        self.updates.taken(release);
        self.newest.get_or_insert_with(|| ReleaseRef::from(release));
        if let Some(op) = &mut self.work {
            op.release = Some(release.clone());
            op.graph = graph;
            op.phase = Phase::Running;
        }
        vec![]
    }

    pub(super) fn unresolved(&mut self, at: Timestamp, number: u64, message: &str) -> Vec<Effect> {
        match self.work.take() {
            Some(op) if op.number == number && op.phase == Phase::Resolving => {
                let stopped = Operation { phase: Phase::Stopping { reason: message.to_owned() }, ..op };
                vec![self.close(at, &stopped)]
            }
            other => {
                self.work = other;
                vec![]
            }
        }
    }

    /// Gives every ready step of the lane's operation to its component.
    fn hand_out(&mut self, id: &ObjectId, at: Timestamp, lane: Lane) -> Vec<Effect> {
        let Some(mut op) = self.slot(lane).take() else { return vec![] };
        let allowed = self.step_hold(at, &op);
        let ready = match &allowed {
            Ok(_) if op.phase == Phase::Running => op.graph.ready(),
            Ok(_) | Err(_) => vec![],
        };
        let begin_by = allowed.ok().flatten();
        let until = self.glass_at(at).map(|glass| glass.until);
        let mut effects = vec![];
        for index in ready {
            op.graph.steps[index].stage = self.next_stage(at, &op, index);
            op.graph.set(index, StepState::Running, at);
            // What was tried before, or only planned, has not begun again.
            op.graph.steps[index].attempt = 0;
            let by_glass = until.filter(|_| op.graph.steps[index].action.mutates());
            let Ok(to) = id.child(&op.graph.steps[index].component) else { continue };
            let Some(task) = self.task(&op, index) else { continue };
            let begin_by = begin_by.into_iter().chain(by_glass).min();
            (op.graph.steps[index].begin_by, op.graph.steps[index].by_glass) = (begin_by, by_glass.is_some());
            let task = Task { begin_by, ..task };
            effects.push(Effect::Tell { to, notice: Notice::Component(ToComponent::Do(task)) });
        }
        *self.slot(lane) = Some(op);
        effects
    }

    /// What a step asks of its component.
    pub(super) fn task(&mut self, op: &Operation, index: usize) -> Option<Task> {
        self.task_of(op, index, op.graph.steps[index].action)
    }

    /// The same with another action. A deploy goes by the operation's release, anything else by the part's own.
    pub(super) fn task_of(&mut self, op: &Operation, index: usize, action: Action) -> Option<Task> {
        let Step { component: name, stage, gate, .. } = &op.graph.steps[index];
        let next = if action == Action::Deploy { op.intended(name) } else { None };
        let input_digest = next.as_ref().and_then(|_| self.input_digest(op.component(name)?));
        let part = self.parts.get_mut(name)?;
        part.facts.may_exist |= next.is_some() && *stage != Stage::Plan;
        let part = next.as_ref().unwrap_or(part);
        // An input that the part's release does not declare stays with the install and is not sent.
        let declared = self.inputs.iter().filter(|(name, _)| part.inputs.contains(name));
        let inputs = declared.map(|(name, value)| (name.clone(), value.clone())).collect();
        let play = self.scenario.as_ref().filter(|_| self.mode == Mode::Sandbox);
        let changes = action.mutates() || gate.is_some();
        Some(Task {
            operation: op.number,
            epoch: self.epoch,
            action,
            kind: part.kind.clone(),
            mode: if part.sandbox { Mode::Sandbox } else { self.mode },
            play: play.map(|scenario| scenario.play(name, action)),
            release: part.release.clone(),
            digest: part.digest.clone(),
            inputs,
            longest_run_ms: part.runs_ms(action, gate.is_some()),
            input_digest,
            begin_by: None,
            stage: stage.clone(),
            word: op.what.word(&op.by),
            command: None,
            gate: false,
            glass: self.glass.clone().filter(|_| changes),
        })
    }
}

impl Operation {
    /// A component as the operation's release has it.
    pub(super) fn intended(&self, name: &str) -> Option<Part> {
        Some(Part::of(self.release.as_ref()?, self.component(name)?))
    }

    /// What a deploy that is running here makes of a component.
    pub(super) fn deploys(&self, name: &str) -> Option<Part> {
        let index = self.graph.running(name)?;
        let step = &self.graph.steps[index];
        self.intended(name)
            .filter(|_| step.action == Action::Deploy && step.stage != Stage::Plan)
            .filter(|_| step.mending.is_none() && step.gate.is_none())
    }

    /// Whether what runs here of a component only plans.
    pub(super) fn is_planning(&self, name: &str) -> bool {
        self.graph.running(name).is_some_and(|index| self.graph.steps[index].stage == Stage::Plan)
    }
}

impl Part {
    /// A deploy by this release has begun: it says how the component is removed. What the component
    /// was made to need before, it may need until the deploy has succeeded.
    pub(super) fn begin(&mut self, next: Part) {
        let is_there = self.facts.deployed.is_some() || self.facts.unfinished;
        let earlier = if is_there { std::mem::take(&mut self.needs) } else { vec![] };
        self.go_by(next);
        for need in earlier {
            if !self.needs.contains(&need) {
                self.needs.push(need);
            }
        }
    }

    /// It is as this release wants it. What probes said is forgotten where there are none any more: nobody
    /// would ever hear that it is well again.
    pub(super) fn go_by(&mut self, next: Part) {
        let (facts, failed, health) =
            (std::mem::take(&mut self.facts), self.failed.take(), std::mem::take(&mut self.health));
        let health = if next.probe.is_some() { health } else { crate::health::Health::default() };
        *self = Self { facts, failed, health, ..next };
    }

    fn of(release: &Release, component: &crate::release::ReleaseComponent) -> Self {
        Self {
            kind: component.kind.clone(),
            adopts: component.adopts,
            needs: component.needs.clone(),
            release: ReleaseRef::from(release),
            digest: component.digest.clone(),
            longest_run_ms: component.longest_run_ms,
            sandbox: component.sandbox,
            inputs: release.inputs.clone(),
            approvals: release.approvals.clone(),
            terms: release.terms.clone(),
            probe: component.health,
            facts: Facts::default(),
            failed: None,
            health: crate::health::Health::default(),
        }
    }

    /// How long a job of it may run: a probe as long as one takes, or as long as a deploy waits for one.
    fn runs_ms(&self, action: Action, gate: bool) -> i64 {
        match (action, self.probe) {
            (Action::Health, Some(probe)) if gate => probe.within_ms,
            (Action::Health, Some(probe)) => probe.timeout_ms,
            (
                Action::Deploy
                | Action::Destroy
                | Action::Drift
                | Action::Adopt
                | Action::Run
                | Action::Health,
                Some(_) | None,
            ) => self.longest_run_ms,
        }
    }
}
