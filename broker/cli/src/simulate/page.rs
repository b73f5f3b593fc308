//! A simulation's report as one page: its pictures are inline, and it asks nobody for anything.

use std::fmt::Write as _;

use remit_broker::simulate::{Report, Series, State};

use super::{class, span};

mod rollout;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 280.0;
/// What states are called, in which colour, from the bottom of the picture to its top.
const STATES: [(State, &str, &str); 6] = [
    (State::Updated, "on the new release", "#2f7d4f"),
    (State::Updating, "on their way to it", "#7fb7e6"),
    (State::Waiting, "waiting for their time", "#e0a63a"),
    (State::Active, "on the first release", "#b9c4ce"),
    (State::Provisioning, "being made", "#e4dcc4"),
    (State::Held, "waiting for a person", "#c2483d"),
];
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:920px;margin:2rem auto;padding:0 1rem;\
color:#1f2933;background:#fff}h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2.2rem}\
p.sub{color:#52606d;margin-top:0}table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem \
.6rem;border-bottom:1px solid #e4e7eb}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}svg{width:100%;\
height:auto}ul.key{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.4rem 1.2rem}ul.key span{display:\
inline-block;width:.8rem;height:.8rem;border-radius:2px;margin-right:.4rem}@media(prefers-color-scheme:dark){body\
{background:#14181d;color:#e4e7eb}p.sub{color:#9aa5b1}td,th{border-color:#323f4b}text{fill:#9aa5b1}}";

/// The whole page.
pub fn render(title: &str, report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{0}</title><style>{STYLE}</style></head>\n\
         <body><h1>Rehearsal of {0}</h1><p class=\"sub\">{1} installs, {2} on their own clock, seed {3}</p>\n",
        escape(title),
        report.installs,
        span(report.took_ms),
        report.seed
    );
    page.push_str(&phases(report));
    page.push_str(&rollout::section(report));
    page.push_str("<h2>Installs over time</h2>\n");
    page.push_str(&waves(report));
    page.push_str("<h2>What failed</h2>\n");
    let failures: Vec<(String, u64)> = report.failures.iter().map(|(c, n)| (class(*c), *n)).collect();
    page.push_str(&bars("Failed attempts by class", &failures));
    let components: Vec<(String, u64)> =
        report.failed_components.iter().map(|(name, n)| (name.clone(), *n)).collect();
    page.push_str("<h2>In which component</h2>\n");
    page.push_str(&bars("Failed attempts by component", &components));
    page.push_str(&waits(report));
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
            phase.done,
            report.installs,
            span(phase.p50_ms),
            span(phase.p90_ms),
            span(phase.max_ms)
        );
    }
    text + "</table>\n"
}

fn waits(report: &Report) -> String {
    let mut text = String::from("<h2>Who waited for what</h2>\n");
    if report.waited.is_empty() {
        return text + "<p>Nobody, for anybody.</p>\n";
    }
    text.push_str(
        "<table><tr><th>for</th><th class=\"n\">times</th><th class=\"n\">on average</th>\
         <th class=\"n\">longest</th></tr>\n",
    );
    for wait in &report.waited {
        let times = i64::try_from(wait.times.max(1)).unwrap_or(i64::MAX);
        let _ = writeln!(
            text,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            escape(&wait.what),
            wait.times,
            span(wait.total_ms / times),
            span(wait.longest_ms)
        );
    }
    text + "</table>\n"
}

/// How many installs were how: one area on the other. Its points are those at which much changes, evenly
/// spaced: days in which nothing happens take no room.
fn waves(report: &Report) -> String {
    let all = f64::from(report.installs.max(1));
    let points = report.series.len();
    let x = |n: usize| WIDTH * part(n, points.saturating_sub(1).max(1));
    let count = |point: &Series, state: State| f64::from(point.counts.get(&state).copied().unwrap_or(0));
    let mut base = vec![0.0; points];
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"Installs by state over time\">\n",
        HEIGHT + 30.0
    );
    for (state, _, colour) in STATES {
        let top: Vec<f64> =
            base.iter().zip(&report.series).map(|(base, point)| base + count(point, state)).collect();
        let y = |value: f64| HEIGHT * (1.0 - value / all);
        let upper = top.iter().enumerate().map(|(n, v)| format!("{:.1},{:.1}", x(n), y(*v)));
        let lower = base.iter().enumerate().rev().map(|(n, v)| format!("{:.1},{:.1}", x(n), y(*v)));
        let path: Vec<String> = upper.chain(lower).collect();
        let _ = writeln!(svg, "<polygon points=\"{}\" fill=\"{colour}\"/>", path.join(" "));
        base = top;
    }
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
    svg.push_str("</svg>\n<ul class=\"key\">");
    for (_, name, colour) in STATES {
        let _ = write!(svg, "<li><span style=\"background:{colour}\"></span>{name}</li>");
    }
    svg + "</ul>\n"
}

fn bars(label: &str, rows: &[(String, u64)]) -> String {
    let Some(most) = rows.iter().map(|(_, n)| *n).max().filter(|most| *most > 0) else {
        return "<p>Nothing.</p>\n".to_owned();
    };
    let height = 28 * rows.len();
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n");
    for (n, (name, number)) in rows.iter().enumerate() {
        let y = 28 * n;
        let length = 560.0 * part(usize::try_from(*number).unwrap_or(0), usize::try_from(most).unwrap_or(1));
        let _ = writeln!(
            svg,
            "<text x=\"0\" y=\"{}\" font-size=\"14\" fill=\"#52606d\">{}</text>\
             <rect x=\"160\" y=\"{}\" width=\"{length:.1}\" height=\"18\" rx=\"3\" fill=\"#c2483d\"/>\
             <text x=\"{:.1}\" y=\"{}\" font-size=\"14\" fill=\"#52606d\">{number}</text>",
            y + 18,
            escape(name),
            y + 4,
            170.0 + length,
            y + 18
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
