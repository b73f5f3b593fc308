//! A rollback permit: the vendor's leave for installs to go back to one older release.

use serde::{Deserialize, Serialize};

use super::Release;

/// The channel of an install for which nobody named another.
pub const CHANNEL_DEFAULT: &str = "stable";

/// Leave to go back to one older release, signed by whoever may allow that something is destroyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackPermit {
    /// The org's bare name.
    pub vendor: String,
    /// The app's bare name.
    pub app: String,
    /// The channel.
    pub channel: String,
    /// Which of the channel's installs may go back.
    pub scope: PermitScope,
    /// The newest release that may be left, by its counter.
    pub from: u64,
    /// The release that may run again, by its counter.
    pub to: u64,
    /// Why, for the customer and for the vendor's own record.
    pub reason: String,
    /// When it was signed.
    pub created_ms: i64,
    /// After this no job may start by it.
    pub until_ms: i64,
}

/// Which installs a permit is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PermitScope {
    /// Every install of the channel.
    Channel,
    /// This one, by its bare name.
    Install(String),
}

impl RollbackPermit {
    /// Whether an install on whose account a release with the counter `ran` was the newest to run may go
    /// back to this release. Whether the permit's time is over is `verify::permit`'s to say.
    pub fn allows(&self, release: &Release, install: &str, ran: u64) -> bool {
        let is_of =
            (&self.vendor, &self.app, &self.channel) == (&release.vendor, &release.app, &release.channel);
        let is_for = match &self.scope {
            PermitScope::Channel => true,
            PermitScope::Install(name) => name == install,
        };
        is_of && is_for && release.counter == self.to && ran <= self.from
    }
}
