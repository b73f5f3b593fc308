//! Who has every dispatch key and the whole database, and what they try.

mod approvals;
mod documents;

use fastrand::Rng;
use remit_runner::outcome::Attempt;
use remit_seal::Digest;
use remit_seal::document::{Approval, Approved, Audience, Class, Job, Side, Value};
use remit_seal::dsse::PayloadType;
use remit_seal::key::SigningKey;

use crate::bugs::Bug;
use crate::found::Found;
use crate::rules::{self, allowed};
use crate::suite::{Offer, Runner};
use crate::vendor::{PLAN, START_MS, Vendor, sign};

/// How often the honest broker says something between the tries.
const TICK: u64 = 64;
/// How many envelopes the database keeps.
const HISTORY_MAX: usize = 256;

/// An envelope that an honest broker signed.
#[derive(Clone)]
struct Honest {
    job: Job,
    envelope: Vec<u8>,
    /// Which of the vendor's releases it names.
    release: usize,
}

/// The attacker, and the runner that they attack.
pub(crate) struct Attacker<'a> {
    vendor: &'a Vendor,
    runner: Runner,
    luck: Rng,
    seed: u64,
    bug: Option<Bug>,
    /// Begun before.
    history: Vec<Honest>,
    /// Signed, and not begun yet.
    fresh: Honest,
}

impl<'a> Attacker<'a> {
    pub(crate) fn new(vendor: &'a Vendor, seed: u64, bug: Option<Bug>) -> Self {
        let (mut runner, mut luck) = (Runner::new(vendor), Rng::with_seed(seed));
        let fresh = honest(vendor, &mut runner, &mut luck);
        Self { vendor, runner, luck, seed, bug, history: Vec::new(), fresh }
    }

    /// Tries so often; in between the vendor's keys change and honest work is done.
    pub(crate) fn attack(&mut self, tries: u64, found: &mut Found) {
        let end = found.tries + tries;
        let mut n = 0;
        while found.tries < end {
            if n == tries / 6 {
                self.approve_in_general();
            }
            if n == tries / 3 {
                // As far as whoever has the key gets: the next root makes an end of it.
                self.leap();
                self.runner.rotate(self.vendor);
                self.next(found);
            }
            if n == tries * 2 / 3 {
                self.runner.tell(self.vendor);
                self.next(found);
            }
            if n % TICK == TICK - 1 {
                self.next(found);
            }
            n += 1;
            self.attack_once(found);
        }
    }

    /// Time goes on, and the honest broker offers what it has and signs the next.
    fn next(&mut self, found: &mut Found) {
        self.runner.truth.now_ms += self.luck.i64(0..20_000);
        let release = &self.vendor.releases[self.fresh.release];
        let truth = &self.runner.truth;
        let is_current = rules::is_signed(&self.fresh.envelope, &self.vendor.dispatch[truth.root]);
        if is_current && allowed(&self.fresh.job, release, self.vendor, truth) && self.luck.u8(..) < 64 {
            self.must_begin(&offer(&self.fresh, self.vendor), found);
            self.runner.accept(&self.fresh.job, release);
            if self.history.len() == HISTORY_MAX {
                self.history.remove(self.luck.usize(..HISTORY_MAX));
            }
            self.history.push(self.fresh.clone());
        }
        self.fresh = honest(self.vendor, &mut self.runner, &mut self.luck);
    }

    fn attack_once(&mut self, found: &mut Found) {
        match self.luck.u8(..20) {
            0..=3 => self.try_mutated(found),
            4..=8 => self.try_forged(found),
            9 => self.try_replayed(found),
            10 => self.try_readdressed(found),
            11 => self.try_mixed(found),
            12 => self.try_ambiguous(found),
            13 => self.try_other_release(found),
            14 => self.try_key_twice(found),
            15 => self.try_unapproved(found),
            16 => self.try_word(found),
            17 => self.try_changed(found),
            18 => self.try_again(found),
            _ => self.try_root(found),
        }
    }

    /// What must begin.
    fn must_begin(&self, offer: &Offer, found: &mut Found) {
        let (answer, seed) = (self.runner.judge(offer, None), self.seed);
        found.begins(answer, |code| {
            format!(
                "seed {seed}: refused by {code}, and should begin: {}",
                String::from_utf8_lossy(&offer.envelope)
            )
        });
    }

    /// What must not begin.
    fn must_refuse(&mut self, what: &str, offer: &Offer, found: &mut Found) {
        let answer = self.runner.judge(offer, self.bug);
        let seed = self.seed;
        found.tried(answer, || format!("seed {seed}: {what}: {}", String::from_utf8_lossy(&offer.envelope)));
    }

    /// Bytes changed, cut, doubled, put in.
    fn try_mutated(&mut self, found: &mut Found) {
        let mut offer = offer(&self.fresh, self.vendor);
        let bytes = if self.luck.u8(..) < 200 { &mut offer.envelope } else { &mut offer.release };
        let before = bytes.clone();
        for _ in 0..self.luck.usize(1..4) {
            if bytes.is_empty() {
                break;
            }
            let at = self.luck.usize(..bytes.len());
            match self.luck.u8(..4) {
                0 => bytes[at] ^= 1 << self.luck.u8(..8),
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, self.luck.u8(..)),
                _ => bytes.truncate(at.max(1)),
            }
        }
        // The same payload in another dress, with the signature whole, is the same document.
        let same = |a: &[u8], b: &[u8]| match (rules::open(a), rules::open(b)) {
            (Some(a), Some(b)) => a.0 == b.0 && a.1 == b.1,
            _ => false,
        };
        if !same(&before, bytes) {
            self.must_refuse("mutated", &offer, found);
        }
    }

    /// A job of the attacker's own making, signed by one of their keys. What the rules allow is work that
    /// the vendor released for this runner, and must begin.
    fn try_forged(&mut self, found: &mut Found) {
        let (mut job, given) = self.forged();
        let signer = self.luck.u8(..16);
        if matches!(signer, 1 | 2) && self.luck.bool() {
            // Beyond what the key of before was brought to.
            (job.seq, job.fence) = (3 << 19, 3 << 19);
        }
        let (key, counts): (&SigningKey, bool) = match signer {
            0 => (&self.vendor.stranger, false),
            1 | 2 => (&self.vendor.dispatch[1 - self.runner.truth.root], false),
            _ => (&self.vendor.dispatch[self.runner.truth.root], true),
        };
        let envelope = sign(PayloadType::Job, &job, &[key]);
        let release = &self.vendor.releases[given];
        let is_allowed = counts && allowed(&job, release, self.vendor, &self.runner.truth);
        let offer = Offer { attempt: attempt(&job), envelope, release: release.bytes.clone() };
        if is_allowed {
            self.must_begin(&offer, found);
        } else {
            self.must_refuse("forged", &offer, found);
        }
    }

    fn forged(&mut self) -> (Job, usize) {
        let mut job = self.fresh.job.clone();
        let mut given = self.fresh.release;
        for _ in 0..self.luck.usize(1..3) {
            self.spoil(&mut job, &mut given);
        }
        (job, given)
    }

    fn spoil(&mut self, job: &mut Job, given: &mut usize) {
        let luck = &mut self.luck;
        let far = *luck.choice(&[0, 1_000, 59_000, 61_000, 3_600_000, i64::from(u32::MAX)]).unwrap_or(&0);
        match luck.u8(..26) {
            0 => job.audience.org = "rival".to_owned(),
            1 => job.audience.app = "other".to_owned(),
            2 => job.audience.install = "zenith".to_owned(),
            3 => job.audience.epoch = luck.u64(0..5),
            4 => job.audience.generation = luck.u64(0..9),
            5 => job.seq = approvals::number(luck, self.runner.truth.seq_high),
            24 => job.fence = approvals::number(luck, self.runner.truth.fence_high).max(1),
            6 => (job.not_before_ms, job.not_after_ms) = (job.not_before_ms + far, job.not_after_ms + far),
            7 => (job.not_before_ms, job.not_after_ms) = (job.not_before_ms - far, job.not_after_ms - far),
            8 => job.issued_ms += far,
            9 => job.not_after_ms += far,
            10 => job.operation = pick(luck, &["deploy", "destroy", "drift", "wipe", "Deploy"]),
            11 => {
                let classes = [Class::Read, Class::Plan, Class::Change, Class::Destroy];
                job.class = classes[luck.usize(..classes.len())];
            }
            12 => (job.operation, job.class) = ("destroy".to_owned(), Class::Destroy),
            13 => job.component = pick(luck, &["network", "web", "nothing", ".."]),
            14 => job.sandbox = !job.sandbox,
            15 => job.longest_run_ms = *luck.choice(&[-1, 0, 1, 600_000, 600_001]).unwrap_or(&0),
            16 => {
                let value = *luck.choice(&[-11, -10, 10, 11]).unwrap_or(&0);
                job.inputs.insert("size".to_owned(), Value::Integer(value));
            }
            17 => {
                let value = Value::String("a@b.c; rm -rf /".to_owned());
                job.inputs.insert(pick(luck, &["email", "size", "more"]), value);
            }
            18 => job.release_counter = luck.u64(0..10),
            19 => job.plan = approvals::plan(luck),
            20 => {
                job.plan = approvals::plan(luck);
                job.approvals = approvals::approvals(luck, job.issued_ms, job.issued_ms - far);
            }
            23 => {
                job.issued_ms -= far;
                job.break_glass = Some(approvals::glass(luck, job.issued_ms));
            }
            21 => job.audience.account = place(luck, &["111122223333", "444455556666", ""]),
            22 => job.audience.region = place(luck, &["eu-west-1", "us-east-1", ""]),
            _ => {
                *given = luck.usize(..self.vendor.releases.len());
                let release = &self.vendor.releases[*given];
                (job.release, job.release_counter) = (release.digest, release.document.counter);
            }
        }
    }

    /// Begun before, to the byte; or signed before something later was begun.
    fn try_replayed(&mut self, found: &mut Found) {
        if self.history.is_empty() {
            return;
        }
        let old = self.history[self.luck.usize(..self.history.len())].clone();
        if self.luck.bool() {
            return self.must_refuse("replayed", &offer(&old, self.vendor), found);
        }
        // The same numbers in an envelope of now.
        let now_ms = self.runner.truth.now_ms;
        let job = Job { issued_ms: now_ms, not_before_ms: now_ms, not_after_ms: now_ms + 60_000, ..old.job };
        self.judged("replayed", &job, old.release, found);
    }

    /// What was signed for another runner, or offered as another attempt.
    fn try_readdressed(&mut self, found: &mut Found) {
        let mut offer = offer(&self.fresh, self.vendor);
        match self.luck.u8(..4) {
            0 => offer.attempt.job.push('x'),
            1 => offer.attempt.attempt += 1,
            2 => offer.attempt.fence += self.luck.u64(1..9),
            _ => {
                let other = Audience::of_install("ins_demo.shop.zenith", 2, 5).expect("a good id");
                let job = Job { audience: other, ..self.fresh.job.clone() };
                offer.envelope =
                    sign(PayloadType::Job, &job, &[&self.vendor.dispatch[self.runner.truth.root]]);
            }
        }
        self.must_refuse("readdressed", &offer, found);
    }
}

/// Where a job says that it is for: somewhere, elsewhere, or anywhere.
fn place(luck: &mut Rng, words: &[&str]) -> Option<String> {
    luck.bool().then(|| pick(luck, words))
}

fn pick(luck: &mut Rng, words: &[&str]) -> String {
    words[luck.usize(..words.len())].to_owned()
}

fn attempt(job: &Job) -> Attempt {
    Attempt { job: job.job.clone(), attempt: job.attempt, fence: job.fence }
}

fn offer(honest: &Honest, vendor: &Vendor) -> Offer {
    let release = vendor.releases[honest.release].bytes.clone();
    Offer { attempt: attempt(&honest.job), envelope: honest.envelope.clone(), release }
}

/// A job that may begin, as the honest broker signs it.
fn honest(vendor: &Vendor, runner: &mut Runner, luck: &mut Rng) -> Honest {
    loop {
        let release = luck.usize(..vendor.releases.len());
        let published = &vendor.releases[release];
        let (operation, class) = *luck
            .choice(&[("deploy", Class::Change), ("destroy", Class::Destroy), ("drift", Class::Read)])
            .unwrap_or(&("drift", Class::Read));
        let truth = &runner.truth;
        let seq = truth.seq_high + luck.u64(1..4);
        let wanted = published.document.operations.get(operation).map_or(Approval::None, |o| o.approval);
        let approved = |(by, side): (&str, &Side)| Approved {
            side: *side,
            by: by.to_owned(),
            at_ms: truth.now_ms,
            until_ms: truth.now_ms + 3_600_000,
        };
        let all = wanted.sides().iter().flat_map(|side| ["ann", "bob"].map(|by| (by, side)));
        let approvals: Vec<Approved> = all.map(approved).collect();
        let job = Job {
            audience: truth.audience.clone(),
            seq,
            job: format!("job_demo.shop.acme.network.e2.o{}", truth.now_ms - START_MS + 1),
            attempt: 1,
            fence: seq,
            component: "network".to_owned(),
            operation: operation.to_owned(),
            class,
            sandbox: false,
            rehearsal: None,
            break_glass: None,
            plan: (!approvals.is_empty()).then(|| Digest::of(PLAN)),
            approvals,
            release: published.digest,
            release_counter: published.document.counter,
            inputs: [("size".to_owned(), Value::Integer(3))].into(),
            issued_ms: truth.now_ms,
            not_before_ms: truth.now_ms,
            not_after_ms: truth.now_ms + 10 * 60_000,
            longest_run_ms: 600_000,
        };
        // The customer is shown what is to be done where they must approve it, and does.
        if wanted != Approval::None || operation == "destroy" {
            runner.approve(&job);
        }
        if allowed(&job, published, vendor, &runner.truth) {
            let envelope = sign(PayloadType::Job, &job, &[&vendor.dispatch[runner.truth.root]]);
            return Honest { job, envelope, release };
        }
    }
}
