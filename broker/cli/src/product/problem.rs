//! What is wrong with a product's file, where, and what to do about it.
//!
//! A problem is data first; the rustc-like picture and the JSON are made from it here.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// No release can be cut.
    Error,
    /// A release can be cut; have a look.
    Note,
}

/// One thing that is wrong in a product's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable code, e.g. `config.unknown_field`; each has a page in `docs/errors/config.md`.
    pub code: &'static str,
    /// Whether it stops a release.
    pub severity: Severity,
    /// What is the matter, in a sentence.
    pub message: String,
    /// Where, in bytes of the file.
    pub span: Range<usize>,
    /// What to say at that place.
    pub label: String,
    /// Other places that belong to it.
    pub also: Vec<(Range<usize>, String)>,
    /// What to do.
    pub help: Vec<String>,
}

impl Problem {
    /// An error at a place.
    pub fn error(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: message.into(),
            span,
            label: String::new(),
            also: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Something to look at, that stops nothing.
    pub fn note(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(code, span, message) }
    }

    /// With a word at its place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// With another place.
    #[must_use]
    pub fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// With "did you mean", when one of the names is near.
    #[must_use]
    pub fn did_you_mean<'a>(self, wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        match nearest(wrong, names.iter().copied()) {
            Some(near) => self.help(format!("did you mean `{near}`?")),
            None if names.is_empty() => self,
            None => self.help(format!("there is: {}", names.join(", "))),
        }
    }
}

/// The name that somebody most likely meant.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= (wrong.len().max(name.len()) / 3).max(1))
        .min()
        .map(|(_, name)| name)
}

/// The problems as pictures, in the order of the file.
pub fn render(path: &str, text: &str, problems: &[Problem], styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let pictures: Vec<String> = problems.iter().map(|p| picture(&renderer, path, text, p)).collect();
    pictures.join("\n\n")
}

fn picture(renderer: &Renderer, path: &str, text: &str, problem: &Problem) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Note => Level::NOTE,
    };
    let primary = AnnotationKind::Primary.span(clamp(text, &problem.span));
    let primary = if problem.label.is_empty() { primary } else { primary.label(problem.label.as_str()) };
    let mut snippet = Snippet::source(text).path(path).annotation(primary);
    for (span, label) in &problem.also {
        snippet = snippet.annotation(AnnotationKind::Context.span(clamp(text, span)).label(label.as_str()));
    }
    let mut group = level.primary_title(problem.message.as_str()).id(problem.code).element(snippet);
    for help in &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

/// A span that surely lies in the text, on character borders.
fn clamp(text: &str, span: &Range<usize>) -> Range<usize> {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = floor(span.start);
    start..floor(span.end).max(start)
}

/// A problem as programs read it. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProblemJson {
    code: &'static str,
    severity: Severity,
    message: String,
    file: String,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    help: Vec<String>,
}

/// The problems for programs.
pub fn to_json(path: &str, text: &str, problems: &[Problem]) -> Vec<ProblemJson> {
    problems
        .iter()
        .map(|p| {
            let span = clamp(text, &p.span);
            let (line, column) = position(text, span.start);
            let (end_line, end_column) = position(text, span.end);
            ProblemJson {
                code: p.code,
                severity: p.severity,
                message: p.message.clone(),
                file: path.to_owned(),
                line,
                column,
                end_line,
                end_column,
                help: p.help.clone(),
            }
        })
        .collect()
}

/// Line and column, from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
