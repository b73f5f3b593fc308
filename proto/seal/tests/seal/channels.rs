//! An install has one channel, which its customer pinned: jobs name it, and releases of no other bind.

use remit_seal::dsse::PayloadType;

use crate::cases::Case;
use crate::world::{World, payload_digest};

pub(crate) const CHANNELS: &[Case] = &[
    ("job_for_other_channel", |w| w.job.audience.channel = "beta".to_owned(), "seal.audience"),
    ("job_runner_of_other_channel", |w| w.audience.channel = "beta".to_owned(), "seal.audience"),
    ("bind_release_of_other_channel", beta, "seal.release_audience"),
    ("bind_release_of_other_channel_that_made_it", |w| (beta(w), made_it(w)).1, "ok"),
    ("bind_release_of_other_channel_that_made_none", |w| (made_it(w), beta(w)).1, "seal.release_audience"),
    ("bind_release_that_made_it_below_floor", |w| (made_it(w), w.counter_floor = 6).1, "seal.rollback"),
];

fn beta(w: &mut World) {
    w.release.channel = "beta".to_owned();
}

/// The release, as it is now, has made the job's component.
fn made_it(w: &mut World) {
    w.made_by = Some(payload_digest(&w.signed().release, PayloadType::Release));
}
