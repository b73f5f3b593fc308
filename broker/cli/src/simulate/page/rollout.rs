//! The rollout of a simulation in pictures: its waves over time, and what became of each group.

use std::fmt::Write as _;

use remit_broker::simulate::{Report, RolloutDone, WaveDone};

use super::{WIDTH, escape, span};

/// Where the bars of waves begin, and how high a row is.
const LEFT: f64 = 160.0;
const ROW: f64 = 34.0;

/// The waves and the groups, as far as there are any.
pub(super) fn section(report: &Report) -> String {
    let mut text = String::new();
    if let Some(rollout) = &report.rollout {
        let _ = writeln!(
            text,
            "<h2>The rollout</h2>\n<p class=\"sub\">It is {}: {}. {} installs failed, {} may; it halted {} times.</p>",
            escape(&rollout.state),
            escape(&rollout.description),
            rollout.failed,
            rollout.failures_max,
            rollout.halts
        );
        text.push_str(&waves(rollout, report.took_ms));
    }
    if report.groups.len() > 1 {
        text.push_str(&groups(report));
    }
    text
}

/// One row for each wave: told until through, then watched.
fn waves(rollout: &RolloutDone, end_ms: i64) -> String {
    let first = rollout.waves.iter().filter_map(|wave| wave.began_ms).min().unwrap_or(0);
    let over = |wave: &WaveDone| wave.through_ms.map_or(end_ms, |through| through + wave.bake_ms);
    let told = rollout.waves.iter().filter(|wave| wave.began_ms.is_some());
    let last = told.map(over).max().unwrap_or(end_ms).max(first + 1);
    let x = |ms: i64| LEFT + (WIDTH - LEFT - 10.0) * share(ms - first, last - first);
    let rows = u32::try_from(rollout.waves.len()).unwrap_or(u32::MAX);
    let height = ROW * f64::from(rows) + 30.0;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Waves over time\">\n");
    for (n, wave) in (0_u32..).zip(&rollout.waves) {
        let y = ROW * f64::from(n);
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{:.1}\" font-size=\"14\" fill=\"#52606d\">{}</text>",
            y + 19.0,
            escape(&wave.name)
        );
        svg.push_str(&row(wave, y, end_ms, &x));
    }
    for (n, anchor) in [(0, "start"), (1, "middle"), (2, "end")] {
        let at = first + (last - first) * n / 2;
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\" fill=\"#52606d\" text-anchor=\"{anchor}\">{}</text>",
            x(at),
            height - 8.0,
            span(at)
        );
    }
    svg + "</svg>\n<ul class=\"key\"><li><span style=\"background:#3d7ea6\"></span>told, until all are through</li>\
        <li><span style=\"background:#a9cfe3\"></span>watched</li></ul>\n"
}

fn row(wave: &WaveDone, y: f64, end_ms: i64, x: &impl Fn(i64) -> f64) -> String {
    let counts = format!("{} of {} done, {} failed", wave.done, wave.installs, wave.failed);
    let Some(began) = wave.began_ms else {
        return format!(
            "<text x=\"{LEFT}\" y=\"{:.1}\" font-size=\"13\" fill=\"#52606d\">never told</text>\n",
            y + 19.0
        );
    };
    let through = wave.through_ms.unwrap_or(end_ms);
    let bar = |from: i64, to: i64, colour: &str| {
        let width = (x(to) - x(from)).max(2.0);
        format!(
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"22\" rx=\"3\" fill=\"{colour}\">\
             <title>{counts}</title></rect>\n",
            x(from),
            y + 4.0
        )
    };
    let mut text = bar(began, through, "#3d7ea6");
    if wave.through_ms.is_some() && wave.bake_ms > 0 {
        text.push_str(&bar(through, through + wave.bake_ms, "#a9cfe3"));
    }
    text
}

fn groups(report: &Report) -> String {
    let mut text = String::from(
        "<h2>The update by group</h2>\n<table><tr><th>group</th><th>updates by</th><th class=\"n\">updated</th>\
         <th class=\"n\">half took</th><th class=\"n\">slowest</th><th class=\"n\">held</th></tr>\n",
    );
    for group in &report.groups {
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{} of {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            escape(&group.name),
            escape(&group.policy),
            group.done,
            group.installs,
            span(group.p50_ms),
            span(group.max_ms),
            group.held
        );
    }
    text + "</table>\n"
}

fn share(of: i64, all: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
    let (of, all) = (of as f64, all.max(1) as f64);
    of / all
}
