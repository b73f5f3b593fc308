//! The checks themselves, of nothing but what they are given: no disk, no network, no clock.
//!
//! What the runner does with every envelope, and what the hostile suite attacks.

use std::collections::BTreeMap;

use remit_seal::Digest;
use remit_seal::document::{Audience, Class, Job, Release, RollbackPermit, Side};
use remit_seal::verify::{self, Bound, Context, SKEW_MAX_MS, Verified};

use super::{Rejection, refused};
use crate::broker::trust::View;
use crate::executor::{Action, Stage};
use crate::outcome::Attempt;
use crate::policy::approval::Believed;
use crate::policy::approval::judge::{Answer, Asked, judge};
use crate::storage::data_dir::is_safe_name;
use crate::storage::journal::{Ledger, Ran};

/// What a runner knows when an envelope comes.
#[derive(Clone, Debug)]
pub struct Gate {
    /// What the vendor's keys are, and the time.
    pub view: View,
    /// Who it is.
    pub audience: Audience,
    /// The numbers that it has accepted, and what was deployed.
    pub ledger: Ledger,
    /// Every job is only rehearsed.
    pub rehearses: bool,
    /// The newest releases that ran here, by channel.
    pub ran: BTreeMap<String, Ran>,
    /// The release that made each component what it is: its digest, hexadecimal.
    pub made: BTreeMap<String, String>,
    /// What its customer says: signed by their key, none of it by way of the broker, none of it used up.
    pub words: Vec<Believed>,
}

impl Gate {
    fn context(&self, counter_floor: u64, made_by: Option<Digest>) -> Context<'_> {
        Context {
            audience: &self.audience,
            now_ms: self.view.now_ms,
            seq_high: self.ledger.marks.seq_high(self.view.root.get().dispatch.keys.iter()),
            fence_high: self.ledger.marks.fence_high(self.since_ms()),
            counter_floor,
            made_by,
            is_fresh: self.view.is_fresh(),
        }
    }

    /// Since when fences are counted.
    pub fn since_ms(&self) -> i64 {
        self.view.since_ms.max(self.ledger.marks.reset_ms)
    }

    /// Whether a job is only rehearsed.
    pub fn rehearses(&self, bound: &Bound) -> bool {
        bound.job.sandbox || bound.component.sandbox || self.rehearses
    }

    /// Signatures, audience, time and sequence of an envelope that was offered as this attempt.
    pub fn job(&self, attempt: &Attempt, envelope: &[u8]) -> Result<Verified<Job>, Rejection> {
        let job = verify::job(&self.view.root, envelope, &self.context(0, None))?;
        if !is_of(job.get(), attempt) {
            let words = "the envelope is signed for another attempt than the one it was offered as";
            return Err(refused("runner.lease_mismatch", words));
        }
        // What was begun before the numbers were counted anew was signed before, too.
        let reset_ms = self.ledger.marks.reset_ms;
        if reset_ms > 0 && job.get().issued_ms <= reset_ms.saturating_add(SKEW_MAX_MS) {
            let message = "the customer had the numbers counted anew; what is signed a minute later is taken"
                .to_owned();
            return Err(Rejection::Held { code: "runner.marks_reset", message });
        }
        Ok(job)
    }

    /// The job together with the release that allows it, and what it does here. The permits are the broker's to
    /// bring, and the vendor's to sign.
    pub fn bind(
        &self,
        job: Verified<Job>,
        release: &Verified<Release>,
        permits: &[Vec<u8>],
    ) -> Result<(Bound, Action), Rejection> {
        let made_by = self.made.get(&job.get().component).and_then(|hex| Digest::from_hex(hex).ok());
        let is_own = made_by == Some(release.digest());
        let context = self.context(self.floor(release.get(), is_own, permits), made_by);
        let bound = verify::bind(&self.view.root, job, release, &context)?;
        let action = permitted(&bound)?;
        self.check_kind(&bound, action)?;
        self.stage(&bound)?;
        Ok((bound, action))
    }

    /// The lowest counter that may run. What the vendor's statuses say holds always; what ran here holds but
    /// for the release that made the component, which goes back nowhere, and by a permit.
    fn floor(&self, release: &Release, is_own: bool, permits: &[Vec<u8>]) -> u64 {
        let told = self.view.standing.floor(&release.app, &release.channel);
        match self.ran.get(&release.channel) {
            Some(ran) if !is_own && self.permit(release, permits).is_none() => told.max(ran.back_to),
            Some(_) | None => told,
        }
    }

    /// The permit among these by which this release may take the place of the newer one that ran; none where
    /// none is needed.
    pub fn permit(&self, release: &Release, permits: &[Vec<u8>]) -> Option<Verified<RollbackPermit>> {
        let ran = self.ran.get(&release.channel)?;
        if release.counter >= ran.back_to {
            return None;
        }
        let believed =
            permits.iter().filter_map(|b| verify::permit(&self.view.root, b, self.view.now_ms).ok());
        believed.into_iter().find(|permit| permit.get().allows(release, &self.audience.install, ran.counter))
    }

    /// Another kind is another thing in the customer's account: whoever probes or removes it means the one that
    /// was deployed.
    fn check_kind(&self, bound: &Bound, action: Action) -> Result<(), Rejection> {
        let (name, kind) = (&bound.component.name, bound.component.kind.as_str());
        match self.ledger.kind(name).filter(|_| action != Action::Deploy && !self.rehearses(bound)) {
            Some(deployed) if deployed != kind => {
                let words = format!(
                    "`{name}` was deployed as {deployed}, and is {kind} in this release: only a deploy changes that"
                );
                Err(refused("runner.kind_changed", words))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether an envelope, whatever its time and sequence, was signed for this runner and this attempt.
    pub fn is_signed_for(&self, attempt: &Attempt, envelope: &[u8]) -> bool {
        let signed = verify::addressed(&self.view.root, envelope, &self.context(0, None));
        signed.is_ok_and(|signed| is_of(&signed, attempt))
    }
}

fn is_of(signed: &Job, attempt: &Attempt) -> bool {
    (&signed.job, signed.attempt, signed.fence) == (&attempt.job, attempt.attempt, attempt.fence)
}

/// What the operation does here, if its class says no less than that.
fn permitted(bound: &Bound) -> Result<Action, Rejection> {
    if ![&bound.job.job, &bound.component.name].into_iter().all(|name| is_safe_name(name)) {
        return Err(refused("runner.name_unsafe", "the job's or component's name cannot be a file's"));
    }
    let operation = &bound.job.operation;
    let declared = || bound.component.commands.contains_key(operation).then_some(Action::Run);
    let action = Action::of(operation).or_else(declared).ok_or_else(|| {
        refused(
            "executor.operation_unsupported",
            format!("this runner does not know the operation `{operation}`"),
        )
    })?;
    let fits = match action {
        Action::Deploy | Action::Adopt | Action::Run => bound.operation.class == Class::Change,
        Action::Destroy => bound.operation.class == Class::Destroy,
        Action::Drift => bound.operation.class <= Class::Plan,
        Action::Health => bound.operation.class == Class::Read,
    };
    if fits {
        return Ok(action);
    }
    let words =
        format!("the release gives the operation `{operation}` a class that does not say what it does");
    Err(refused("runner.class_wrong", words))
}

impl Gate {
    /// How much of the action is asked for, and whether the customer agrees to it.
    pub(super) fn stage(&self, bound: &Bound) -> Result<Stage, Rejection> {
        let stage = wanted(bound);
        // What the envelope says of the customer's approval is the broker's word; the customer's own is here.
        let wants_customer = bound.operation.approval.sides().contains(&Side::Customer);
        if stage == Stage::Plan || !wants_customer {
            return Ok(stage);
        }
        let asked = Asked::of(bound, self.rehearses(bound));
        match judge(&self.words, &asked.about()) {
            Answer { denied: Some(word), .. } => {
                Err(refused("policy.denied", format!("{} denied it", word.said.by)))
            }
            Answer { approved: Some(_), .. } => Ok(stage),
            Answer { .. } => {
                let words =
                    "the release wants the customer's approval of this, and the customer has not given it";
                Err(refused("runner.customer_approval_missing", words))
            }
        }
    }
}

fn wanted(bound: &Bound) -> Stage {
    match bound.job.plan {
        _ if bound.job.class == Class::Plan => Stage::Plan,
        Some(digest) => Stage::Apply(digest),
        None => Stage::Whole,
    }
}
