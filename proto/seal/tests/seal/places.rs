//! Cases of a job's cloud account and region: the runner's own, and none only where the runner has none.

use remit_seal::document::Audience;

use crate::cases::Case;
use crate::world::World;

pub(crate) const PLACES: &[Case] = &[
    ("place_of_both", |w| both(w, here), "ok"),
    ("place_of_nobody_in_the_job", |w| here(&mut w.audience), "seal.audience"),
    ("place_that_the_runner_has_not", |w| here(&mut w.job.audience), "seal.audience"),
    ("place_in_another_account", |w| spoilt(w, |a| a.account = text("210987654321")), "seal.audience"),
    ("place_in_another_region", |w| spoilt(w, |a| a.region = text("eu-west-1")), "seal.audience"),
    ("place_without_account", |w| spoilt(w, |a| a.account = None), "seal.audience"),
    ("place_without_region", |w| spoilt(w, |a| a.region = None), "seal.audience"),
    ("place_empty_account", |w| w.job.audience.account = text(""), "seal.audience"),
    ("place_account_and_region_swapped", |w| spoilt(w, swap), "seal.audience"),
    ("place_of_older_generation", |w| spoilt(w, |a| a.generation = 2), "seal.generation"),
    ("place_null", |w| w.job_text = |text| null(&text), "ok"),
];

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn here(audience: &mut Audience) {
    (audience.account, audience.region) = (text("123456789012"), text("eu-central-1"));
}

fn swap(audience: &mut Audience) {
    (audience.account, audience.region) = (audience.region.take(), audience.account.take());
}

fn both(w: &mut World, change: fn(&mut Audience)) {
    change(&mut w.audience);
    change(&mut w.job.audience);
}

/// In order, but for this in the job.
fn spoilt(w: &mut World, change: fn(&mut Audience)) {
    both(w, here);
    change(&mut w.job.audience);
}

/// A place that is null is none.
fn null(payload: &str) -> String {
    payload.replacen("\"generation\":3", "\"generation\":3,\"account\":null,\"region\":null", 1)
}
