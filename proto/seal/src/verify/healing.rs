//! What a release says is to be done by itself must be bounded: nothing is looked at all the time.

use crate::Refusal;
use crate::document::Healing;

/// The shortest time between two looks for drift: a minute.
pub const DRIFT_EVERY_MIN_MS: i64 = 60_000;
/// The longest: 30 days.
pub const DRIFT_EVERY_MAX_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// Whether it makes sense.
pub(super) fn check(healing: &Healing) -> Result<(), Refusal> {
    let Some(drift) = healing.drift else { return Ok(()) };
    if (DRIFT_EVERY_MIN_MS..=DRIFT_EVERY_MAX_MS).contains(&drift.every_ms) {
        return Ok(());
    }
    Err(Refusal::ReleaseInvalid { detail: "it looks for drift more than once a minute, or hardly ever" })
}
