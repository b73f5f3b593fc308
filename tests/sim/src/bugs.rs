//! Bugs to plant, each a wrong design that somebody once shipped. The simulator must catch every one.
//! None of them is in production code: they sit in the store's door, in the network, in the runner.

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// The broker believes any completion, whatever its generation and fence.
    AcceptAnyCompletion,
    /// The broker gives an attempt to a new runner because the old one is silent.
    StealOnSilence,
    /// The store says yes before it has anything, and then loses it.
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
    /// A commit leaves out the state of one of its objects.
    TornCommit,
    /// The store forgets the keys of signals: sent again, they are done again.
    ForgetKeys,
    /// A notice that did not fit into its commit is not stored.
    LostNotice,
    /// After a start nobody remembers who wanted a tick.
    ForgetDeadlines,
    /// After a start the time of the newest event is forgotten, and the clock may go back.
    ForgetTime,
    /// A client that got no answer asks again with a new key.
    NewKeyEachTime,
    /// The runner takes more than it said it can run.
    PastCapacity,
    /// An attempt that nobody knows anything of is given up after five seconds.
    UnconfirmedExpires,
    /// A failed destroy is called a success.
    DestroySaysDone,
    /// A failed deploy is called a success.
    DeploySaysDone,
}

impl Bug {
    pub(crate) const ALL: [Bug; 18] = [
        Bug::AcceptAnyCompletion,
        Bug::StealOnSilence,
        Bug::AckBeforeCommit,
        Bug::UnlockBeforeKill,
        Bug::ForgetHighWater,
        Bug::StartUnconfirmed,
        Bug::LeaveOrphans,
        Bug::CompleteOnce,
        Bug::TornCommit,
        Bug::ForgetKeys,
        Bug::LostNotice,
        Bug::ForgetDeadlines,
        Bug::ForgetTime,
        Bug::NewKeyEachTime,
        Bug::PastCapacity,
        Bug::UnconfirmedExpires,
        Bug::DestroySaysDone,
        Bug::DeploySaysDone,
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
            Bug::TornCommit => "torn-commit",
            Bug::ForgetKeys => "forget-keys",
            Bug::LostNotice => "lost-notice",
            Bug::ForgetDeadlines => "forget-deadlines",
            Bug::ForgetTime => "forget-time",
            Bug::NewKeyEachTime => "new-key-each-time",
            Bug::PastCapacity => "past-capacity",
            Bug::UnconfirmedExpires => "unconfirmed-expires",
            Bug::DestroySaysDone => "destroy-says-done",
            Bug::DeploySaysDone => "deploy-says-done",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Bug::ALL.into_iter().find(|bug| bug.name() == name)
    }

    pub(crate) fn names() -> String {
        Bug::ALL.map(Bug::name).join(", ")
    }
}
