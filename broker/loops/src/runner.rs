//! The event loop of a runner: its identity, its presence, and the attempts in its hands.
use crate::event::{Effect, Event, Rejected, Timestamp, Waiting};
use crate::id::ObjectId;
use crate::job::{AttemptId, JobSpec, Outcome};
use crate::view::View;
use serde::{Deserialize, Serialize};

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
        /// How they made sure; on the record.
        reason: String,
    },
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

/// An attempt that may be handed to the runner now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What to run.
    pub spec: JobSpec,
    /// Its place in the install's sequence of envelopes.
    pub seq: u64,
    /// Its fence.
    pub fence: u64,
}

/// The runner of an install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runner {
    id: ObjectId,
}
impl Runner {
    pub(crate) fn new(id: ObjectId) -> Self {
        Self { id }
    }
    pub(crate) fn apply(&mut self, _e: &Event) -> Result<Vec<Effect>, Rejected> {
        todo!()
    }
    pub(crate) fn why(&self) -> Vec<Waiting> {
        todo!()
    }
    pub(crate) fn view(&self) -> View {
        todo!()
    }
    pub(crate) fn is_known(&self) -> bool {
        todo!()
    }
    /// The generation that may speak; 0 when none may.
    pub fn generation(&self) -> u64 {
        todo!()
    }
    /// The install's epoch: how many installs have had this name.
    pub fn epoch(&self) -> u64 {
        todo!()
    }
    /// The attempt to hand out next (the lowest sequence number first), if any.
    pub fn next_offer(&self) -> Option<Offer> {
        todo!()
    }
    /// Why an attempt must not go on, if it must not. An unknown one must not.
    pub fn stop_reason(&self, _attempt: &AttemptId, _fence: u64) -> Option<Stop> {
        todo!()
    }
}

/// Why an attempt must stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled it.
    Cancelled(String),
    /// A newer fence holds the component, or the attempt is not known (any more).
    Fenced(String),
}
