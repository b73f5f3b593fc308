//! Bugs to plant, each a wrong design that somebody once shipped. The simulator must catch every one.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The broker believes any completion, whatever its generation and fence.
    AcceptAnyCompletion,
    /// The broker gives an attempt to a new runner because the old one is silent.
    StealOnSilence,
    /// The broker says yes before the commit, and then crashes.
    AckBeforeCommit,
    /// The runner says that a cancelled job is over before its processes are dead.
    UnlockBeforeKill,
    /// The runner begins an envelope again that it has seen.
    ForgetHighWater,
    /// The runner begins before the broker has confirmed the start.
    StartUnconfirmed,
    /// After a crash the runner says that an attempt is over and leaves its processes alone.
    LeaveOrphans,
    /// A lost completion is not sent again.
    CompleteOnce,
}

impl Bug {
    pub(crate) const ALL: [Bug; 8] = [
        Bug::AcceptAnyCompletion,
        Bug::StealOnSilence,
        Bug::AckBeforeCommit,
        Bug::UnlockBeforeKill,
        Bug::ForgetHighWater,
        Bug::StartUnconfirmed,
        Bug::LeaveOrphans,
        Bug::CompleteOnce,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Bug::AcceptAnyCompletion => "accept-any-completion",
            Bug::StealOnSilence => "steal-on-silence",
            Bug::AckBeforeCommit => "ack-before-commit",
            Bug::UnlockBeforeKill => "unlock-before-kill",
            Bug::ForgetHighWater => "forget-high-water",
            Bug::StartUnconfirmed => "start-unconfirmed",
            Bug::LeaveOrphans => "leave-orphans",
            Bug::CompleteOnce => "complete-once",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Bug::ALL.into_iter().find(|bug| bug.name() == name)
    }

    pub(crate) fn names() -> String {
        Bug::ALL.map(Bug::name).join(", ")
    }
}
