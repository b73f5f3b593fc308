//! Choosing installs by their labels: `env=prod,tier!=gold`. Every condition must hold.

use std::collections::BTreeMap;

use crate::failure::{Failure, Result};

/// Conditions on labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector(Vec<Condition>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    name: String,
    value: String,
    is: bool,
}

impl Selector {
    /// Reads conditions that are parted by commas.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let hint = "write it like env=prod, or env=prod,tier!=gold";
        let condition = |part: &str| {
            let (name, value, is) = match (part.split_once("!="), part.split_once('=')) {
                (Some((name, value)), _) => (name, value, false),
                (None, Some((name, value))) => (name, value, true),
                (None, None) => {
                    return Err(Failure::usage(format!("`{part}` is no condition on a label"), hint));
                }
            };
            if name.trim().is_empty() {
                return Err(Failure::usage(format!("`{part}` names no label"), hint));
            }
            Ok(Condition { name: name.trim().to_owned(), value: value.trim().to_owned(), is })
        };
        text.split(',').map(condition).collect::<Result<_>>().map(Self)
    }

    /// Whether these labels fit.
    pub(crate) fn fits(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|c| (labels.get(&c.name) == Some(&c.value)) == c.is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_must_hold() {
        let labels =
            BTreeMap::from([("env".to_owned(), "prod".to_owned()), ("tier".to_owned(), "gold".to_owned())]);
        for (text, want) in [
            ("env=prod", Some(true)),
            ("env=prod, tier=gold", Some(true)),
            ("env=prod,tier!=gold", Some(false)),
            ("zone!=eu", Some(true)),
            ("zone=eu", Some(false)),
            ("env", None),
            ("=prod", None),
            ("", None),
        ] {
            assert_eq!(Selector::read(text).ok().map(|s| s.fits(&labels)), want, "{text}");
        }
    }
}
