//! The operations that objects take, by their own schemas: a new signal needs no change here.
//!
//! Each kind's `Signal` describes itself (names, fields, types, help); from that come the
//! subcommands of `remit signal`, their flags, and the JSON that is sent.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use remit_loops::{Kind, app, component, install, org, runner};
use serde_json::{Map, Value, json};
use utoipa::PartialSchema;

use crate::failure::{Failure, Result};

/// One operation of one kind of object.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name, as in JSON.
    pub name: String,
    /// What it does.
    pub help: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// One field of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, as in JSON.
    pub name: String,
    /// Its flag, without the dashes.
    pub flag: String,
    /// What it is.
    pub help: String,
    /// How it is written.
    pub form: Form,
    /// Whether it may be left out.
    pub required: bool,
}

/// How a field is written on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Text,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// `NAME=VALUE`, any number of times; the values are texts.
    Texts,
    /// `NAME=VALUE`, any number of times; the values are JSON, or texts where they are none.
    Values,
    /// JSON, or a text where it is none.
    Json,
}

/// The operations of a kind of object.
pub fn of(kind: Kind) -> Vec<Operation> {
    let schema = match kind {
        Kind::Org => json!(org::Signal::schema()),
        Kind::App => json!(app::Signal::schema()),
        Kind::Install => json!(install::Signal::schema()),
        Kind::Component => json!(component::Signal::schema()),
        Kind::Runner => json!(runner::Signal::schema()),
    };
    let variants = schema["oneOf"].as_array().cloned().unwrap_or_else(|| vec![schema]);
    variants.iter().filter_map(operation).collect()
}

/// Operations by name, with the kinds that take them.
pub type ByName = BTreeMap<String, Vec<(Kind, Operation)>>;

/// Every operation: worked out once, and there for good.
pub static ALL: LazyLock<ByName> = LazyLock::new(|| {
    let mut all = ByName::new();
    for kind in Kind::ALL {
        for operation in of(kind) {
            all.entry(operation.name.clone()).or_default().push((kind, operation));
        }
    }
    all
});

fn operation(variant: &Value) -> Option<Operation> {
    let (name, body) = variant["properties"].as_object()?.iter().next()?;
    let required: Vec<&str> =
        body["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let fields = body["properties"].as_object().into_iter().flatten();
    let field = |(name, schema): (&String, &Value)| Field {
        name: name.clone(),
        flag: name.replace('_', "-"),
        help: text(schema, "description"),
        form: form(schema),
        required: required.contains(&name.as_str()) && form(schema) != Form::Values,
    };
    let help = text(variant, "description");
    Some(Operation { name: name.clone(), help, fields: fields.map(field).collect() })
}

fn text(schema: &Value, key: &str) -> String {
    schema[key].as_str().unwrap_or_default().to_owned()
}

fn form(schema: &Value) -> Form {
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let is = |name| types.contains(&name);
    // An alias of a map is named after what it stands for.
    let is_map = text(schema, "$ref").ends_with("/BTreeMap") || schema.get("additionalProperties").is_some();
    if is("string") {
        Form::Text
    } else if is("integer") {
        Form::Integer
    } else if is("boolean") {
        Form::Boolean
    } else if is_map {
        if text(schema, "description").contains("JSON") { Form::Values } else { Form::Texts }
    } else {
        Form::Json
    }
}

impl Field {
    /// The value that was written, as JSON.
    pub fn read(&self, written: &[String]) -> Result<Value> {
        let last = written.last().map(String::as_str).unwrap_or_default();
        let wrong = |want: &str| {
            Failure::usage(format!("--{} is `{last}`; it must be {want}", self.flag), "see `--help`")
        };
        match self.form {
            Form::Text => Ok(Value::String(last.to_owned())),
            Form::Integer => last.parse::<i64>().map(Value::from).map_err(|_| wrong("a whole number")),
            Form::Boolean => last.parse::<bool>().map(Value::from).map_err(|_| wrong("true or false")),
            Form::Texts => pairs(written, str::to_owned),
            Form::Values => pairs(written, json_text),
            Form::Json => Ok(serde_json::from_str(last).unwrap_or_else(|_| Value::String(last.to_owned()))),
        }
    }
}

fn pairs(written: &[String], value: impl Fn(&str) -> String) -> Result<Value> {
    let mut map = Map::new();
    for pair in written {
        let (name, text) = split_pair(pair)?;
        map.insert(name.to_owned(), Value::String(value(text)));
    }
    Ok(Value::Object(map))
}

/// `NAME=VALUE`, in two.
pub fn split_pair(pair: &str) -> Result<(&str, &str)> {
    pair.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
        Failure::usage(format!("`{pair}` is not NAME=VALUE"), "write it like size=3; quote it for your shell")
    })
}

/// A value as a JSON text: what is JSON stays, anything else is a text.
pub fn json_text(written: &str) -> String {
    match serde_json::from_str::<Value>(written) {
        Ok(_) => written.to_owned(),
        Err(_) => Value::String(written.to_owned()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(kind: Kind, name: &str) -> Operation {
        of(kind).into_iter().find(|o| o.name == name).unwrap()
    }

    #[test]
    fn every_kind_says_what_it_takes() {
        for kind in Kind::ALL {
            let operations = of(kind);
            assert!(!operations.is_empty(), "{kind}");
            assert!(operations.iter().all(|o| !o.help.is_empty()), "{kind}");
        }
        let deploy = find(Kind::Install, "deploy");
        assert_eq!(deploy.fields.len(), 1);
        assert_eq!((deploy.fields[0].form, deploy.fields[0].required), (Form::Text, false));
        let cancel = find(Kind::Install, "cancel");
        let forms: Vec<_> = cancel.fields.iter().map(|f| (f.name.as_str(), f.form, f.required)).collect();
        assert_eq!(forms, [("operation", Form::Integer, false), ("reason", Form::Text, true)]);
        let create = find(Kind::Install, "create");
        let form = |name: &str| create.fields.iter().find(|f| f.name == name).unwrap().form;
        assert_eq!((form("inputs"), form("labels"), form("mode")), (Form::Values, Form::Texts, Form::Json));
        assert!(find(Kind::Install, "heal").fields.is_empty());
    }

    #[test]
    fn what_is_written_becomes_what_the_signal_takes() {
        let create = find(Kind::Install, "create");
        let mut body = Map::new();
        for (name, written) in
            [("inputs", vec!["size=3", "region=eu"]), ("labels", vec!["tier=3"]), ("mode", vec!["sandbox"])]
        {
            let field = create.fields.iter().find(|f| f.name == name).unwrap();
            let written: Vec<String> = written.into_iter().map(str::to_owned).collect();
            body.insert(name.to_owned(), field.read(&written).unwrap());
        }
        let signal: install::Signal = serde_json::from_value(json!({ "create": body })).unwrap();
        let install::Signal::Create { inputs, mode, labels, .. } = signal else { panic!("not a create") };
        assert_eq!((inputs["size"].as_str(), inputs["region"].as_str()), ("3", "\"eu\""));
        assert_eq!((mode, labels["tier"].as_str()), (remit_loops::job::Mode::Sandbox, "3"));
    }
}
