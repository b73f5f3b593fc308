//! What a job may say of a broken glass: who, why and until when, in bounds, and not when it is over.

use super::SKEW_MAX_MS;
use crate::Refusal;
use crate::document::{BreakGlass, Job};

/// The longest that a glass stays broken: 8 hours.
pub const BREAK_GLASS_MAX_MS: i64 = 8 * 60 * 60 * 1_000;
/// The longest name of who broke it, in bytes.
pub const BREAK_GLASS_BY_LEN_MAX: usize = 128;
/// The longest reason, in bytes.
pub const BREAK_GLASS_REASON_LEN_MAX: usize = 256;

/// Whether what a job says of it makes sense in itself.
pub(super) fn check_form(job: &Job) -> Result<(), Refusal> {
    let Some(BreakGlass { by, reason, until_ms }) = &job.break_glass else { return Ok(()) };
    let unsound = |detail| Err(Refusal::JobInvalid { detail });
    if !is_line(by, BREAK_GLASS_BY_LEN_MAX) || !is_line(reason, BREAK_GLASS_REASON_LEN_MAX) {
        return unsound(
            "who broke the glass, or why, is empty, longer than 128 or 256 bytes, or holds control characters",
        );
    }
    if !(1..=BREAK_GLASS_MAX_MS).contains(&until_ms.saturating_sub(job.issued_ms)) {
        return unsound("the glass was broken for no time, or for longer than 8 hours");
    }
    Ok(())
}

/// Whether it still counts.
pub(super) fn check_time(job: &Job, now_ms: i64) -> Result<(), Refusal> {
    let late_ms = job.break_glass.as_ref().map_or(0, |glass| now_ms.saturating_sub(glass.until_ms));
    if late_ms > SKEW_MAX_MS { Err(Refusal::BreakGlassOver { late_ms }) } else { Ok(()) }
}

pub(super) fn is_line(text: &str, max: usize) -> bool {
    !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control)
}
