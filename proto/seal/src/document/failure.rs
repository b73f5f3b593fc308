//! Classes of failure: the one vocabulary of runners, rules and rehearsals.

use serde::{Deserialize, Serialize};

/// Sorts of failure, by what ends them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Somebody must grant something.
    Permission,
    /// Somebody must raise a limit.
    Quota,
    /// Somebody must pay.
    Billing,
    /// Something else owns the thing.
    Conflict,
    /// Something changed or stopped it from outside.
    Interference,
    /// It may work the next time.
    Transient,
    /// It took too long.
    Timeout,
    /// The product or Remit is wrong.
    Bug,
}
