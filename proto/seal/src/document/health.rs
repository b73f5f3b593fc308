//! Health probes: how a release says that one sees whether a component does its work.

use serde::{Deserialize, Serialize};

/// The command of a script that looks whether it does its work, and the operation that runs it.
pub const HEALTH: &str = "health";
/// The code of a component that does not do its work: another try of the job is of no use by itself.
pub const UNHEALTHY: &str = "executor.unhealthy";

/// How a component is probed. The probe is its command `health`; it is well when that ends with 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// A deploy is done only when a probe has passed, and has failed when none did within so long.
    pub within_ms: i64,
    /// One probe is given up after so long.
    pub timeout_ms: i64,
    /// While nothing is done with it, it is probed at least once in so long; none when only deploys probe it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<i64>,
    /// So many of those probes in a row must fail before it counts as unwell.
    pub failures: u32,
}
