//! Health: how one sees whether a component does its work, and what was seen.
//!
//! A probe is a command of the component that looks and changes nothing. A deploy is done when one passes;
//! at rest, components are probed by a schedule.

use serde::{Deserialize, Serialize};

use crate::job::Failure;
use crate::time::Timestamp;

/// The code of a probe that says that its component does not do its work.
pub use remit_seal::document::UNHEALTHY;

/// How a component is probed, by its release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Probe {
    /// A deploy has failed when no probe passed within so long, milliseconds.
    pub within_ms: i64,
    /// One probe is given up after so long, milliseconds.
    pub timeout_ms: i64,
    /// At rest it is probed at least once in so long, milliseconds; none when only deploys probe it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<i64>,
    /// So many of those probes in a row must fail before it counts as unwell.
    pub failures: u32,
}

/// What probes said of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Health {
    /// When one said something last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked: Option<Timestamp>,
    /// How many in a row did not pass.
    #[serde(default)]
    pub failures: u32,
    /// It does not do its work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unwell: Option<Box<Unwell>>,
    /// A deploy has made it, and no probe has passed since: nobody knows whether that deploy is done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unproven: bool,
    /// Why nobody knows: the last probe could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// A component that does not do its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Unwell {
    /// Since when that is known.
    pub since: Timestamp,
    /// What the last probe said.
    pub failure: Failure,
}

/// How a component is probed and what that said, for people and programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = HealthView))]
pub struct View {
    /// How it is probed.
    pub probe: Probe,
    /// What that said.
    pub health: Health,
}

/// What is new after a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// Nothing.
    None,
    /// It does its work again.
    Well,
    /// It does not do its work any more.
    Unwell,
    /// It still does not, and so many more probes in a row said so as make it unwell.
    StillUnwell,
    /// Nobody knows: the probe could not be made.
    Unknown,
}

impl Health {
    /// Whether no probe has said anything.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Whether its deploy was ended before any probe said whether it does its work.
    pub(crate) fn is_unproven(&self) -> bool {
        self.unproven && self.unwell.is_none()
    }

    /// A probe passed.
    pub(crate) fn passed(&mut self, at: Timestamp) -> News {
        let before = std::mem::replace(self, Self { checked: Some(at), ..Self::default() });
        if before.unwell.is_some() { News::Well } else { News::None }
    }

    /// A probe did not pass; so many in a row make it unwell.
    pub(crate) fn failed(&mut self, at: Timestamp, failure: &Failure, enough: u32) -> News {
        self.checked = Some(at);
        if failure.code != UNHEALTHY {
            let before = self.unknown.replace(failure.message.clone());
            return if before.is_none() { News::Unknown } else { News::None };
        }
        self.unknown = None;
        self.failures = self.failures.saturating_add(1);
        let is_turn = self.failures.is_multiple_of(enough.max(1));
        match &mut self.unwell {
            Some(unwell) => {
                unwell.failure = failure.clone();
                if is_turn { News::StillUnwell } else { News::None }
            }
            None if is_turn => {
                self.unwell = Some(Box::new(Unwell { since: at, failure: failure.clone() }));
                News::Unwell
            }
            None => News::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::FailureClass;

    fn failure(code: &str) -> Failure {
        let (message, hint) = ("no answer".to_owned(), String::new());
        Failure { class: FailureClass::Bug, code: code.to_owned(), message, hint }
    }

    #[test]
    fn it_is_unwell_after_so_many_in_a_row_and_well_after_one() {
        let mut health = Health::default();
        let fail = |health: &mut Health| health.failed(Timestamp(1), &failure(UNHEALTHY), 2);
        assert_eq!([fail(&mut health), fail(&mut health)], [News::None, News::Unwell]);
        assert_eq!([fail(&mut health), fail(&mut health)], [News::None, News::StillUnwell]);
        assert_eq!(health.passed(Timestamp(2)), News::Well);
        assert_eq!([fail(&mut health), health.passed(Timestamp(3))], [News::None; 2]);
        assert_eq!(fail(&mut health), News::None, "it counts from the beginning");
    }

    #[test]
    fn a_probe_that_could_not_be_made_says_nothing_of_the_component() {
        let mut health = Health::default();
        let mut fail = || health.failed(Timestamp(1), &failure("executor.tool_missing"), 1);
        assert_eq!([fail(), fail()], [News::Unknown, News::None]);
        assert!(health.unwell.is_none() && health.failures == 0);
    }
}
