//! Attacks on what people must approve: with words that nobody said, or said of something else.

use fastrand::Rng;
use remit_seal::Digest;
use remit_seal::document::{Approval, Approved, BreakGlass, Class, Job, Side, Word};
use remit_seal::dsse::{Envelope, PayloadType};

use super::{Attacker, attempt};
use crate::rules::allowed;
use crate::suite::{Found, Offer};
use crate::vendor::{DENIED, HOUR_MS, PLAN, Published, sign, word};

impl Attacker<'_> {
    /// What the release wants people's approval of, with the attacker's word that it was given, or need not be.
    pub(super) fn try_unapproved(&mut self, found: &mut Found) {
        let wants = |r: &Published| r.document.operations.values().any(|o| o.approval != Approval::None);
        let wanting: Vec<&Published> = self.vendor.releases.iter().filter(|r| wants(r)).collect();
        let release = wanting[self.luck.usize(..wanting.len())];
        let issued_ms = self.runner.truth.now_ms - self.luck.choice([0, 0, 2 * HOUR_MS]).unwrap_or(0);
        let plan = plan(&mut self.luck);
        let approvals = approvals(&mut self.luck, issued_ms, issued_ms + 3_600_000);
        let break_glass = self.luck.bool().then(|| glass(&mut self.luck, issued_ms));
        let job = Job {
            issued_ms,
            break_glass,
            operation: "deploy".to_owned(),
            class: Class::Change,
            component: "network".to_owned(),
            release: release.digest,
            release_counter: release.document.counter,
            plan,
            approvals,
            ..self.fresh.job.clone()
        };
        let envelope = sign(PayloadType::Job, &job, &[&self.vendor.dispatch[self.runner.truth.root]]);
        let offer = Offer { attempt: attempt(&job), envelope, release: release.bytes.clone() };
        if allowed(&job, release, self.vendor, &self.runner.truth) {
            found.honest += 1;
            found.honest_refused += u64::from(self.runner.judge(&offer, None).is_some());
        } else {
            self.must_refuse("unapproved", &offer, found);
        }
    }

    /// The customer's word, made by the attacker or bent out of a real one.
    pub(super) fn try_word(&mut self, found: &mut Found) {
        let real = self.vendor.word.clone();
        let mut said = word(DENIED, Word::Approved);
        let bytes = match self.luck.u8(..5) {
            0 => sign(PayloadType::Approval, &said, &[&self.vendor.dispatch[self.runner.truth.root]]),
            1 => sign(PayloadType::Approval, &said, &[&self.vendor.stranger]),
            2 => sign(PayloadType::Job, &said, &[&self.vendor.dispatch[0]]),
            3 => {
                said.until_ms += self.luck.i64(0..9);
                let mut forged = Envelope::unsigned(PayloadType::Approval, &said).expect("it is JSON");
                let real = Envelope::parse(&real, PayloadType::Approval).expect("the customer signs rightly");
                forged.signatures = real.signatures;
                forged.to_bytes()
            }
            _ => {
                let mut bytes = real;
                let at = self.luck.usize(..bytes.len());
                bytes[at] ^= 1 << self.luck.u8(..8);
                bytes
            }
        };
        let (answer, seed) = (self.runner.hears(&bytes), self.seed);
        // Bent where it says nothing, it is still what the customer signed.
        if answer != Some(word(PLAN, Word::Approved)) {
            let code = answer.is_none().then_some("word");
            found.tried(code, || format!("seed {seed}: a word of the attacker's"));
        }
    }
}

/// None, the one that the customer approved, the one that they denied, or one that they do not know.
pub(super) fn plan(luck: &mut Rng) -> Option<Digest> {
    let plans = [None, Some(PLAN), Some(DENIED), Some(b"another plan".as_slice())];
    plans[luck.usize(..plans.len())].map(Digest::of)
}

/// Words of the broker's that somebody approved.
pub(super) fn approvals(luck: &mut Rng, at_ms: i64, until_ms: i64) -> Vec<Approved> {
    let vendors = [(Side::Vendor, "ann"), (Side::Vendor, "bob"), (Side::Vendor, "mallory")];
    let all = vendors.into_iter().chain([(Side::Customer, "cus"), (Side::Customer, "eve")]);
    let age_ms = luck.choice([1, HOUR_MS / 2, 2 * HOUR_MS]).unwrap_or(1);
    let some = all.filter(|_| luck.bool());
    some.map(|(side, by)| Approved { side, by: by.to_owned(), at_ms: at_ms - age_ms, until_ms }).collect()
}

/// A glass that somebody broke: for a while, for too long, long ago, or without a word.
pub(super) fn glass(luck: &mut Rng, issued_ms: i64) -> BreakGlass {
    let terms = [HOUR_MS, 8 * HOUR_MS, 8 * HOUR_MS + 1, 1, 0, -2 * HOUR_MS];
    let by = luck.choice(["mallory", "mallory", "", "two\nlines"]).unwrap_or_default().to_owned();
    let reason = "x".repeat(luck.choice([9, 9, 256, 257, 0]).unwrap_or_default());
    BreakGlass { by, reason, until_ms: issued_ms + luck.choice(terms).unwrap_or_default() }
}
