//! An install as people and programs see it, and why it is not done yet.

use super::lanes::Lane;
use super::operation::{Operation, Phase, Plan, Steps};
use super::{Install, Live, Part, State, Tombstone};
use crate::graph::StepState;
use crate::id::ObjectId;
use crate::job::{AttemptId, Mode};
use crate::runner::message::Presence;
use crate::standing::Standing;
use crate::status::{OperationView, QueuedView, Status};
use crate::values::Values;
use crate::view::{ComponentView, Detail, RemovedView, View};
use crate::waiting::{Evidence, Waiting};

impl Install {
    /// The status in a word.
    pub(super) fn word(&self) -> &'static str {
        match &self.state {
            State::Absent => "absent",
            State::Live(live) => live.word(),
            State::Gone(Tombstone { forgotten: Some(_), .. }) => "forgotten",
            State::Gone(Tombstone { leaked, .. }) if leaked.is_empty() => "deleted",
            State::Gone(_) => "delete_incomplete",
        }
    }

    fn describe(&self) -> String {
        match &self.state {
            State::Absent => "nobody has made it".to_owned(),
            State::Live(live) => live.describe(),
            State::Gone(tombstone) => tombstone.summary(),
        }
    }

    pub(crate) fn why(&self) -> Vec<Waiting> {
        match &self.state {
            State::Live(live) => live.why(&self.id),
            State::Absent | State::Gone(_) => vec![],
        }
    }

    pub(crate) fn view(&self) -> View {
        let status = Status { word: self.word().to_owned(), description: self.describe(), since: self.since };
        let (operation, reading, queue, detail) = match &self.state {
            State::Live(live) => (
                live.work.as_ref().map(Operation::view),
                live.read.as_ref().map(Operation::view),
                live.queue(),
                live.detail(&self.id),
            ),
            State::Absent => (None, None, vec![], nothing(vec![])),
            State::Gone(tombstone) => (None, None, vec![], nothing(tombstone.receipts())),
        };
        let why = self.why();
        View { id: self.id.clone(), status, epoch: self.epoch, operation, reading, queue, why, detail }
    }
}

fn nothing(removed: Vec<RemovedView>) -> Detail {
    Detail::Install {
        mode: Mode::default(),
        scenario: None,
        copy_of: None,
        parent: Standing::Absent,
        release: None,
        pending: None,
        inputs: Values::new(),
        labels: Values::new(),
        approval: crate::approval::Policy::default(),
        components: vec![],
        removed,
        runner: Presence::Expected,
        last: None,
        updates: Box::default(),
        drift: None,
        rules: vec![],
        glass: None,
    }
}

impl Live {
    fn word(&self) -> &'static str {
        let held = self.work.as_ref().is_some_and(|op| op.held_since().is_some());
        match (&self.work, &self.deleting, &self.paused) {
            (Some(_), ..) if held => "held",
            (Some(op), ..) if op.only_asks() => "approval",
            (_, Some(_), _) => "deleting",
            (Some(op), ..) => match op.what.plan() {
                Plan { steps: Steps::OfRelease(_), .. } if !self.provisioned => "provisioning",
                plan => plan.word,
            },
            (None, None, Some(_)) => "paused",
            (None, None, None) if self.parent != Standing::Active => "waiting",
            (None, None, None) => self.resting_word(),
        }
    }

    fn resting_word(&self) -> &'static str {
        if self.release.is_none() {
            return "waiting";
        }
        if self.parts.values().any(|p| p.facts.drift.is_some()) {
            return "drifted";
        }
        let whole = self.parts.values().all(Part::is_whole);
        if whole { "active" } else { "degraded" }
    }

    fn describe(&self) -> String {
        if let Some(op) = &self.work {
            let (done, all) = op.steps_done();
            let held = if op.held_since().is_some() { "held: " } else { "" };
            return format!("{held}{} {done} of {all} steps", op.title());
        }
        let drifted: Vec<&str> =
            self.parts.iter().filter(|(_, p)| p.facts.drift.is_some()).map(|(n, _)| n.as_str()).collect();
        match (&self.release, &self.paused) {
            (_, Some(mark)) => format!("paused by {}: {}", mark.by, mark.reason),
            (None, None) => "no release is deployed yet".to_owned(),
            (Some(release), None) if drifted.is_empty() => {
                format!("release {}, {} components", release.version, self.parts.len())
            }
            (Some(release), None) => format!("release {}; drifted: {}", release.version, drifted.join(", ")),
        }
    }

    fn queue(&self) -> Vec<QueuedView> {
        let view = |(lane, position, q): (Lane, u32, &super::lanes::Queued<super::What>)| QueuedView {
            number: q.number,
            position,
            lane: lane.as_str().to_owned(),
            kind: q.what.as_str().to_owned(),
            by: q.by.to_string(),
            since: q.since,
            waits_for: self.queue_waits_for(lane, position),
        };
        self.lanes.iter().map(view).collect()
    }

    fn queue_waits_for(&self, lane: Lane, position: u32) -> String {
        if position > 1 {
            return "the one before it in the queue".to_owned();
        }
        let before = match lane {
            Lane::Work => &self.work,
            Lane::Read => &self.read,
        };
        match (&self.paused, before) {
            (Some(mark), _) => format!("to be resumed; paused by {}", mark.by),
            (None, Some(op)) => format!("operation {} ({}) to end", op.number, op.what.as_str()),
            (None, None) if self.parent != Standing::Active => format!("its app, which is {}", self.parent),
            (None, None) => "its turn".to_owned(),
        }
    }

    fn detail(&self, id: &ObjectId) -> Detail {
        let release = self.release.as_ref().map(Into::into);
        let component = |(name, part): (&String, &Part)| ComponentView {
            name: name.clone(),
            kind: part.kind.clone(),
            state: part.word().to_owned(),
            facts: part.facts.clone(),
            health: part.health_view(),
        };
        Detail::Install {
            removed: vec![],
            mode: self.mode,
            scenario: self.scenario.as_ref().map(crate::scenario::Scenario::summary),
            copy_of: self.copy_of.clone(),
            parent: self.parent,
            pending: self.newest.clone().filter(|newest| Some(newest) != release.as_ref()),
            release,
            inputs: self.inputs.clone(),
            labels: self.labels.clone(),
            approval: self.approval.clone(),
            components: self.parts.iter().map(component).collect(),
            runner: self.runner,
            last: self.last.clone(),
            updates: Box::new(self.updates.view()),
            drift: Some(Box::new(self.drift_view(id))),
            rules: self.rule_views(),
            glass: self.glass.clone().map(Box::new),
        }
    }

    /// The first reason is the one to act on.
    fn why(&self, id: &ObjectId) -> Vec<Waiting> {
        let mut why = vec![];
        why.extend(self.glass_reason(id));
        why.extend(self.paused_reason(id));
        why.extend(self.parent_reason(id));
        if let Some(op) = &self.work {
            why.extend(op.mending_reasons(id, self.epoch));
            why.extend(self.held_reasons(id, op));
            why.extend(op.asking_reasons(id, self.epoch));
            why.extend(self.runner_reason(id));
            why.extend(op.running_reasons(id, self.epoch));
        }
        if let Some(op) = &self.read {
            why.extend(op.running_reasons(id, self.epoch));
        }
        why.extend(self.update_reasons(id));
        why.extend(self.unwell_reasons(id));
        why.extend(self.health_reasons(id));
        why.extend(self.drift_reasons(id));
        why.extend(self.release_reason(id));
        why
    }

    fn held_reasons(&self, id: &ObjectId, op: &Operation) -> Vec<Waiting> {
        op.held_reasons(id, self.epoch, |step, failure| {
            self.spent_rules(&step.component, step.failed_at(failure), failure)
        })
    }

    fn paused_reason(&self, id: &ObjectId) -> Option<Waiting> {
        self.paused.as_ref().map(|mark| Waiting {
            code: "waiting.paused".into(),
            reason: format!("paused by {}: {}", mark.by, mark.reason),
            since: mark.since,
            on: None,
            remedy: format!("`remit signal {id} resume`"),
            evidence: None,
        })
    }

    fn parent_reason(&self, id: &ObjectId) -> Option<Waiting> {
        if self.parent == Standing::Active || self.lanes.iter().next().is_none() {
            return None;
        }
        Some(Waiting {
            code: "waiting.parent".into(),
            reason: format!("it waits for its app, which is {}", self.parent),
            since: self.parent_since,
            on: id.parent(),
            remedy: "it goes on by itself as soon as the app is active".into(),
            evidence: None,
        })
    }

    fn runner_reason(&self, id: &ObjectId) -> Option<Waiting> {
        let (reason, remedy) = match self.runner {
            Presence::Online { .. } => return None,
            Presence::Expected => (
                "no runner has enrolled yet",
                "send the customer the link, or start `remit-runner run` there",
            ),
            Presence::Offline { .. } => (
                "its runner is silent",
                "see whether its host is up and can reach the broker; nothing is lost",
            ),
            Presence::Revoked { .. } => (
                "its runner's identity was taken away",
                "make a new one-time token and enrol a runner with it",
            ),
        };
        let since = match self.runner {
            Presence::Online { since } | Presence::Offline { since } | Presence::Revoked { since } => since,
            Presence::Expected => self.work.as_ref().map_or(self.parent_since, |op| op.since),
        };
        let on = id.runner();
        Some(Waiting {
            code: "waiting.runner".into(),
            reason: reason.into(),
            since,
            on,
            remedy: remedy.into(),
            evidence: None,
        })
    }

    /// What failed, was stopped or was never made, and nobody is at it.
    fn unwell_reasons(&self, id: &ObjectId) -> Vec<Waiting> {
        let since = self.last.as_ref().map_or(self.parent_since, |last| last.at);
        let reason = |(name, part): (&String, &Part)| {
            let words = part.failed.clone().unwrap_or_default();
            let how = match &part.failed {
                Some(words) => format!("the last change of {name} failed: {words}"),
                None if part.facts.unfinished => format!("a change of {name} was stopped in the middle"),
                None if part.health.is_unproven() => {
                    format!("no probe of {name} has passed since it was deployed")
                }
                None => format!("{name} is not there: no deploy of it has begun"),
            };
            Waiting {
                code: "attention.failed".into(),
                reason: how,
                since,
                on: id.child(name).ok(),
                remedy: format!("`remit signal {id} heal`"),
                evidence: Some(Evidence { words, ..Evidence::default() }),
            }
        };
        let idle = self.work.is_none() && self.lanes.peek(Lane::Work).is_none();
        self.parts.iter().filter(|(_, part)| idle && !part.is_made()).map(reason).collect()
    }

    fn release_reason(&self, id: &ObjectId) -> Option<Waiting> {
        let idle = self.work.is_none() && self.release.is_none() && self.parent == Standing::Active;
        idle.then(|| Waiting {
            code: "waiting.release".into(),
            reason: "its app has no release yet".into(),
            since: self.parent_since,
            on: id.parent(),
            remedy: "`remit release create`".into(),
            evidence: None,
        })
    }
}

impl Part {
    /// Whether it is made, and does its work as far as anybody knows.
    pub(super) fn is_whole(&self) -> bool {
        self.is_made() && self.health.unwell.is_none()
    }

    fn is_made(&self) -> bool {
        let has_ended = !self.facts.unfinished && !self.health.is_unproven();
        self.facts.deployed.is_some() && self.failed.is_none() && has_ended
    }

    fn word(&self) -> &'static str {
        if self.failed.is_some() {
            "failed"
        } else if self.facts.unfinished || self.health.is_unproven() {
            "incomplete"
        } else if self.facts.deployed.is_some() && self.health.unwell.is_some() {
            "unwell"
        } else if self.facts.drift.is_some() {
            "drifted"
        } else if self.facts.deployed.is_some() {
            "deployed"
        } else {
            "absent"
        }
    }
}

impl Operation {
    fn title(&self) -> String {
        match &self.release {
            Some(release) => format!("{} of release {},", self.what.as_str(), release.version),
            None => format!("{},", self.what.as_str()),
        }
    }

    fn steps_done(&self) -> (usize, usize) {
        let is_done = |s: &StepState| {
            matches!(s, StepState::Succeeded(_) | StepState::Skipped(_) | StepState::Unchanged(_))
        };
        (self.graph.steps.iter().filter(|s| is_done(&s.state)).count(), self.graph.steps.len())
    }

    fn view(&self) -> OperationView {
        OperationView {
            number: self.number,
            kind: self.what.as_str().to_owned(),
            release: self.release.as_ref().map(Into::into),
            by: self.by.to_string(),
            since: self.since,
            steps: self.graph.views(),
            all_plans: self.all_plans(),
        }
    }

    /// The newest attempt at a step, if there was one.
    pub(super) fn attempt(&self, id: &ObjectId, epoch: u64, step: &crate::graph::Step) -> Option<AttemptId> {
        let component = id.child(&step.component).ok().filter(|_| step.attempt > 0)?;
        let job = AttemptId::job_of(&component, epoch, self.number, step.is_at());
        Some(AttemptId { job, attempt: step.attempt })
    }

    /// What a person must decide on; of each failure, `spent` says what rules there were.
    fn held_reasons(
        &self,
        id: &ObjectId,
        epoch: u64,
        spent: impl Fn(&crate::graph::Step, &crate::job::Failure) -> String,
    ) -> Vec<Waiting> {
        if self.held_since().is_none() {
            return vec![];
        }
        let reason = |(step, failure): (&crate::graph::Step, &crate::job::Failure)| {
            let name = &step.component;
            let hint =
                if failure.hint.is_empty() { String::new() } else { format!("{}; then ", failure.hint) };
            Waiting {
                code: "held.failed".into(),
                reason: format!(
                    "{name} failed to {} ({}): {}{}",
                    step.action.as_str(),
                    failure.code,
                    failure.message,
                    spent(step, failure)
                ),
                since: step.since,
                on: id.child(name).ok(),
                remedy: format!(
                    "{hint}`remit signal {id} retry`, or `remit signal {id} skip --component {name} --reason …`"
                ),
                evidence: Some(Evidence { attempt: self.attempt(id, epoch, step), ..Evidence::of(failure) }),
            }
        };
        self.graph.failed().map(reason).collect()
    }

    fn running_reasons(&self, id: &ObjectId, epoch: u64) -> Vec<Waiting> {
        if self.phase == Phase::Resolving {
            return vec![Waiting {
                code: "waiting.release".into(),
                reason: "its app was asked which release is meant".into(),
                since: self.since,
                on: id.parent(),
                remedy: "the app answers by itself".into(),
                evidence: None,
            }];
        }
        let running = self.graph.steps.iter().filter(|s| s.state == StepState::Running);
        let reason = |step: &crate::graph::Step| Waiting {
            code: "waiting.step".into(),
            reason: format!("{} is at its {}", step.component, step.action.as_str()),
            since: step.since,
            on: id.child(&step.component).ok(),
            remedy: format!("it ends by itself; `remit logs {id} -f` shows what it does"),
            evidence: self
                .attempt(id, epoch, step)
                .map(|a| Evidence { attempt: Some(a), ..Evidence::default() }),
        };
        running.map(reason).collect()
    }
}
