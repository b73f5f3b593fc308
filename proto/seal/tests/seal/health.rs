//! The table's part on health probes: declared whole, within bounds, and only looking.

use remit_seal::document::{Approval, Class, Health, Operation};
use remit_seal::verify::{
    HEALTH_EVERY_MAX_MS, HEALTH_EVERY_MIN_MS, HEALTH_FAILURES_MAX, HEALTH_TIMEOUT_MIN_MS,
    HEALTH_WITHIN_MAX_MS,
};

use crate::cases::Case;
use crate::world::World;

const UNSOUND: &str = "seal.release_invalid";

pub(crate) const HEALTH: &[Case] = &[
    ("health", |w| health(w, |_| ()), "ok"),
    ("health_only_at_deploys", |w| health(w, |h| h.every_ms = None), "ok"),
    ("health_run", |w| (health(w, |_| ()), probe(w)).0, "ok"),
    (
        "health_as_change",
        |w| (health(w, |_| ()), probe(w), w.job.class = Class::Change).0,
        "seal.class_mismatch",
    ),
    ("health_without_command", |w| (health(w, |_| ()), drop(command(w))).0, "seal.commands"),
    (
        "health_without_times",
        |w| (health(w, |_| ()), w.release.components[1].health = None).0,
        "seal.commands",
    ),
    (
        "health_of_no_operation",
        |w| (health(w, |_| ()), drop(w.release.operations.remove("health"))).0,
        "seal.commands",
    ),
    ("health_that_changes", |w| (health(w, |_| ()), class(w, Class::Change)).0, UNSOUND),
    ("health_timeout_least", |w| health(w, |h| h.timeout_ms = HEALTH_TIMEOUT_MIN_MS), "ok"),
    ("health_timeout_none", |w| health(w, |h| h.timeout_ms = HEALTH_TIMEOUT_MIN_MS - 1), UNSOUND),
    ("health_within_one_probe", |w| health(w, |h| h.within_ms = h.timeout_ms), "ok"),
    ("health_within_no_probe", |w| health(w, |h| h.within_ms = h.timeout_ms - 1), UNSOUND),
    ("health_within_longest_run", |w| health(w, |h| h.within_ms = 600_000), "ok"),
    ("health_beyond_longest_run", |w| health(w, |h| h.within_ms = 600_001), UNSOUND),
    ("health_within_most", |w| health_long(w, HEALTH_WITHIN_MAX_MS), "ok"),
    ("health_within_too_long", |w| health_long(w, HEALTH_WITHIN_MAX_MS + 1), UNSOUND),
    ("health_most_often", |w| health(w, |h| h.every_ms = Some(HEALTH_EVERY_MIN_MS)), "ok"),
    ("health_too_often", |w| health(w, |h| h.every_ms = Some(HEALTH_EVERY_MIN_MS - 1)), UNSOUND),
    ("health_most_seldom", |w| health(w, |h| h.every_ms = Some(HEALTH_EVERY_MAX_MS)), "ok"),
    ("health_too_seldom", |w| health(w, |h| h.every_ms = Some(HEALTH_EVERY_MAX_MS + 1)), UNSOUND),
    ("health_fails_once", |w| health(w, |h| h.failures = 1), "ok"),
    ("health_fails_never", |w| health(w, |h| h.failures = 0), UNSOUND),
    ("health_fails_most", |w| health(w, |h| h.failures = HEALTH_FAILURES_MAX), "ok"),
    ("health_fails_too_often", |w| health(w, |h| h.failures = HEALTH_FAILURES_MAX + 1), UNSOUND),
];

/// The script gets a probe, and the release the operation that runs it.
fn health(w: &mut World, change: impl FnOnce(&mut Health)) {
    let mut health = Health { within_ms: 60_000, timeout_ms: 5_000, every_ms: Some(60_000), failures: 3 };
    change(&mut health);
    let script = &mut w.release.components[1];
    script.commands.insert("health".to_owned(), vec!["sh".to_owned(), "health.sh".to_owned()]);
    script.health = Some(health);
    let operation = Operation { class: Class::Read, approval: Approval::None, terms: None };
    w.release.operations.insert("health".to_owned(), operation);
}

fn health_long(w: &mut World, within_ms: i64) {
    w.release.components[1].longest_run_ms = remit_seal::verify::LONGEST_RUN_MAX_MS;
    health(w, |h| h.within_ms = within_ms);
}

fn command(w: &mut World) -> Option<Vec<String>> {
    w.release.components[1].commands.remove("health")
}

fn class(w: &mut World, class: Class) {
    w.release.operations.get_mut("health").unwrap().class = class;
}

fn probe(w: &mut World) {
    (w.job.component, w.job.operation, w.job.class) = ("seed".to_owned(), "health".to_owned(), Class::Read);
}
