//! Terraform's own language, by `hcl-edit`: a parser of the whole grammar with the place of each part.
//!
//! Where another parser than terraform's might see the end of a text elsewhere, the file is refused: then both
//! see the same texts and comments, and with them the same blocks.

use std::collections::BTreeSet;
use std::ops::Range;

use hcl_edit::Span;
use hcl_edit::expr::{Expression, ObjectKey, ObjectValue};
use hcl_edit::structure::{self, Structure};
use hcl_edit::visit::{self, Visit};

use crate::body::{Attribute, Block, Body};

/// Reads a file; an error has its line and why.
pub(crate) fn parse(text: &str) -> Result<Body, (u32, String)> {
    plain(text)?;
    let parsed = hcl_edit::parser::parse_body(text).map_err(|error| {
        let line = u32::try_from(error.location().line()).unwrap_or(u32::MAX);
        (line, error.message().to_owned())
    })?;
    let mut heredocs = Heredocs { text, wrong: None };
    heredocs.visit_body(&parsed);
    match heredocs.wrong {
        Some(wrong) => Err(wrong),
        None => body(&parsed, &Lines::of(text)),
    }
}

/// Signs that parsers read differently.
fn plain(text: &str) -> Result<(), (u32, String)> {
    for (line, number) in text.split('\n').zip(1..) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.chars().any(|c| (c.is_control() && c != '\t') || c == '\u{feff}') {
            return Err((number, "a control character".to_owned()));
        }
        // An even number of them before a brace is an escape for one parser and not for another.
        if line.contains("$$$") || line.contains("%%%") {
            return Err((number, "more than two `$` or `%` in a row: write them in a variable".to_owned()));
        }
    }
    Ok(())
}

/// Looks over every heredoc: no line of it may look like its end but the end.
struct Heredocs<'a> {
    text: &'a str,
    wrong: Option<(u32, String)>,
}

impl Visit for Heredocs<'_> {
    fn visit_expr(&mut self, expr: &Expression) {
        if let Expression::HeredocTemplate(heredoc) = expr {
            let delimiter = heredoc.delimiter.as_str();
            let raw = expr.span().and_then(|span| self.text.get(span.clone()).map(|raw| (span, raw)));
            let fault = match &raw {
                Some((span, raw)) => misread(raw, delimiter, self.text.get(span.end..).unwrap_or_default()),
                None => Some("a heredoc without a place"),
            };
            if let Some(fault) = fault {
                let at = raw.map_or(0, |(span, _)| span.start);
                self.wrong.get_or_insert((Lines::of(self.text).at(at), fault.to_owned()));
            }
        }
        visit::visit_expr(self, expr);
    }
}

/// Why a heredoc might end elsewhere for another parser.
fn misread(raw: &str, delimiter: &str, after: &str) -> Option<&'static str> {
    let mut lines = raw.lines().skip(1).peekable();
    let mut last = "";
    while let Some(line) = lines.next() {
        if lines.peek().is_none() {
            last = line;
        } else if line.trim().starts_with(delimiter) {
            return Some("a line in a heredoc that begins with its end mark");
        }
    }
    let ends = after.starts_with('\n') || after.starts_with("\r\n");
    if last.trim_matches([' ', '\t']) != delimiter || !ends {
        return Some("a heredoc whose end mark does not stand alone on its line");
    }
    None
}

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    fn at(&self, offset: usize) -> u32 {
        u32::try_from(self.0.partition_point(|newline| *newline < offset) + 1).unwrap_or(u32::MAX)
    }

    fn of_span(&self, span: Option<Range<usize>>) -> u32 {
        span.map_or(0, |span| self.at(span.start))
    }
}

fn body(parsed: &structure::Body, lines: &Lines) -> Result<Body, (u32, String)> {
    let mut out = Body::default();
    for item in parsed {
        match item {
            Structure::Attribute(attribute) => {
                let line = lines.of_span(attribute.span());
                let (name, value) = (attribute.key.as_str(), &attribute.value);
                out.attributes.push(Attribute {
                    name: ascii(name, line)?,
                    line,
                    text: plain_text(value),
                    members: members(value),
                });
            }
            Structure::Block(block) => {
                let line = lines.of_span(block.span());
                let labels = block.labels.iter().map(|label| ascii(label.as_str(), line));
                out.blocks.push(Block {
                    kind: ascii(block.ident.as_str(), line)?,
                    labels: labels.collect::<Result<_, _>>()?,
                    line,
                    body: body(&block.body, lines)?,
                });
            }
        }
    }
    Ok(out)
}

/// Terraform brings other letters into a normal form first, so that two that differ may be one to it.
fn ascii(name: &str, line: u32) -> Result<String, (u32, String)> {
    if name.is_ascii() { Ok(name.to_owned()) } else { Err((line, format!("`{name}` is not plain ASCII"))) }
}

fn plain_text(value: &Expression) -> Option<String> {
    match value {
        Expression::String(text) => Some(text.value().clone()),
        Expression::Parenthesis(inner) => plain_text(inner.inner()),
        _ => None,
    }
}

fn members(value: &Expression) -> BTreeSet<String> {
    let mut members = Members(BTreeSet::new());
    members.visit_expr(value);
    members.0
}

/// The names of members of objects in an expression.
struct Members(BTreeSet<String>);

impl Visit for Members {
    fn visit_object_item(&mut self, key: &ObjectKey, value: &ObjectValue) {
        let name = key.as_ident().map(|name| name.as_str().to_owned());
        let name = name.or_else(|| plain_text(key.as_expr()?));
        self.0.extend(name);
        visit::visit_object_item(self, key, value);
    }
}
