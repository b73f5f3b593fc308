//! The order of checks: what must hold before a document is believed.
use crate::document::{Audience, Component, Job, Operation, Release, Root, Value};
use crate::{Digest, Refusal};
use std::collections::BTreeMap;

/// A document whose signatures and shape were verified, with the digest of its exact bytes.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    document: T,
    digest: Digest,
}
impl<T> Verified<T> {
    /// The document.
    pub fn get(&self) -> &T {
        &self.document
    }
    /// The digest of the payload's exact bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }
}

/// A root that signs itself: whoever calls this has pinned its digest or shows it to a person.
pub fn root(_bytes: &[u8], _pinned: Option<&Digest>, _now_ms: i64) -> Result<Verified<Root>, Refusal> {
    todo!()
}
/// The next root: signed by the thresholds of both, version greater by one.
pub fn next_root(_trusted: &Verified<Root>, _bytes: &[u8]) -> Result<Verified<Root>, Refusal> {
    todo!()
}
/// A release of this vendor.
pub fn release(_root: &Verified<Root>, _bytes: &[u8], _now_ms: i64) -> Result<Verified<Release>, Refusal> {
    todo!()
}

/// What a runner knows of itself when a job arrives.
pub struct Context<'a> {
    /// Who it is.
    pub audience: &'a Audience,
    /// Its clock.
    pub now_ms: i64,
    /// The greatest sequence number it has accepted.
    pub seq_high: u64,
    /// The lowest release counter it accepts for this app's channel.
    pub counter_floor: u64,
}

/// A job's signature, type, audience, time and sequence, checked in that order; not yet bound to its release.
pub fn job(_root: &Verified<Root>, _bytes: &[u8], _context: &Context<'_>) -> Result<Verified<Job>, Refusal> {
    todo!()
}

/// A job together with the release that allows it: the only thing a runner acts on.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The job.
    pub job: Job,
    /// The digest of the job's exact bytes.
    pub job_digest: Digest,
    /// The component, as the release says.
    pub component: Component,
    /// The operation, as the release says.
    pub operation: Operation,
    /// The release.
    pub release: Release,
    /// Product inputs of fixed and broker authority, checked; customer ones are the runner's.
    pub inputs: BTreeMap<String, Value>,
}

/// Binds a verified job to the verified release that it names: digest, counter, component, operation and class, inputs.
pub fn bind(
    _job: Verified<Job>,
    _release: &Verified<Release>,
    _context: &Context<'_>,
) -> Result<Bound, Refusal> {
    todo!()
}
/// Whether a value fits an input's type, bounds and choices. Also used for the customer's own inputs.
pub fn input_fits(_name: &str, _spec: &crate::document::Input, _value: &Value) -> Result<(), Refusal> {
    todo!()
}
