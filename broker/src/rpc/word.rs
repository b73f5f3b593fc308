//! What runners say about attempts: progress, logs, and the last word.

use std::collections::BTreeMap;

use remit_loops::job::{Failure, FailureClass, Outcome, Success};
use remit_loops::runner::{Receipts, Report};
use remit_loops::view::{Detail, JobView};
use remit_loops::{Actor, Body, RejectedCode};
use remit_proto::convert::{self, AttemptRef, Completion, LogChunk, Progress};
use remit_proto::v1;
use sha2::{Digest as _, Sha256};
use tonic::{Code, Status};

use super::lease::attempt_id;
use super::status::{internal, refuse, submit};
use super::{Known, Service, receipt};
use crate::api::logs::component_of;
use crate::api::wire;
use crate::engine::{Submission, SubmitError};
use crate::logs::{Key, Piece};

fn no_attempt() -> Status {
    let message = "this runner has and had no such attempt, or its fence is another";
    refuse(Code::PermissionDenied, "rpc.attempt_unknown", message)
}

impl Known {
    /// The attempt in the runner's hands, if it has it.
    fn job(&self, attempt: &AttemptRef) -> Result<Option<JobView>, Status> {
        let Detail::Runner { jobs, .. } = self.snapshot.object.view().detail else {
            return Err(internal("a runner's view is of another kind"));
        };
        let id = attempt_id(attempt);
        Ok(jobs.into_iter().find(|job| job.attempt == id && job.fence == attempt.fence))
    }
}

impl Service {
    /// Passes a line on to whoever looks.
    pub(super) fn pass_on(
        &self,
        known: &Known,
        progress: Progress,
    ) -> Result<v1::ReportProgressResponse, Status> {
        let job = known.job(&progress.attempt)?.ok_or_else(no_attempt)?;
        let line = wire::Progress {
            component: job.component,
            action: job.action.as_str().to_owned(),
            job: progress.attempt.job,
            attempt: progress.attempt.attempt,
            message: crate::logs::text::clean(progress.message.as_bytes(), true).0,
            done: progress.done,
            total: progress.total,
        };
        self.edge.progress.publish(&known.identity.install, line);
        Ok(v1::ReportProgressResponse {})
    }

    /// Appends to the log of an attempt that the runner has, or had: what it could not send
    /// before the end comes after it.
    pub(super) async fn append(
        &self,
        known: &Known,
        chunk: &LogChunk,
    ) -> Result<v1::AppendLogsResponse, Status> {
        let install = &known.identity.install;
        component_of(install, &chunk.attempt.job).ok_or_else(no_attempt)?;
        let id = attempt_id(&chunk.attempt);
        if known.job(&chunk.attempt)?.is_none() && !known.runner()?.has_ended(&id, chunk.attempt.fence) {
            return Err(no_attempt());
        }
        let key = Key { install: install.clone(), job: id.job, attempt: id.attempt };
        let piece = Piece { offset: chunk.offset, data: &chunk.data, is_final: chunk.is_final };
        let appended = self.edge.logs.append(&key, &piece, self.edge.engine.now()).await;
        Ok(v1::AppendLogsResponse { next_offset: appended.map_err(internal)? })
    }

    /// Takes the last word of an attempt. The same word again is taken again; another is not.
    pub(super) async fn complete(
        &self,
        known: &Known,
        completion: Completion,
    ) -> Result<v1::CompleteJobResponse, Status> {
        let place = receipt::place(&known.identity.install, &completion)?;
        let Completion { attempt, outcome, journal_head, journal_records, signed: _ } = completion;
        let outcome = outcome_of(outcome);
        let said = serde_json::to_vec(&outcome).map_err(internal)?;
        let word = hex::encode(&Sha256::digest(said)[..16]);
        let key = Some(format!("ended:{}:{}:{}:{word}", attempt.job, attempt.attempt, attempt.fence));
        let report = Report::Ended {
            generation: known.identity.generation,
            attempt: attempt_id(&attempt),
            fence: attempt.fence,
            outcome,
            receipts: (journal_records > 0)
                .then(|| Receipts { records: journal_records, head: hex::encode(journal_head) }),
        };
        let to = known.identity.runner.clone();
        let submission = Submission { to, by: Actor::Runner, key, body: Body::Report(report) };
        let is_news = match self.edge.engine.submit(submission).await {
            Ok(accepted) => Some(!accepted.duplicate),
            Err(SubmitError::Rejected(r)) if r.code == RejectedCode::Stale => None,
            Err(error) => return Err(submit(&error)),
        };
        let (head, accepted) = (hex::encode(journal_head), is_news.is_some());
        tracing::debug!(job = attempt.job, attempt = attempt.attempt, accepted, head, "an attempt ended");
        // A word that was taken before was acknowledged before, or the next one is.
        let seen = match place.filter(|_| is_news == Some(true)) {
            Some(place) => self.acknowledge(known, place).await,
            None => vec![],
        };
        Ok(v1::CompleteJobResponse { accepted, seen })
    }
}

fn outcome_of(outcome: convert::Outcome) -> Outcome {
    match outcome {
        convert::Outcome::Succeeded(success) => Outcome::Succeeded(success_of(&success)),
        convert::Outcome::Failed(f) => {
            Outcome::Failed(Failure { class: f.class.into(), code: f.code, message: f.message, hint: f.hint })
        }
        convert::Outcome::Cancelled { message } => Outcome::Cancelled { message },
        convert::Outcome::Refused { code, message } => Outcome::Failed(Failure {
            class: FailureClass::Refused,
            hint: format!("the runner would not begin it: {code} in the docs says what that means"),
            code,
            message,
        }),
    }
}

fn success_of(success: &convert::Success) -> Success {
    let outputs: BTreeMap<String, String> = success.outputs_json();
    let changes = super::plan::changes(success.changes);
    let plan = success.plan.as_ref().map(super::plan::of);
    let differences = Box::new(super::differences::of(&success.differences));
    let (drifted, summary) = (success.drifted, success.summary.clone());
    let swept = success.swept.clone();
    Success { outputs, changes, drifted, summary, plan, swept, differences }
}
