//! What terraform reports while it works (`-json`), line by line: to the log, to progress,
//! and its errors kept for the report.

use serde::Deserialize;

use crate::outcome::MESSAGE_LEN_MAX;
use crate::progress::Progress;
use crate::storage::logs::Stream;
use crate::storage::logs::{LINE_LEN_MAX, Log};

/// The longest line that is parsed.
const EVENT_LEN_MAX: usize = 4 << 20;

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "@message", default)]
    message: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    diagnostic: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    severity: String,
    summary: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    address: Option<String>,
}

/// Follows the lines of one command.
pub(super) struct Events {
    log: Log,
    progress: Progress,
    total: u32,
    done: u32,
    line: Vec<u8>,
    errors: String,
}

impl Events {
    pub(super) fn new(log: &Log, progress: &Progress, total: u32) -> Self {
        let (log, progress) = (log.clone(), progress.clone());
        Self { log, progress, total, done: 0, line: Vec::new(), errors: String::new() }
    }

    /// More bytes; standard error is no JSON and goes to the log as it is.
    pub(super) fn push(&mut self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Err {
            self.log.bytes(stream, bytes);
            self.keep_error(&crate::storage::logs::clean(bytes));
            return;
        }
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            if self.line.len() + piece.len() <= EVENT_LEN_MAX {
                self.line.extend_from_slice(piece);
            }
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    /// The command is over.
    pub(super) fn finish(&mut self) {
        self.end_line();
        self.log.flush();
    }

    /// The errors that it reported.
    pub(super) fn errors(&self) -> String {
        self.errors.trim().to_owned()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        match serde_json::from_slice::<Event>(&line) {
            Ok(event) => self.event(event),
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(_) => self.log.line(&crate::storage::logs::clean(&line[..line.len().min(LINE_LEN_MAX)])),
        }
    }

    fn event(&mut self, event: Event) {
        match (event.kind.as_str(), event.diagnostic) {
            // Values of outputs, and what every command says of itself.
            ("outputs" | "version", _) => {}
            (_, Some(diagnostic)) => self.diagnostic(&diagnostic),
            ("apply_complete", None) => {
                self.done += 1;
                self.log.line(&event.message);
                let of = format!("applied {} of {} changes", self.done, self.total);
                self.progress.say(of, self.done.min(self.total), self.total);
            }
            (_, None) => self.log.line(&event.message),
        }
    }

    fn diagnostic(&mut self, diagnostic: &Diagnostic) {
        let Diagnostic { severity, summary, detail, address } = diagnostic;
        let at = address.as_ref().map(|a| format!(" ({a})")).unwrap_or_default();
        let text = format!("{severity}: {summary}{at}\n{detail}");
        for line in text.lines() {
            self.log.line(line);
        }
        if severity == "error" {
            self.keep_error(&format!("{summary}{at}: {detail}\n"));
        }
    }

    fn keep_error(&mut self, text: &str) {
        if self.errors.len() < MESSAGE_LEN_MAX {
            self.errors.push_str(text);
        }
    }
}
