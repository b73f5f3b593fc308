//! What a runner's loop is asked and told, and what it says of the runner. Data only.

use remit_seal::verify::{is_account, is_region};
use serde::{Deserialize, Serialize};

use crate::break_glass::BreakGlass;
use crate::job::{Action, AttemptId, Mode, Outcome};
use crate::plan::{Reply, Stage};
use crate::rejected::{Rejected, RejectedCode};
use crate::release::ReleaseRef;
use crate::scenario::Act;
use crate::time::Timestamp;
use crate::values::Values;

/// What a runner can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Signal {
    /// Let one runner enrol with this one-time token.
    Expect {
        /// sha256 of the token, hexadecimal: the token itself is kept nowhere.
        token_sha256: String,
        /// Until when.
        expires: Timestamp,
    },
    /// Declare where it must prove to be, or that it may be anywhere. One that was enrolled for another place
    /// is heard no more.
    Declare {
        /// The place; none for anywhere.
        place: Option<Place>,
        /// Why, for people.
        reason: String,
    },
    /// Take its identity away.
    Revoke {
        /// Why, for people.
        reason: String,
    },
    /// Hand it nothing new; what runs goes on.
    Drain {
        /// Why, for people.
        reason: String,
    },
    /// Hand it work again.
    Resume {},
    /// A person has made sure that nothing of the unconfirmed attempts runs any more: give them up.
    DeclareLost {
        /// Why, for people; it stays on the record.
        reason: String,
        /// Those of this component, or all.
        #[serde(default)]
        component: Option<String>,
        /// What shows it: `{"host_terminated":{"host":"i-0abc","evidence":"…"}}`, or
        /// `{"journal_ended":{"receipt":"…","evidence":"…"}}`. Without it nothing is given up.
        #[serde(default)]
        proof: Option<Proof>,
    },
}

impl Signal {
    /// The reason, of those that need one.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Signal::Declare { reason, .. }
            | Signal::Revoke { reason }
            | Signal::Drain { reason }
            | Signal::DeclareLost { reason, .. } => Some(reason),
            Signal::Expect { .. } | Signal::Resume {} => None,
        }
    }
}

/// What the runner, or the edge that watches it, says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It asks for an identity with a one-time token: a new generation.
    Enrol {
        /// sha256 of the token, hexadecimal.
        token_sha256: String,
        /// sha256 of the public key it wants certified, hexadecimal.
        spki_sha256: String,
    },
    /// It asks for an identity with AWS's word for where it is, and perhaps a one-time token.
    EnrolProven {
        /// sha256 of the token, hexadecimal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token_sha256: Option<String>,
        /// sha256 of the public key it wants certified, hexadecimal.
        spki_sha256: String,
        /// What AWS said.
        proof: Attestation,
    },
    /// It was heard of again.
    Seen {
        /// Its generation.
        generation: u64,
        /// What it says of itself.
        info: Info,
    },
    /// It has not been heard of for too long.
    Lost {
        /// Its generation.
        generation: u64,
    },
    /// It verified, locked and journalled an attempt, and asks whether to start.
    Started {
        /// Its generation.
        generation: u64,
        /// The attempt.
        attempt: AttemptId,
        /// The attempt's fence.
        fence: u64,
    },
    /// The broker that says this was restored from a backup: what it knows may be old.
    Restored {},
    /// How far the runner has got, for a broker that knows less.
    Marks {
        /// Its generation.
        generation: u64,
        /// The greatest sequence number of an envelope that it has accepted.
        seq: u64,
        /// The greatest fence that it has seen.
        fence: u64,
        /// The attempts that it has in hand, with their fences.
        held: Vec<(AttemptId, u64)>,
    },
    /// What the customer says of a plan that was reported.
    PlanAnswered {
        /// Its generation.
        generation: u64,
        /// Whose plan.
        component: String,
        /// The plan's digest.
        digest: String,
        /// What they say.
        reply: Reply,
    },
    /// The terminal word of an attempt.
    Ended {
        /// Its generation.
        generation: u64,
        /// The attempt.
        attempt: AttemptId,
        /// The attempt's fence.
        fence: u64,
        /// How it ended.
        outcome: Outcome,
        /// How far the runner's receipts had got, where it says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        receipts: Option<Receipts>,
    },
}

/// What a runner says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Info {
    /// Its program's version.
    pub version: String,
    /// Random for each start of its process.
    pub boot: String,
    /// How many attempts it runs at once.
    pub capacity: u32,
    /// The kinds of components it can really run; none where it does not say.
    pub executors: Vec<String>,
}

impl Info {
    /// The kind that it would need to run this and has no executor for, if it is too old for it.
    pub(crate) fn lacks<'a>(&self, spec: &'a JobSpec) -> Option<&'a str> {
        let is_real = spec.mode == Mode::Real && !spec.kind.is_empty() && !self.executors.is_empty();
        (is_real && !self.executors.contains(&spec.kind)).then_some(spec.kind.as_str())
    }
}

/// Whether a runner is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Presence {
    /// None has enrolled yet.
    #[default]
    Expected,
    /// It is there.
    Online {
        /// Since when.
        since: Timestamp,
    },
    /// It was there and is silent now.
    Offline {
        /// Since when.
        since: Timestamp,
    },
    /// Its identity was taken away.
    Revoked {
        /// When.
        since: Timestamp,
    },
}

/// The longest text of a proof, in bytes.
pub(super) const TEXT_LEN_MAX: usize = 2_048;

/// The length of a digest, hexadecimal.
pub(super) const DIGEST_LEN: usize = 64;

/// What shows that an attempt runs no more; it stays on the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// The host that ran it is gone, with all that ran there.
    HostTerminated {
        /// Which: an instance's id, a machine's name.
        host: String,
        /// Who says so, in their words: the cloud's answer, the person who pulled the plug.
        evidence: String,
    },
    /// The journal of the runner that began it, in the hands of a newer one, says how it ended.
    JournalEnded {
        /// The digest of the receipt, hexadecimal, as `remit-runner verify` shows it.
        receipt: String,
        /// What the receipt says.
        evidence: String,
    },
}

impl Proof {
    /// In a line, for the record.
    pub(crate) fn words(&self) -> String {
        match self {
            Proof::HostTerminated { host, evidence } => format!("host {host} is terminated: {evidence}"),
            Proof::JournalEnded { receipt, evidence } => format!("receipt {receipt}: {evidence}"),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Rejected> {
        let (what, evidence) = match self {
            Proof::HostTerminated { host, evidence } => (host, evidence),
            Proof::JournalEnded { receipt, evidence } => (receipt, evidence),
        };
        let is_text = |text: &String| !text.trim().is_empty() && text.len() <= TEXT_LEN_MAX;
        if !is_text(what) || !is_text(evidence) {
            return missing(format!(
                "a proof names the host or the receipt, and says what shows it: 1 to {TEXT_LEN_MAX} bytes each"
            ));
        }
        let is_digest = what.len() == DIGEST_LEN && what.bytes().all(|b| b.is_ascii_hexdigit());
        if matches!(self, Proof::JournalEnded { .. }) && !is_digest {
            return missing(format!("`{what}` is no receipt's digest: 64 hexadecimal digits"));
        }
        Ok(())
    }
}

pub(super) fn missing<T>(message: String) -> Result<T, Rejected> {
    Err(Rejected::new(RejectedCode::ProofMissing, message))
}

/// The longest name of a role.
pub(super) const ROLE_LEN_MAX: usize = 64;

/// Where a runner must prove to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The AWS account: 12 digits.
    pub account: String,
    /// Its region, e.g. `eu-central-1`.
    pub region: String,
    /// The name of the role that the runner has, without path. Without one, anybody of the account who shows
    /// the one-time token is let in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Whom AWS said a runner is, when it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// The account.
    pub account: String,
    /// The region whose AWS said so, and in which the runner says to be.
    pub region: String,
    /// The role that it had assumed, if it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What made the proof good once, hexadecimal.
    pub nonce: String,
    /// Until when it was good.
    pub until: Timestamp,
}

impl Place {
    /// Whether there can be such a place.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Rejected> {
        let wrong = |what: &str| Err(Rejected::new(RejectedCode::Invalid, what));
        if !is_account(&self.account) {
            return wrong("an AWS account is 12 digits, without dashes");
        }
        if !is_region(&self.region) {
            return wrong("an AWS region is written like `eu-central-1`");
        }
        let is_role = |role: &String| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
            (1..=ROLE_LEN_MAX).contains(&role.len()) && role.bytes().all(allowed)
        };
        if !self.role.as_ref().is_none_or(is_role) {
            return wrong(
                "a role is given by its name alone, without path or ARN: 1 to 64 letters, digits and +=,.@_-",
            );
        }
        Ok(())
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AWS account {} in {}", self.account, self.region)?;
        self.role.as_ref().map_or(Ok(()), |role| write!(f, ", role {role}"))
    }
}

/// One start of the process of one generation. While it lasts, the customer's values are the same;
/// another generation has none of the files of the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Boot {
    /// The generation.
    pub generation: u64,
    /// What the process calls its start; empty where it has not said so yet.
    pub id: String,
}

/// A place in a runner's chain of receipts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// How many there were.
    pub records: u64,
    /// The digest of the last, hexadecimal: it proves all before it.
    pub head: String,
}

/// All that an envelope needs to know of one attempt, but for what the runner's loop adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Which try at which job.
    pub id: AttemptId,
    /// The component's name.
    pub component: String,
    /// What to do.
    pub action: Action,
    /// The kind of the component, as the executors of a runner are named; empty in what was stored before it was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Real or rehearsed.
    pub mode: Mode,
    /// The release to do it by: digest, counter, version.
    pub release: ReleaseRef,
    /// The install's inputs of broker authority, as JSON texts by name.
    pub inputs: Values,
    /// How long it may run, milliseconds.
    pub longest_run_ms: i64,
    /// What to pretend, where a scenario says so; only ever of a rehearsed job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// It begins before this time or not at all: the end of a window, the beginning of a freeze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begin_by: Option<Timestamp>,
    /// How much of the action.
    #[serde(default, skip_serializing_if = "Stage::is_whole")]
    pub stage: Stage,
    /// To run: which command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Somebody let it pass the vendor's own rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glass: Option<BreakGlass>,
}

/// What a runner is told by its install and by its components.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "a notice lives for one event, and most are offers")]
pub enum ToRunner {
    /// Component to runner: run this attempt.
    Offer(JobSpec),
    /// Component to runner: this attempt must stop.
    Revoke {
        /// The attempt.
        attempt: AttemptId,
        /// Why, for people.
        reason: String,
    },
    /// Install to runner: the install exists from now on and wants a runner.
    RunnerWanted {
        /// The install's epoch: how many installs have had this name.
        epoch: u64,
    },
    /// Install to runner: the install is gone; so is your identity.
    RunnerUnwanted,
}
