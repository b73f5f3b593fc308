//! What a component takes note of when a task of it succeeds.

use super::facts::{Deployed, Facts, Removed, Settled};
use super::{Component, Current};
use crate::job::{Action, Success};
use crate::plan::Stage;
use crate::runner::message::Boot;
use crate::time::Timestamp;

impl Component {
    /// Takes note of what a success says.
    pub(super) fn learn(
        &mut self,
        at: Timestamp,
        current: &Current,
        success: &Success,
        ran_by: Option<&Boot>,
    ) {
        let task = &current.task;
        if task.stage == Stage::Plan || task.action == Action::Health {
            return;
        }
        self.since = at;
        match task.action {
            Action::Deploy => {
                let (release, digest) = (task.release.clone(), task.digest.clone());
                let settled = |(input_digest, ran_by): (&String, &Boot)| Settled {
                    input_digest: input_digest.clone(),
                    operation: task.operation,
                    ran_by: ran_by.clone(),
                };
                self.facts = Facts {
                    may_exist: true,
                    deployed: Some(Deployed { release, digest, at }),
                    outputs: success.outputs.clone(),
                    settled: task.input_digest.as_ref().zip(ran_by).map(settled),
                    ..Facts::default()
                };
            }
            Action::Destroy => {
                let removed = Removed { at, attempt: current.id.clone(), swept: success.swept.clone() };
                self.facts = Facts { removed: Some(Box::new(removed)), ..Facts::default() };
            }
            Action::Run | Action::Health => {}
            Action::Drift | Action::Adopt => match &task.word {
                Some(word) => self.facts.adopted(at, word, success),
                None => self.facts.looked(at, success),
            },
        }
    }
}
