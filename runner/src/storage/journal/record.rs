//! One record: `LENGTH CRC JSON\n`, length and crc in eight hexadecimal digits.
//!
//! The JSON names the sha256 of the record before it, so that none can be changed, left out
//! or put elsewhere without all later ones telling.

use remit_seal::Digest;
use remit_seal::document::{BreakGlass, Class, KeySpec, RollbackPermit};
use remit_seal::verify::Verified;
use serde::{Deserialize, Serialize};

use super::state::Snapshot;
use crate::outcome::{Attempt, Outcome, PlanFacts};

/// The version of the entries below; a new meaning is a new version.
pub(super) const FORMAT: u32 = 1;
/// The longest record, in bytes.
pub(super) const RECORD_LEN_MAX: usize = 1 << 20;
const HEAD_LEN: usize = 18;

/// One entry in its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its number, from 1.
    pub n: u64,
    /// When, by the runner's clock.
    pub at_ms: i64,
    /// The digest of the record before; of no bytes for the first.
    pub prev: String,
    /// What.
    pub entry: Entry,
}

/// Which policy something was decided by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Its version.
    pub version: u64,
    /// The sha256 of its text, hexadecimal.
    pub sha256: String,
}

/// What is put on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The journal was begun.
    Opened {
        /// The version of the format.
        format: u32,
        /// Whose journal it is.
        install: String,
    },
    /// From here on checkpoints are signed with this key.
    Keyed {
        /// Its public half.
        key: KeySpec,
    },
    /// The first of a later segment: what all records before it amount to.
    Continued {
        /// That.
        snapshot: Box<Snapshot>,
    },
    /// From here on this policy is kept to.
    Policy(Reference),
    /// From here on releases of this channel run, and of no other: the customer pinned it.
    Channel {
        /// Its name.
        name: String,
    },
    /// The customer halted the runner.
    Halted {
        /// Who.
        by: String,
        /// Whether what runs is ended, too.
        now: bool,
    },
    /// The customer let it go on.
    Resumed {
        /// Who.
        by: String,
    },
    /// An envelope passed every check.
    Accepted(Accepted),
    /// An envelope, or a plan of one that has begun, waits for a window, an approval or a resumption.
    Held {
        /// Which attempt.
        attempt: Attempt,
        /// The check that holds it.
        code: String,
        /// What it waits for.
        message: String,
    },
    /// The customer approved what an attempt does from here on.
    Approved {
        /// Which attempt.
        attempt: Attempt,
        /// What was approved, and by which words.
        consent: Consented,
    },
    /// The customer has sequence numbers and fences counted anew.
    MarksReset {
        /// Their word.
        word: Used,
        /// Whose.
        by: String,
        /// From this moment on.
        at_ms: i64,
    },
    /// A saved plan was let through, and is applied now.
    Planned(Planned),
    /// An envelope did not pass a check; nothing was begun.
    Refused {
        /// What it claimed to be.
        attempt: Attempt,
        /// The digest of its bytes.
        envelope: String,
        /// The check.
        code: String,
        /// Why.
        message: String,
    },
    /// The lock is held: from here on there may be effects.
    Begun {
        /// Which attempt.
        attempt: Attempt,
    },
    /// A tool was started for it.
    Process(Process),
    /// It ended, and nothing of it runs any more; without having been accepted: it is refused for good.
    Ended {
        /// Which attempt.
        attempt: Attempt,
        /// How.
        outcome: Outcome,
        /// The customer's approvals of its content, which a success ends.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvals: Vec<Used>,
    },
    /// The broker has its outcome.
    Reported {
        /// Which attempt.
        attempt: Attempt,
        /// False when the broker had another final word already, or wants none.
        taken: bool,
    },
}

impl Entry {
    /// Whether effects may follow from it: such an entry needs room for what follows, too.
    pub(super) fn opens(&self) -> bool {
        match self {
            Entry::Opened { .. }
            | Entry::Keyed { .. }
            | Entry::Continued { .. }
            | Entry::Policy(_)
            | Entry::Channel { .. }
            | Entry::Accepted(_)
            | Entry::Approved { .. }
            | Entry::MarksReset { .. }
            | Entry::Planned(_)
            | Entry::Begun { .. } => true,
            Entry::Refused { .. }
            | Entry::Held { .. }
            | Entry::Halted { .. }
            | Entry::Resumed { .. }
            | Entry::Process(_)
            | Entry::Ended { .. }
            | Entry::Reported { .. } => false,
        }
    }

    /// Whether a new segment may begin before it: never in the middle of an attempt's own records, whose
    /// writing must need no more room than they do.
    pub(super) fn may_turn(&self) -> bool {
        matches!(self, Entry::Accepted(_) | Entry::Refused { .. } | Entry::Held { .. })
    }
}

/// An accepted envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Which attempt.
    pub attempt: Attempt,
    /// The numbers that are counted.
    #[serde(flatten)]
    pub counted: Counted,
    /// The digest of the envelope's payload.
    pub envelope: String,
    /// The digest of the release's payload.
    pub release: String,
    /// The release's counter.
    pub release_counter: u64,
    /// The release's channel.
    pub channel: String,
    /// The lowest counter that the release lets the install go back to.
    pub rollback_floor: u64,
    /// What is done with what.
    #[serde(flatten)]
    pub task: Task,
    /// The version of the policy that permitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<u64>,
    /// Who of the vendor let it pass the vendor's own rules, why, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// The vendor's leave to go back to this release from the newer one that ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit: Option<Permitted>,
    /// The digest of its content, and the customer's approvals of that.
    #[serde(flatten, default)]
    pub consent: Consented,
}

/// A rollback permit that a job made use of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permitted {
    /// The digest of its payload.
    pub permit: String,
    /// The newest release that it lets an install leave.
    pub from: u64,
    /// The release that it lets run again.
    pub to: u64,
    /// The vendor's reason.
    pub reason: String,
    /// After this no job starts by it.
    pub until_ms: i64,
}

impl Permitted {
    pub(crate) fn of(permit: &Verified<RollbackPermit>) -> Self {
        let RollbackPermit { from, to, reason, until_ms, .. } = permit.get().clone();
        Self { permit: permit.digest().hex(), from, to, reason, until_ms }
    }
}

/// The numbers of an accepted envelope; its fence stands in its attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Its place among the install's envelopes.
    pub seq: u64,
    /// The ids of the dispatch keys that signed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Since when its fence is counted.
    #[serde(default)]
    pub since_ms: i64,
}

/// What an accepted envelope does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The component.
    pub component: String,
    /// The component's kind.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What to do with it.
    pub operation: String,
    /// How dangerous that is.
    pub class: Class,
    /// Whether it is only rehearsed.
    pub rehearsal: bool,
}

/// What the customer approved of an attempt: what a success ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consented {
    /// The digest of the content, hexadecimal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub content: String,
    /// The customer's approvals of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Used>,
}

/// A word of the customer's that ends with a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Used {
    /// The digest of its payload, hexadecimal.
    pub word: String,
    /// Until when it would have counted.
    pub until_ms: i64,
}

/// A plan that was let through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Of which attempt.
    pub attempt: Attempt,
    /// The sha256 of the saved plan, hexadecimal.
    pub digest: String,
    /// What it does, counted.
    pub plan: PlanFacts,
}

/// A tool's process group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Of which attempt.
    pub attempt: Attempt,
    /// The group's id, which is its first process's.
    pub pgid: i32,
    /// When that process started, in clock ticks since boot: tells it from a later one of the same id.
    pub start_ticks: u64,
    /// The boot it belongs to.
    pub boot: String,
}

/// A record as a line, and the digest that the next one names.
pub(super) fn encode(record: &Record) -> (Vec<u8>, Digest) {
    let json = serde_json::to_vec(record).expect("records are maps with text keys and no floats");
    let mut line = format!("{:08x} {:08x} ", json.len(), crc32fast::hash(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    (line, Digest::of(&json))
}

/// Reads a line back, with its newline.
pub(super) fn decode(line: &[u8]) -> Result<(Record, Digest), String> {
    let body = line.strip_suffix(b"\n").ok_or("it has no end")?;
    if body.len() < HEAD_LEN {
        return Err("it is too short".to_owned());
    }
    let (head, json) = body.split_at(HEAD_LEN);
    let wanted = format!("{:08x} {:08x} ", json.len(), crc32fast::hash(json));
    if head != wanted.as_bytes() {
        return Err("its length or checksum is wrong".to_owned());
    }
    let record = serde_json::from_slice(json).map_err(|e| format!("it cannot be read: {e}"))?;
    Ok((record, Digest::of(json)))
}
