//! Binding: a job is worth something only together with the release that allows it.

use std::collections::{BTreeMap, BTreeSet};

use super::input::broker_input_fits;
use super::{Context, Verified, approval, release};
use crate::document::{Authority, Class, Component, Job, Operation, Release, Root, Value};
use crate::refusal::clip;
use crate::{Digest, Refusal};

/// A job together with the release that allows it: the only thing a runner acts on.
/// Nothing but `bind` makes one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Bound {
    /// The job.
    pub job: Job,
    /// The digest of the job's exact bytes.
    pub job_digest: Digest,
    /// The ids of the dispatch keys that signed the job.
    pub job_keys: BTreeSet<String>,
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
    root: &Verified<Root>,
    job: Verified<Job>,
    release: &Verified<Release>,
    context: &Context<'_>,
) -> Result<Bound, Refusal> {
    let Verified { document: job, digest: job_digest, signers: job_keys } = job;
    check_release(&job, release, context)?;
    let component = find_component(&job, release.get())?.clone();
    let operation = find_operation(&job, release.get())?.clone();
    check_time(&operation, release.get(), context)?;
    check_destroy(root.get(), &job, &operation, release)?;
    let release = release.get();
    approval::check(&job, &operation, context.now_ms)?;
    check_run(&job, &component)?;
    let inputs = inputs(&job, release)?;
    Ok(Bound { job, job_digest, job_keys, component, operation, release: release.clone(), inputs })
}

fn check_release(job: &Job, release: &Verified<Release>, context: &Context<'_>) -> Result<(), Refusal> {
    if job.release != release.digest() {
        return Err(Refusal::ReleaseMismatch { expected: job.release, found: release.digest() });
    }
    let release = release.get();
    if release.vendor != job.audience.org {
        return Err(Refusal::ReleaseAudience { part: "org" });
    }
    if release.app != job.audience.app {
        return Err(Refusal::ReleaseAudience { part: "app" });
    }
    if release.channel != job.audience.channel && context.made_by != Some(job.release) {
        return Err(Refusal::ReleaseAudience { part: "channel" });
    }
    if job.release_counter != release.counter {
        return Err(Refusal::CounterMismatch { job: job.release_counter, release: release.counter });
    }
    if release.counter < context.counter_floor {
        return Err(Refusal::Rollback { counter: release.counter, floor: context.counter_floor });
    }
    Ok(())
}

/// By an expired release nothing is made or changed. What it made may still be removed, so that nobody
/// is left with what they cannot get rid of; but only while the vendor's word of now is known.
fn check_time(operation: &Operation, release: &Release, context: &Context<'_>) -> Result<(), Refusal> {
    if operation.class == Class::Destroy && context.is_fresh {
        return Ok(());
    }
    release::check_time(release, context.now_ms)
}

fn check_destroy(
    root: &Root,
    job: &Job,
    operation: &Operation,
    release: &Verified<Release>,
) -> Result<(), Refusal> {
    let rule = root.destroy.as_ref().filter(|_| operation.class == Class::Destroy);
    let Some(rule) = rule else { return Ok(()) };
    let (have, need) = (release.signers(), rule.threshold);
    if have >= need as usize {
        return Ok(());
    }
    Err(Refusal::DestroyThreshold { operation: job.operation.clone(), have, need })
}

fn find_component<'a>(job: &Job, release: &'a Release) -> Result<&'a Component, Refusal> {
    let found = release.components.iter().find(|component| component.name == job.component);
    found.ok_or_else(|| Refusal::ComponentUnknown { component: clip(&job.component) })
}

fn find_operation<'a>(job: &Job, release: &'a Release) -> Result<&'a Operation, Refusal> {
    let name = || clip(&job.operation);
    let found = release.operations.get(&job.operation);
    let operation = found.ok_or_else(|| Refusal::OperationUnknown { operation: name() })?;
    if !approval::class_fits(job, operation) {
        return Err(Refusal::ClassMismatch { operation: name() });
    }
    Ok(operation)
}

fn check_run(job: &Job, component: &Component) -> Result<(), Refusal> {
    if component.sandbox && !job.sandbox {
        return Err(Refusal::SandboxRequired { component: component.name.clone() });
    }
    if job.longest_run_ms > component.longest_run_ms {
        return Err(Refusal::LongestRun { job_ms: job.longest_run_ms, max_ms: component.longest_run_ms });
    }
    Ok(())
}

/// What the release fixes and what the broker chose within it. The broker's word on any
/// other input is refused, not ignored.
fn inputs(job: &Job, release: &Release) -> Result<BTreeMap<String, Value>, Refusal> {
    if let Some(unknown) = job.inputs.keys().find(|name| !release.inputs.contains_key(*name)) {
        return Err(Refusal::InputUnknown { input: clip(unknown) });
    }
    let mut inputs = BTreeMap::new();
    for (name, spec) in &release.inputs {
        let given = job.inputs.get(name);
        let value = match (spec.authority, given) {
            (Authority::Fixed | Authority::Customer, Some(_)) => {
                return Err(Refusal::InputAuthority { input: name.clone() });
            }
            (Authority::Customer, None) => continue,
            (Authority::Broker, Some(value)) => {
                broker_input_fits(name, spec, value)?;
                Some(value)
            }
            (Authority::Fixed | Authority::Broker, None) => spec.default.as_ref(),
        };
        let value = value.ok_or_else(|| Refusal::InputMissing { input: name.clone() })?;
        inputs.insert(name.clone(), value.clone());
    }
    Ok(inputs)
}
