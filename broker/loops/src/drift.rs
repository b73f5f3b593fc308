//! Drift: how often it is looked for, what was found to differ, and what people said of it.
//!
//! A difference is told with the values of its attributes, but for those that are sensitive: the runner
//! leaves them out before anything is sent.

use serde::{Deserialize, Serialize};

use crate::plan::ChangeAction;
use crate::rejected::{Rejected, RejectedCode};
use crate::time::Timestamp;

/// The shortest and the longest time between two looks.
pub use remit_seal::verify::{DRIFT_EVERY_MAX_MS as EVERY_MS_MAX, DRIFT_EVERY_MIN_MS as EVERY_MS_MIN};

/// How often the world is compared with what was deployed, and what then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = DriftSchedule))]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// At least once in so long, milliseconds.
    pub every_ms: i64,
    /// What is done about a difference.
    pub then: Then,
}

/// What is done about a difference that a scheduled look finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// People are told.
    Report,
    /// It is mended, within the install's window.
    Heal,
}

impl Then {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Then::Report => "report",
            Then::Heal => "heal",
        }
    }
}

/// What an install's people say of its schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = DriftChoice))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Choice {
    /// As its release says, which may be never.
    #[default]
    AsReleased,
    /// Only when somebody asks.
    Never,
    /// By this one.
    Every(Schedule),
}

impl Choice {
    /// Whether nobody has said anything.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Schedule {
    /// Refuses one that looks too often or hardly ever.
    pub(crate) fn check(self) -> Result<(), Rejected> {
        if (EVERY_MS_MIN..=EVERY_MS_MAX).contains(&self.every_ms) {
            return Ok(());
        }
        let message = format!(
            "drift is looked for every {EVERY_MS_MIN} ms (a minute) to {EVERY_MS_MAX} ms (30 days); \
             {} ms is neither",
            self.every_ms
        );
        Err(Rejected::new(RejectedCode::Invalid, message))
    }
}

/// What differs, as far as it may be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = DriftDetails))]
pub struct Details {
    /// The same for the same differences, sensitive values among them, hexadecimal; it tells nothing of
    /// them. Empty from a runner that does not say.
    pub fingerprint: String,
    /// The first differences.
    pub list: Vec<Difference>,
    /// How many are not in the list.
    pub more: u32,
}

impl Details {
    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Difference {
    /// Which.
    pub address: String,
    /// What a deploy would do to bring it back.
    pub action: ChangeAction,
    /// What of it differs; not all, where it is much.
    pub attributes: Vec<Attribute>,
}

/// One attribute that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = DriftAttribute))]
pub struct Attribute {
    /// Where in the thing: `tags.owner`.
    pub path: String,
    /// As it is; none where it is not there, or may not be told.
    pub found: Option<String>,
    /// As a deploy would make it; none where it would not be there, or may not be told.
    pub wanted: Option<String>,
    /// Its values stay in the customer's account.
    pub sensitive: bool,
}

/// A difference that somebody decided to live with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = DriftAccepted))]
pub struct Accepted {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// What differed then, in a line.
    pub summary: String,
    /// What differed then.
    pub details: Details,
}

/// Somebody's word that what is there is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// How drift is looked for in an install, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = DriftView))]
pub struct View {
    /// How often, and what then; none when only somebody's word starts a look.
    pub schedule: Option<Schedule>,
    /// Whose schedule it is.
    pub choice: Choice,
    /// When something of it was last looked at or made.
    pub checked: Option<Timestamp>,
    /// When the next look comes, as far as that is known.
    pub next: Option<Timestamp>,
    /// How often in a row a difference was mended and was there again.
    pub mends: u32,
}
