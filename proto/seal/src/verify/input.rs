//! Inputs: whether a declaration is sound and whether a value fits it.

use crate::Refusal;
use crate::document::{Authority, Input, Value, ValueType};
use crate::refusal::clip;

/// The most bytes of one text, whatever an input's own limit says.
pub const TEXT_LEN_MAX: u64 = 64 << 10;
/// The most choices of one input.
const CHOICES_MAX: usize = 256;

/// Whether a value fits an input's type, bounds and choices. Also used for the customer's own inputs.
///
/// The choices of a list of texts are the texts that its entries may be.
pub fn input_fits(name: &str, spec: &Input, value: &Value) -> Result<(), Refusal> {
    fits_type(name, spec.value_type, value)?;
    fits_bounds(name, spec, value)?;
    fits_choices(name, spec, value)
}

/// Whether the broker may send this value: it fits, and a text that the release does not
/// list among its choices has nothing in it that a shell, a path or a template would read.
pub fn broker_input_fits(name: &str, spec: &Input, value: &Value) -> Result<(), Refusal> {
    input_fits(name, spec, value)?;
    if spec.choices.is_empty() && !texts(value).iter().all(|text| is_plain(text)) {
        return Err(Refusal::InputText { input: clip(name), allowed: PLAIN });
    }
    Ok(())
}

const PLAIN: &str = "the broker may send letters, digits, `.`, `_` and `-`, not beginning with `-` or `.`";

fn is_plain(text: &str) -> bool {
    !text.starts_with(['-', '.'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// Whether an input's declaration makes sense. What does not would fail only in a customer's account.
pub(super) fn check_spec(name: &str, spec: &Input) -> Result<(), Refusal> {
    let unsound = |detail| Err(Refusal::InputSpec { input: clip(name), detail });
    if spec.authority == Authority::Fixed && spec.default.is_none() {
        return unsound("a fixed input needs a default, which is its value");
    }
    if spec.sensitive && spec.authority != Authority::Customer {
        return unsound("only the customer may set a sensitive input");
    }
    if spec.choices.len() > CHOICES_MAX {
        return unsound("it has more than 256 choices");
    }
    if spec.description.len() as u64 > TEXT_LEN_MAX {
        return unsound("its description is too long");
    }
    for choice in &spec.choices {
        check_choice(name, spec, choice)?;
    }
    match &spec.default {
        Some(default) if spec.authority == Authority::Broker => broker_input_fits(name, spec, default),
        Some(default) => input_fits(name, spec, default),
        None => Ok(()),
    }
}

fn check_choice(name: &str, spec: &Input, choice: &Value) -> Result<(), Refusal> {
    match (spec.value_type, choice) {
        (ValueType::StringList, Value::String(text)) => check_text(name, text),
        (value_type, choice) => {
            fits_type(name, value_type, choice)?;
            fits_bounds(name, spec, choice)
        }
    }
}

fn fits_type(name: &str, value_type: ValueType, value: &Value) -> Result<(), Refusal> {
    let (fits, expected) = match value_type {
        ValueType::Boolean => (matches!(value, Value::Boolean(_)), "true or false"),
        ValueType::Integer => (matches!(value, Value::Integer(_)), "a whole number"),
        ValueType::String => (matches!(value, Value::String(_)), "a text"),
        ValueType::StringList => (is_list_of_texts(value), "a list of texts"),
    };
    if fits { Ok(()) } else { Err(Refusal::InputType { input: clip(name), expected }) }
}

fn is_list_of_texts(value: &Value) -> bool {
    matches!(value, Value::List(items) if items.iter().all(|item| matches!(item, Value::String(_))))
}

fn fits_bounds(name: &str, spec: &Input, value: &Value) -> Result<(), Refusal> {
    let (size, max) = match value {
        Value::Boolean(_) => return Ok(()),
        Value::Integer(number) => (number.unsigned_abs(), spec.max),
        Value::String(text) => (text.len() as u64, spec.max.min(TEXT_LEN_MAX)),
        Value::List(items) => (items.len() as u64, spec.max),
    };
    if size > max {
        return Err(Refusal::InputBounds { input: clip(name), max });
    }
    texts(value).into_iter().try_for_each(|text| check_text(name, text))
}

/// A text must fit an environment variable: no NUL, and not endless.
fn check_text(name: &str, text: &str) -> Result<(), Refusal> {
    if text.contains('\0') {
        return Err(Refusal::InputText { input: clip(name), allowed: "anything but NUL" });
    }
    if text.len() as u64 > TEXT_LEN_MAX {
        return Err(Refusal::InputBounds { input: clip(name), max: TEXT_LEN_MAX });
    }
    Ok(())
}

fn fits_choices(name: &str, spec: &Input, value: &Value) -> Result<(), Refusal> {
    let fits = match (spec.value_type, value) {
        _ if spec.choices.is_empty() => true,
        (ValueType::StringList, Value::List(items)) => items.iter().all(|item| spec.choices.contains(item)),
        (_, value) => spec.choices.contains(value),
    };
    if fits { Ok(()) } else { Err(Refusal::InputChoice { input: clip(name) }) }
}

/// The texts in a value; for a list of lists none, since no input is one.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Boolean(_) | Value::Integer(_) => Vec::new(),
        Value::String(text) => vec![text],
        Value::List(items) => items.iter().filter_map(as_text).collect(),
    }
}

fn as_text(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Boolean(_) | Value::Integer(_) | Value::List(_) => None,
    }
}
