//! Attacks by documents: mixed of several, ambiguous, signed by the wrong people, or counted twice.

use remit_seal::Digest;
use remit_seal::document::{Approval, Class, Job, Root};
use remit_seal::dsse::{Envelope, PayloadType};

use super::{Attacker, attempt, offer};
use crate::found::Found;
use crate::suite::Offer;
use crate::vendor::sign;

impl Attacker<'_> {
    /// Payload, type and signatures of different documents.
    pub(super) fn try_mixed(&mut self, found: &mut Found) {
        let mut all = vec![
            (PayloadType::Job, self.fresh.envelope.clone()),
            (PayloadType::Release, self.vendor.releases[self.fresh.release].bytes.clone()),
            (PayloadType::Root, self.vendor.roots[0].clone()),
            (PayloadType::Root, self.vendor.roots[1].clone()),
        ];
        all.extend(self.history.last().map(|old| (PayloadType::Job, old.envelope.clone())));
        let mut part = || {
            let at = self.luck.usize(..all.len());
            let (kind, bytes) = &all[at];
            (at, Envelope::parse(bytes, *kind).expect("it was signed rightly"))
        };
        let ((payload, from), (kind, of), (signature, by)) = (part(), part(), part());
        let mixed =
            Envelope { payload_type: of.payload_type, payload: from.payload, signatures: by.signatures };
        // All of one document is that document; the type of another job is the same type.
        let is_whole = payload == signature && all[kind].0 == all[payload].0;
        if is_whole && payload == 0 {
            return;
        }
        let offer = Offer { envelope: mixed.to_bytes(), ..offer(&self.fresh, self.vendor) };
        self.must_refuse("mixed", &offer, found);
    }

    /// JSON that two readers could read differently, signed with the key that counts.
    pub(super) fn try_ambiguous(&mut self, found: &mut Found) {
        let text = serde_json::to_string(&self.fresh.job).expect("a job is JSON");
        let text = match self.luck.u8(..9) {
            0 => text.replacen('{', "{\"seq\":9007199254740991,", 1),
            1 => text.replacen('{', "{\"force\":true,", 1),
            2 => text.replacen("\"attempt\":1", "\"attempt\":1.0", 1),
            3 => text.replacen("\"attempt\":1", "\"attempt\":9007199254740993", 1),
            4 => format!("{text}{text}"),
            5 => text.replacen(
                "\"inputs\":{",
                &format!("\"inputs\":{{\"size\":{}1{},", "[".repeat(20), "]".repeat(20)),
                1,
            ),
            6 => text.replacen("\"sandbox\"", "\"Sandbox\"", 1),
            7 => text.replacen('{', "{\"escapes\":[\"local-exec\"],", 1),
            _ => text.replacen("\"operation\":", "\"operation\":null,\"operation\":", 1),
        };
        let payload = text.into_bytes();
        let mut envelope =
            Envelope { payload_type: PayloadType::Job.as_str().to_owned(), payload, signatures: Vec::new() };
        let signed = envelope.countersign(&self.vendor.dispatch[self.runner.truth.root]);
        signed.expect("one signature fits");
        let offer = Offer { envelope: envelope.to_bytes(), ..offer(&self.fresh, self.vendor) };
        self.must_refuse("ambiguous", &offer, found);
    }

    /// Another release's bytes than the job names, or one of the attacker's own.
    pub(super) fn try_other_release(&mut self, found: &mut Found) {
        let mut offer = offer(&self.fresh, self.vendor);
        let own = &self.vendor.releases[self.fresh.release];
        let other = self.luck.usize(..self.vendor.releases.len());
        if self.luck.bool() && self.vendor.releases[other].digest != own.digest {
            offer.release = self.vendor.releases[other].bytes.clone();
            return self.must_refuse("another release", &offer, found);
        }
        let mut document = own.document.clone();
        match self.luck.u8(..3) {
            0 => document.components[0].digest = Digest::of(b"what the attacker would like to run"),
            1 => drop(document.components[0].escapes.insert("external".to_owned())),
            _ => document.operations.values_mut().for_each(|operation| operation.approval = Approval::None),
        }
        let root = self.runner.truth.root;
        let keys = [[&self.vendor.dispatch[root]], [&self.vendor.stranger]];
        offer.release = sign(PayloadType::Release, &document, &keys[self.luck.usize(..2)]);
        let digest =
            Envelope::parse(&offer.release, PayloadType::Release).expect("just signed").payload_digest();
        let job = Job { release: digest, ..self.fresh.job.clone() };
        offer.envelope = sign(PayloadType::Job, &job, &[&self.vendor.dispatch[root]]);
        self.must_refuse("a release of the attacker's", &offer, found);
    }

    /// To destroy by a release that one key signed, its signature given twice.
    pub(super) fn try_key_twice(&mut self, found: &mut Found) {
        let given = self.vendor.releases.len() - 1;
        let release = &self.vendor.releases[given];
        let (operation, class) = ("destroy".to_owned(), Class::Destroy);
        let (digest, release_counter) = (release.digest, release.document.counter);
        let component = "network".to_owned();
        let job =
            Job { operation, class, component, release: digest, release_counter, ..self.fresh.job.clone() };
        let envelope = sign(PayloadType::Job, &job, &[&self.vendor.dispatch[self.runner.truth.root]]);
        let offer = Offer { attempt: attempt(&job), envelope, release: release.bytes.clone() };
        self.must_refuse("one key twice", &offer, found);
    }

    /// A root that gives the attacker everything.
    pub(super) fn try_root(&mut self, found: &mut Found) {
        let mine = &self.vendor.stranger;
        let mut root: Root = self.runner.root.get().clone();
        root.version += self.luck.u64(0..3);
        root.keys.insert(mine.id(), mine.public());
        root.release.keys.push(mine.id());
        if self.luck.bool() {
            root.root.keys = vec![mine.id()];
            root.root.threshold = 1;
        }
        let signers = [mine, &self.vendor.dispatch[0], &self.vendor.dispatch[1]];
        let mut envelope = Envelope::unsigned(PayloadType::Root, &root).expect("a root is JSON");
        for key in signers {
            envelope.countersign(key).expect("three signatures fit");
        }
        // Signatures that the vendor made, over other roots, and each as often as fits.
        let real = Envelope::parse(&self.vendor.roots[self.luck.usize(..2)], PayloadType::Root);
        for signature in real.expect("it was signed rightly").signatures {
            envelope.signatures.extend([signature.clone(), signature]);
        }
        let bytes = if self.luck.u8(..) < 32 { self.vendor.roots[0].clone() } else { envelope.to_bytes() };
        let seed = self.seed;
        found
            .tried(self.runner.takes_root(&bytes).err(), || format!("seed {seed}: a root of the attacker's"));
    }
}
