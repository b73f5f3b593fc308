//! Live lines on a terminal: one for the install, one for each component in work.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use remit_loops::status::StepView;
use remit_loops::timeline::Level;
use remit_loops::view::{Detail, View};

use super::lines::{entry_text, progress_text};
use crate::client::Event;
use crate::output::{DIM, word};

/// How often the spinners turn.
const TICK: Duration = Duration::from_millis(120);
/// The longest text of a line: longer ones would break it.
const TEXT_LEN_MAX: usize = 100;

/// The live lines.
pub(super) struct Bars {
    all: MultiProgress,
    head: ProgressBar,
    components: BTreeMap<String, Line>,
}

struct Line {
    bar: ProgressBar,
    state: String,
    progress: String,
}

impl Bars {
    pub(super) fn new() -> Self {
        let all = MultiProgress::new();
        let head = all.add(ProgressBar::new_spinner().with_style(style("{spinner:.cyan} {msg}")));
        head.enable_steady_tick(TICK);
        Self { all, head, components: BTreeMap::new() }
    }

    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::View(object) => self.view(&object.view),
            Event::Entry(entry) => {
                if entry.level != Level::Info {
                    let _ = self.all.println(entry_text(entry));
                }
            }
            Event::Progress(progress) => {
                if let Some(line) = self.components.get_mut(&progress.component) {
                    line.progress = progress_text(progress);
                    line.draw();
                }
            }
        }
    }

    fn view(&mut self, view: &View) {
        let status = &view.status;
        let waits = view.why.first().filter(|w| w.code != "waiting.step").map(|w| w.reason.clone());
        let text = waits.unwrap_or_else(|| status.description.clone());
        self.head.set_message(clip(&format!("{} is {}: {text}", view.id.name(), word(&status.word))));
        for step in view.operation.iter().chain(&view.reading).flat_map(|o| &o.steps) {
            self.step(step);
        }
        if view.operation.is_none() && view.reading.is_none() {
            self.rest(&view.detail);
        }
    }

    fn step(&mut self, step: &StepView) {
        let all = &self.all;
        let line = self.components.entry(step.component.clone()).or_insert_with(|| {
            let bar = ProgressBar::new_spinner().with_prefix(step.component.clone());
            let bar = all.add(bar);
            Line { bar, state: String::new(), progress: String::new() }
        });
        let tries = if step.attempt > 1 { format!(" (try {})", step.attempt) } else { String::new() };
        let note = if step.note.is_empty() { String::new() } else { format!(": {}", step.note) };
        line.state = format!("{} {}{tries}{note}", step.action.as_str(), word(&step.state));
        let turns = step.state == "running";
        if !turns {
            line.progress.clear();
        }
        line.bar.set_style(style(if turns {
            "  {spinner:.cyan} {prefix:16} {msg}"
        } else {
            "    {prefix:16} {msg}"
        }));
        if turns {
            line.bar.enable_steady_tick(TICK);
        } else {
            line.bar.disable_steady_tick();
        }
        line.draw();
    }

    /// Nothing is in work: each component as it is now.
    fn rest(&mut self, detail: &Detail) {
        let Detail::Install { components, .. } = detail else { return };
        for (name, line) in &mut self.components {
            let state = components.iter().find(|c| c.name == *name).map_or("gone", |c| c.state.as_str());
            line.state = word(state);
            line.progress.clear();
            line.bar.set_style(style("    {prefix:16} {msg}"));
            line.bar.disable_steady_tick();
            line.draw();
        }
    }

    pub(super) fn end(&mut self) {
        for line in self.components.values() {
            line.bar.abandon();
        }
        self.head.abandon();
    }
}

impl Line {
    fn draw(&self) {
        let progress =
            if self.progress.is_empty() { String::new() } else { format!("  {DIM}{}{DIM:#}", self.progress) };
        self.bar.set_message(clip(&format!("{}{progress}", self.state)));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are fixed and right")
}

/// One line, not too long; colours are counted too, which only makes it shorter.
fn clip(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match line.char_indices().nth(TEXT_LEN_MAX) {
        Some((end, _)) => format!("{}…\u{1b}[0m", &line[..end]),
        None => line.to_owned(),
    }
}
