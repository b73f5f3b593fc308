//! The inputs of a product: types, bounds and who may set them.

use std::ops::Range;

use remit_seal::document::{Authority, Input, Value, ValueType};
use toml::Spanned;
use toml::de::DeValue;

use super::field;
use super::problem::Problem;
use super::reader::{self, Reader, wrong_type};

/// The greatest whole number that every JSON reader keeps exactly.
use remit_seal::strict::INTEGER_MAX;
/// The most bytes of a text when the file says nothing.
const TEXT_LEN_MAX_DEFAULT: u64 = 1024;
/// The most entries of a list when the file says nothing.
const LIST_LEN_MAX_DEFAULT: u64 = 64;

/// One input of a product: its name, and what it is, if that could be read.
pub(super) struct Raw {
    pub(super) name: Spanned<String>,
    pub(super) spec: Option<Input>,
}

/// Reads one input and checks it against itself.
pub(super) fn read(name: Spanned<String>, value: &reader::Value<'_>, out: &mut Vec<Problem>) -> Raw {
    field::check_word("an input", &name, out);
    let what = format!("input `{}`", name.get_ref());
    let spec = Reader::of(value, what.clone(), out).and_then(|fields| spec(&what, &name, fields, out));
    Raw { name, spec }
}

fn spec(what: &str, name: &Spanned<String>, mut fields: Reader<'_>, out: &mut Vec<Problem>) -> Option<Input> {
    let kind = fields.need_text("type", out);
    let value_type = kind.and_then(|text| field::value_type(&text, out));
    let who = fields.need_text("authority", out);
    let authority = who.as_ref().and_then(|text| authority(text, out));
    let default = fields.get("default");
    let max = fields.get("max").and_then(|value| maximum(what, value, out));
    let choices = fields.get("choices");
    let sensitive = fields.flag("sensitive", out);
    let description = fields.text("description", out).map(Spanned::into_inner).unwrap_or_default();
    fields.finish(out);
    let (value_type, authority, who) = (value_type?, authority?, who?);
    let max = max.unwrap_or(match value_type {
        ValueType::Boolean | ValueType::Integer => INTEGER_MAX,
        ValueType::String => TEXT_LEN_MAX_DEFAULT,
        ValueType::StringList => LIST_LEN_MAX_DEFAULT,
    });
    let allowed = choices.map(|value| list_of(what, value, value_type, out)).unwrap_or_default();
    let read = default.and_then(|value| typed(&format!("the default of {what}"), value, value_type, out));
    if let (Some(value), Some(read)) = (default, &read) {
        check_bounds(what, read, max, &allowed, value, out);
    }
    let rule = Rule { what, name: &name.span(), who: &who.span(), authority, sensitive };
    rule.check(default.is_some(), out);
    if let (Authority::Broker, true, Some(value), Some(read)) =
        (authority, allowed.is_empty(), default, &read)
    {
        check_plain(what, read, value, out);
    }
    Some(Input { value_type, authority, default: read, max, choices: allowed, sensitive, description })
}

fn authority(text: &Spanned<String>, out: &mut Vec<Problem>) -> Option<Authority> {
    match text.get_ref().as_str() {
        "fixed" => Some(Authority::Fixed),
        "customer" => Some(Authority::Customer),
        "broker" => Some(Authority::Broker),
        other => {
            let message = format!("`{other}` is no authority: nobody is called that");
            let problem = Problem::error("config.bad_value", text.span(), message);
            out.push(problem.did_you_mean(other, ["fixed", "customer", "broker"]));
            None
        }
    }
}

/// Who may set what.
struct Rule<'a> {
    what: &'a str,
    name: &'a Range<usize>,
    who: &'a Range<usize>,
    authority: Authority,
    sensitive: bool,
}

impl Rule<'_> {
    fn check(&self, has_default: bool, out: &mut Vec<Problem>) {
        let what = self.what;
        let mut refuse = |message: String, help: &str| {
            let problem = Problem::error("config.input_authority", self.who.clone(), message).help(help);
            out.push(problem.also(self.name.clone(), "this input"));
        };
        if self.authority == Authority::Fixed && !has_default {
            refuse(format!("{what} is fixed and has no value"), "add a `default`: it is the value for good");
        }
        if self.sensitive && self.authority != Authority::Customer {
            let message = format!("{what} is sensitive, so only the customer may set it");
            refuse(message, "write `authority = \"customer\"`: a secret must never be with the vendor");
        } else if self.sensitive && has_default {
            let message = format!("{what} is sensitive and has a default, which everybody could read");
            refuse(message, "remove the `default`: a release is no place for a secret");
        }
    }
}

fn maximum(what: &str, value: &reader::Value<'_>, out: &mut Vec<Problem>) -> Option<u64> {
    let max = value.get_ref().as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
    let max = max.filter(|n| *n <= INTEGER_MAX);
    if max.is_none() {
        out.push(wrong_type(&format!("`max` of {what}"), "a whole number, not negative", value));
    }
    max
}

fn list_of(
    what: &str,
    value: &reader::Value<'_>,
    value_type: ValueType,
    out: &mut Vec<Problem>,
) -> Vec<Value> {
    let DeValue::Array(items) = value.get_ref() else {
        out.push(wrong_type(&format!("`choices` of {what}"), "a list of values", value));
        return Vec::new();
    };
    // The choices of a list of texts are the texts that its entries may be.
    let one = if value_type == ValueType::StringList { ValueType::String } else { value_type };
    items.iter().filter_map(|i| typed(&format!("a choice of {what}"), i, one, out)).collect()
}

fn typed(what: &str, value: &reader::Value<'_>, want: ValueType, out: &mut Vec<Problem>) -> Option<Value> {
    let read = plain(what, value, out)?;
    if type_of(&read) != Some(want)
        && !matches!((&read, want), (Value::List(l), ValueType::StringList) if l.is_empty())
    {
        let message = format!("{what} is not of its type, {}", word(want));
        out.push(Problem::error("config.type_mismatch", value.span(), message));
        return None;
    }
    Some(read)
}

fn check_bounds(
    what: &str,
    read: &Value,
    max: u64,
    choices: &[Value],
    value: &reader::Value<'_>,
    out: &mut Vec<Problem>,
) {
    let size = match read {
        Value::Boolean(_) => 0,
        Value::Integer(n) => n.unsigned_abs(),
        Value::String(text) => text.len() as u64,
        Value::List(items) => items.len() as u64,
    };
    if size > max {
        let message = format!("the default of {what} is beyond its `max` of {max}");
        out.push(Problem::error("config.bad_value", value.span(), message));
    }
    let allowed = match read {
        Value::List(items) => items.iter().all(|item| choices.contains(item)),
        Value::Boolean(_) | Value::Integer(_) | Value::String(_) => choices.contains(read),
    };
    if !choices.is_empty() && !allowed {
        let message = format!("the default of {what} is not among its choices");
        out.push(Problem::error("config.bad_value", value.span(), message));
    }
}

/// What the broker may say without the release naming it has nothing that a shell would read.
fn check_plain(what: &str, read: &Value, value: &reader::Value<'_>, out: &mut Vec<Problem>) {
    let plain = |text: &Value| match text {
        Value::String(text) => {
            !text.starts_with(['-', '.'])
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        }
        Value::Boolean(_) | Value::Integer(_) | Value::List(_) => true,
    };
    let fits = match read {
        Value::List(items) => items.iter().all(plain),
        single => plain(single),
    };
    if !fits {
        let message = format!("the default of {what} is a text that the broker may not set");
        let problem = Problem::error("config.bad_value", value.span(), message);
        let problem = problem
            .help("the broker may set letters, digits, `.`, `_` and `-`, not beginning with `-` or `.`");
        out.push(problem.help("or name what it may choose from: `choices = [\"…\"]`"));
    }
}

/// A value without references, as a document holds it.
pub(super) fn plain(what: &str, value: &reader::Value<'_>, out: &mut Vec<Problem>) -> Option<Value> {
    match value.get_ref() {
        DeValue::Boolean(b) => Some(Value::Boolean(*b)),
        DeValue::Integer(n) => {
            let number = i64::from_str_radix(n.as_str(), n.radix()).ok();
            let number = number.filter(|n| n.unsigned_abs() <= INTEGER_MAX);
            if number.is_none() {
                let message = format!("{what} is beyond what every reader of numbers keeps exactly");
                let problem = Problem::error("config.bad_value", value.span(), message);
                out.push(problem.help("stay within ±9007199254740991, or write it as a text"));
            }
            number.map(Value::Integer)
        }
        DeValue::String(text) => Some(Value::String(text.to_string())),
        DeValue::Array(_) => {
            let items = reader::texts(what, value, out);
            Some(Value::List(items.into_iter().map(|i| Value::String(i.into_inner())).collect()))
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => {
            let problem = wrong_type(what, "a truth value, a whole number, a text or a list of texts", value);
            out.push(problem.help("write it as a text; the component can read it back"));
            None
        }
    }
}

fn type_of(value: &Value) -> Option<ValueType> {
    match value {
        Value::Boolean(_) => Some(ValueType::Boolean),
        Value::Integer(_) => Some(ValueType::Integer),
        Value::String(_) => Some(ValueType::String),
        Value::List(items) => {
            items.iter().all(|i| matches!(i, Value::String(_))).then_some(ValueType::StringList)
        }
    }
}

/// The word for a type in files.
pub(super) fn word(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Boolean => "boolean",
        ValueType::Integer => "integer",
        ValueType::String => "string",
        ValueType::StringList => "string_list",
    }
}
