//! What there is: the broker, the hosts, the customer's account, and all that was ever said.

use std::collections::{BTreeMap, BTreeSet};

/// Names an attempt; the broker counts them up.
pub type Fence = u32;
/// Names an identity of the install's runner; the broker counts them up.
pub type Generation = u32;

/// A last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Word {
    /// It did what it was asked.
    Done,
    /// Anything else: failed, cancelled, refused, given up.
    Failed,
}

/// What the broker holds of the install's runner; its backups are whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Broker {
    /// The generation that may speak; 0 before the first.
    pub generation: Generation,
    /// The last fence minted.
    pub fence: Fence,
    /// The attempt in hand.
    pub slot: Option<Slot>,
    /// The last word of each attempt that is over.
    pub words: BTreeMap<Fence, Word>,
}

/// An attempt that may be handed out or was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Which.
    pub fence: Fence,
    /// How far it is.
    pub phase: Phase,
}

/// How far an attempt is, for the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// It may be handed out; nobody may have begun it.
    Offered,
    /// Its start was confirmed.
    Running,
    /// It was told to stop.
    Stopping,
    /// A former generation had begun it: nobody knows.
    Unconfirmed,
}

/// How far an attempt is, on a runner's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entry {
    /// It passed every check.
    Accepted,
    /// Its lock is held and its beginning on record; nothing runs yet.
    Begun,
    /// Its tool was started.
    Running,
    /// It is over.
    Ended(Word),
}

/// A machine with a disk that a runner lives on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Whose identity its runner has; 0 if none.
    pub generation: Generation,
    /// Whether the machine is there; a terminated one runs nothing.
    pub alive: bool,
    /// Whether the runner's process is there.
    pub up: bool,
    /// The journal.
    pub journal: BTreeMap<Fence, Entry>,
    /// The greatest fence accepted.
    pub high: Fence,
    /// What it would not take.
    pub refused: BTreeSet<Fence>,
    /// The greatest fence that held the lock on this disk.
    pub lock: Fence,
    /// What it read of the account's lock, if it goes by what it read.
    pub looked: Option<Fence>,
    /// The attempts of which a process runs here, whether anybody knows or not.
    pub children: BTreeSet<Fence>,
}

/// The lock in the customer's account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AccountLock {
    /// The greatest fence that held it.
    pub fence: Fence,
    /// The host that holds it.
    pub owner: Option<usize>,
}

/// Something said over the network. It stays there: it can arrive late, often, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// The broker hands out an attempt.
    Envelope {
        /// To whom.
        generation: Generation,
        /// Which.
        fence: Fence,
    },
    /// The broker says that an attempt may start.
    Answer {
        /// To whom.
        host: usize,
        /// Which.
        fence: Fence,
    },
    /// A runner's last word of an attempt.
    Last {
        /// Who says it.
        generation: Generation,
        /// Of which.
        fence: Fence,
        /// What.
        word: Word,
    },
}

/// What only the model sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The attempts that were started more than once.
    pub twice: BTreeSet<Fence>,
    /// The attempts that were started.
    pub started: BTreeSet<Fence>,
    /// A word of an older generation or fence changed something.
    pub stale_word_counted: bool,
    /// A last word was replaced by another.
    pub word_replaced: bool,
}

/// How much of each misfortune there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Spent {
    /// Dead processes.
    pub crashes: u8,
    /// Cancels.
    pub cancels: u8,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The broker.
    pub broker: Broker,
    /// Its last backup.
    pub backup: Option<Broker>,
    /// Whether it was put back.
    pub restored: bool,
    /// All hosts there ever were.
    pub hosts: Vec<Host>,
    /// The lock in the account.
    pub account: AccountLock,
    /// All that was said.
    pub net: BTreeSet<Message>,
    /// What only the model sees.
    pub seen: Seen,
    /// Misfortunes so far.
    pub spent: Spent,
}

impl Host {
    /// A host with an empty disk.
    pub fn new(generation: Generation) -> Self {
        Self {
            generation,
            alive: true,
            up: true,
            journal: BTreeMap::new(),
            high: 0,
            refused: BTreeSet::new(),
            lock: 0,
            looked: None,
            children: BTreeSet::new(),
        }
    }

    /// Whether its runner does anything now.
    pub fn works(&self) -> bool {
        self.alive && self.up
    }

    /// Whether an attempt holds the lock on this disk.
    pub fn is_busy(&self) -> bool {
        self.journal.values().any(|e| matches!(e, Entry::Begun | Entry::Running))
    }
}

impl State {
    /// One host, enrolled, and nothing to do yet.
    pub fn new() -> Self {
        Self {
            broker: Broker { generation: 1, ..Broker::default() },
            backup: None,
            restored: false,
            hosts: vec![Host::new(1)],
            account: AccountLock::default(),
            net: BTreeSet::new(),
            seen: Seen::default(),
            spent: Spent::default(),
        }
    }

    /// How many processes change the install now, on all hosts.
    pub fn changes(&self) -> usize {
        self.hosts.iter().map(|host| host.children.len()).sum()
    }

    /// Nothing runs and nothing is in hand.
    pub fn is_at_rest(&self) -> bool {
        self.changes() == 0 && self.broker.slot.is_none()
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}
