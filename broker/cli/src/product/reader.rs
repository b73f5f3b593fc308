//! Reads tables of TOML strictly: every field is asked for by name, the rest is unknown.
//!
//! This is `deny_unknown_fields` that goes on after the first problem and knows where it is.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// A value with its place.
pub(super) type Value<'t> = Spanned<DeValue<'t>>;

/// One table being read.
pub(super) struct Reader<'t> {
    table: &'t DeTable<'t>,
    span: Range<usize>,
    what: String,
    known: Vec<&'static str>,
}

impl<'t> Reader<'t> {
    /// Reads this table, called `what` in messages.
    pub(super) fn new(table: &'t DeTable<'t>, span: Range<usize>, what: impl Into<String>) -> Self {
        Self { table, span, what: what.into(), known: Vec::new() }
    }

    /// Reads a value that must be a table.
    pub(super) fn of(value: &'t Value<'t>, what: impl Into<String>, out: &mut Vec<Problem>) -> Option<Self> {
        let what = what.into();
        match value.get_ref() {
            DeValue::Table(table) => Some(Self::new(table, value.span(), what)),
            _ => {
                out.push(wrong_type(&what, "a table", value));
                None
            }
        }
    }

    /// The value of a field.
    pub(super) fn get(&mut self, field: &'static str) -> Option<&'t Value<'t>> {
        self.known.push(field);
        self.table.get(field)
    }

    /// The value of a field that must be there.
    pub(super) fn require(&mut self, field: &'static str, out: &mut Vec<Problem>) -> Option<&'t Value<'t>> {
        let value = self.get(field);
        if value.is_none() {
            let message = format!("{} has no `{field}`", self.what);
            let problem = Problem::error("config.missing_field", self.head(), message);
            out.push(problem.help(format!("add a line `{field} = …`")));
        }
        value
    }

    /// A text.
    pub(super) fn text(&mut self, field: &'static str, out: &mut Vec<Problem>) -> Option<Spanned<String>> {
        let value = self.get(field)?;
        text(&self.field(field), value, out)
    }

    /// A text that must be there.
    pub(super) fn need_text(
        &mut self,
        field: &'static str,
        out: &mut Vec<Problem>,
    ) -> Option<Spanned<String>> {
        let value = self.require(field, out)?;
        text(&self.field(field), value, out)
    }

    /// A truth value; false when absent.
    pub(super) fn flag(&mut self, field: &'static str, out: &mut Vec<Problem>) -> bool {
        let Some(value) = self.get(field) else { return false };
        value.get_ref().as_bool().unwrap_or_else(|| {
            out.push(wrong_type(&self.field(field), "true or false", value));
            false
        })
    }

    /// A list of texts; empty when absent.
    pub(super) fn texts(&mut self, field: &'static str, out: &mut Vec<Problem>) -> Vec<Spanned<String>> {
        let what = self.field(field);
        self.get(field).map(|value| texts(&what, value, out)).unwrap_or_default()
    }

    /// The entries of a table with free names, in the order of the file; empty when absent.
    pub(super) fn entries(
        &mut self,
        field: &'static str,
        out: &mut Vec<Problem>,
    ) -> Vec<(Spanned<String>, &'t Value<'t>)> {
        let what = self.field(field);
        self.get(field).map(|value| entries(&what, value, out)).unwrap_or_default()
    }

    /// Reports every field that nobody asked for.
    pub(super) fn finish(self, out: &mut Vec<Problem>) {
        for name in self.table.keys().filter(|k| !self.known.contains(&k.get_ref().as_ref())) {
            let message = format!("unknown field `{}` in {}", name.get_ref(), self.what);
            let problem = Problem::error("config.unknown_field", name.span(), message).label("not a field");
            out.push(problem.did_you_mean(name.get_ref(), self.known.iter().copied()));
        }
    }

    fn field(&self, field: &str) -> String {
        format!("`{field}` of {}", self.what)
    }

    /// Where the table begins; the whole of it would be too long to show.
    fn head(&self) -> Range<usize> {
        self.span.clone()
    }
}

/// The value as a text.
pub(super) fn text(what: &str, value: &Value<'_>, out: &mut Vec<Problem>) -> Option<Spanned<String>> {
    match value.get_ref() {
        DeValue::String(text) => Some(Spanned::new(value.span(), text.to_string())),
        _ => {
            out.push(wrong_type(what, "a text", value));
            None
        }
    }
}

/// The value as a list of texts.
pub(super) fn texts(what: &str, value: &Value<'_>, out: &mut Vec<Problem>) -> Vec<Spanned<String>> {
    match value.get_ref() {
        DeValue::Array(items) => items.iter().filter_map(|item| text(what, item, out)).collect(),
        _ => {
            out.push(wrong_type(what, "a list of texts", value));
            Vec::new()
        }
    }
}

/// The entries of a table with free names, in the order of the file.
pub(super) fn entries<'t>(
    what: &str,
    value: &'t Value<'t>,
    out: &mut Vec<Problem>,
) -> Vec<(Spanned<String>, &'t Value<'t>)> {
    let DeValue::Table(table) = value.get_ref() else {
        out.push(wrong_type(what, "a table", value));
        return Vec::new();
    };
    let mut entries: Vec<_> =
        table.iter().map(|(k, v)| (Spanned::new(k.span(), k.get_ref().to_string()), v)).collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    entries
}

/// The problem of a value of another type than it should have.
pub(super) fn wrong_type(what: &str, want: &str, value: &Value<'_>) -> Problem {
    let got = value.get_ref().type_str();
    let message = format!("{what} must be {want}, not {}", article(got));
    Problem::error("config.wrong_type", value.span(), message).label(format!("this is {}", article(got)))
}

fn article(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}
