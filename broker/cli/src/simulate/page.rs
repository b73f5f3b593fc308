//! A simulation's report as one page: its pictures are inline, and it asks nobody for anything.

use std::fmt::Write as _;

use crate::simulation::{Report, Waited};

use super::{class, headline, number, span};

mod areas;
mod rollout;

use areas::{Place, areas, key};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 280.0;
/// The longest bar.
const BAR: f64 = 420.0;
const STYLE: &str = include_str!("page/style.css");

/// The whole page.
pub fn render(title: &str, report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head>\n\
         <body><h1>Rehearsal of {0}</h1><p class=\"lead\">{1}</p>\
         <p class=\"sub\">{2} installs, {3} on their own clock, seed {4}</p>\n",
        escape(title),
        escape(&headline(report)),
        number(report.installs),
        span(report.took_ms),
        report.seed
    );
    page.push_str(&rollout::section(report));
    page.push_str("<h2>All installs over time</h2>\n");
    page.push_str(&all(report));
    page.push_str(&phases(report));
    page.push_str(&waits(report));
    page.push_str(&failures(report));
    page.push_str("</body></html>\n");
    page
}

fn phases(report: &Report) -> String {
    let mut text = String::from(
        "<table><tr><th>release</th><th class=\"n\">installs on it</th><th class=\"n\">half took</th>\
         <th class=\"n\">nine of ten</th><th class=\"n\">slowest</th></tr>\n",
    );
    for phase in &report.phases {
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td class=\"n\">{} of {}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>",
            escape(&phase.version),
            number(phase.done),
            number(report.installs),
            span(phase.p50_ms),
            span(phase.p90_ms),
            span(phase.max_ms)
        );
    }
    text + "</table>\n"
}

/// Its points are those at which much changes, evenly spaced: days in which nothing happens take no room.
fn all(report: &Report) -> String {
    let points = report.series.len();
    let x = |n: usize| WIDTH * part(n, points.saturating_sub(1).max(1));
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"Installs by state over time\">\n",
        HEIGHT + 30.0
    );
    let place = Place { top: 0.0, height: HEIGHT, right: WIDTH };
    svg.push_str(&areas(&report.series, report.installs, place, x));
    for n in (0..points).step_by((points / 6).max(1)) {
        let anchor = if n == 0 { "start" } else { "middle" };
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" font-size=\"12\" fill=\"#52606d\" text-anchor=\"{anchor}\">{}</text>",
            x(n),
            HEIGHT + 20.0,
            span(report.series[n].at_ms)
        );
    }
    svg + "</svg>\n" + &key() + "<p class=\"sub\">Where little changes, time is drawn short.</p>\n"
}

fn waits(report: &Report) -> String {
    let mut text = String::from("<h2>Who waited for what</h2>\n");
    let Some(most) = report.waited.iter().map(|wait| wait.total_ms).max() else {
        return text + "<p>Nobody, for anybody.</p>\n";
    };
    text.push_str(
        "<table><tr><th>who</th><th>for</th><th class=\"n\">times</th><th class=\"n\">on average</th>\
         <th class=\"n\">longest</th><th>in all</th></tr>\n",
    );
    for wait in &report.waited {
        text.push_str(&wait_row(wait, most));
    }
    text + "</table>\n"
}

fn wait_row(wait: &Waited, most: i64) -> String {
    let times = i64::try_from(wait.times.max(1)).unwrap_or(i64::MAX);
    let who = if wait.who.is_empty() { "installs" } else { &wait.who };
    let percent = (wait.total_ms / (most / 100).max(1)).clamp(1, 100);
    format!(
        "<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
         <td><div class=\"bar\" style=\"width:{percent}%\" title=\"{} in all\"></div></td></tr>\n",
        escape(who),
        escape(&wait.what),
        number(wait.times),
        span(wait.total_ms / times),
        span(wait.longest_ms),
        span(wait.total_ms)
    )
}

fn failures(report: &Report) -> String {
    let by_class: Vec<(String, u64)> = report.failures.iter().map(|(c, n)| (class(*c), *n)).collect();
    let mut text =
        format!("<h2>Failed attempts by class</h2>\n{}", bars("Failed attempts by class", &by_class));
    let mut components: Vec<(String, u64)> =
        report.failed_components.iter().map(|(name, n)| (name.clone(), *n)).collect();
    if !components.is_empty() {
        components.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        text.push_str("<h2>Failed attempts by component</h2>\n");
        text.push_str(&bars("Failed attempts by component", &components));
    }
    text
}

fn bars(label: &str, rows: &[(String, u64)]) -> String {
    let Some(most) = rows.iter().map(|(_, n)| *n).max().filter(|most| *most > 0) else {
        return "<p>None.</p>\n".to_owned();
    };
    let height = 28 * rows.len();
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n");
    for (n, (name, count)) in rows.iter().enumerate() {
        let y = 28 * n;
        let length = BAR * part(usize::try_from(*count).unwrap_or(0), usize::try_from(most).unwrap_or(1));
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{}\" font-size=\"14\" fill=\"#52606d\">{}</text>\
             <rect x=\"190\" y=\"{}\" width=\"{length:.1}\" height=\"18\" rx=\"3\" fill=\"#c2483d\"/>\
             <text x=\"{:.1}\" y=\"{}\" font-size=\"14\" fill=\"#52606d\">{}</text>",
            y + 18,
            escape(name),
            y + 4,
            198.0 + length,
            y + 18,
            number(*count)
        );
    }
    svg + "</svg>\n"
}

fn part(of: usize, all: usize) -> f64 {
    f64::from(u32::try_from(of).unwrap_or(u32::MAX))
        / f64::from(u32::try_from(all.max(1)).unwrap_or(u32::MAX))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
