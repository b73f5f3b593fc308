//! Plain lines: what happens, once each, for pipes and logs.

use std::collections::BTreeMap;

use remit_broker::api::wire::{Progress, TimelineEntry};
use remit_loops::timeline::Level;
use remit_loops::view::View;
use remit_loops::{Kind, Timestamp};

use crate::client::Event;
use crate::output::{CYAN, DIM, RED, YELLOW, now_ms, time, word};

/// What was said already.
#[derive(Default)]
pub(super) struct Lines {
    status: String,
    waits_for: String,
    progress: BTreeMap<String, String>,
}

impl Lines {
    pub(super) fn show(&mut self, event: &Event) {
        match event {
            Event::View(object) => self.view(&object.view),
            Event::Entry(entry) => line(entry.at, &entry_text(entry)),
            Event::Progress(progress) => self.progress(progress),
        }
    }

    fn view(&mut self, view: &View) {
        let status = view.status.word.clone();
        if status != self.status {
            line(
                view.status.since,
                &format!("{} is {}: {}", view.id.name(), word(&status), view.status.description),
            );
            self.status = status;
        }
        let first = view.why.first().filter(|w| w.code != "waiting.step");
        let waits_for = first.map(|w| w.reason.clone()).unwrap_or_default();
        if waits_for != self.waits_for {
            if let Some(waiting) = first {
                line(waiting.since, &format!("{YELLOW}waits:{YELLOW:#} {}", waiting.reason));
            }
            self.waits_for = waits_for;
        }
    }

    fn progress(&mut self, progress: &Progress) {
        let text = progress_text(progress);
        if self.progress.get(&progress.component) != Some(&text) {
            line(Timestamp(now_ms()), &format!("{CYAN}{}{CYAN:#} {text}", progress.component));
            self.progress.insert(progress.component.clone(), text);
        }
    }
}

fn line(at: Timestamp, text: &str) {
    anstream::println!("{DIM}{}{DIM:#} {text}", time(at));
}

/// A line of the timeline with its object's name.
pub(super) fn entry_text(entry: &TimelineEntry) -> String {
    let name = match entry.object.kind() {
        Kind::Runner => "runner",
        Kind::Org | Kind::App | Kind::Install | Kind::Component => entry.object.name(),
    };
    match entry.level {
        Level::Info => format!("{CYAN}{name}{CYAN:#} {}", entry.text),
        Level::Warning => format!("{CYAN}{name}{CYAN:#} {YELLOW}{}{YELLOW:#}", entry.text),
        Level::Error => format!("{CYAN}{name}{CYAN:#} {RED}{}{RED:#}", entry.text),
    }
}

/// How far an attempt is.
pub(super) fn progress_text(progress: &Progress) -> String {
    match progress.total {
        0 => progress.message.clone(),
        total => format!("{} ({} of {total})", progress.message, progress.done),
    }
}
