//! The rollout of a simulation in pictures: its waves over time, and what became of each group.

use std::fmt::Write as _;

use crate::simulation::{Report, RolloutDone, WaveDone};

use super::areas::{Place, areas, key};
use super::{WIDTH, escape, span};
use crate::simulate::{moment, number, times};

/// Where the pictures of waves begin, and how high one is, with what stands under it.
const LEFT: f64 = 190.0;
const HEIGHT: f64 = 44.0;
const ROW: f64 = HEIGHT + 22.0;
const TOLD: &str = "#3d7ea6";
const WATCHED: &str = "#a9cfe3";

/// The waves and the groups, as far as there are any.
pub(super) fn section(report: &Report) -> String {
    let mut text = String::new();
    if let Some(rollout) = &report.rollout {
        let _ = writeln!(
            text,
            "<h2>The waves of the rollout</h2>\n<p class=\"sub\">It is {}: {}. {} installs failed, {} may; it \
             halted {}.</p>",
            escape(&rollout.state),
            escape(&rollout.description),
            number(rollout.failed),
            number(rollout.failures_max),
            times(rollout.halts)
        );
        text.push_str(&waves(rollout, report));
    }
    if report.groups.len() > 1 {
        text.push_str(&groups(report));
    }
    text
}

/// The time that the picture shows.
struct Axis {
    from: i64,
    until: i64,
}

impl Axis {
    /// From the first that was told until all is as it stays.
    fn of(rollout: &RolloutDone, end_ms: i64) -> Self {
        let from = rollout.waves.iter().filter_map(|wave| wave.began_ms).min().unwrap_or(0);
        let over = |wave: &WaveDone| {
            let watched = wave.through_ms.map(|through| through + wave.bake_ms);
            watched.into_iter().chain(wave.over_ms).max().filter(|_| wave.over_ms.is_some() || wave.left == 0)
        };
        let told = rollout.waves.iter().filter(|wave| wave.began_ms.is_some());
        let until = told.map(|wave| over(wave).unwrap_or(end_ms)).max().unwrap_or(end_ms);
        // A little more, to see that it is over.
        Self { from, until: until + ((until - from) / 25).max(1_000) }
    }

    fn x(&self, ms: i64) -> f64 {
        let ms = ms.clamp(self.from, self.until);
        LEFT + (WIDTH - LEFT) * share(ms - self.from, self.until - self.from)
    }
}

/// One picture for each wave, all on the same time.
fn waves(rollout: &RolloutDone, report: &Report) -> String {
    let axis = Axis::of(rollout, report.took_ms);
    let rows = u32::try_from(rollout.waves.len()).unwrap_or(u32::MAX);
    let height = ROW * f64::from(rows) + 24.0;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Waves over time\">\n");
    for (n, wave) in (0_u32..).zip(&rollout.waves) {
        svg.push_str(&row(wave, ROW * f64::from(n), &axis));
    }
    for (n, anchor) in [(0, "start"), (1, "middle"), (2, "middle"), (3, "end")] {
        let at = axis.from + (axis.until - axis.from) * n / 3;
        let (x, y) = (axis.x(at), height - 6.0);
        let when = moment(report.began + at);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"12\" fill=\"#52606d\" text-anchor=\"{anchor}\">{when}</text>"
        );
    }
    let line = |colour, means| format!("<li><span style=\"background:{colour}\"></span>{means}</li>");
    let lines = [line(TOLD, "line below: told, until it is through"), line(WATCHED, "and then watched")];
    svg + "</svg>\n" + &key().replace("</ul>", &format!("{}</ul>", lines.concat()))
}

fn row(wave: &WaveDone, top: f64, axis: &Axis) -> String {
    let mut text = format!(
        "<g><title>{}</title>\n<text x=\"0\" y=\"{:.1}\" font-size=\"14\" fill=\"#1f2933\">{}</text>\n\
         <text x=\"0\" y=\"{:.1}\" font-size=\"12\" fill=\"#52606d\">{} of {}{}</text>\n",
        escape(&story(wave)),
        top + 18.0,
        escape(&wave.name),
        top + 35.0,
        number(wave.done),
        number(wave.installs),
        if wave.failed > 0 { format!(", {} failed", number(wave.failed)) } else { String::new() },
    );
    let place = Place { top, height: HEIGHT, right: WIDTH };
    text.push_str(&areas(&wave.series, wave.installs, place, |n| axis.x(wave.series[n].at_ms)));
    let mut line = |from: i64, to: i64, colour: &str| {
        let (x, y, width) = (axis.x(from), top + HEIGHT + 3.0, (axis.x(to) - axis.x(from)).max(2.0));
        let _ = writeln!(
            text,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"4\" fill=\"{colour}\"/>"
        );
    };
    if let Some(began) = wave.began_ms {
        line(began, wave.through_ms.unwrap_or(axis.until), TOLD);
        if let Some(through) = wave.through_ms.filter(|_| wave.bake_ms > 0) {
            line(through, through + wave.bake_ms, WATCHED);
        }
    }
    text + "</g>\n"
}

/// What became of a wave, in a sentence.
fn story(wave: &WaveDone) -> String {
    let Some(began) = wave.began_ms else { return format!("wave {} was never told", wave.name) };
    let mut text = format!("wave {}: {} of {} done", wave.name, number(wave.done), number(wave.installs));
    match wave.through_ms {
        Some(through) => {
            let _ = write!(text, "; through after {}", span(through - began));
            if wave.left > 0 {
                let _ = write!(text, ", {} of it were not on the release yet then", number(wave.left));
            }
        }
        None => text.push_str("; never through"),
    }
    if let Some(over) = wave.over_ms {
        let _ = write!(text, "; the last one after {}", span(over - began));
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
            number(group.done),
            number(group.installs),
            span(group.p50_ms),
            span(group.max_ms),
            number(group.held)
        );
    }
    text + "</table>\n"
}

fn share(of: i64, all: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
    let (of, all) = (of as f64, all.max(1) as f64);
    of / all
}
