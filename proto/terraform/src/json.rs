//! The JSON syntax: objects and lists stand for blocks where a block is expected.
//!
//! Terraform takes a key that stands twice for two blocks, and a list at the root for several files; other
//! readers keep the last, or see nothing. Both are refused, so that there is one reading.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::body::{Attribute, Block, Body, Context};

/// A key that HCL takes for a comment.
const COMMENT: &str = "//";

/// JSON as it stands in the file.
enum Value {
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
    Null,
    /// A number or a truth value.
    Other,
}

/// Reads a file; an error has its line and why.
pub(crate) fn parse(text: &str, context: Context) -> Result<Body, (u32, String)> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let line = u32::try_from(error.line()).unwrap_or(u32::MAX);
        (line, error.to_string())
    })?;
    match value {
        Value::Object(members) => body(&members, context),
        Value::List(_) => Err((1, "the root is a list: write one object".to_owned())),
        Value::Text(_) | Value::Null | Value::Other => Err((1, "the root is no object".to_owned())),
    }
}

fn body(members: &[(String, Value)], context: Context) -> Result<Body, (u32, String)> {
    let mut body = Body::default();
    for (name, value) in members.iter().filter(|(name, _)| name != COMMENT) {
        match context.labels(name) {
            Some(labels) => blocks(name, value, (labels, context), &mut Vec::new(), &mut body.blocks)?,
            None if matches!(context, Context::Module | Context::Test) => {
                // A kind that is not known: the reader says so.
                let (kind, body_of) = (name.clone(), Body::default());
                body.blocks.push(Block { kind, labels: Vec::new(), line: 0, body: body_of });
            }
            None => body.attributes.push(attribute(name, value)),
        }
    }
    Ok(body)
}

/// One block, or one for each label, at each level alone or in a list.
fn blocks(
    kind: &str,
    value: &Value,
    (labels_left, context): (usize, Context),
    labels: &mut Vec<String>,
    out: &mut Vec<Block>,
) -> Result<(), (u32, String)> {
    let objects: Vec<&Vec<(String, Value)>> = match value {
        Value::Object(members) => vec![members],
        Value::List(items) => {
            let members = items.iter().map(|item| match item {
                Value::Object(members) => Ok(members),
                _ => Err((0, format!("a list of `{kind}` holds something else than objects"))),
            });
            members.collect::<Result<_, _>>()?
        }
        Value::Null => Vec::new(),
        Value::Text(_) | Value::Other => return Err((0, format!("`{kind}` is no object"))),
    };
    for members in objects {
        if labels_left == 0 {
            let body = body(members, context.of_block(kind))?;
            out.push(Block { kind: kind.to_owned(), labels: labels.clone(), line: 0, body });
            continue;
        }
        for (label, value) in members {
            labels.push(label.clone());
            blocks(kind, value, (labels_left - 1, context), labels, out)?;
            labels.pop();
        }
    }
    Ok(())
}

fn attribute(name: &str, value: &Value) -> Attribute {
    let text = match value {
        Value::Text(text) if !text.contains("${") && !text.contains("%{") => Some(text.clone()),
        _ => None,
    };
    let mut names = BTreeSet::new();
    members(value, &mut names);
    Attribute { name: name.to_owned(), line: 0, text, members: names }
}

fn members(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(inner) => {
            for (name, value) in inner {
                names.insert(name.clone());
                members(value, names);
            }
        }
        Value::List(items) => items.iter().for_each(|item| members(item, names)),
        Value::Text(_) | Value::Null | Value::Other => {}
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let (mut list, mut seen) = (Vec::new(), BTreeSet::new());
        while let Some(name) = members.next_key::<String>()? {
            if !seen.insert(name.clone()) {
                return Err(de::Error::custom(format!("the key {name:?} stands twice")));
            }
            list.push((name, members.next_value()?));
        }
        Ok(Value::Object(list))
    }
}
