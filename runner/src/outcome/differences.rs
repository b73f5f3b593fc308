//! What differs from what was deployed, as it is journalled and reported: without sensitive values.

use remit_proto::convert;
use remit_proto::limit;
use remit_seal::Digest;
use serde::{Deserialize, Serialize};

use super::{ChangeAction, cut};

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// The same for the same differences, sensitive values among them; none where nothing differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
    /// The first things that differ.
    pub list: Vec<Difference>,
    /// How many are not in the list.
    pub more: u32,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Which.
    pub address: String,
    /// What a deploy would do to bring it back.
    pub action: ChangeAction,
    /// What of it differs; not all, where it is much.
    pub attributes: Vec<Attribute>,
}

/// One attribute that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Where in the thing.
    pub path: String,
    /// As it is.
    pub found: Option<String>,
    /// As a deploy would make it.
    pub wanted: Option<String>,
    /// Its values are not told.
    pub sensitive: bool,
}

impl Differences {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// One difference of which nothing is known but these words.
    pub fn said(address: String, words: &str) -> Self {
        let difference = Difference { address, action: ChangeAction::Update, attributes: Vec::new() };
        Self { fingerprint: Some(Digest::of(words.as_bytes())), list: vec![difference], more: 0 }
    }

    /// Lists one more, or counts it as not listed.
    pub fn push(&mut self, mut difference: Difference) {
        if self.list.len() < limit::DIFFERENCES_MAX {
            difference.attributes.truncate(limit::ATTRIBUTES_MAX);
            self.list.push(difference);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Makes the fingerprint one that tells nothing of what it is of to who has not this secret.
    pub fn seal(&mut self, secret: &str) {
        let seal = |raw: Digest| Digest::of(format!("remit drift 1\n{secret}\n{raw}").as_bytes());
        self.fingerprint = self.fingerprint.map(seal);
    }

    /// Goes through every text that could hold a value.
    pub fn redact(&mut self, redact: impl Fn(&str) -> String) {
        for difference in &mut self.list {
            difference.address = redact(&difference.address);
            for attribute in &mut difference.attributes {
                let value = |text: &String| cut(redact(text), limit::ATTRIBUTE_VALUE_LEN_MAX);
                attribute.path = redact(&attribute.path);
                attribute.found = attribute.found.as_ref().map(value);
                attribute.wanted = attribute.wanted.as_ref().map(value);
            }
        }
    }
}

impl From<&Differences> for convert::Differences {
    fn from(of: &Differences) -> Self {
        let attribute = |a: &Attribute| convert::Attribute {
            path: a.path.clone(),
            found: a.found.clone(),
            wanted: a.wanted.clone(),
            sensitive: a.sensitive,
        };
        let difference = |d: &Difference| convert::Difference {
            address: d.address.clone(),
            action: d.action.into(),
            attributes: d.attributes.iter().map(attribute).collect(),
        };
        let fingerprint = of.fingerprint.map(|digest| *digest.as_bytes());
        Self { fingerprint, list: of.list.iter().map(difference).collect(), more: of.more }
    }
}

impl From<ChangeAction> for convert::ChangeAction {
    fn from(action: ChangeAction) -> Self {
        match action {
            ChangeAction::Create => convert::ChangeAction::Create,
            ChangeAction::Update => convert::ChangeAction::Update,
            ChangeAction::Delete => convert::ChangeAction::Delete,
            ChangeAction::Replace => convert::ChangeAction::Replace,
            ChangeAction::Import => convert::ChangeAction::Import,
            ChangeAction::Forget => convert::ChangeAction::Forget,
            ChangeAction::Move => convert::ChangeAction::Move,
            ChangeAction::Other => convert::ChangeAction::Other,
        }
    }
}
