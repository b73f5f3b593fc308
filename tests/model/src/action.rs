//! What can happen; each action names the production function that it stands for.

use crate::state::{Fence, Generation, Word};

/// Something that happens. Hosts are named by their place in the list of all there ever were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The broker makes an attempt and hands it out: `Component::offer`, `Runner::offer`, `next_offer`.
    Offer,
    /// A person cancels: `Runner::revoke_attempt`.
    Cancel,
    /// The lease has run out and the broker does not wait: no production code does this.
    LeaseExpires,
    /// The broker hears a last word: `Runner::ended`.
    End {
        /// Who says it.
        generation: Generation,
        /// Of which attempt.
        fence: Fence,
        /// What.
        word: Word,
    },
    /// A person gives up what a former host had begun: `Runner::declare_lost`.
    DeclareLost,
    /// The broker's store is copied.
    Backup,
    /// The copy is put back.
    Restore,
    /// A runner takes an envelope: `admission::admit`, or `lease::refuse` below the high-water mark.
    Accept {
        /// Who.
        host: usize,
        /// Which.
        fence: Fence,
    },
    /// It does not take an envelope, for whatever reason, and says so: `lease::refuse`.
    Refuse {
        /// Who.
        host: usize,
        /// Which.
        fence: Fence,
    },
    /// It reads the account's lock, to write it later.
    Look {
        /// Who.
        host: usize,
    },
    /// It takes the lock and puts that on record: `Locks::take`, then `Hand::begin`.
    Begin {
        /// Who.
        host: usize,
        /// For which.
        fence: Fence,
    },
    /// It asks whether it may start, and the broker decides: `Hand::confirm`, `Runner::started`,
    /// `Runner::stop_reason`. A yes is on its way then; a no is a `GiveUp`.
    Ask {
        /// Who.
        host: usize,
        /// About which.
        fence: Fence,
    },
    /// The lock is not to be had, or it is told no, or nothing in time: `Hand::carry`.
    GiveUp {
        /// Who.
        host: usize,
        /// Which.
        fence: Fence,
    },
    /// It starts the tool: `execute::execute`.
    Spawn {
        /// Who.
        host: usize,
        /// For which.
        fence: Fence,
    },
    /// The tool ends, and that is put on record: `report::record_end`, then `Held::release`.
    Finish {
        /// Where.
        host: usize,
        /// Of which.
        fence: Fence,
        /// How.
        word: Word,
    },
    /// It learns that an attempt must not go on, and kills it: `attempt::watch`, `Supervisor`.
    Stop {
        /// Who.
        host: usize,
        /// Which.
        fence: Fence,
    },
    /// It says how an attempt ended, as often as it likes: `report::send`.
    Say {
        /// Who.
        host: usize,
        /// Of which.
        fence: Fence,
    },
    /// It learns that its last word was heard: `Entry::Reported` of the journal.
    Settle {
        /// Who.
        host: usize,
        /// Of which.
        fence: Fence,
    },
    /// A process that no runner watches comes to its end.
    OrphanEnds {
        /// Where.
        host: usize,
        /// Of which.
        fence: Fence,
    },
    /// A runner's process dies; its children live on.
    Crash {
        /// Whose.
        host: usize,
    },
    /// It is started again: `recovery::recover`.
    Restart {
        /// Where.
        host: usize,
    },
    /// Another host with an empty disk enrols: `Runner::enrol`, `Runner::disown`.
    Replace,
    /// Another host comes up with a copy of this one's identity and disk.
    Copy {
        /// Of which.
        host: usize,
    },
    /// A host is terminated, and all that runs on it.
    Terminate {
        /// Which.
        host: usize,
    },
    /// The account's lock is taken from its owner.
    BreakLock,
}
