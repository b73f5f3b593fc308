//! Which steps of a deploy can be left out: those whose inputs are what they were the last time.
//!
//! A step is decided on when it could start: by then the components that it takes outputs from
//! are done, and their outputs are known. What the broker cannot know counts as changed: a
//! customer's value with each start of the runner, an output that stays in the account with
//! each deploy of the component that gives it.

use sha2::{Digest as _, Sha256};

use super::Live;
use super::operation::{Operation, Steps};
use crate::event::{Effect, record};
use crate::graph::StepState;
use crate::job::{Action, Mode};
use crate::release::{Recipe, ReleaseComponent, Taken};
use crate::time::Timestamp;

/// What is hashed first: another way of hashing gets another line.
const SCHEME: &str = "remit input digest 1";

/// How much of a digest people are shown.
const SHOWN_LEN: usize = 12;

impl Live {
    /// Ends every step that could start and would change nothing; whether there was one.
    pub(super) fn leave_out(&mut self, at: Timestamp, effects: &mut Vec<Effect>) -> bool {
        let Some(mut op) = self.work.take() else { return false };
        let ready = if op.leaves_out_unchanged() { op.graph.ready() } else { vec![] };
        let mut any = false;
        for index in ready {
            let name = op.graph.steps[index].component.clone();
            let Some(note) = self.unchanged(&op, index) else { continue };
            if let (Some(next), Some(part)) = (op.intended(&name), self.parts.get_mut(&name)) {
                part.go_by(next);
            }
            effects.push(record("step.unchanged", format!("{name}: {note}")));
            op.graph.set(index, StepState::Unchanged(note), at);
            any = true;
        }
        self.work = Some(op);
        any
    }

    /// Why a step can be left out, if it can.
    fn unchanged(&self, op: &Operation, index: usize) -> Option<String> {
        let step = op.graph.steps.get(index).filter(|s| s.action == Action::Deploy)?;
        let component = op.component(&step.component)?;
        let part = self.parts.get(&step.component)?;
        let (deployed, settled) = (part.facts.deployed.as_ref()?, part.facts.settled.as_ref()?);
        if part.failed.is_some() || part.facts.drift.is_some() || part.health.unwell.is_some() {
            return None;
        }
        // Its last deploy made it, and was ended before a probe had passed.
        if part.health.unproven {
            return None;
        }
        // A runner that enrolled anew has none of the outputs that later components would take.
        let same_runner = self.boot.generation != 0 && settled.ran_by.generation == self.boot.generation;
        let same_values = !self.boot.id.is_empty() && settled.ran_by == self.boot;
        if !same_runner || (component.recipe.as_ref()?.customer && !same_values) {
            return None;
        }
        let digest = self.input_digest(component)?;
        (digest == settled.input_digest).then(|| {
            let shown = &digest[..SHOWN_LEN.min(digest.len())];
            format!("unchanged since release {} (input digest {shown})", deployed.release.version)
        })
    }

    /// The digest of all that would go into a deploy of a component now, as far as the broker can know it.
    pub(super) fn input_digest(&self, component: &ReleaseComponent) -> Option<String> {
        let recipe: &Recipe = component.recipe.as_ref()?;
        let mode = if component.sandbox { Mode::Sandbox } else { self.mode };
        let mut digest = Fields::new();
        digest.add(&[&recipe.digest, mode.as_str()]);
        for name in &recipe.inputs {
            match self.inputs.get(name) {
                Some(value) => digest.add(&["input", name, "set", value]),
                None => digest.add(&["input", name, "unset"]),
            }
        }
        for taken in &recipe.outputs {
            let (how, value) = self.taken(taken)?;
            digest.add(&["output", &taken.component, &taken.output, how, &value]);
        }
        Some(digest.end())
    }

    /// An output as it is known here: its value, or which deploy made it.
    fn taken(&self, taken: &Taken) -> Option<(&'static str, String)> {
        let facts = &self.parts.get(&taken.component)?.facts;
        match facts.outputs.get(&taken.output) {
            Some(value) => Some(("value", value.clone())),
            None => facts.settled.as_ref().map(|s| ("made by", s.operation.to_string())),
        }
    }
}

impl Operation {
    fn leaves_out_unchanged(&self) -> bool {
        self.is_running() && matches!(self.what.plan().steps, Steps::OfRelease(_))
    }
}

/// A digest of texts, each with its length before it: no two lists of texts look the same.
pub(super) struct Fields(Sha256);

impl Fields {
    fn new() -> Self {
        let mut fields = Self(Sha256::new());
        fields.add(&[SCHEME]);
        fields
    }

    /// The digest of these texts under a scheme, hexadecimal.
    pub(super) fn of(scheme: &str, texts: &[&str]) -> String {
        let mut fields = Self(Sha256::new());
        fields.add(&[scheme]);
        fields.add(texts);
        fields.end()
    }

    fn add(&mut self, texts: &[&str]) {
        for text in texts {
            self.0.update((text.len() as u64).to_be_bytes());
            self.0.update(text.as_bytes());
        }
    }

    fn end(self) -> String {
        let hex = |byte: u8| [byte >> 4, byte & 15].map(|n| char::from(b"0123456789abcdef"[usize::from(n)]));
        self.0.finalize().into_iter().flat_map(hex).collect()
    }
}
