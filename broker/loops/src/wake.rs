//! All that can wake an object by time alone.

use crate::time::Timestamp;

/// What an object waits for that comes with time, and with nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wake {
    /// A component's failed attempt is tried again.
    Retry,
    /// A component gives back what was to begin by now.
    BeginBy,
    /// What holds an install's change may be over, or is about to begin: a window, a freeze, a snooze.
    Hold,
    /// A plan that nobody approved gets too old.
    PlanAge,
    /// An install's drift is looked for.
    DriftCheck,
    /// A component at rest is probed.
    Probe,
    /// A remediation rule goes on.
    Rule,
    /// A break glass ends.
    BreakGlass,
    /// A wave of a rollout has been watched for long enough.
    Bake,
}

impl Wake {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Wake::Retry => "retry",
            Wake::BeginBy => "begin by",
            Wake::Hold => "hold",
            Wake::PlanAge => "plan age",
            Wake::DriftCheck => "drift check",
            Wake::Probe => "probe",
            Wake::Rule => "rule",
            Wake::BreakGlass => "break glass",
            Wake::Bake => "bake",
        }
    }
}

/// The first of several, and what it is.
pub(crate) fn first(wakes: impl IntoIterator<Item = (Option<Timestamp>, Wake)>) -> Option<(Timestamp, Wake)> {
    wakes.into_iter().filter_map(|(at, wake)| Some((at?, wake))).min()
}
