//! The table's part on sequence numbers and fences: above the last, and never far above it.

use remit_seal::verify::{MARK_FIRST_MAX, MARK_LEAP_MAX};

use crate::cases::Case;

/// The greatest whole number that a signed document may hold.
const GREATEST: u64 = 9_007_199_254_740_991;

pub(crate) const MARKS: &[Case] = &[
    ("seq_farthest", |w| w.job.seq = w.seq_high + MARK_LEAP_MAX, "ok"),
    ("seq_leaps", |w| w.job.seq = w.seq_high + MARK_LEAP_MAX + 1, "seal.mark_leap"),
    ("seq_greatest", |w| w.job.seq = GREATEST, "seal.mark_leap"),
    ("seq_first_greatest", |w| (w.job.seq, w.seq_high) = (MARK_FIRST_MAX, 0), "ok"),
    ("seq_first_leaps", |w| (w.job.seq, w.seq_high) = (MARK_FIRST_MAX + 1, 0), "seal.mark_leap"),
    ("seq_after_the_greatest", |w| (w.job.seq, w.seq_high) = (GREATEST, u64::MAX - 1), "seal.replayed"),
    ("fence_farthest", |w| (w.job.fence, w.fence_high) = (12 + MARK_LEAP_MAX, 12), "ok"),
    ("fence_leaps", |w| (w.job.fence, w.fence_high) = (13 + MARK_LEAP_MAX, 12), "seal.mark_leap"),
    ("fence_greatest", |w| w.job.fence = GREATEST, "seal.mark_leap"),
    ("fence_first_greatest", |w| w.job.fence = MARK_FIRST_MAX, "ok"),
    ("fence_of_before", |w| (w.job.fence, w.fence_high) = (3, 12), "ok"),
];
