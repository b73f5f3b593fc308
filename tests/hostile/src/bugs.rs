//! Bugs to plant in the runner, each a check left out or made wrongly. The suite must catch every one.
//! None of them is in production code: the checks are given something else than the truth.

use remit_runner::attempt::admission::Gate;
use remit_runner::outcome::Attempt;
use remit_runner::policy::approval::Believed;
use remit_seal::customer::{Subject, Word};
use remit_seal::document::{Approved, Job, Side};
use remit_seal::verify;

use crate::customer::content;
use crate::rules;
use crate::suite::{Offer, Runner};
use crate::vendor::{START_MS, word};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Bug {
    /// A key that signed twice counts as two.
    CountAKeyTwice,
    /// Whose job it is is not looked at.
    SkipAudience,
    /// In which account and region it is to run is not looked at.
    AnyPlace,
    /// What was accepted once is accepted again.
    IgnoreSeq,
    /// How far a number is beyond the last is not looked at: one great one, and nothing comes after it.
    AnyLeap,
    /// An approval is of a job's id, whatever comes under it.
    ApproveById,
    /// An approval goes on when what was approved has been done.
    ApproveForEver,
    /// A later general approval undoes a denial.
    UndoDenials,
    /// The time to start is not looked at.
    AcceptExpired,
    /// Older releases are run again.
    IgnoreFloor,
    /// A revoked key goes on counting.
    ForgetRevoked,
    /// The first root is trusted for ever.
    KeepFirstRoot,
    /// It is not looked at which attempt was signed.
    AnyAttempt,
    /// Nobody asks which release the job named.
    AnyRelease,
    /// The envelope's word that the customer approved is taken for theirs.
    BelieveApprovals,
    /// A broken glass passes the customer's rules, too.
    GlassForAll,
    /// A glass that was broken once stays so.
    GlassForEver,
    /// Where two must approve, one is enough.
    OneIsEnough,
    /// What a source does is not held against what its release declares.
    AnyEscape,
}

impl Bug {
    #[cfg(test)]
    pub(crate) const ALL: [Bug; 19] = [
        Bug::CountAKeyTwice,
        Bug::SkipAudience,
        Bug::AnyPlace,
        Bug::IgnoreSeq,
        Bug::AnyLeap,
        Bug::ApproveById,
        Bug::ApproveForEver,
        Bug::UndoDenials,
        Bug::AcceptExpired,
        Bug::IgnoreFloor,
        Bug::ForgetRevoked,
        Bug::KeepFirstRoot,
        Bug::AnyAttempt,
        Bug::AnyRelease,
        Bug::BelieveApprovals,
        Bug::GlassForAll,
        Bug::GlassForEver,
        Bug::OneIsEnough,
        Bug::AnyEscape,
    ];

    /// The checks as this bug would have them, and what is checked.
    pub(crate) fn bend(self, runner: &Runner, gate: &mut Gate, offer: &mut Offer) {
        let job = rules::open(&offer.envelope)
            .and_then(|(payload, ..)| serde_json::from_slice::<Job>(&payload).ok());
        match (self, job) {
            (Bug::CountAKeyTwice, _) if has_a_key_twice(&offer.release) => {
                gate.view.root = runner.lenient_root.clone();
            }
            (Bug::SkipAudience, Some(job)) => gate.audience = job.audience,
            (Bug::AnyPlace, Some(Job { audience, .. })) => {
                (gate.audience.account, gate.audience.region) = (audience.account, audience.region);
            }
            (Bug::IgnoreSeq, _) => gate.ledger.marks = Default::default(),
            (Bug::AnyLeap, Some(job)) if job.seq > runner.truth.seq_high && job.fence > 0 => {
                gate.ledger = runner.just_before(&job);
            }
            (Bug::ApproveById, Some(job)) if job.job == runner.approved_id => gate.words.push(believed(&job)),
            (Bug::ApproveForEver, _) => gate.words.clone_from(&runner.words),
            (Bug::UndoDenials, _) => gate.words.retain(|word| word.said.word != Word::Denied),
            (Bug::AcceptExpired, Some(job)) => gate.view.now_ms = job.not_before_ms.max(job.issued_ms),
            (Bug::IgnoreFloor, _) => {
                gate.ran.clear();
                gate.view.standing.floors.clear();
            }
            (Bug::ForgetRevoked, _) => gate.view.root = runner.root.clone(),
            (Bug::KeepFirstRoot, _) => gate.view.root = runner.first_root.clone(),
            (Bug::AnyAttempt, Some(job)) => {
                offer.attempt = Attempt { job: job.job, attempt: job.attempt, fence: job.fence };
            }
            (Bug::AnyRelease, Some(mut job)) => {
                // The envelope is taken as if it had named what was given.
                if let Ok(release) = verify::kept_release(&gate.view.root, &offer.release, gate.view.now_ms) {
                    (job.release, job.release_counter) = (release.digest(), release.get().counter);
                    offer.envelope = runner.signed(&job);
                }
            }
            (Bug::BelieveApprovals, Some(job)) if is_said(&job) => gate.words = vec![believed(&job)],
            (Bug::GlassForAll, Some(job)) if job.break_glass.is_some() => gate.words = vec![believed(&job)],
            (Bug::GlassForEver, Some(mut job)) => {
                let until_ms = runner.truth.now_ms.max(job.issued_ms + 1);
                job.break_glass.iter_mut().for_each(|glass| glass.until_ms = until_ms);
                runner.sign_again(&job, &mut offer.envelope);
            }
            (Bug::OneIsEnough, Some(mut job)) => {
                if let Some(one) = job.approvals.iter().find(|one| one.side == Side::Vendor).cloned() {
                    job.approvals.retain(|one| one.side != Side::Vendor);
                    let two = ["ann", "bob"].map(|by| Approved { by: by.to_owned(), ..one.clone() });
                    job.approvals.extend(two);
                }
                runner.sign_again(&job, &mut offer.envelope);
            }
            // It is asked when the source is there.
            (Bug::AnyEscape, _) => {}
            (
                Bug::CountAKeyTwice
                | Bug::SkipAudience
                | Bug::AnyPlace
                | Bug::AcceptExpired
                | Bug::AnyLeap
                | Bug::ApproveById
                | Bug::AnyAttempt
                | Bug::AnyRelease
                | Bug::BelieveApprovals
                | Bug::GlassForAll
                | Bug::GlassForEver
                | Bug::OneIsEnough,
                _,
            ) => {}
        }
    }
}

/// Whether the broker says that the customer approved it.
fn is_said(job: &Job) -> bool {
    job.approvals.iter().any(|approved| approved.side == Side::Customer)
}

/// A word of the customer's that this job is approved, which nobody said.
fn believed(job: &Job) -> Believed {
    let said = word(Subject::Content(content(job)), Word::Approved, START_MS + 1_000);
    Believed { said, digest: content(job) }
}

fn has_a_key_twice(release: &[u8]) -> bool {
    let Some((_, _, signatures)) = rules::open(release) else { return false };
    signatures.len() == 2 && signatures[0].0 == signatures[1].0
}
