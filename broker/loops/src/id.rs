//! Typed, readable ids: `ins_demo.shop.acme` is the install `acme` of app `shop` of org `demo`.
//!
//! An id says its kind and its whole ancestry, so parents are never looked up. It never
//! holds anything but lower-case names joined by dots.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use remit_seal::verify::{NAME_LEN_MAX, is_name};

/// What kind of real-life object an event loop stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A tenant of the broker: one vendor.
    Org,
    /// A deployable product.
    App,
    /// One running copy of an app in one customer's account.
    Install,
    /// One component of one install.
    Component,
    /// The agent in the account of one install.
    Runner,
}

impl Kind {
    /// Every kind, parents before children.
    pub const ALL: [Kind; 5] = [Kind::Org, Kind::App, Kind::Install, Kind::Component, Kind::Runner];

    /// The prefix of ids of this kind.
    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Org => "org",
            Kind::App => "app",
            Kind::Install => "ins",
            Kind::Component => "cmp",
            Kind::Runner => "run",
        }
    }

    fn depth(self) -> usize {
        match self {
            Kind::Org => 1,
            Kind::App => 2,
            Kind::Install | Kind::Runner => 3,
            Kind::Component => 4,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Org => "org",
            Kind::App => "app",
            Kind::Install => "install",
            Kind::Component => "component",
            Kind::Runner => "runner",
        })
    }
}

/// The id of one object: its kind and its path from the org down.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    kind: Kind,
    path: String,
}

/// Why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// No known prefix.
    #[error("`{0}` does not begin with org_, app_, ins_, cmp_ or run_")]
    Prefix(String),
    /// Too few or too many names for the kind.
    #[error("`{id}` has {got} names; an id of kind {kind} has {want}, joined by dots")]
    Depth {
        /// The text.
        id: String,
        /// The kind its prefix says.
        kind: Kind,
        /// How many names such an id has.
        want: usize,
        /// How many were there.
        got: usize,
    },
    /// A name that is not allowed.
    #[error("`{0}` is no name: use 1 to 40 of a-z, 0-9 and -, beginning with a letter")]
    Name(String),
}

impl ObjectId {
    /// The id of this kind with these names, the org's first.
    pub fn new(kind: Kind, names: &[&str]) -> Result<Self, IdError> {
        if let Some(bad) = names.iter().find(|n| !is_name(n)) {
            return Err(IdError::Name((*bad).to_owned()));
        }
        let path = names.join(".");
        if names.len() != kind.depth() {
            let id = format!("{}_{path}", kind.prefix());
            return Err(IdError::Depth { id, kind, want: kind.depth(), got: names.len() });
        }
        Ok(Self { kind, path })
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The names, joined by dots, without the prefix.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last name: the object's own.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// The org's name: the tenant.
    pub fn org_name(&self) -> &str {
        self.path.split('.').next().unwrap_or(&self.path)
    }

    /// The object that this one waits for; an org has none. A runner's and a component's is the install.
    pub fn parent(&self) -> Option<ObjectId> {
        let up = || self.path.rsplit_once('.').map(|(up, _)| up.to_owned());
        match self.kind {
            Kind::Org => None,
            Kind::App => up().map(|path| Self { kind: Kind::Org, path }),
            Kind::Install => up().map(|path| Self { kind: Kind::App, path }),
            Kind::Component => up().map(|path| Self { kind: Kind::Install, path }),
            Kind::Runner => Some(Self { kind: Kind::Install, path: self.path.clone() }),
        }
    }

    /// The install that this object is or belongs to.
    pub fn install(&self) -> Option<ObjectId> {
        match self.kind {
            Kind::Org | Kind::App => None,
            Kind::Install => Some(self.clone()),
            Kind::Component | Kind::Runner => self.parent(),
        }
    }

    /// The runner of the install that this object is or belongs to.
    pub fn runner(&self) -> Option<ObjectId> {
        self.install().map(|i| Self { kind: Kind::Runner, path: i.path })
    }

    /// The id of a child by name: app of an org, install of an app, component of an install.
    pub fn child(&self, name: &str) -> Result<ObjectId, IdError> {
        let kind = match self.kind {
            Kind::Org => Kind::App,
            Kind::App => Kind::Install,
            Kind::Install => Kind::Component,
            Kind::Component | Kind::Runner => return Err(IdError::Name(name.to_owned())),
        };
        if !is_name(name) {
            return Err(IdError::Name(name.to_owned()));
        }
        Ok(Self { kind, path: format!("{}.{name}", self.path) })
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.kind.prefix(), self.path)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ObjectId {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        let (prefix, path) = s.split_once('_').ok_or_else(|| IdError::Prefix(s.to_owned()))?;
        let kind = Kind::ALL
            .into_iter()
            .find(|k| k.prefix() == prefix)
            .ok_or_else(|| IdError::Prefix(s.to_owned()))?;
        let names: Vec<&str> = path.split('.').collect();
        Self::new(kind, &names)
    }
}

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_as_they_were_written() {
        for text in [
            "org_demo",
            "app_demo.shop",
            "ins_demo.shop.acme",
            "cmp_demo.shop.acme.network",
            "run_demo.shop.acme",
        ] {
            let id: ObjectId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn bad_ids_are_refused() {
        for text in
            ["", "demo", "org_", "org_Demo", "org_a.b", "app_a", "ins_a.b.c.d", "xyz_a", "org_a/b", "org_-a"]
        {
            assert!(text.parse::<ObjectId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_runner_and_a_component_wait_for_their_install() {
        let install: ObjectId = "ins_demo.shop.acme".parse().unwrap();
        assert_eq!(install.runner().unwrap().parent().unwrap(), install);
        assert_eq!(install.child("network").unwrap().parent().unwrap(), install);
    }
}
