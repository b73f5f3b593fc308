//! A component as people and programs see it, and why it is not done yet.

use super::facts::Facts;
use super::{Component, Current, Phase};
use crate::status::Status;
use crate::view::{Detail, View};
use crate::waiting::{Evidence, Waiting};

impl Component {
    pub(crate) fn why(&self) -> Vec<Waiting> {
        self.current().map(|current| self.reason(current)).collect()
    }

    fn reason(&self, current: &Current) -> Waiting {
        let (action, attempt) = (current.task.action.as_str(), current.id.attempt);
        let (code, reason, on, remedy) = match &current.phase {
            Phase::Offered => (
                "waiting.pick_up",
                format!("its {action} (attempt {attempt}) waits for the runner to take it"),
                self.id.runner(),
                "the runner takes it when it is there and has a free slot".to_owned(),
            ),
            Phase::Running => (
                "waiting.job",
                format!("the runner is at its {action} (attempt {attempt})"),
                self.id.runner(),
                format!("it ends by itself; `remit logs {} -f` shows what it does", self.id),
            ),
            Phase::BackingOff { failure, .. } => (
                "waiting.retry",
                format!("attempt {attempt} of its {action} failed: {}; it tries again soon", failure.message),
                None,
                format!("wait, or `remit signal {} retry_now`", self.id),
            ),
            Phase::Stopping { reason } => (
                "waiting.stop",
                format!("its {action} was told to stop: {reason}"),
                self.id.runner(),
                "the runner says when nothing of it runs any more".to_owned(),
            ),
        };
        let words = match &current.phase {
            Phase::BackingOff { failure, .. } => Evidence::of(failure),
            Phase::Offered | Phase::Running | Phase::Stopping { .. } => Evidence::default(),
        };
        let evidence = Some(Evidence { attempt: Some(current.id.clone()), ..words });
        Waiting { code: code.into(), reason, since: current.since, on, remedy, evidence }
    }

    fn status(&self) -> Status {
        let (word, description) = match (&self.work, &self.facts) {
            (Some(work), _) => match &work.phase {
                Phase::Offered => ("offered", format!("{} waits for the runner", work.task.action.as_str())),
                Phase::Running => ("running", format!("{} runs", work.task.action.as_str())),
                Phase::BackingOff { failure, .. } => ("retrying", failure.message.clone()),
                Phase::Stopping { reason } => ("stopping", reason.clone()),
            },
            (None, Facts { unfinished: true, deployed: Some(deployed), .. }) => {
                let version = &deployed.release.version;
                ("incomplete", format!("a change began and did not succeed; before it was release {version}"))
            }
            (None, Facts { drift: Some(drift), .. }) => ("drifted", drift.summary.clone()),
            (None, Facts { deployed: Some(deployed), .. }) => {
                ("deployed", format!("by release {}", deployed.release.version))
            }
            (None, Facts { may_exist: true, .. }) => {
                ("incomplete", "a deploy began and did not succeed; parts of it may exist".to_owned())
            }
            (None, _) => ("absent", "nothing of it exists".to_owned()),
        };
        let since = self.work.as_ref().map_or(self.since, |w| w.since);
        Status { word: word.to_owned(), description, since }
    }

    pub(crate) fn view(&self) -> View {
        View {
            id: self.id.clone(),
            status: self.status(),
            epoch: self.epoch,
            operation: None,
            reading: None,
            queue: vec![],
            why: self.why(),
            detail: Detail::Component {
                facts: self.facts.clone(),
                job: self.current().next().map(|c| c.id.clone()),
            },
        }
    }
}
