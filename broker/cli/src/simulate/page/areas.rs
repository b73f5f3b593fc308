//! How many installs were how over time, as areas on top of each other: of all installs, or of a wave.

use std::fmt::Write as _;

use crate::simulation::{Series, State};

/// What states are called, in which colour, from the bottom of a picture to its top.
const STATES: [(State, &str, &str); 6] = [
    (State::Updated, "on the new release", "#2f7d4f"),
    (State::Updating, "on their way to it", "#7fb7e6"),
    (State::Held, "waiting for a person", "#c2483d"),
    (State::Waiting, "waiting for their time", "#e0a63a"),
    (State::Active, "on the first release", "#c9d2da"),
    (State::Provisioning, "being made", "#e9e2cf"),
];

/// Where a picture lies in its drawing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) top: f64,
    pub(super) height: f64,
    /// Where its last point lies.
    pub(super) right: f64,
}

/// The areas of a series; `x` says where each of its points lies. What changes between two points is drawn at
/// the second.
pub(super) fn areas(series: &[Series], installs: u32, place: Place, x: impl Fn(usize) -> f64) -> String {
    let all = f64::from(installs.max(1));
    let y = |value: f64| place.top + place.height * (1.0 - value / all);
    let mut base = vec![0.0; series.len()];
    let mut svg = String::new();
    for (state, _, colour) in STATES {
        let count = |point: &Series| f64::from(point.counts.get(&state).copied().unwrap_or(0));
        let top: Vec<f64> = base.iter().zip(series).map(|(base, point)| base + count(point)).collect();
        if top != base {
            let upper = steps(&top, place.right, &x, y);
            let mut lower = steps(&base, place.right, &x, y);
            lower.reverse();
            let path = [upper, lower].concat().join(" ");
            let _ = writeln!(svg, "<polygon points=\"{path}\" fill=\"{colour}\"/>");
        }
        base = top;
    }
    svg
}

/// The corners of a line that keeps its height from each point to the next.
fn steps(values: &[f64], right: f64, x: &impl Fn(usize) -> f64, y: impl Fn(f64) -> f64) -> Vec<String> {
    let until = |n: usize| if n + 1 < values.len() { x(n + 1) } else { right };
    let corner = |x: f64, value: f64| format!("{x:.1},{:.1}", y(value));
    values.iter().enumerate().flat_map(|(n, v)| [corner(x(n), *v), corner(until(n), *v)]).collect()
}

/// What the colours mean.
pub(super) fn key() -> String {
    let mut text = String::from("<ul class=\"key\">");
    for (_, name, colour) in STATES {
        let _ = write!(text, "<li><span style=\"background:{colour}\"></span>{name}</li>");
    }
    text + "</ul>\n"
}
