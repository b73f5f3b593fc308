//! A runner's loop as people and programs see it.

use super::message::Presence;
use super::{Phase, Runner, Slot};
use crate::status::Status;
use crate::view::{Detail, JobView, View};
use crate::waiting::{Evidence, Waiting};

impl Runner {
    pub(crate) fn why(&self) -> Vec<Waiting> {
        if !self.wanted {
            return vec![];
        }
        self.presence_reason()
            .into_iter()
            .chain(self.draining_reason())
            .chain(self.restored_reason())
            .chain(self.unconfirmed_reasons())
            .chain(self.too_old_reasons())
            .collect()
    }

    fn presence_reason(&self) -> Option<Waiting> {
        let (code, reason, remedy) = match self.presence {
            Presence::Online { .. } => return None,
            Presence::Expected => (
                "waiting.runner_expected",
                "no runner has enrolled yet".to_owned(),
                "send the customer the link, or start `remit-runner run` there".to_owned(),
            ),
            Presence::Offline { .. } => (
                "waiting.runner_offline",
                format!("the runner is silent; {} attempts wait for it", self.slots.len()),
                "see whether its host is up and can reach the broker; what is queued stays queued".to_owned(),
            ),
            Presence::Revoked { .. } => (
                "waiting.runner_revoked",
                self.revoked(),
                "end what should not run, then make a new one-time token and let the right runner enrol with it"
                    .to_owned(),
            ),
        };
        Some(Waiting { code: code.into(), reason, since: self.since, on: None, remedy, evidence: None })
    }

    fn revoked(&self) -> String {
        match &self.revoked_for {
            Some(reason) => format!("the runner's identity was taken away: {reason}"),
            None => "the runner's identity was taken away".to_owned(),
        }
    }

    fn draining_reason(&self) -> Option<Waiting> {
        self.draining.as_ref().map(|draining| Waiting {
            code: "waiting.runner_draining".into(),
            reason: format!("the runner is handed nothing new: {}", draining.reason),
            since: draining.since,
            on: None,
            remedy: format!("`remit signal {} resume`", self.id),
            evidence: None,
        })
    }

    fn restored_reason(&self) -> Option<Waiting> {
        self.restored.then(|| Waiting {
            code: "waiting.runner_marks".into(),
            reason:
                "this broker was restored from a backup and waits for the runner to say how far it had got"
                    .to_owned(),
            since: self.since,
            on: None,
            remedy: "the runner says it with its next call; nothing is repeated".to_owned(),
            evidence: None,
        })
    }

    fn unconfirmed_reasons(&self) -> impl Iterator<Item = Waiting> {
        self.slots.iter().filter(|s| s.phase == Phase::Unconfirmed).map(|slot| Waiting {
            code: "waiting.unconfirmed".into(),
            reason: format!("a former runner began {} and never said how it ended", slot.spec.id.job),
            since: slot.since,
            on: None,
            remedy: format!(
                "make sure that nothing of it runs any more, then `remit unlock {} --host … --evidence … --reason …`",
                self.id.install().map_or_else(String::new, |install| install.name().to_owned())
            ),
            evidence: Some(Evidence { attempt: Some(slot.spec.id.clone()), ..Evidence::default() }),
        })
    }

    /// What it has no executor for: it would only refuse it.
    fn too_old_reasons(&self) -> impl Iterator<Item = Waiting> {
        let offered = self.slots.iter().filter(|s| s.phase == Phase::Offered && self.generation() != 0);
        offered.filter_map(|slot| {
            let kind = self.info.lacks(&slot.spec)?;
            let (component, version) = (&slot.spec.component, &self.info.version);
            Some(Waiting {
                code: "waiting.runner_too_old".into(),
                reason: format!(
                    "{component} is a {kind} component, and the runner (version {version}) runs only: {}",
                    self.info.executors.join(", ")
                ),
                since: slot.since,
                on: None,
                remedy: "bring the runner to a version that can run it; it goes on by itself then".to_owned(),
                evidence: Some(Evidence { attempt: Some(slot.spec.id.clone()), ..Evidence::default() }),
            })
        })
    }

    fn status(&self) -> Status {
        let (word, description) = match (self.epoch, self.wanted, self.presence) {
            (0, ..) => ("absent", "no install has asked for it".to_owned()),
            (_, false, _) => ("deleted", "its install is gone".to_owned()),
            (_, true, Presence::Expected) => ("expected", "no runner has enrolled yet".to_owned()),
            (_, true, Presence::Online { .. }) => {
                ("online", format!("generation {}, version {}", self.generation, self.info.version))
            }
            (_, true, Presence::Offline { .. }) => {
                ("offline", format!("generation {} is silent", self.generation))
            }
            (_, true, Presence::Revoked { .. }) => ("revoked", self.revoked()),
        };
        Status { word: word.to_owned(), description, since: self.since }
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
            detail: Detail::Runner {
                presence: self.presence,
                generation: self.generation,
                jobs: self.slots.iter().map(job_view).collect(),
                place: self.place().cloned(),
            },
        }
    }
}

fn job_view(slot: &Slot) -> JobView {
    let state = match slot.phase {
        Phase::Offered => "offered",
        Phase::Running => "running",
        Phase::Stopping { .. } => "stopping",
        Phase::Unconfirmed => "unconfirmed",
        Phase::Unnumbered => "waiting",
    };
    JobView {
        attempt: slot.spec.id.clone(),
        component: slot.spec.component.clone(),
        action: slot.spec.action,
        state: state.to_owned(),
        since: slot.since,
        seq: slot.seq,
        fence: slot.fence,
    }
}
