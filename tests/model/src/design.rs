//! The designs that were thought of, each as the rules that it keeps; one model serves them all.

/// A way to keep two changes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Design {
    /// As built with `--lock s3://…` or `kubernetes://…`: in the customer's account, fenced, confirmed, taken over only on proof.
    AccountLock,
    /// As built without: the lock lies on the runner's host; between hosts the broker's word keeps them apart.
    HostLock,
    /// The lock in the account is read, and then written, in two steps.
    CheckThenInsert,
    /// A lease runs out and the next holder goes ahead; only the words of the first are void.
    FencedCompletion,
    /// The same, and a runner without its lease kills what it runs, when it gets to it.
    Watchdog,
    /// The lock in the account goes to another host because its owner is silent.
    StealOnSilence,
    /// A person gives up attempts of a former host without having made sure of anything.
    UnprovenLoss,
    /// A stopped attempt is called over, and its processes are killed after that.
    UnlockBeforeDead,
    /// After a restart what was in hand is called over, and its processes are left alone.
    LeaveOrphans,
    /// The runner begins without asking the broker once more.
    StartUnconfirmed,
    /// The runner remembers neither which envelopes it has seen nor which fences held its lock.
    ForgetSeen,
    /// What was refused once may be taken when it comes again.
    RefuseAndTake,
    /// The broker takes any last word for that of the attempt in hand.
    AcceptAnyCompletion,
    /// The broker takes a second last word in place of the first.
    LastWordWins,
    /// What a host had in hand is never taken over nor given up, whatever became of the host.
    LockForEver,
}

/// Which lock an attempt needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// None.
    None,
    /// One on the runner's disk.
    Host,
    /// One in the customer's account, by conditional write.
    Account,
    /// One in the customer's account, by a read and a write.
    AccountUnchecked,
}

/// What the broker does about an attempt whose lease ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// It waits: silence says nothing about what runs.
    Waits,
    /// It gives the work to the next.
    Reassigns,
}

/// What a design keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Which lock an attempt needs.
    pub lock: Lock,
    /// Whether the account's lock needs proof that its owner is gone; without, silence is enough.
    pub proof_for_lock: bool,
    /// Whether what a host had in hand can be taken over or given up at all.
    pub takeover: bool,
    /// Whether giving up an attempt needs proof that nothing of it runs.
    pub proof_for_loss: bool,
    /// Whether an attempt starts only when the broker has confirmed it.
    pub confirm: bool,
    /// What silence does.
    pub silence: Silence,
    /// Whether a runner that lost its lease kills what it runs, when it gets to it.
    pub watchdog: bool,
    /// Whether a stopped attempt is over only when its processes are dead.
    pub kill_first: bool,
    /// Whether a restarted runner kills what is left.
    pub reap: bool,
    /// Whether envelopes at or below the high-water mark are refused.
    pub high_water: bool,
    /// Whether an attempt that was refused once is refused for good.
    pub refusals_stay: bool,
    /// Whether the lock needs a fence above every one that held it.
    pub strict_fence: bool,
    /// Whether generation and fence of a last word are looked at.
    pub fenced_words: bool,
    /// Whether the first last word stays.
    pub first_word_final: bool,
}

impl Design {
    /// All of them.
    pub const ALL: [Design; 15] = [
        Design::AccountLock,
        Design::HostLock,
        Design::CheckThenInsert,
        Design::FencedCompletion,
        Design::Watchdog,
        Design::StealOnSilence,
        Design::UnprovenLoss,
        Design::UnlockBeforeDead,
        Design::LeaveOrphans,
        Design::StartUnconfirmed,
        Design::ForgetSeen,
        Design::RefuseAndTake,
        Design::AcceptAnyCompletion,
        Design::LastWordWins,
        Design::LockForEver,
    ];

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Design::AccountLock => "account-lock",
            Design::HostLock => "host-lock",
            Design::CheckThenInsert => "check-then-insert",
            Design::FencedCompletion => "fenced-completion",
            Design::Watchdog => "watchdog",
            Design::StealOnSilence => "steal-on-silence",
            Design::UnprovenLoss => "unproven-loss",
            Design::UnlockBeforeDead => "unlock-before-dead",
            Design::LeaveOrphans => "leave-orphans",
            Design::StartUnconfirmed => "start-unconfirmed",
            Design::ForgetSeen => "forget-seen",
            Design::RefuseAndTake => "refuse-and-take",
            Design::AcceptAnyCompletion => "accept-any-completion",
            Design::LastWordWins => "last-word-wins",
            Design::LockForEver => "lock-for-ever",
        }
    }

    /// What it keeps to.
    pub fn rules(self) -> Rules {
        let ours = Rules {
            lock: Lock::Host,
            proof_for_lock: true,
            takeover: true,
            proof_for_loss: true,
            confirm: true,
            silence: Silence::Waits,
            watchdog: true,
            kill_first: true,
            reap: true,
            high_water: true,
            refusals_stay: true,
            strict_fence: true,
            fenced_words: true,
            first_word_final: true,
        };
        let lease = Rules { lock: Lock::None, silence: Silence::Reassigns, watchdog: false, ..ours };
        match self {
            Design::AccountLock => Rules { lock: Lock::Account, ..ours },
            Design::HostLock => ours,
            Design::CheckThenInsert => Rules { lock: Lock::AccountUnchecked, ..ours },
            Design::FencedCompletion => lease,
            Design::Watchdog => Rules { lock: Lock::Host, watchdog: true, ..lease },
            Design::StealOnSilence => {
                Rules { lock: Lock::Account, proof_for_lock: false, proof_for_loss: false, ..ours }
            }
            Design::UnprovenLoss => Rules { proof_for_loss: false, ..ours },
            Design::UnlockBeforeDead => Rules { kill_first: false, ..ours },
            Design::LeaveOrphans => Rules { reap: false, ..ours },
            Design::StartUnconfirmed => Rules { confirm: false, ..ours },
            Design::ForgetSeen => Rules { high_water: false, strict_fence: false, ..ours },
            Design::RefuseAndTake => Rules { refusals_stay: false, ..ours },
            Design::AcceptAnyCompletion => Rules { fenced_words: false, ..ours },
            Design::LastWordWins => Rules { first_word_final: false, ..ours },
            Design::LockForEver => Rules { lock: Lock::Account, takeover: false, ..ours },
        }
    }
}

/// Which misfortunes there are, and how many attempts are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How many attempts the broker makes of the work.
    pub attempts: u8,
    /// How often a runner's process dies.
    pub crashes: u8,
    /// How often a person cancels.
    pub cancels: u8,
    /// Whether the host is replaced: another one enrols, and the first may run on, cut off.
    pub replacement: bool,
    /// Whether a second host comes up with a copy of the first one's identity and disk.
    pub copy: bool,
    /// Whether the broker is put back to a backup.
    pub restore: bool,
}

impl Bounds {
    /// What the house must stand: crashes, a cancel, a replaced host.
    pub const REPLACEMENT: Bounds =
        Bounds { attempts: 2, crashes: 2, cancels: 1, replacement: true, copy: false, restore: false };
    /// A host that was copied, identity and disk.
    pub const COPY: Bounds = Bounds { crashes: 1, replacement: false, copy: true, ..Bounds::REPLACEMENT };
    /// A broker put back to a backup; the one host is still there.
    pub const RESTORE: Bounds =
        Bounds { crashes: 1, replacement: false, restore: true, ..Bounds::REPLACEMENT };
    /// A broker put back to a backup of before a host was replaced.
    pub const RESTORE_AND_REPLACEMENT: Bounds =
        Bounds { crashes: 0, cancels: 0, restore: true, ..Bounds::REPLACEMENT };
    /// All of them.
    pub const ALL: [Bounds; 4] =
        [Bounds::REPLACEMENT, Bounds::COPY, Bounds::RESTORE, Bounds::RESTORE_AND_REPLACEMENT];

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match (self.copy, self.restore, self.replacement) {
            (true, ..) => "copy",
            (false, false, _) => "replacement",
            (false, true, false) => "restore",
            (false, true, true) => "restore+replacement",
        }
    }
}
