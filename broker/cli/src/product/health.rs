//! What a product's file says of a component's probe: `[components.NAME.health]`.

use remit_seal::document::{ComponentKind, Health};
use remit_seal::verify::{
    HEALTH_EVERY_MAX_MS, HEALTH_EVERY_MIN_MS, HEALTH_FAILURES_MAX, HEALTH_TIMEOUT_MIN_MS,
    HEALTH_WITHIN_MAX_MS,
};
use toml::Spanned;

use super::field::program;
use super::healing::{bounded, number};
use super::problem::Problem;
use super::reader::{Reader, Value};

/// What counts where the file does not say.
const WITHIN_MS_DEFAULT: i64 = 5 * 60 * 1_000;
const TIMEOUT_MS_DEFAULT: i64 = 10 * 1_000;
const FAILURES_DEFAULT: u32 = 3;

/// A probe, read: the program and when it runs. Complete only if no error was found.
pub(super) fn read(
    fields: &mut Reader<'_>,
    what: &str,
    kind: Option<ComponentKind>,
    longest_run_ms: i64,
    out: &mut Vec<Problem>,
) -> Option<(Vec<String>, Health)> {
    let value = fields.get("health")?;
    if let Some(kind) = kind.filter(|kind| !kind.traits().has_probe) {
        let message = format!("{what} is of kind `{}`: only a script has a health probe", kind.as_str());
        let problem =
            Problem::error("config.unknown_field", value.span(), message).label("not for this kind");
        out.push(problem.help("add a script that needs it, with a probe of its own"));
        return None;
    }
    let mut fields = Reader::of(value, format!("`health` of {what}"), out)?;
    let command = fields.require("command", out);
    let (within, timeout) = (fields.text("within", out), fields.text("timeout", out));
    let (every, failures) = (fields.text("every", out), fields.get("failures"));
    fields.finish(out);
    let mut time = |text: &Option<Spanned<String>>, min, max, default: i64| match text {
        Some(text) => bounded(text, min, max, out),
        None => Some(default),
    };
    let timeout_ms = time(&timeout, HEALTH_TIMEOUT_MIN_MS, HEALTH_WITHIN_MAX_MS, TIMEOUT_MS_DEFAULT);
    let shortest = WITHIN_MS_DEFAULT.max(timeout_ms.unwrap_or_default()).min(longest_run_ms);
    let within_ms = time(&within, HEALTH_TIMEOUT_MIN_MS, HEALTH_WITHIN_MAX_MS, shortest);
    let every_ms = every.map(|text| bounded(&text, HEALTH_EVERY_MIN_MS, HEALTH_EVERY_MAX_MS, out));
    let failures = failures.map_or(Some(FAILURES_DEFAULT), |value| {
        number("`failures` of a probe", value, HEALTH_FAILURES_MAX, out)
    });
    let name = Spanned::new(value.span(), "health".to_owned());
    let command = program(what, &name, command?, out);
    let health = Health {
        within_ms: within_ms?,
        timeout_ms: timeout_ms?,
        every_ms: every_ms.map_or(Some(None), |every| every.map(Some))?,
        failures: failures?,
    };
    check(what, &health, longest_run_ms, value, out);
    Some((command, health))
}

/// A probe must be able to pass: one fits into its time, and its time into a job's.
fn check(what: &str, health: &Health, longest_run_ms: i64, value: &Value<'_>, out: &mut Vec<Problem>) {
    let (message, help) = if health.timeout_ms > health.within_ms {
        ("would never get the time that one probe may take", "let `within` be at least as long as `timeout`")
    } else if health.within_ms > longest_run_ms {
        ("may take longer than a job of it runs", "let `longest_run` be at least as long as `within`")
    } else {
        return;
    };
    let message = format!("the health probe of {what} {message}");
    out.push(Problem::error("config.health_impossible", value.span(), message).help(help));
}
