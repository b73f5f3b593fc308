//! Jobs: for whom, in what window, and never twice.

use super::name::check_name;
use super::root::{check_unexpired, check_vendor};
use super::{RoleName, SKEW_MAX_MS, Verified, approval, glass, signed};
use crate::document::{Audience, Job, Root};
use crate::dsse::PayloadType;
use crate::{Digest, Refusal};

/// The longest window to start a job in.
pub const START_WINDOW_MAX_MS: i64 = 15 * 60 * 1_000;
/// How far a sequence number or a fence may be above the greatest that was accepted: numbers go up one by one,
/// and one that leaps leaves none to those that come after it.
pub const MARK_LEAP_MAX: u64 = 1 << 20;
/// How great the first may be that a runner accepts, which knows of none before.
pub const MARK_FIRST_MAX: u64 = 1 << 41;
/// The longest id of a job, in bytes.
pub const JOB_ID_LEN_MAX: usize = 256;

/// What a runner knows of itself when a job arrives.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Who it is.
    pub audience: &'a Audience,
    /// Its clock.
    pub now_ms: i64,
    /// The greatest sequence number it has accepted of keys that still count; 0 for none.
    pub seq_high: u64,
    /// The greatest fence it has accepted; 0 for none.
    pub fence_high: u64,
    /// The lowest release counter it accepts for this app's channel.
    pub counter_floor: u64,
    /// The digest of the release that made the job's component what it is here, if one did: that one may look
    /// after it and remove it even when the install follows another channel now.
    pub made_by: Option<Digest>,
    /// Whether a status is known that has not expired (`Standing::is_fresh`).
    pub is_fresh: bool,
}

/// A job's signature, type, audience, time and sequence, checked in that order; not yet bound to its release.
pub fn job(root: &Verified<Root>, bytes: &[u8], context: &Context<'_>) -> Result<Verified<Job>, Refusal> {
    let job = signed_for(root, bytes, context)?;
    check_time(job.get(), context.now_ms)?;
    glass::check_time(job.get(), context.now_ms)?;
    check_marks(job.get(), context)?;
    Ok(job)
}

/// What a job says whose signature, type and audience are good, whatever its time and sequence: to know
/// whose refusal it is. It is not verified, so nothing can bind it.
pub fn addressed(root: &Verified<Root>, bytes: &[u8], context: &Context<'_>) -> Result<Job, Refusal> {
    signed_for(root, bytes, context).map(|job| job.document)
}

fn signed_for(root: &Verified<Root>, bytes: &[u8], context: &Context<'_>) -> Result<Verified<Job>, Refusal> {
    let job: Verified<Job> = signed(root.get(), RoleName::Dispatch, PayloadType::Job, bytes)?;
    check_unexpired(root.get(), context.now_ms)?;
    check_form(job.get())?;
    check_vendor(root.get(), &job.get().audience.org)?;
    check_audience(&job.get().audience, context.audience)?;
    Ok(job)
}

fn check_form(job: &Job) -> Result<(), Refusal> {
    let unsound = |detail| Err(Refusal::JobInvalid { detail });
    if !is_job_id(&job.job) {
        return unsound("its id is not `job_` and at most 252 of a-z, 0-9, `-` and single dots");
    }
    if job.seq == 0 || job.attempt == 0 || job.fence == 0 {
        return unsound("sequence number, attempt and fence begin with 1");
    }
    if job.longest_run_ms <= 0 {
        return unsound("it may run for no time at all");
    }
    check_rehearsal(job)?;
    approval::check_form(job)?;
    glass::check_form(job)?;
    check_name("a component", &job.component)?;
    check_name("an operation", &job.operation)
}

/// A job that touches the real world pretends nothing.
fn check_rehearsal(job: &Job) -> Result<(), Refusal> {
    let Some(rehearsal) = &job.rehearsal else { return Ok(()) };
    if !job.sandbox {
        return Err(Refusal::RehearsalForReal);
    }
    if !rehearsal.is_bounded() {
        let detail = "what it is to pretend is beyond its bounds";
        return Err(Refusal::JobInvalid { detail });
    }
    Ok(())
}

/// Whether a text may be a job's id: `job_` and then a-z, 0-9, `-` and single dots. It becomes
/// the name of a directory on the runner, so nothing in it may lead elsewhere.
pub fn is_job_id(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let Some(rest) = id.strip_prefix("job_") else { return false };
    !rest.is_empty() && id.len() <= JOB_ID_LEN_MAX && rest.bytes().all(allowed) && !rest.contains("..")
}

fn check_audience(found: &Audience, expected: &Audience) -> Result<(), Refusal> {
    // A runner that knows of no account takes no job that names one, and the other way round.
    let parts = [
        ("org", Some(&found.org), Some(&expected.org)),
        ("app", Some(&found.app), Some(&expected.app)),
        ("install", Some(&found.install), Some(&expected.install)),
        ("channel", Some(&found.channel), Some(&expected.channel)),
        ("account", found.account.as_ref(), expected.account.as_ref()),
        ("region", found.region.as_ref(), expected.region.as_ref()),
    ];
    if let Some((part, ..)) = parts.into_iter().find(|(_, found, expected)| found != expected) {
        return Err(Refusal::Audience { part });
    }
    if found.epoch != expected.epoch {
        return Err(Refusal::Epoch { expected: expected.epoch, found: found.epoch });
    }
    if found.generation != expected.generation {
        return Err(Refusal::Generation { expected: expected.generation, found: found.generation });
    }
    Ok(())
}

fn check_time(job: &Job, now_ms: i64) -> Result<(), Refusal> {
    let window_ms = job.not_after_ms.saturating_sub(job.not_before_ms);
    if window_ms <= 0 || window_ms > START_WINDOW_MAX_MS {
        return Err(Refusal::Window { max_ms: START_WINDOW_MAX_MS });
    }
    let ahead_ms = job.issued_ms.saturating_sub(now_ms);
    if ahead_ms > SKEW_MAX_MS {
        return Err(Refusal::IssuedInFuture { ahead_ms });
    }
    let wait_ms = job.not_before_ms.saturating_sub(now_ms);
    if wait_ms > SKEW_MAX_MS {
        return Err(Refusal::NotYet { wait_ms });
    }
    let late_ms = now_ms.saturating_sub(job.not_after_ms);
    if late_ms > SKEW_MAX_MS {
        return Err(Refusal::Expired { late_ms });
    }
    Ok(())
}

fn check_marks(job: &Job, context: &Context<'_>) -> Result<(), Refusal> {
    let (seq, seq_high) = (job.seq, context.seq_high);
    if seq <= seq_high {
        return Err(Refusal::Replayed { seq, seq_high });
    }
    for (what, mark, high) in [("sequence number", seq, seq_high), ("fence", job.fence, context.fence_high)] {
        let max = if high == 0 { MARK_FIRST_MAX } else { high.saturating_add(MARK_LEAP_MAX) };
        if mark > max {
            return Err(Refusal::MarkLeap(what, mark, max));
        }
    }
    Ok(())
}
