//! Attacks on what people must approve: with words that nobody said, or said of something else.

use fastrand::Rng;
use remit_seal::Digest;
use remit_seal::customer::{CustomerApproval, Subject};
use remit_seal::document::{Approval, Approved, BreakGlass, Class, Job, Side, Value};
use remit_seal::dsse::{Envelope, PayloadType};

use super::{Attacker, attempt};
use crate::found::Found;
use crate::rules::allowed;
use crate::suite::Offer;
use crate::vendor::{DENIED, HOUR_MS, PLAN, Published, seen_word, sign};

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
            self.must_begin(&offer, found);
        } else {
            self.must_refuse("unapproved", &offer, found);
        }
    }

    /// Approved, then changed: under the very id that the customer saw, one thing another.
    pub(super) fn try_changed(&mut self, found: &mut Found) {
        let (fresh, truth) = (&self.fresh, &self.runner.truth);
        let mut job = Job { attempt: self.luck.u32(1..9), seq: truth.seq_high + 1, ..fresh.job.clone() };
        let mut given = fresh.release;
        match self.luck.u8(..9) {
            0 => job.component = if job.component == "web" { "network" } else { "web" }.to_owned(),
            1 => (job.operation, job.class) = ("destroy".to_owned(), Class::Destroy),
            2 => (job.operation, job.class) = ("deploy".to_owned(), Class::Change),
            3 => job.sandbox = !job.sandbox,
            4 => job.plan = plan(&mut self.luck),
            5 => job.break_glass = glass_or_none(&job, &mut self.luck),
            6 => {
                let value = Value::Integer(self.luck.i64(-10..11));
                job.inputs.insert("size".to_owned(), value);
            }
            7 => drop(job.inputs.remove("size")),
            _ => {
                given = self.luck.usize(..self.vendor.releases.len());
                let release = &self.vendor.releases[given];
                (job.release, job.release_counter) = (release.digest, release.document.counter);
            }
        }
        self.judged("approved, then changed", &job, given, found);
    }

    /// What was approved and has been done, once more: as it was, under another id, with numbers and times of now.
    pub(super) fn try_again(&mut self, found: &mut Found) {
        if self.history.is_empty() {
            return;
        }
        let old = self.history[self.luck.usize(..self.history.len())].clone();
        let truth = &self.runner.truth;
        let (now_ms, seq) = (truth.now_ms, truth.seq_high + 1);
        let mut job = Job { issued_ms: now_ms, not_before_ms: now_ms, seq, fence: seq, ..old.job };
        job.not_after_ms = now_ms + HOUR_MS / 6;
        if self.luck.bool() {
            job.job.push_str(".again");
        }
        self.judged("approved, done, and again", &job, old.release, found);
    }

    /// Begun if the rules allow it, and only then.
    pub(super) fn judged(&mut self, what: &str, job: &Job, given: usize, found: &mut Found) {
        let release = &self.vendor.releases[given];
        let envelope = sign(PayloadType::Job, job, &[&self.vendor.dispatch[self.runner.truth.root]]);
        let offer = Offer { attempt: attempt(job), envelope, release: release.bytes.clone() };
        if allowed(job, release, self.vendor, &self.runner.truth) {
            self.must_begin(&offer, found);
        } else {
            self.must_refuse(what, &offer, found);
        }
    }

    /// The customer approves every destroy of some, and denies one of them.
    pub(super) fn approve_in_general(&mut self) {
        let by_eight = |r: &&Published| r.document.counter == 8;
        let Some(release) = self.vendor.releases.iter().find(by_eight) else { return };
        let (operation, component) = ("destroy".to_owned(), "network".to_owned());
        let (class, release, release_counter) = (Class::Destroy, release.digest, release.document.counter);
        let job = self.fresh.job.clone();
        let denied = Job { operation, component, class, release, release_counter, plan: None, ..job };
        self.runner.approve_in_general(&denied);
    }

    /// The runner begins what it must, with the greatest numbers that it takes.
    pub(super) fn leap(&mut self) {
        let truth = &self.runner.truth;
        let (seq, fence) = (truth.seq_high + (1 << 20), truth.fence_high + (1 << 20));
        let job = Job { seq, fence, sandbox: true, ..self.fresh.job.clone() };
        self.runner.accept(&job, &self.vendor.releases[self.fresh.release]);
    }

    /// The customer's word, made by the attacker or bent out of a real one.
    pub(super) fn try_word(&mut self, found: &mut Found) {
        let real = self.vendor.word.clone();
        let mut said = CustomerApproval { subject: Subject::Content(Digest::of(DENIED)), ..seen_word() };
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
        if answer != Some(seen_word()) {
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

fn glass_or_none(job: &Job, luck: &mut Rng) -> Option<BreakGlass> {
    job.break_glass.is_none().then(|| BreakGlass {
        reason: "a fire".to_owned(),
        by: "mallory".to_owned(),
        ..glass(luck, job.issued_ms)
    })
}

/// A number before the last, after it, far after it, or so great that none is left.
pub(super) fn number(luck: &mut Rng, last: u64) -> u64 {
    let far = [1, 2, 1 << 20, (1 << 20) + 1, 1 << 41, (1 << 41) + 1, 1 << 52, (1 << 53) - 1];
    match luck.u8(..3) {
        0 => luck.u64(0..last + 2),
        1 => last.saturating_add(luck.choice(far).unwrap_or(1)).min((1 << 53) - 1),
        _ => luck.choice(far).unwrap_or(1),
    }
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
