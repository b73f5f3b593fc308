//! What `remit simulate` makes of a report: text, a page with pictures, and whether it is as expected.

pub mod expect;
pub mod fleet;
pub mod page;
pub mod text;

/// A length of time, as people read it.
pub(crate) fn span(ms: i64) -> String {
    let s = ms / 1_000;
    match s {
        0..60 => format!("{}.{} s", s, ms % 1_000 / 100),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// The word for a class of failures.
pub(crate) fn class(class: remit_loops::job::FailureClass) -> String {
    let word = serde_json::to_value(class).ok();
    word.as_ref().and_then(|w| w.as_str()).unwrap_or("unknown").to_owned()
}
