//! What `remit simulate` makes of a report: text, a page with pictures, and whether it is as expected.

pub mod expect;
pub mod fleet;
pub mod page;
pub mod text;

use crate::simulation::Report;

/// What came of it, in a few sentences.
pub(crate) fn headline(report: &Report) -> String {
    let mut text = match report.phases.last() {
        Some(update) if update.done == report.installs => format!(
            "All {} installs are on {}: half of them within {}, the slowest within {}.",
            number(report.installs),
            update.version,
            span(update.p50_ms),
            span(update.max_ms)
        ),
        Some(update) => format!(
            "{} of {} installs are on {}.",
            number(update.done),
            number(report.installs),
            update.version
        ),
        None => String::new(),
    };
    if let Some(rollout) = report.rollout.as_ref().filter(|rollout| rollout.halts > 0) {
        text.push_str(&format!(" The rollout halted {}.", times(rollout.halts)));
    }
    if report.held > 0 {
        text.push_str(&format!(" {} installs wait for a person.", number(report.held)));
    }
    text
}

/// How often, in words.
pub(crate) fn times(count: u32) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{} times", number(more)),
    }
}

/// A number with its thousands apart.
pub(crate) fn number(count: impl Into<u64>) -> String {
    let digits = count.into().to_string();
    let mut text = String::new();
    for (n, digit) in digits.char_indices() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A day and a time of the simulation's clock, in UTC.
pub(crate) fn moment(ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(ms).ok();
    at.map_or_else(String::new, |at| at.strftime("%a %d %b %H:%M").to_string())
}

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
