//! A health probe must be one that can be run, and end.

use crate::Refusal;
use crate::document::{Class, Component, HEALTH, Health, Release};

/// The shortest time that one probe gets: a second.
pub const HEALTH_TIMEOUT_MIN_MS: i64 = 1_000;
/// The longest time until a probe must have passed: 12 hours.
pub const HEALTH_WITHIN_MAX_MS: i64 = 12 * 60 * 60 * 1_000;
/// The shortest time between two probes of a component at rest: 30 seconds.
pub const HEALTH_EVERY_MIN_MS: i64 = 30_000;
/// The longest: a day.
pub const HEALTH_EVERY_MAX_MS: i64 = 24 * 60 * 60 * 1_000;
/// The most probes in a row that may fail before a component counts as unwell.
pub const HEALTH_FAILURES_MAX: u32 = 10;

/// Whether it makes sense.
pub(super) fn check(release: &Release, component: &Component) -> Result<(), Refusal> {
    let has_command = component.kind.traits().has_probe && component.commands.contains_key(HEALTH);
    if has_command != component.health.is_some() {
        let detail = "`health` is a probe's command: it is there with its times, and they with it";
        return Err(Refusal::Commands { component: component.name.clone(), detail });
    }
    let Some(health) = &component.health else { return Ok(()) };
    let unsound = |detail| Err(Refusal::ReleaseInvalid { detail });
    if release.operations.get(HEALTH).is_none_or(|operation| operation.class != Class::Read) {
        return unsound("a health probe looks only: the class of `health` is `read`");
    }
    if !is_bounded(health) || health.within_ms > component.longest_run_ms {
        return unsound("a health probe's times are out of bounds");
    }
    Ok(())
}

fn is_bounded(health: &Health) -> bool {
    let Health { within_ms, timeout_ms, every_ms, failures } = *health;
    timeout_ms >= HEALTH_TIMEOUT_MIN_MS
        && (timeout_ms..=HEALTH_WITHIN_MAX_MS).contains(&within_ms)
        && every_ms.is_none_or(|every| (HEALTH_EVERY_MIN_MS..=HEALTH_EVERY_MAX_MS).contains(&every))
        && (1..=HEALTH_FAILURES_MAX).contains(&failures)
}
