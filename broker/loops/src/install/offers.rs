//! Releases that are offered to an install: when it takes them, which wait, and what was said of them. Data only.

use crate::actor::Actor;
use crate::freeze::Freeze;
use crate::release::ReleaseRef;
use crate::time::Timestamp;
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// When an install takes a release that came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Policy {
    /// At once.
    Latest {},
    /// While its window is open.
    Window(Window),
    /// When somebody says so.
    Manual {},
}

impl Default for Policy {
    fn default() -> Self {
        Policy::Latest {}
    }
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Policy::Latest {} => f.write_str("latest"),
            Policy::Manual {} => f.write_str("manual"),
            Policy::Window(w) => {
                let days: Vec<&str> = w.days.iter().map(|day| day.as_str()).collect();
                let (hours, minutes) = (w.length_minutes / 60, w.length_minutes % 60);
                write!(f, "window {} {} {} for {hours}h{minutes:02}", days.join(","), w.start, w.zone)
            }
        }
    }
}

/// A release that waits in an install's inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Offer {
    /// The release.
    pub release: ReleaseRef,
    /// Its channel.
    pub channel: String,
    /// Who brought it.
    pub by: Actor,
    /// Since when it waits.
    pub since: Timestamp,
    /// What was said about it.
    pub answer: Answer,
}

/// What was said about a release that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Nothing yet.
    Open,
    /// Take it.
    OptedIn {
        /// Who said so.
        by: String,
    },
    /// Never take it.
    Declined {
        /// Who said so.
        by: String,
        /// Why.
        reason: String,
    },
    /// Not before this time.
    Snoozed {
        /// Who said so.
        by: String,
        /// The first moment at which it counts again.
        until: Timestamp,
    },
}

/// When an install is changed, for people and programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdatesView {
    /// When it takes a release.
    pub policy: Policy,
    /// The line of releases that it follows; every one, if it names none.
    pub channel: Option<String>,
    /// The freezes that hold for it, those of its app and org first.
    pub freezes: Vec<Freeze>,
    /// The releases that wait, in the order in which they came.
    pub inbox: Vec<Offer>,
}
