//! A simulation's report for a terminal.

use std::fmt::Write as _;

use remit_broker::simulate::Report;

use super::{class, span};
use crate::output::{BOLD, DIM, Table};

/// How wide a bar is at most.
const BAR_LEN: u64 = 40;

/// The report as text.
pub fn render(report: &Report) -> String {
    let mut text = format!(
        "{BOLD}{} installs{BOLD:#}, {} on their own clock, seed {}\n\n",
        report.installs,
        span(report.took_ms),
        report.seed
    );
    let mut phases = Table::new(&["release", "installs on it", "half took", "nine of ten", "slowest"]);
    for phase in &report.phases {
        let done = format!("{} of {}", phase.done, report.installs);
        phases.row([phase.version.clone(), done, span(phase.p50_ms), span(phase.p90_ms), span(phase.max_ms)]);
    }
    text.push_str(&phases.render(""));
    text.push_str(&rollout(report));
    text.push_str(&groups(report));
    if report.held > 0 {
        let _ = writeln!(text, "\n{} installs still wait for a person", report.held);
    }
    let _ = writeln!(text, "\n{BOLD}What failed{BOLD:#}");
    let failures: Vec<(String, u64)> = report.failures.iter().map(|(c, n)| (class(*c), *n)).collect();
    text.push_str(&bars(&failures, "nothing"));
    let components: Vec<(String, u64)> =
        report.failed_components.iter().map(|(name, n)| (name.clone(), *n)).collect();
    if !components.is_empty() {
        let _ = writeln!(text, "\n{BOLD}In which component{BOLD:#}");
        text.push_str(&bars(&components, ""));
    }
    let _ = writeln!(text, "\n{BOLD}Who waited for what{BOLD:#}");
    let mut waited = Table::new(&["for", "times", "on average", "longest"]);
    for wait in &report.waited {
        let times = i64::try_from(wait.times.max(1)).unwrap_or(i64::MAX);
        let (average, longest) = (span(wait.total_ms / times), span(wait.longest_ms));
        waited.row([wait.what.clone(), wait.times.to_string(), average, longest]);
    }
    text.push_str(&waited.render("  nobody, for anybody"));
    text
}

/// Each wave on one line: when it was told, until it was through, and how long it was watched then.
fn rollout(report: &Report) -> String {
    let Some(rollout) = &report.rollout else { return String::new() };
    let mut text = format!(
        "\n{BOLD}The rollout{BOLD:#} is {}: {}; {} failed, {} may; it halted {} times\n",
        rollout.state, rollout.description, rollout.failed, rollout.failures_max, rollout.halts
    );
    let mut table =
        Table::new(&["wave", "installs", "done", "failed", "wait", "not told", "began", "through in"]);
    for wave in &rollout.waves {
        let never = || "never".to_owned();
        let took = wave.began_ms.zip(wave.through_ms).map(|(began, through)| span(through - began));
        table.row([
            wave.name.clone(),
            wave.installs.to_string(),
            wave.done.to_string(),
            wave.failed.to_string(),
            wave.waiting.to_string(),
            wave.ahead.to_string(),
            wave.began_ms.map_or_else(never, |ms| format!("+{}", span(ms))),
            took.unwrap_or_else(never),
        ]);
    }
    text.push_str(&table.render("no waves"));
    text
}

fn groups(report: &Report) -> String {
    if report.groups.len() < 2 {
        return String::new();
    }
    let mut table = Table::new(&["group", "updates by", "updated", "half took", "slowest", "held"]);
    for group in &report.groups {
        let done = format!("{} of {}", group.done, group.installs);
        let (half, slowest) = (span(group.p50_ms), span(group.max_ms));
        table.row([group.name.clone(), group.policy.clone(), done, half, slowest, group.held.to_string()]);
    }
    format!("\n{BOLD}The update by group{BOLD:#}\n{}", table.render("no groups"))
}

fn bars(rows: &[(String, u64)], nothing: &str) -> String {
    let Some(most) = rows.iter().map(|(_, n)| *n).max().filter(|most| *most > 0) else {
        return format!("  {DIM}{nothing}{DIM:#}\n");
    };
    let mut text = String::new();
    for (name, number) in rows {
        let bar = "█".repeat(usize::try_from((number * BAR_LEN).div_ceil(most)).unwrap_or(0));
        let _ = writeln!(text, "  {name:<14} {number:>8}  {bar}");
    }
    text
}
