//! What a look at the world found to differ: bounded, and without sensitive values.

use super::plan::ChangeAction;
use super::{WireError, at_most, bounded, cut, non_empty};
use crate::{limit, v1};

/// What differs, as far as it may be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The same for the same differences, sensitive values among them; none where nothing differs.
    pub fingerprint: Option<[u8; 32]>,
    /// The first `limit::DIFFERENCES_MAX`.
    pub list: Vec<Difference>,
    /// How many more there are.
    pub more: u32,
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub address: String,
    /// What a deploy would do to bring it back.
    pub action: ChangeAction,
    /// The first `limit::ATTRIBUTES_MAX` of what differs in it.
    pub attributes: Vec<Attribute>,
}

/// One attribute that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
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

impl TryFrom<v1::Differences> for Differences {
    type Error = WireError;

    fn try_from(wire: v1::Differences) -> Result<Self, WireError> {
        let field = "differences.fingerprint";
        let malformed = |_| WireError::Malformed { field, expected: "a sha256 of 32 bytes, or nothing" };
        at_most("differences.list", wire.list.len(), limit::DIFFERENCES_MAX)?;
        let fingerprint = (!wire.fingerprint.is_empty()).then(|| wire.fingerprint.try_into());
        Ok(Self {
            fingerprint: fingerprint.transpose().map_err(malformed)?,
            list: wire.list.into_iter().map(Difference::try_from).collect::<Result<_, _>>()?,
            more: wire.more,
        })
    }
}

impl From<Differences> for v1::Differences {
    fn from(of: Differences) -> Self {
        let over = of.list.len().saturating_sub(limit::DIFFERENCES_MAX);
        Self {
            fingerprint: of.fingerprint.map(Vec::from).unwrap_or_default(),
            list: of.list.into_iter().take(limit::DIFFERENCES_MAX).map(Into::into).collect(),
            more: of.more.saturating_add(u32::try_from(over).unwrap_or(u32::MAX)),
        }
    }
}

impl TryFrom<v1::Difference> for Difference {
    type Error = WireError;

    fn try_from(wire: v1::Difference) -> Result<Self, WireError> {
        non_empty("differences.list.address", &wire.address)?;
        at_most("differences.list.attributes", wire.attributes.len(), limit::ATTRIBUTES_MAX)?;
        Ok(Self {
            address: bounded("differences.list.address", wire.address, limit::ADDRESS_LEN_MAX)?,
            action: ChangeAction::read(wire.action)?,
            attributes: wire.attributes.into_iter().map(Attribute::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<Difference> for v1::Difference {
    fn from(of: Difference) -> Self {
        let attributes = of.attributes.into_iter().take(limit::ATTRIBUTES_MAX).map(Into::into).collect();
        Self {
            address: cut(&of.address, limit::ADDRESS_LEN_MAX),
            action: of.action.wire() as i32,
            attributes,
        }
    }
}

impl TryFrom<v1::AttributeDifference> for Attribute {
    type Error = WireError;

    fn try_from(wire: v1::AttributeDifference) -> Result<Self, WireError> {
        let value = |field, text: Option<String>| {
            text.map(|text| bounded(field, text, limit::ATTRIBUTE_VALUE_LEN_MAX)).transpose()
        };
        if wire.sensitive && (wire.found.is_some() || wire.wanted.is_some()) {
            let expected = "without values where it is sensitive";
            return Err(WireError::Malformed { field: "differences.list.attributes", expected });
        }
        Ok(Self {
            path: bounded("differences.list.attributes.path", wire.path, limit::ATTRIBUTE_PATH_LEN_MAX)?,
            found: value("differences.list.attributes.found", wire.found)?,
            wanted: value("differences.list.attributes.wanted", wire.wanted)?,
            sensitive: wire.sensitive,
        })
    }
}

impl From<Attribute> for v1::AttributeDifference {
    fn from(Attribute { path, found, wanted, sensitive }: Attribute) -> Self {
        let value = |text: Option<String>| {
            text.filter(|_| !sensitive).map(|text| cut(&text, limit::ATTRIBUTE_VALUE_LEN_MAX))
        };
        let path = cut(&path, limit::ATTRIBUTE_PATH_LEN_MAX);
        Self { path, found: value(found), wanted: value(wanted), sensitive }
    }
}
