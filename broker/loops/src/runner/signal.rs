//! What people and programs ask of a runner's loop.

use serde::{Deserialize, Serialize};

use super::{Place, Proof};
use crate::event::Timestamp;

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
    pub(super) fn reason(&self) -> Option<&str> {
        match self {
            Signal::Declare { reason, .. }
            | Signal::Revoke { reason }
            | Signal::Drain { reason }
            | Signal::DeclareLost { reason, .. } => Some(reason),
            Signal::Expect { .. } | Signal::Resume {} => None,
        }
    }
}
