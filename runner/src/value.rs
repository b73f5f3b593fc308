//! Values of inputs and outputs: how one is written, whether it is of a type, and how it is wiped.

use remit_seal::document::{Value, ValueType};
use zeroize::Zeroize;

/// Overwrites a value: what was a secret does not stay in memory for longer than it is needed.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::List(items) => items.iter_mut().for_each(wipe),
        Value::Integer(number) => number.zeroize(),
        Value::Boolean(_) => {}
    }
}

/// A value as it stands in a text and in an environment variable: a text bare, the rest as JSON.
pub fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => serde_json::to_string(other).expect("a value has no map and no float"),
    }
}

/// Whether a value is of a type.
pub fn is_of(value: &Value, value_type: ValueType) -> bool {
    match (value_type, value) {
        (ValueType::Boolean, Value::Boolean(_))
        | (ValueType::Integer, Value::Integer(_))
        | (ValueType::String, Value::String(_)) => true,
        (ValueType::StringList, Value::List(items)) => {
            items.iter().all(|item| matches!(item, Value::String(_)))
        }
        _ => false,
    }
}
