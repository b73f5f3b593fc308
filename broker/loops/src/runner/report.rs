//! What a runner says, as its loop hears it.

use serde::{Deserialize, Serialize};

use super::{Attestation, Receipts};
use crate::job::{AttemptId, Outcome};
use crate::plan::Reply;

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
    /// The kinds of components it can really run.
    pub executors: Vec<String>,
}
