//! What is written to the terminal: text for people, JSON for programs, never both.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use remit_loops::Timestamp;
use serde::Serialize;

use crate::failure::Failure;

/// In which form answers are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document a command (one a line for streams).
    Json,
}

impl Format {
    /// One answer: as JSON, or as the text that `text` makes.
    pub fn answer<T: Serialize>(self, value: &T, text: impl FnOnce() -> String) {
        match self {
            Format::Json => self.json(value),
            Format::Text => {
                let text = text();
                if !text.is_empty() {
                    anstream::println!("{}", text.trim_end());
                }
            }
        }
    }

    /// One JSON document on a line of its own.
    pub fn json<T: Serialize>(self, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => anstream::println!("{text}"),
            Err(error) => anstream::eprintln!("cannot write JSON: {error}"),
        }
    }

    /// Something that people want to know and programs do not: to standard error.
    pub fn say(self, text: impl AsRef<str>) {
        if self == Format::Text {
            anstream::eprintln!("{}", text.as_ref());
        }
    }
}

/// Writes a failure to standard error.
pub fn print_failure(format: Format, failure: &Failure) {
    if format == Format::Json {
        let text = serde_json::json!({ "error": failure });
        anstream::eprintln!("{text}");
        return;
    }
    let bold = Style::new().bold();
    match &failure.more {
        Some(more) => anstream::eprintln!("{}\n", more.picture),
        None => anstream::eprintln!("{RED}error[{}]{RED:#}{bold}: {}{bold:#}", failure.code, failure.message),
    }
    if !failure.hint.is_empty() {
        anstream::eprintln!("  {CYAN}help:{CYAN:#} {}", failure.hint);
    }
}

/// Something failed.
pub const RED: Style = AnsiColor::Red.on_default().bold();
/// Something to look at.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// All is well.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Something to do.
pub const CYAN: Style = AnsiColor::Cyan.on_default();
/// Less important.
pub const DIM: Style = Style::new().dimmed();
/// A heading.
pub const BOLD: Style = Style::new().bold();

/// The style of a status word.
pub fn style_of(word: &str) -> Style {
    match word {
        "active" | "succeeded" | "deployed" | "online" | "deleted" => GREEN,
        "held" | "failed" | "degraded" | "incomplete" | "delete_incomplete" | "revoked" => RED,
        "drifted" | "paused" | "waiting" | "offline" | "expected" | "unconfirmed" => YELLOW,
        _ => CYAN,
    }
}

/// A word in its style.
pub fn word(word: &str) -> String {
    let style = style_of(word);
    format!("{style}{word}{style:#}")
}

/// A table with aligned columns.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head.
    pub fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|h| format!("{BOLD}{}{BOLD:#}", h.to_uppercase())).collect();
        Self { rows: vec![head] }
    }

    /// One more row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether there is nothing but the head.
    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// As text; `nothing` if there is no row.
    pub fn render(&self, nothing: &str) -> String {
        if self.is_empty() {
            return nothing.to_owned();
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|r| r.get(column)).map(|c| visible_len(c)).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            for (i, cell) in row.iter().enumerate() {
                let pad = if i + 1 == row.len() { 0 } else { widths[i] - visible_len(cell) + 2 };
                let _ = write!(text, "{cell}{:pad$}", "");
            }
            text.push('\n');
        }
        text
    }
}

/// How many columns a text takes, without its colours.
fn visible_len(text: &str) -> usize {
    anstream::adapter::strip_str(text).to_string().chars().count()
}

/// A time of day, or date and time when it is not today, in the local time zone.
pub fn time(at: Timestamp) -> String {
    let Ok(stamp) = jiff::Timestamp::from_millisecond(at.0) else { return "?".into() };
    let zoned = stamp.to_zoned(jiff::tz::TimeZone::system());
    if zoned.date() == jiff::Zoned::now().date() {
        zoned.strftime("%H:%M:%S").to_string()
    } else {
        zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }
}

/// A length of bytes for people.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// This moment.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_whatever_their_colours() {
        let mut table = Table::new(&["name", "status"]);
        table.row(["network".to_owned(), word("active")]);
        table.row(["a".to_owned(), "x".to_owned()]);
        let plain = anstream::adapter::strip_str(&table.render("none")).to_string();
        assert_eq!(plain, "NAME     STATUS\nnetwork  active\na        x\n");
        assert_eq!(Table::new(&["name"]).render("none"), "none");
    }
}
