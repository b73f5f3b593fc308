//! Jobs that say what to pretend: good in sandbox mode and within bounds, refused otherwise.

use remit_seal::document::{FailureClass, PretendedFailure, Rehearsal};

use crate::cases::Case;

pub(crate) const REHEARSALS: &[Case] = &[
    (
        "good_rehearsal",
        |w| (w.job.sandbox, w.job.component, w.job.rehearsal) = (true, "web".to_owned(), pretend("no")),
        "ok",
    ),
    ("job_pretends_for_real", |w| w.job.rehearsal = pretend("no"), "seal.rehearsal_for_real"),
    (
        "job_pretends_too_much",
        |w| (w.job.sandbox, w.job.rehearsal) = (true, pretend(&"x".repeat(1_025))),
        "seal.job_invalid",
    ),
];

/// A failure in these words.
fn pretend(words: &str) -> Option<Rehearsal> {
    let (class, message) = (FailureClass::Quota, words.to_owned());
    let fails = Some(PretendedFailure { class, message, code: None, hint: None });
    Some(Rehearsal { takes_ms: Some(1_000), fails, ..Rehearsal::default() })
}
