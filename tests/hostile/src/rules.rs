//! What may begin, said a second time and as plainly as it can be: by other code, and by another
//! implementation of the signatures.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_seal::Digest;
use remit_seal::document::{Approved, Audience, BreakGlass, Class, Job, Operation, Release, Side, Value};
use remit_seal::key::SigningKey;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value as Json;

use crate::vendor::{ESCAPE, Published, Vendor};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What is true of the runner now, kept beside it.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    pub(crate) audience: Audience,
    pub(crate) now_ms: i64,
    pub(crate) seq_high: u64,
    /// The newest release that changed something here, and the oldest that it lets one go back to.
    pub(crate) ran: Option<(u64, u64)>,
    /// Which release made each component what it is.
    pub(crate) made: BTreeMap<String, Digest>,
    /// What the vendor let be told: older releases run nowhere any more.
    pub(crate) told_floor: u64,
    pub(crate) fence_high: u64,
    /// What the customer approved, one by one, and whether that has been carried out.
    pub(crate) approved: Vec<(Said, bool)>,
    /// What the customer denied, one by one.
    pub(crate) denied: Vec<Said>,
    /// Whether the customer approved every destroy of `vendor::general`.
    pub(crate) is_general: bool,
    /// Which of the vendor's roots is trusted, from 0.
    pub(crate) root: usize,
    /// Whether the status was told: one release key is gone.
    pub(crate) is_told: bool,
    /// Until when that status is fresh.
    pub(crate) fresh_until_ms: i64,
}

impl Truth {
    /// The install is on channel stable, and takes nothing older than what ran; but what made a component may
    /// look after it.
    fn is_for_this_install(&self, job: &Job, release: &Release) -> bool {
        let made_it = self.made.get(&job.component) == Some(&job.release);
        let is_newer = release.channel == "stable" && self.ran.is_none_or(|(_, to)| release.counter >= to);
        (made_it || is_newer) && (release.channel != "stable" || release.counter >= self.told_floor)
    }
}

/// Whether this job, signed by a dispatch key that counts, and with this release, may begin.
pub(crate) fn allowed(job: &Job, release: &Published, vendor: &Vendor, truth: &Truth) -> bool {
    let document = &release.document;
    let live = release.signers.iter().filter(|id| !truth.is_told || **id != vendor.release_keys[0]).count();
    let in_time = job.not_after_ms > job.not_before_ms
        && job.not_after_ms - job.not_before_ms <= 15 * MINUTE_MS
        && job.issued_ms <= truth.now_ms + MINUTE_MS
        && job.not_before_ms <= truth.now_ms + MINUTE_MS
        && job.not_after_ms >= truth.now_ms - MINUTE_MS;
    let destroys = job.operation == "destroy";
    let class = match job.operation.as_str() {
        "deploy" => Class::Change,
        "destroy" => Class::Destroy,
        "drift" => Class::Read,
        _ => return false,
    };
    let is_current = document.expires_ms > truth.now_ms || (destroys && truth.now_ms < truth.fresh_until_ms);
    job.audience == truth.audience
        && in_time
        && follows(job.seq, truth.seq_high)
        && (job.fence <= truth.fence_high || follows(job.fence, truth.fence_high))
        && job.release == release.digest
        && document.app == "shop"
        && job.release_counter == document.counter
        && truth.is_for_this_install(job, document)
        && is_current
        && live >= if destroys { 2 } else { 1 }
        && (job.class == class || (job.class == Class::Plan && class != Class::Read))
        && glass_is_sound(job, truth.now_ms)
        && plan_is_sound(job, truth.now_ms)
        && is_approved(job, release, truth)
        && is_declared(job, release)
        && document.operations.contains_key(&job.operation)
        && (1..=600_000).contains(&job.longest_run_ms)
        && document.components.iter().any(|c| c.name == job.component && (job.sandbox || !c.sandbox))
        && job.inputs.iter().all(|(name, value)| {
            name == "size" && matches!(value, Value::Integer(size) if (-10..=10).contains(size))
        })
}

/// What a job says of an approved plan: only one that changes something names one, and approvals are of it,
/// by different people, and have not ended when it is what they are for.
fn plan_is_sound(job: &Job, now_ms: i64) -> bool {
    let counts = |until_ms: i64, at_ms: i64| until_ms > at_ms && until_ms >= now_ms - MINUTE_MS;
    if job.plan.is_none() {
        return job.approvals.is_empty();
    }
    let same = |a: &Approved, b: &Approved| (a.side, &a.by) == (b.side, &b.by);
    let is_twice = |n: usize| job.approvals[..n].iter().any(|other| same(other, &job.approvals[n]));
    matches!(job.class, Class::Change | Class::Destroy)
        && !(0..job.approvals.len()).any(is_twice)
        && job.approvals.iter().all(|approved| counts(approved.until_ms, approved.at_ms))
}

/// A broken glass says who and why, was broken for 8 hours at most, and is not over.
fn glass_is_sound(job: &Job, now_ms: i64) -> bool {
    let line = |text: &str, max| (1..=max).contains(&text.len()) && !text.chars().any(char::is_control);
    job.break_glass.as_ref().is_none_or(|BreakGlass { by, reason, until_ms }| {
        line(by, 128)
            && line(reason, 256)
            && *until_ms > job.issued_ms
            && until_ms - job.issued_ms <= 8 * HOUR_MS
            && *until_ms >= now_ms - MINUTE_MS
    })
}

/// Whether everybody has approved who must. Of the customer's word the envelope's is not enough; a broken
/// glass stands for the vendor's people, and for nobody else.
fn is_approved(job: &Job, release: &Published, truth: &Truth) -> bool {
    let Some(operation) = release.document.operations.get(&job.operation) else { return false };
    let wants = |side| operation.approval.sides().contains(&side);
    let is_said = job.approvals.iter().any(|one| one.side == Side::Customer);
    // To remove something for real the customer is asked by their own policy, whatever the release says.
    let removes = job.operation == "destroy" && !is_rehearsed(job);
    if job.class == Class::Plan {
        return true;
    }
    are_fresh(job, operation, truth.now_ms)
        && (!wants(Side::Vendor) || job.break_glass.is_some() || enough_of_the_vendors(job, operation))
        && (!wants(Side::Customer) || is_said)
        && !truth.denied.contains(&Said::of(job))
        && (!(wants(Side::Customer) || removes) || customer_allows(job, release, truth))
}

/// The customer's side: they approved this very thing and it was not carried out since, or said of it that every
/// one like it may be.
fn customer_allows(job: &Job, release: &Published, truth: &Truth) -> bool {
    let this = Said::of(job);
    let is_general = truth.is_general
        && job.operation == "destroy"
        && job.component == "network"
        && release.document.counter == 8;
    is_general || truth.approved.iter().any(|(said, is_done)| *said == this && !is_done)
}

/// What the customer sees of a job when they are asked: all that makes a difference to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    component: String,
    operation: String,
    class: Class,
    is_rehearsed: bool,
    is_broken_glass: bool,
    release: Digest,
    inputs: Vec<(String, Value)>,
    plan: Option<Digest>,
}

impl Said {
    pub(crate) fn of(job: &Job) -> Self {
        Self {
            component: job.component.clone(),
            operation: job.operation.clone(),
            class: job.class,
            is_rehearsed: is_rehearsed(job),
            is_broken_glass: job.break_glass.is_some(),
            release: job.release,
            inputs: job.inputs.clone().into_iter().collect(),
            plan: job.plan,
        }
    }
}

/// The component `web` is for rehearsals only.
pub(crate) fn is_rehearsed(job: &Job) -> bool {
    job.sandbox || job.component == "web"
}

/// An honest broker counts one by one: what is a million further is nobody's work. Who knows of no number yet takes
/// any that leaves enough of them.
fn follows(number: u64, last: u64) -> bool {
    number > last && number <= if last == 0 { 1 << 41 } else { last + (1 << 20) }
}

/// By a release's terms an approval of the vendor's counts only so long after it was given.
fn are_fresh(job: &Job, operation: &Operation, now_ms: i64) -> bool {
    let valid_ms = operation.terms.as_ref().map(|terms| terms.valid_ms);
    let is_fresh =
        |one: &Approved| valid_ms.is_none_or(|valid_ms| now_ms - one.at_ms <= valid_ms + MINUTE_MS);
    job.approvals.iter().filter(|one| one.side == Side::Vendor).all(is_fresh)
}

/// So many as must, of those who may.
fn enough_of_the_vendors(job: &Job, operation: &Operation) -> bool {
    let mut by: Vec<&str> =
        job.approvals.iter().filter(|one| one.side == Side::Vendor).map(|one| one.by.as_str()).collect();
    let Some(terms) = &operation.terms else { return !by.is_empty() };
    by.retain(|name| terms.approvers.is_empty() || terms.approvers.iter().any(|one| one == name));
    by.len() >= terms.quorum as usize
}

/// Whether the release says what the source does, where the source is run.
fn is_declared(job: &Job, release: &Published) -> bool {
    let component = release.document.components.iter().find(|c| c.name == job.component);
    component.is_some_and(|c| {
        let runs = !job.sandbox && !c.sandbox;
        !runs || c.name != "network" || c.escapes.contains(ESCAPE)
    })
}

/// Whether one of a container's signatures is by this key over its very payload, as a job.
pub(crate) fn is_signed(container: &[u8], key: &SigningKey) -> bool {
    let Some((payload, kind, signatures)) = open(container) else { return false };
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(&payload);
    let Ok(spki) = STANDARD.decode(key.public().spki) else { return false };
    // The last 32 bytes of an Ed25519 key's SubjectPublicKeyInfo are the key.
    let public = UnparsedPublicKey::new(&ED25519, &spki[spki.len() - 32..]);
    let is_job = kind == "application/vnd.remit.job.v1+json";
    is_job && signatures.iter().any(|(id, sig)| *id == key.id() && public.verify(&message, sig).is_ok())
}

/// A container's payload, its type, and the signatures by key id.
pub(crate) type Opened = (Vec<u8>, String, Vec<(String, Vec<u8>)>);

/// A container's payload, type and signatures, read as loosely as any JSON reader does.
pub(crate) fn open(container: &[u8]) -> Option<Opened> {
    let json: Json = serde_json::from_slice(container).ok()?;
    let payload = STANDARD.decode(json["payload"].as_str()?).ok()?;
    let signature =
        |one: &Json| Some((one["keyid"].as_str()?.to_owned(), STANDARD.decode(one["sig"].as_str()?).ok()?));
    let signatures = json["signatures"].as_array()?.iter().filter_map(signature).collect();
    Some((payload, json["payloadType"].as_str()?.to_owned(), signatures))
}
