//! Plans as runners report them, and what their customers say of them.

use remit_loops::plan::{self, Plan, Reply};
use remit_loops::runner::Report;
use remit_loops::status::StepView;
use remit_loops::{Actor, Body, RejectedCode, Timestamp};
use remit_proto::convert::{self, PlanAnswer, PlanReply};
use remit_proto::v1;
use tonic::Status;

use super::status::{internal, submit};
use super::{Known, Service};
use crate::engine::{Submission, SubmitError};

/// A plan in the loops' words.
pub(super) fn of(plan: &convert::Plan) -> Plan {
    let change = |change: &convert::PlannedChange| plan::Change {
        address: crate::logs::text::clean(change.address.as_bytes(), true).0,
        action: action(change.action),
    };
    Plan {
        digest: plan.digest.to_string(),
        changes: changes(plan.changes),
        list: plan.list.iter().map(change).collect(),
        more: plan.more,
        customer_approval_needed: plan.customer_approval_needed,
    }
}

pub(super) fn changes(counts: convert::ChangeCounts) -> remit_loops::plan::Changes {
    let convert::ChangeCounts { create, update, delete, replace, import, forget, moved, other, outputs } =
        counts;
    remit_loops::plan::Changes { create, update, delete, replace, import, forget, moved, other, outputs }
}

pub(super) fn action(action: convert::ChangeAction) -> plan::ChangeAction {
    match action {
        convert::ChangeAction::Create => plan::ChangeAction::Create,
        convert::ChangeAction::Update => plan::ChangeAction::Update,
        convert::ChangeAction::Delete => plan::ChangeAction::Delete,
        convert::ChangeAction::Replace => plan::ChangeAction::Replace,
        convert::ChangeAction::Import => plan::ChangeAction::Import,
        convert::ChangeAction::Forget => plan::ChangeAction::Forget,
        convert::ChangeAction::Move => plan::ChangeAction::Move,
        convert::ChangeAction::Other => plan::ChangeAction::Other,
    }
}

impl Service {
    /// Whether this very plan waits for somebody's word.
    async fn waits(&self, known: &Known, component: &str, digest: &str) -> Result<bool, Status> {
        let install = self.edge.engine.query(&known.identity.install).await.map_err(internal)?;
        let steps = install.and_then(|install| install.object.view().operation).map(|op| op.steps);
        let is_it = |step: &StepView| {
            step.component == component && step.asking.as_ref().is_some_and(|a| a.plan.digest == digest)
        };
        Ok(steps.unwrap_or_default().iter().any(is_it))
    }

    /// Takes the customer's word on a plan; false when no such plan waits for it.
    pub(super) async fn answer(
        &self,
        known: &Known,
        answer: PlanAnswer,
    ) -> Result<v1::AnswerPlanResponse, Status> {
        let PlanAnswer { component, digest, reply } = answer;
        if !self.waits(known, &component, &digest.to_string()).await? {
            return Ok(v1::AnswerPlanResponse { accepted: false });
        }
        let reply = match reply {
            PlanReply::Approved { by, until_ms } => Reply::Approved { by, until: Timestamp(until_ms) },
            PlanReply::Denied { by, reason } => Reply::Denied { by, reason },
        };
        let generation = known.identity.generation;
        let report = Report::PlanAnswered { generation, component, digest: digest.to_string(), reply };
        let to = known.identity.runner.clone();
        let submission = Submission { to, by: Actor::Runner, key: None, body: Body::Report(report) };
        match self.edge.engine.submit(submission).await {
            Ok(_) => Ok(v1::AnswerPlanResponse { accepted: true }),
            Err(SubmitError::Rejected(r)) if r.code == RejectedCode::Stale => {
                Ok(v1::AnswerPlanResponse { accepted: false })
            }
            Err(error) => Err(submit(&error)),
        }
    }
}
