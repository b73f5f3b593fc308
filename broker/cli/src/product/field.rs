//! What several parts of a product's file read alike: names, types, kinds, programs; and a component as it stands
//! in the file.

use std::collections::{BTreeMap, BTreeSet};

use remit_loops::id::is_name;
use remit_seal::document::{ComponentKind, Health, Output, ValueType};
use remit_seal::verify::is_field;
use toml::Spanned;
use toml::de::DeValue;

use super::problem::Problem;
use super::reader::{Value, texts};

/// One component, read.
pub(super) struct RawComponent<'t> {
    pub(super) name: Spanned<String>,
    pub(super) kind: Option<ComponentKind>,
    pub(super) source: Option<Spanned<String>>,
    pub(super) needs: Vec<Spanned<String>>,
    pub(super) longest_run_ms: i64,
    pub(super) sandbox: bool,
    pub(super) inputs: Vec<(Spanned<String>, &'t Value<'t>)>,
    /// None where the declaration could not be read: the output exists all the same.
    pub(super) outputs: BTreeMap<String, Option<Output>>,
    /// Its actions among them.
    pub(super) commands: BTreeMap<String, Vec<String>>,
    /// The names of commands that only rules run.
    pub(super) actions: Vec<String>,
    /// When its probe runs.
    pub(super) health: Option<Health>,
    pub(super) escapes: BTreeSet<String>,
}

/// Whether this may name an object.
pub(super) fn check_name(name: &Spanned<String>, out: &mut Vec<Problem>) {
    if !is_name(name.get_ref()) {
        let message = format!("`{}` is no name", name.get_ref());
        let problem = Problem::error("config.bad_name", name.span(), message);
        out.push(problem.help("use 1 to 40 of a-z, 0-9 and -, beginning with a letter"));
    }
}

/// Whether this may name an input or an output: what terraform and a shell take.
pub(super) fn check_word(what: &str, name: &Spanned<String>, out: &mut Vec<Problem>) {
    let text = name.get_ref();
    if !is_field(text) {
        let problem =
            Problem::error("config.bad_name", name.span(), format!("`{text}` is no name of {what}"));
        out.push(problem.help("use 1 to 64 of a-z, 0-9 and _, beginning with a letter"));
    }
}

/// The kind that a word means.
pub(super) fn kind(text: &Spanned<String>, out: &mut Vec<Problem>) -> Option<ComponentKind> {
    let found = ComponentKind::ALL.into_iter().find(|k| k.as_str() == text.get_ref());
    if found.is_none() {
        let message = format!("`{}` is no kind of component", text.get_ref());
        let problem = Problem::error("config.bad_value", text.span(), message);
        out.push(problem.did_you_mean(text.get_ref(), ComponentKind::ALL.map(ComponentKind::as_str)));
    }
    found
}

/// The type that a word means.
pub(super) fn value_type(text: &Spanned<String>, out: &mut Vec<Problem>) -> Option<ValueType> {
    let found = match text.get_ref().as_str() {
        "boolean" => Some(ValueType::Boolean),
        "integer" => Some(ValueType::Integer),
        "string" => Some(ValueType::String),
        "string_list" => Some(ValueType::StringList),
        _ => None,
    };
    if found.is_none() {
        let message = format!("`{}` is no type", text.get_ref());
        let problem = Problem::error("config.bad_value", text.span(), message);
        out.push(match text.get_ref().as_str() {
            "bool" => problem.help("did you mean `boolean`?"),
            "int" | "number" => problem.help("did you mean `integer`?"),
            "list" | "strings" | "array" => problem.help("did you mean `string_list`?"),
            other => problem.did_you_mean(other, ["boolean", "integer", "string", "string_list"]),
        });
    }
    found
}

/// A program and its arguments.
pub(super) fn program(
    what: &str,
    name: &Spanned<String>,
    value: &Value<'_>,
    out: &mut Vec<Problem>,
) -> Vec<String> {
    let words = texts(&format!("command `{}` of {what}", name.get_ref()), value, out);
    if words.is_empty() && matches!(value.get_ref(), DeValue::Array(items) if items.is_empty()) {
        let message = format!("command `{}` of {what} is empty", name.get_ref());
        let problem = Problem::error("config.bad_value", value.span(), message);
        out.push(problem.help("name a program and its arguments, like `[\"sh\", \"deploy.sh\"]`"));
    }
    for word in words.iter().filter(|w| w.get_ref().contains("{{")) {
        let message = format!("a command of {what} holds a reference");
        let problem = Problem::error("config.bad_reference", word.span(), message);
        out.push(problem.help("commands take none: a script finds its inputs in `$REMIT_INPUT_<NAME>`"));
    }
    words.into_iter().map(Spanned::into_inner).collect()
}
