//! Where a component's inputs come from: the signed release says, this resolves.
//!
//! Fixed and broker values were checked when the job was bound; the customer's own and the
//! outputs of other components are looked up here. The broker never supplies a text that
//! the release does not bound.

use std::collections::BTreeMap;

use remit_seal::Refusal;
use remit_seal::document::{Authority, Input, OutputRef, Part, Source, Value, ValueType};
use remit_seal::verify::{Bound, input_fits};
use zeroize::Zeroizing;

use crate::account::secret::{self, Secrets};
use crate::config::Config;
use crate::error::Coded;
use crate::storage::outputs::{self, Realm, Store};
use crate::value::{wipe, written};

/// Why an input has no value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The customer has to set it and did not.
    #[error("input `{0}` is the customer's to set, and is not set")]
    InputMissing(String),
    /// The customer's value does not fit.
    #[error("the customer's value of input `{0}` is not allowed")]
    InputInvalid(String, #[source] Refusal),
    /// A sensitive input was given as a flag.
    #[error("input `{0}` is sensitive and was given as a flag, which every user of the machine can read")]
    InputExposed(String),
    /// A reference was given for an input whose value would be shown.
    #[error("input `{0}` is given by reference, and the release does not say that it is sensitive")]
    InputOpen(String),
    /// A secret cannot be had.
    #[error("input `{name}` cannot be had")]
    Secret {
        /// The input.
        name: String,
        /// Why.
        source: secret::Error,
    },
    /// The release has no such input.
    #[error("the release refers to input `{0}`, which it does not have")]
    InputUnknown(String),
    /// Another component has not given what this one needs.
    #[error("component `{component}` has not given output `{output}` on this runner")]
    OutputMissing {
        /// The component.
        component: String,
        /// The output.
        output: String,
    },
    /// The outputs cannot be read.
    #[error(transparent)]
    Outputs(#[from] outputs::Error),
}

impl Coded for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::InputMissing(_) => "runner.input_missing",
            Error::InputInvalid(..) => "runner.input_invalid",
            Error::InputExposed(_) => "runner.input_exposed",
            Error::InputOpen(_) => "runner.input_open",
            Error::Secret { source, .. } => source.code(),
            Error::InputUnknown(_) => "runner.input_unknown",
            Error::OutputMissing { .. } => "runner.output_missing",
            Error::Outputs(error) => error.code(),
        }
    }

    fn hint(&self) -> String {
        match self {
            Error::InputMissing(name) => {
                format!("start the runner with --input {name}=…, or put `{name}` in its --inputs-file")
            }
            Error::InputInvalid(name, _) => {
                format!("correct `{name}` in the runner's --input or --inputs-file and start it again")
            }
            Error::InputExposed(name) => {
                format!("put `{name}` in the runner's --inputs-file (mode 0600), not in a flag")
            }
            Error::InputOpen(name) => {
                format!("give `{name}` as a value, or ask the vendor to declare it sensitive")
            }
            Error::Secret { source, .. } => source.hint(),
            Error::InputUnknown(_) => "the vendor cuts the release again".to_owned(),
            Error::OutputMissing { component, .. } => {
                format!("deploy component `{component}` of this release first")
            }
            Error::Outputs(_) => "check the runner's data directory".to_owned(),
        }
    }
}

/// A component's inputs, and the values among them that must not leave the account.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// By name.
    pub values: BTreeMap<String, Value>,
    /// Sensitive values that went into them.
    pub secrets: Vec<Value>,
}

impl Drop for Resolved {
    fn drop(&mut self) {
        self.values.values_mut().chain(&mut self.secrets).for_each(wipe);
    }
}

/// Values that were fetched, by the name of the input.
pub type Fetched = BTreeMap<String, Zeroizing<String>>;

/// Fetches what the job's component takes of the customer's secrets, and nothing else.
pub async fn fetch(bound: &Bound, config: &Config, secrets: &Secrets) -> Result<Fetched, Error> {
    let mut fetched = Fetched::new();
    for name in bound.component.inputs.values().flat_map(inputs_of) {
        let customers = bound.release.inputs.get(name).filter(|spec| spec.authority == Authority::Customer);
        let (Some(spec), Some(reference)) = (customers, config.secrets.get(name)) else { continue };
        if !spec.sensitive {
            return Err(Error::InputOpen(name.clone()));
        }
        let value = secrets.fetch(reference).await;
        let value = value.map_err(|source| Error::Secret { name: name.clone(), source })?;
        fetched.insert(name.clone(), value);
    }
    Ok(fetched)
}

/// The product's inputs that a source takes.
fn inputs_of(source: &Source) -> Vec<&String> {
    match source {
        Source::Input(name) => vec![name],
        Source::Text(parts) => parts.iter().filter_map(input_of).collect(),
        Source::Literal(_) | Source::Output(_) => Vec::new(),
    }
}

fn input_of(part: &Part) -> Option<&String> {
    match part {
        Part::Input(name) => Some(name),
        Part::Literal(_) | Part::Output(_) => None,
    }
}

/// Resolves every input of the job's component.
pub fn resolve(
    bound: &Bound,
    config: &Config,
    outputs: &Store,
    realm: Realm,
    fetched: &Fetched,
) -> Result<Resolved, Error> {
    let mut resolver = Resolver { bound, config, outputs, realm, fetched, secrets: Vec::new() };
    let mut values = BTreeMap::new();
    for (name, source) in &bound.component.inputs {
        values.insert(name.clone(), resolver.source(source)?);
    }
    Ok(Resolved { values, secrets: resolver.secrets })
}

struct Resolver<'a> {
    bound: &'a Bound,
    config: &'a Config,
    outputs: &'a Store,
    realm: Realm,
    fetched: &'a Fetched,
    secrets: Vec<Value>,
}

impl Resolver<'_> {
    fn source(&mut self, source: &Source) -> Result<Value, Error> {
        match source {
            Source::Literal(value) => Ok(value.clone()),
            Source::Input(name) => self.input(name),
            Source::Output(of) => self.output(of),
            Source::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    text.push_str(&self.part(part)?);
                }
                Ok(Value::String(text))
            }
        }
    }

    fn part(&mut self, part: &Part) -> Result<String, Error> {
        match part {
            Part::Literal(text) => Ok(text.clone()),
            Part::Input(name) => Ok(written(&self.input(name)?)),
            Part::Output(of) => Ok(written(&self.output(of)?)),
        }
    }

    fn input(&mut self, name: &str) -> Result<Value, Error> {
        let spec = self.bound.release.inputs.get(name);
        let spec = spec.ok_or_else(|| Error::InputUnknown(name.to_owned()))?;
        let value = match spec.authority {
            Authority::Fixed | Authority::Broker => self.bound.inputs.get(name).cloned(),
            Authority::Customer => customer(name, spec, self.config, self.fetched.get(name))?,
        };
        let value = value.ok_or_else(|| Error::InputMissing(name.to_owned()))?;
        if spec.sensitive {
            self.secrets.push(value.clone());
        }
        Ok(value)
    }

    fn output(&mut self, of: &OutputRef) -> Result<Value, Error> {
        let missing = || Error::OutputMissing { component: of.component.clone(), output: of.output.clone() };
        let giver = self.bound.release.components.iter().find(|c| c.name == of.component);
        let outputs = self.outputs.of(self.realm, giver.ok_or_else(missing)?)?.ok_or_else(missing)?;
        let value = outputs.values.get(&of.output).cloned().ok_or_else(missing)?;
        if outputs.sensitive.contains(&of.output) {
            self.secrets.push(value.clone());
        }
        Ok(value)
    }
}

fn customer(
    name: &str,
    spec: &Input,
    config: &Config,
    fetched: Option<&Zeroizing<String>>,
) -> Result<Option<Value>, Error> {
    let value = match (fetched, config.inputs.get(name), config.inputs_file.get(name)) {
        (Some(text), _, _) => Some(typed(text, spec.value_type)),
        (None, Some(_), _) if spec.sensitive => return Err(Error::InputExposed(name.to_owned())),
        (None, Some(text), _) => Some(typed(text, spec.value_type)),
        (None, None, Some(value)) => Some(value.clone()),
        (None, None, None) => spec.default.clone(),
    };
    if let Some(value) = &value {
        input_fits(name, spec, value).map_err(|e| Error::InputInvalid(name.to_owned(), e))?;
    }
    Ok(value)
}

/// A flag's text as a value of the input's type; one that does not read stays a text, which
/// `input_fits` then refuses with the right words.
fn typed(text: &str, value_type: ValueType) -> Value {
    let plain = || Value::String(text.to_owned());
    match value_type {
        ValueType::String => plain(),
        ValueType::Boolean => text.parse().map_or_else(|_| plain(), Value::Boolean),
        ValueType::Integer => text.parse().map_or_else(|_| plain(), Value::Integer),
        ValueType::StringList => match serde_json::from_str::<Vec<String>>(text) {
            Ok(items) => Value::List(items.into_iter().map(Value::String).collect()),
            Err(_) => Value::List(text.split(',').map(|t| Value::String(t.to_owned())).collect()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::is_of;

    #[test]
    fn a_flag_is_read_by_the_inputs_type() {
        assert_eq!(typed("3", ValueType::Integer), Value::Integer(3));
        assert_eq!(typed("true", ValueType::Boolean), Value::Boolean(true));
        assert_eq!(typed("3", ValueType::String), Value::String("3".to_owned()));
        let list = Value::List(vec![Value::String("a".to_owned()), Value::String("b".to_owned())]);
        assert_eq!(typed("a,b", ValueType::StringList), list);
        assert_eq!(typed(r#"["a","b"]"#, ValueType::StringList), list);
        assert!(!is_of(&typed("x", ValueType::Integer), ValueType::Integer));
    }

    #[test]
    fn values_are_written_as_a_shell_expects_them() {
        assert_eq!(written(&Value::String("a b".to_owned())), "a b");
        assert_eq!(written(&Value::Boolean(true)), "true");
        assert_eq!(written(&Value::List(vec![Value::String("a".to_owned())])), r#"["a"]"#);
    }
}
