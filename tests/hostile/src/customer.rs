//! The customer: what they are shown, approve, deny and take back, and what they therefore mean.

use remit_runner::policy::approval::Believed;
use remit_seal::Digest;
use remit_seal::customer::{Content, Subject, Word};
use remit_seal::document::{ComponentKind, Job};

use crate::rules::{self, Said};
use crate::suite::Runner;
use crate::vendor::{DENIED, START_MS, general, word};

/// What the runner shows of a job, and the customer signs.
pub(crate) fn content(job: &Job) -> Digest {
    Content::of(job, ComponentKind::Terraform, rules::is_rehearsed(job)).digest()
}

impl Runner {
    fn hear(&mut self, subject: Subject, said: Word) {
        self.said += 1;
        let said = word(subject, said, START_MS + self.said);
        let digest = Digest::of(&serde_json::to_vec(&said).expect("a word is JSON"));
        self.words.push(Believed { said, digest });
    }

    /// The customer is shown this job and approves it; the same with another plan they deny.
    pub(crate) fn approve(&mut self, job: &Job) {
        self.forget();
        self.hear(Subject::Content(content(job)), Word::Approved);
        self.truth.approved.push((Said::of(job), false));
        self.approved_id.clone_from(&job.job);
        let denied = Job { plan: Some(Digest::of(DENIED)), ..job.clone() };
        self.hear(Subject::Content(content(&denied)), Word::Denied);
        self.truth.denied.push(Said::of(&denied));
    }

    /// Whoever approved something and did not see it carried out takes that back, and the denial with it.
    fn forget(&mut self) {
        self.truth.denied.clear();
        self.truth.approved.retain(|(_, is_done)| *is_done);
        let ledger = &self.ledger;
        self.words.retain(|word| {
            ledger.is_spent(&word.digest.hex()) || matches!(word.said.subject, Subject::Every(_))
        });
        // Who keeps copies of what is used up keeps some.
        let (general, mut done): (Vec<_>, Vec<_>) = std::mem::take(&mut self.words)
            .into_iter()
            .partition(|word| matches!(word.said.subject, Subject::Every(_)));
        done.drain(..done.len().saturating_sub(8));
        self.words = [general, done].concat();
    }

    /// The customer approves many jobs at once, and denies one of them first.
    pub(crate) fn approve_in_general(&mut self, denied: &Job) {
        self.hear(Subject::Content(content(denied)), Word::Denied);
        self.truth.denied.push(Said::of(denied));
        self.hear(Subject::Every(general()), Word::Approved);
        self.truth.is_general = true;
    }
}
