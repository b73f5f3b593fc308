//! What an install's people are asked, as they see it: which plans wait, for whom, and the way to answer.

use crate::id::ObjectId;
use crate::install::operation::Operation;
use crate::plan::{Asking, Side};
use crate::waiting::{Evidence, Waiting};

impl Operation {
    /// A reason for each plan that waits for somebody's yes.
    pub(in crate::install) fn asking_reasons(&self, id: &ObjectId, epoch: u64) -> Vec<Waiting> {
        if !self.is_running() {
            return vec![];
        }
        let all = self.all_plans();
        let reason = |(index, asking): (usize, &Asking)| {
            let step = &self.graph.steps[index];
            let (name, plan) = (&step.component, &asking.plan);
            let evidence = Evidence {
                words: plan.summary(),
                code: None,
                attempt: self.attempt(id, epoch, step),
                plan: Some(plan.digest.clone()),
            };
            Waiting {
                code: "waiting.approval".into(),
                reason: format!(
                    "the {} of {name} is planned ({}) and waits for {}: {}",
                    step.action.as_str(),
                    plan.summary(),
                    asking.missing(),
                    asking.reason
                ),
                since: step.since,
                on: id.child(name).ok(),
                remedy: remedy(id, name, asking, all.as_deref()),
                evidence: Some(evidence),
            }
        };
        self.graph.asking().map(reason).collect()
    }
}

fn remedy(id: &ObjectId, name: &str, asking: &Asking, all: Option<&str>) -> String {
    let given = asking.approvals.iter().filter(|a| a.side == Side::Vendor).count();
    if given >= asking.vendor as usize {
        return "the customer approves or denies it where their runner is".to_owned();
    }
    let digest = &asking.plan.digest;
    let one = format!(
        "`remit plan show {id} --step {name}`, then `remit approve {id} --step {name} --plan {digest}` or `remit deny …`"
    );
    match all {
        Some(all) => format!("{one}; all that wait: `remit approve {id} --plan {all}`"),
        None => one,
    }
}
