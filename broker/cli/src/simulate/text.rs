//! A simulation's report for a terminal.

use std::fmt::Write as _;

use crate::simulation::{Report, Series, State, WaveDone};

use super::{class, headline, moment, number, span, times};
use crate::output::{BOLD, DIM, Table};

/// How wide a bar is at most.
const BAR_LEN: u64 = 40;
/// How wide the picture of a wave is.
const STRIP_LEN: i64 = 48;
/// How full a column is, in eighths.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The report as text.
pub fn render(report: &Report) -> String {
    let mut text = format!(
        "{BOLD}{}{BOLD:#}\n{DIM}{} installs, {} on their own clock, seed {}{DIM:#}\n\n",
        headline(report),
        number(report.installs),
        span(report.took_ms),
        report.seed
    );
    let mut phases = Table::new(&["release", "installs on it", "half took", "nine of ten", "slowest"]);
    for phase in &report.phases {
        let done = format!("{} of {}", number(phase.done), number(report.installs));
        phases.row([phase.version.clone(), done, span(phase.p50_ms), span(phase.p90_ms), span(phase.max_ms)]);
    }
    text.push_str(&phases.render(""));
    text.push_str(&rollout(report));
    text.push_str(&groups(report));
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
    let mut waited = Table::new(&["who", "for", "times", "on average", "longest"]);
    for wait in &report.waited {
        let times = i64::try_from(wait.times.max(1)).unwrap_or(i64::MAX);
        let (average, longest) = (span(wait.total_ms / times), span(wait.longest_ms));
        let who = if wait.who.is_empty() { "installs".to_owned() } else { wait.who.clone() };
        waited.row([who, wait.what.clone(), number(wait.times), average, longest]);
    }
    text.push_str(&waited.render("  nobody, for anybody"));
    text
}

/// Each wave in a table, and how full it was over time.
fn rollout(report: &Report) -> String {
    let Some(rollout) = &report.rollout else { return String::new() };
    let mut text = format!(
        "\n{BOLD}The rollout{BOLD:#} is {}: {}; {} failed, {} may; it halted {}\n",
        rollout.state,
        rollout.description,
        rollout.failed,
        rollout.failures_max,
        times(rollout.halts)
    );
    let head =
        ["wave", "installs", "done", "failed", "wait", "not told", "began", "through in", "all done in"];
    let mut table = Table::new(&head);
    for wave in &rollout.waves {
        let never = || "never".to_owned();
        let since = |at: Option<i64>| wave.began_ms.zip(at).map(|(began, at)| span(at - began));
        table.row([
            wave.name.clone(),
            number(wave.installs),
            number(wave.done),
            number(wave.failed),
            number(wave.waiting),
            number(wave.ahead),
            wave.began_ms.map_or_else(never, |ms| format!("+{}", span(ms))),
            since(wave.through_ms).unwrap_or_else(never),
            since(wave.over_ms).unwrap_or_else(never),
        ]);
    }
    text.push_str(&table.render("no waves"));
    text + &strips(report, &rollout.waves)
}

/// How much of each wave was on the release over time, all on the same time.
fn strips(report: &Report, waves: &[WaveDone]) -> String {
    let Some(from) = waves.iter().filter_map(|wave| wave.began_ms).min() else { return String::new() };
    let last = |wave: &WaveDone| wave.over_ms.or(wave.began_ms.map(|_| report.took_ms));
    let until = waves.iter().filter_map(last).max().unwrap_or(report.took_ms).max(from + 1);
    let width = waves.iter().map(|wave| wave.name.chars().count()).max().unwrap_or(0).max(8);
    let mut text = String::from("\n");
    for wave in waves {
        let columns = (1..=STRIP_LEN).map(|n| column(wave, from + (until - from) * n / STRIP_LEN));
        let _ = writeln!(text, "  {:<width$} ▕{}▏", wave.name, columns.collect::<String>());
    }
    let (from, until) = (moment(report.began + from), moment(report.began + until));
    let gap = usize::try_from(STRIP_LEN).unwrap_or(0) + 2 - from.len().min(40);
    let _ = writeln!(text, "  {DIM}{:<width$} {from}{until:>gap$}{DIM:#}", "");
    text
}

/// How full a wave was at a moment: nothing before it was told, a dot while nobody had it.
fn column(wave: &WaveDone, at: i64) -> char {
    if wave.began_ms.is_none_or(|began| at < began) {
        return ' ';
    }
    let known = wave.series.partition_point(|point| point.at_ms <= at);
    let point: Option<&Series> = known.checked_sub(1).and_then(|n| wave.series.get(n));
    let done = point.and_then(|point| point.counts.get(&State::Updated)).copied().unwrap_or(0);
    match u64::from(done) * 8 / u64::from(wave.installs.max(1)) {
        0 if done == 0 => '·',
        eighths => EIGHTHS[usize::try_from(eighths.clamp(1, 8)).unwrap_or(8)],
    }
}

fn groups(report: &Report) -> String {
    if report.groups.len() < 2 {
        return String::new();
    }
    let mut table = Table::new(&["group", "updates by", "updated", "half took", "slowest", "held"]);
    for group in &report.groups {
        let done = format!("{} of {}", number(group.done), number(group.installs));
        let (half, slowest) = (span(group.p50_ms), span(group.max_ms));
        table.row([group.name.clone(), group.policy.clone(), done, half, slowest, number(group.held)]);
    }
    format!("\n{BOLD}The update by group{BOLD:#}\n{}", table.render("no groups"))
}

fn bars(rows: &[(String, u64)], nothing: &str) -> String {
    let Some(most) = rows.iter().map(|(_, n)| *n).max().filter(|most| *most > 0) else {
        return format!("  {DIM}{nothing}{DIM:#}\n");
    };
    let mut text = String::new();
    for (name, count) in rows {
        let bar = "█".repeat(usize::try_from((count * BAR_LEN).div_ceil(most)).unwrap_or(0));
        let _ = writeln!(text, "  {name:<14} {:>8}  {bar}", number(*count));
    }
    text
}
