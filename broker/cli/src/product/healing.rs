//! What a product's file says is to be done by itself: `[drift]`.

use remit_seal::document::{DriftSchedule, DriftThen};
use remit_seal::verify::{DRIFT_EVERY_MAX_MS, DRIFT_EVERY_MIN_MS};
use toml::Spanned;

use super::duration;
use super::problem::Problem;
use super::reader::{Reader, Value};

/// How often drift is looked for; none where the file says nothing, or nothing that can be.
pub(super) fn drift(top: &mut Reader<'_>, out: &mut Vec<Problem>) -> Option<DriftSchedule> {
    let value = top.get("drift")?;
    let mut fields = Reader::of(value, "`[drift]`", out)?;
    let every = fields.need_text("every", out);
    let then = fields.text("then", out);
    fields.finish(out);
    let every_ms = every.and_then(|text| bounded(&text, DRIFT_EVERY_MIN_MS, DRIFT_EVERY_MAX_MS, out));
    let then = then.map_or(Some(DriftThen::Report), |text| then_of(&text, out));
    Some(DriftSchedule { every_ms: every_ms?, then: then? })
}

fn then_of(text: &Spanned<String>, out: &mut Vec<Problem>) -> Option<DriftThen> {
    match text.get_ref().as_str() {
        "report" => Some(DriftThen::Report),
        "heal" => Some(DriftThen::Heal),
        other => {
            let message = format!("`{other}` is nothing that is done about drift");
            let problem = Problem::error("config.bad_value", text.span(), message);
            out.push(problem.did_you_mean(other, ["report", "heal"]));
            None
        }
    }
}

/// A length of time within bounds, milliseconds.
pub(super) fn bounded(text: &Spanned<String>, min: i64, max: i64, out: &mut Vec<Problem>) -> Option<i64> {
    let message = match duration::parse_ms(text.get_ref()) {
        Ok(ms) if (min..=max).contains(&ms) => return Some(ms),
        Ok(_) => format!("`{}` is out of bounds: from `{}` to `{}`", text.get_ref(), said(min), said(max)),
        Err(message) => message,
    };
    out.push(Problem::error("config.bad_duration", text.span(), message));
    None
}

/// A whole number from 1 up to this.
pub(super) fn number(what: &str, value: &Value<'_>, max: u32, out: &mut Vec<Problem>) -> Option<u32> {
    let number = value.get_ref().as_integer().and_then(|n| n.as_str().parse().ok());
    let number = number.filter(|n| (1..=max).contains(n));
    if number.is_none() {
        let message = format!("{what} is a number from 1 to {max}");
        out.push(Problem::error("config.bad_value", value.span(), message));
    }
    number
}

fn said(ms: i64) -> String {
    match ms {
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms => format!("{}s", ms / 1_000),
    }
}
