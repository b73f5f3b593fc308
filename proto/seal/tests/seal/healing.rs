//! The table's part on what a release says is to be done by itself.

use remit_seal::document::{DriftSchedule, DriftThen};
use remit_seal::verify::{DRIFT_EVERY_MAX_MS, DRIFT_EVERY_MIN_MS};

use crate::cases::Case;
use crate::world::World;

pub(crate) const HEALING: &[Case] = &[
    ("drift_as_often_as_may_be", |w| drift(w, DRIFT_EVERY_MIN_MS), "ok"),
    ("drift_as_seldom_as_may_be", |w| drift(w, DRIFT_EVERY_MAX_MS), "ok"),
    ("drift_all_the_time", |w| drift(w, DRIFT_EVERY_MIN_MS - 1), "seal.release_invalid"),
    ("drift_hardly_ever", |w| drift(w, DRIFT_EVERY_MAX_MS + 1), "seal.release_invalid"),
];

fn drift(w: &mut World, every_ms: i64) {
    w.release.healing.drift = Some(DriftSchedule { every_ms, then: DriftThen::Heal });
}
