//! The runner under attack, and the tries on several threads.

use std::collections::BTreeMap;

use remit_runner::Coded as _;
use remit_runner::attempt::admission::{Gate, Rejection};
use remit_runner::attempt::artifact::believe;
use remit_runner::broker::trust::View;
use remit_runner::outcome::Attempt;
use remit_runner::policy::approval::Believed;
use remit_runner::policy::approval::judge::Asked;
use remit_runner::policy::consent::{Consent, consent, consented};
use remit_runner::policy::{Answer, Clock, DEFAULT, Policy, Question};
use remit_runner::storage::journal::{Accepted, Consented, Counted, Ledger, Ran, Task};
use remit_seal::Digest;
use remit_seal::customer::{Content, CustomerApproval};
use remit_seal::document::{Audience, Class, ComponentKind, Job, KeySpec, Root};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;
use remit_seal::verify::{self, Bound, Standing, Verified};

use crate::attacker::Attacker;
use crate::bugs::Bug;
use crate::found::Found;
use crate::rules::{self, Said, Truth};
use crate::vendor::{ESCAPE, Published, START_MS, Vendor, sign};

/// After so many tries everything begins anew: first root, first envelope.
const EPISODE: u64 = 20_000;

/// What a broker hands over: an envelope as this attempt, and bytes as the release that it names.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) attempt: Attempt,
    pub(crate) envelope: Vec<u8>,
    pub(crate) release: Vec<u8>,
}

/// What a real runner keeps, changed by the functions that a real runner calls.
pub(crate) struct Runner {
    pub(crate) first_root: Verified<Root>,
    pub(crate) root: Verified<Root>,
    /// The same without its rule for destroying, for a planted bug.
    pub(crate) lenient_root: Verified<Root>,
    pub(crate) truth: Truth,
    standing: Standing,
    customer: KeySpec,
    ran: BTreeMap<String, Ran>,
    made: BTreeMap<String, String>,
    /// The folder of the customer's words; what was used up is put back by whoever kept a copy.
    pub(crate) words: Vec<Believed>,
    pub(crate) ledger: Ledger,
    policy: Policy,
    /// How often the customer has said something.
    pub(crate) said: i64,
    /// The id of the job that the customer approved last.
    pub(crate) approved_id: String,
}

impl Runner {
    pub(crate) fn new(vendor: &Vendor) -> Self {
        let first = pinned(&vendor.roots[0]);
        let mut audience = Audience::of_install("ins_demo.shop.acme", 2, 5).expect("a good id");
        (audience.account, audience.region) = (Some("111122223333".to_owned()), Some("eu-west-1".to_owned()));
        let truth = Truth {
            audience,
            now_ms: START_MS,
            seq_high: 0,
            ran: None,
            made: BTreeMap::new(),
            told_floor: 0,
            fence_high: 0,
            approved: Vec::new(),
            denied: Vec::new(),
            is_general: false,
            root: 0,
            is_told: false,
            fresh_until_ms: 0,
        };
        Self {
            root: first.clone(),
            lenient_root: lenient(vendor, &first),
            standing: Standing::default().under(first.get()),
            ran: BTreeMap::new(),
            made: BTreeMap::new(),
            first_root: first,
            customer: vendor.customer.clone(),
            words: Vec::new(),
            ledger: Ledger::default(),
            policy: Policy::parse("default", DEFAULT).expect("the default policy is one"),
            said: 0,
            approved_id: String::new(),
            truth,
        }
    }

    fn gate(&self) -> Gate {
        let view = View {
            root: self.standing.restrict(&self.root),
            now_ms: self.standing.now_ms(self.truth.now_ms),
            standing: self.standing.clone(),
            since_ms: i64::try_from(self.truth.root).unwrap_or(0) + 1,
        };
        let (audience, ledger) = (self.truth.audience.clone(), self.ledger.clone());
        let mut words = self.words.clone();
        words.retain(|word| !ledger.is_spent(&word.digest.hex()));
        Gate {
            view,
            audience,
            ledger,
            rehearses: false,
            ran: self.ran.clone(),
            made: self.made.clone(),
            words,
        }
    }

    /// What the runner says to an offer: the code of its refusal, or nothing when it would begin.
    pub(crate) fn judge(&self, offer: &Offer, bug: Option<Bug>) -> Option<&'static str> {
        let mut gate = self.gate();
        let mut bent = None;
        if let Some(bug) = bug {
            let mut offer = offer.clone();
            bug.bend(self, &mut gate, &mut offer);
            bent = Some(offer);
        }
        let Offer { attempt, envelope, release } = bent.as_ref().unwrap_or(offer);
        let admitted = gate.job(attempt, envelope).and_then(|job| {
            let release = believe(&gate.view, job.get(), release);
            let release =
                release.map_err(|e| Rejection::Refused { code: e.code(), message: String::new() })?;
            gate.bind(job, &release, &[])
        });
        match admitted {
            Ok((bound, _)) => self.door(&gate, &bound).or_else(|| source(&bound, bug)),
            Err(Rejection::Refused { code, .. }) => Some(code),
            Err(Rejection::Away(_)) => Some("away"),
            Err(Rejection::Held { code, .. }) => Some(code),
        }
    }

    /// What the customer's policy says at the door, with the customer's words that count.
    fn door(&self, gate: &Gate, bound: &Bound) -> Option<&'static str> {
        let asked = Asked::of(bound, gate.rehearses(bound));
        let now = Clock { hour: 12, minute: 0, weekday: "Mon".to_owned() };
        let question = Question::of(bound, &asked, now, 0);
        match consent(&self.policy, &gate.words, &question, &asked) {
            Consent::Denied(_) => Some("policy.denied"),
            Consent::Decided { decision, .. } => {
                (decision.answer != Answer::Permitted).then(|| decision.answer.code())
            }
        }
    }

    /// What the runner would take for its customer's word.
    pub(crate) fn hears(&self, bytes: &[u8]) -> Option<CustomerApproval> {
        let heard = verify::customer_approval(std::slice::from_ref(&self.customer), bytes).ok();
        heard.map(|heard| heard.get().clone())
    }

    /// A job as the planted bug wants it signed.
    pub(crate) fn signed(&self, job: &Job) -> Vec<u8> {
        sign(PayloadType::Job, job, &[&self.dispatch()])
    }

    /// The same in place of an envelope that somebody had signed rightly.
    pub(crate) fn sign_again(&self, job: &Job, envelope: &mut Vec<u8>) {
        if rules::is_signed(envelope, &self.dispatch()) {
            *envelope = self.signed(job);
        }
    }

    fn dispatch(&self) -> SigningKey {
        crate::vendor::key(if self.truth.root == 0 { 6 } else { 7 })
    }

    /// An envelope was begun, and what it asks for was done.
    pub(crate) fn accept(&mut self, job: &Job, release: &Published) {
        self.truth.seq_high = self.truth.seq_high.max(job.seq);
        self.truth.fence_high = self.truth.fence_high.max(job.fence);
        let this = Said::of(job);
        self.truth.approved.iter_mut().filter(|(said, _)| *said == this).for_each(|(_, done)| *done = true);
        self.has_run(job, release);
        let content = Content::of(job, ComponentKind::Terraform, rules::is_rehearsed(job));
        let asked = Asked { content, program: None, counter: release.document.counter, own_plan: None };
        let accepted = self.accepted(job, consented(&self.words, &asked));
        self.ledger.spend(&accepted.consent.approvals, self.truth.now_ms);
        self.ledger.marks.accept(&accepted);
    }

    /// A release that changed something has run here.
    fn has_run(&mut self, job: &Job, release: &Published) {
        if job.class <= Class::Plan {
            return;
        }
        let release = &release.document;
        let now = Ran { counter: release.counter, back_to: release.rollback_floor };
        if self.truth.ran.is_none_or(|(counter, _)| counter <= now.counter) {
            self.truth.ran = Some((now.counter, now.back_to));
            self.ran.insert(release.channel.clone(), now);
        }
        if job.class == Class::Change {
            self.truth.made.insert(job.component.clone(), job.release);
            self.made.insert(job.component.clone(), job.release.hex());
        }
    }

    fn accepted(&self, job: &Job, consent: Consented) -> Accepted {
        Accepted {
            attempt: Attempt { job: job.job.clone(), attempt: job.attempt, fence: job.fence },
            counted: Counted {
                seq: job.seq,
                keys: vec![self.dispatch().id()],
                since_ms: i64::try_from(self.truth.root).unwrap_or(0) + 1,
            },
            envelope: String::new(),
            release: job.release.hex(),
            release_counter: job.release_counter,
            channel: String::new(),
            rollback_floor: 0,
            task: Task {
                component: job.component.clone(),
                kind: "terraform".to_owned(),
                operation: job.operation.clone(),
                class: job.class,
                rehearsal: rules::is_rehearsed(job),
            },
            policy: None,
            break_glass: None,
            permit: None,
            consent,
        }
    }

    /// The numbers as they would be if nobody had looked at how far this job's are beyond them.
    pub(crate) fn just_before(&self, job: &Job) -> Ledger {
        let mut ledger = self.ledger.clone();
        let before = Job { seq: job.seq - 1, fence: job.fence - 1, ..job.clone() };
        ledger.marks.accept(&self.accepted(&before, Consented::default()));
        ledger
    }

    /// Whether the runner would trust these bytes as the next root.
    pub(crate) fn takes_root(&self, bytes: &[u8]) -> Result<(), &'static str> {
        verify::next_root(&self.root, bytes).map(drop).map_err(|refusal| refusal.code())
    }

    /// The vendor publishes the next root.
    pub(crate) fn rotate(&mut self, vendor: &Vendor) {
        self.root = verify::next_root(&self.root, &vendor.roots[1]).expect("the vendor signs rightly");
        self.lenient_root = lenient(vendor, &self.root);
        self.standing = std::mem::take(&mut self.standing).under(self.root.get());
        self.truth.root = 1;
        // The dispatch key of before is gone, and its numbers with it.
        (self.truth.seq_high, self.truth.fence_high) = (0, 0);
    }

    /// The honest broker tells what was revoked.
    pub(crate) fn tell(&mut self, vendor: &Vendor) {
        let now_ms = self.truth.now_ms;
        let status = verify::status(&self.root, &vendor.status(now_ms), now_ms).expect("an honest status");
        self.standing.learn(&status).expect("it is the first");
        self.truth.is_told = true;
        self.truth.told_floor = 5;
        self.truth.fresh_until_ms = now_ms + crate::vendor::HOUR_MS;
    }
}

/// What the runner says when it has the source, which is that of the release by its digest.
fn source(bound: &Bound, bug: Option<Bug>) -> Option<&'static str> {
    let rehearsal = bound.job.sandbox || bound.component.sandbox;
    let does = bound.component.digest == Digest::of(b"network") && !rehearsal;
    let now = Clock { hour: 12, minute: 0, weekday: "Mon".to_owned() };
    let mut question = Question::of(bound, &Asked::of(bound, rehearsal), now, 0);
    question.escapes = does.then(|| [ESCAPE.to_owned()].into());
    let is_hidden = bug != Some(Bug::AnyEscape) && !question.undeclared().is_empty();
    is_hidden.then(|| Answer::Undeclared.code())
}

fn pinned(bytes: &[u8]) -> Verified<Root> {
    let digest = Envelope::parse(bytes, PayloadType::Root).expect("it was just signed").payload_digest();
    verify::first_root(bytes, &digest).expect("the vendor signs rightly")
}

fn lenient(vendor: &Vendor, root: &Verified<Root>) -> Verified<Root> {
    pinned(&vendor.sign_root(&Root { destroy: None, ..root.get().clone() }))
}

/// Tries so often, on so many threads.
pub(crate) fn run(tries: u64, seed: u64, threads: usize, bug: Option<Bug>) -> Found {
    let episodes = tries.div_ceil(EPISODE);
    let work = |thread: u64| {
        let vendor = Vendor::new();
        let mut found = Found::default();
        for episode in (thread..episodes).step_by(threads) {
            let share = EPISODE.min(tries - episode * EPISODE);
            Attacker::new(&vendor, seed.wrapping_add(episode), bug).attack(share, &mut found);
        }
        found
    };
    let mut all = Found::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads as u64).map(|thread| scope.spawn(move || work(thread))).collect();
        for worker in workers {
            all.add(worker.join().expect("an attack that panics is a finding of its own"));
        }
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_begins_that_the_rules_do_not_allow() {
        let found = run(12_000, 7, 2, None);
        assert_eq!((found.tries, found.begun, found.honest_refused), (12_000, 0, 0), "{:?}", found.breaches);
        assert!(found.honest > 100, "{} honest envelopes show little", found.honest);
        // Each check was reached: an attack that fails at the first of them shows nothing of the rest.
        for code in CODES {
            assert!(found.refused.contains_key(code), "{code} was never given: {:?}", found.refused);
        }
    }

    const CODES: [&str; 36] = [
        "policy.approval_needed",
        "policy.denied",
        "policy.undeclared",
        "runner.artifact_mismatch",
        "runner.customer_approval_missing",
        "runner.lease_mismatch",
        "seal.approval_expired",
        "seal.approval_missing",
        "seal.audience",
        "seal.break_glass_over",
        "seal.class_mismatch",
        "seal.component_unknown",
        "seal.container_invalid",
        "seal.counter_mismatch",
        "seal.destroy_threshold",
        "seal.document_invalid",
        "seal.epoch",
        "seal.expired",
        "seal.generation",
        "seal.input_authority",
        "seal.input_bounds",
        "seal.issued_in_future",
        "seal.job_invalid",
        "seal.json_syntax",
        "seal.key_revoked",
        "seal.mark_leap",
        "seal.operation_unknown",
        "seal.payload_type",
        "seal.release_audience",
        "seal.release_expired",
        "seal.replayed",
        "seal.rollback",
        "seal.sandbox_required",
        "seal.signature_invalid",
        "seal.threshold",
        "word",
    ];

    #[test]
    fn every_planted_bug_is_caught() {
        for bug in Bug::ALL {
            // One try that comes through is enough.
            let is_caught = (0..6).any(|round| run(1_500, 3 + round, 1, Some(bug)).begun > 0);
            assert!(is_caught, "{bug:?} was not caught");
        }
    }
}
