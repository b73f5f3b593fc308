//! A release as the loops need it: names, order and digests, never content.

pub mod changes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::drift::Schedule;
use crate::health::Probe;
use crate::plan::{Needed, Terms};
use crate::remediation::Rule;
use crate::time::Timestamp;

pub use remit_seal::verify::COMPONENTS_MAX;

/// A vendor-signed release, summed up by the edge that verified it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Release {
    /// The digest of the signed payload: `sha256:…`.
    pub digest: String,
    /// Its place in its channel; each is greater than the one before.
    pub counter: u64,
    /// Its version, for people.
    pub version: String,
    /// The line of releases it belongs to.
    pub channel: String,
    /// The lowest counter of its channel that an install on this release may go back to without a permit.
    #[serde(default)]
    pub rollback_floor: u64,
    /// The vendor's leave to go back to this release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permits: Vec<Permit>,
    /// The product's inputs that the broker may set; a runner takes no others from it.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// Whose approval its operations want, by the operation's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub approvals: BTreeMap<String, Needed>,
    /// How many of the vendor's people must approve them, and who, by the operation's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub terms: BTreeMap<String, Terms>,
    /// What is done by itself.
    #[serde(default, skip_serializing_if = "Healing::is_empty")]
    pub healing: Healing,
    /// The components, in the order of the product's file.
    pub components: Vec<ReleaseComponent>,
}

/// A signed rollback permit, summed up by the edge that verified it. The runner decides by the signed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Permit {
    /// The sha256 of its payload, hexadecimal.
    pub sha256: String,
    /// The one install that may go back, by its name; any of the channel where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<String>,
    /// The newest release that may be left, by its counter.
    pub from: u64,
    /// Why, for people.
    pub reason: String,
    /// After this nothing begins by it.
    pub until: Timestamp,
}

impl Permit {
    fn allows(&self, from: u64, at: Timestamp) -> bool {
        from <= self.from && at < self.until
    }
}

impl Release {
    /// The same as this install hears of it: with the permits that are for it.
    pub fn for_install(&self, name: &str) -> Release {
        let mut release = self.clone();
        release.permits.retain(|permit| permit.install.as_deref().is_none_or(|own| own == name));
        release
    }

    /// Whether who is on this release goes further back than it lets them to that one, and has no permit.
    pub fn is_barred_from(&self, to: &Release, at: Timestamp) -> bool {
        let is_permitted = to.permits.iter().any(|permit| permit.allows(self.counter, at));
        self.channel == to.channel && to.counter < self.rollback_floor && !is_permitted
    }
}

/// What a release says is to be done by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Healing {
    /// How often drift is looked for; none when only somebody's word starts a look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Schedule>,
    /// What is done about failed steps, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

impl Healing {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One component of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseComponent {
    /// Its name.
    pub name: String,
    /// Its kind, for people: `terraform`, `script`, …
    pub kind: String,
    /// The digest of its artefact: `sha256:…`.
    pub digest: String,
    /// The components it comes after.
    pub needs: Vec<String>,
    /// How long one job of it may run, milliseconds.
    pub longest_run_ms: i64,
    /// Its tool keeps records of its own, which can take over what is there: to accept a difference changes them.
    /// Of what was stored before this was said, a difference is accepted without.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopts: bool,
    /// It is only ever rehearsed, in real installs too.
    #[serde(default)]
    pub sandbox: bool,
    /// What its result depends on; without it, nobody can say that it is unchanged.
    #[serde(default)]
    pub recipe: Option<Recipe>,
    /// How one sees whether it does its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Probe>,
}

/// What the result of a component depends on, summed up by the edge that read the signed release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Recipe {
    /// sha256, hexadecimal, of all that the release itself says: kind, artefact, commands,
    /// where its inputs come from, and their defaults and bounds.
    pub digest: String,
    /// The inputs of broker authority that it takes.
    pub inputs: Vec<String>,
    /// The outputs of other components that it takes.
    pub outputs: Vec<Taken>,
    /// It takes values that only the customer's runner knows.
    pub customer: bool,
}

/// An output of another component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Taken {
    /// The component that gives it.
    pub component: String,
    /// Its name there.
    pub output: String,
}

/// Names a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseRef {
    /// The digest of the signed release's payload: `sha256:…`.
    pub digest: String,
    /// Its place in its channel.
    pub counter: u64,
    /// Its version, for people.
    pub version: String,
}

impl From<&Release> for ReleaseRef {
    fn from(release: &Release) -> Self {
        Self { digest: release.digest.clone(), counter: release.counter, version: release.version.clone() }
    }
}
