//! What would become of an install if a release came out: whether it takes it, when, and what changes.

use serde::{Deserialize, Serialize};

use super::offers::{Answer, Policy};
use super::{Install, Live, State};
use crate::rejected::Rejected;
use crate::release::Release;
use crate::release::changes::{ComponentChange, changes};
use crate::standing::Standing;
use crate::time::Timestamp;

/// How many holds in a row are looked behind for the time at which a release would be taken.
const HOLDS_MAX: usize = 100;

/// When an install would take a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At once.
    Now {},
    /// At this time, if nothing else is in the way then.
    At {
        /// The time.
        at: Timestamp,
        /// What it waits for until then.
        why: String,
    },
    /// When somebody says so.
    Asked {
        /// Who has to say what.
        why: String,
    },
    /// Never.
    Never {
        /// Why not.
        why: String,
    },
}

/// What would become of one install.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Preview {
    /// When it would take the release.
    pub when: When,
    /// What would change, by component; empty if it never takes it.
    pub changes: Vec<ComponentChange>,
}

/// A time that a window is open, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NextWindow {
    /// The first moment of it.
    pub opens: Timestamp,
    /// The first moment after it.
    pub closes: Timestamp,
    /// When it opens by the clocks of its place.
    pub local: String,
    /// The freeze that lies over its beginning, if one does.
    pub frozen_by: Option<String>,
}

impl Install {
    /// What would become of it if this release came out now; nothing of one that is not there.
    pub fn preview(&self, at: Timestamp, release: &Release) -> Option<Preview> {
        match &self.state {
            State::Live(live) => Some(live.preview(at, release)),
            State::Absent | State::Gone(_) => None,
        }
    }

    /// The next times that its window is open; none without a window.
    pub fn next_windows(&self, at: Timestamp, count: usize) -> Result<Vec<NextWindow>, Rejected> {
        let State::Live(live) = &self.state else { return Ok(vec![]) };
        let Policy::Window(window) = &live.updates.policy else { return Ok(vec![]) };
        let schedule = window.schedule()?;
        let next = |opening: crate::window::Opening| NextWindow {
            opens: opening.opens,
            closes: opening.closes,
            local: schedule.local(opening.opens),
            frozen_by: live.updates.freezes.holding(opening.opens.max(at)).map(|freeze| freeze.name.clone()),
        };
        Ok(schedule.openings(at).take(count).map(next).collect())
    }

    /// When it is changed, and what waits for that.
    pub fn updates(&self) -> super::offers::UpdatesView {
        match &self.state {
            State::Live(live) => live.updates.view(),
            State::Absent | State::Gone(_) => super::offers::UpdatesView::default(),
        }
    }

    /// Its update policy, in a line.
    pub fn policy(&self) -> String {
        match &self.state {
            State::Live(live) => live.updates.policy.to_string(),
            State::Absent | State::Gone(_) => String::new(),
        }
    }

    /// The release that it is on.
    pub fn release(&self) -> Option<&Release> {
        match &self.state {
            State::Live(live) => live.release.as_ref(),
            State::Absent | State::Gone(_) => None,
        }
    }

    /// Its labels, as it was made.
    pub fn labels(&self) -> Option<&crate::values::Values> {
        match &self.state {
            State::Live(live) => Some(&live.labels),
            State::Absent | State::Gone(_) => None,
        }
    }
}

impl Live {
    fn preview(&self, at: Timestamp, release: &Release) -> Preview {
        let when = self.when(at, release);
        let changes = match when {
            When::Never { .. } => vec![],
            When::Now {} | When::At { .. } | When::Asked { .. } => changes(self.release.as_ref(), release),
        };
        Preview { when, changes }
    }

    fn when(&self, at: Timestamp, release: &Release) -> When {
        let never = |why: &str| When::Never { why: why.to_owned() };
        let asked = |why: String| When::Asked { why };
        if self.deleting.is_some() {
            return never("it is being deleted");
        }
        if self.release.as_ref().is_some_and(|own| own.digest == release.digest) {
            return never("it is on this release");
        }
        if !self.updates.follows(release) {
            return never(&format!(
                "it follows channel {}, not {}",
                self.updates.channel.as_deref().unwrap_or_default(),
                release.channel
            ));
        }
        if let Some(mark) = &self.paused {
            return asked(format!("paused by {}: {}", mark.by, mark.reason));
        }
        if self.parent != Standing::Active {
            return asked(format!("its app is {}", self.parent));
        }
        let offer = self.updates.inbox.iter().find(|offer| offer.release.digest == release.digest);
        match (offer.map(|offer| &offer.answer), &self.updates.policy) {
            (Some(Answer::Declined { by, reason }), _) => never(&format!("{by} declined it: {reason}")),
            (Some(Answer::Snoozed { until, .. }), Policy::Manual {}) => {
                asked(format!("somebody opts in; it was put off until {until}"))
            }
            (Some(Answer::Open) | None, Policy::Manual {}) => asked("somebody opts in".to_owned()),
            (Some(Answer::Snoozed { by, until }), Policy::Latest {} | Policy::Window(_)) => {
                self.first_time(*until, Some(format!("{by} put it off")))
            }
            (Some(Answer::OptedIn { .. }), _) | (_, Policy::Latest {} | Policy::Window(_)) => {
                self.first_time(at, None)
            }
        }
    }

    /// The first time at which nothing holds it.
    fn first_time(&self, at: Timestamp, mut why: Option<String>) -> When {
        let mut time = at;
        for _ in 0..HOLDS_MAX {
            match self.may_update(time) {
                Ok(_) => break,
                Err(hold) => {
                    time = hold.until.max(time.plus_ms(1));
                    why.get_or_insert(hold.reason);
                }
            }
        }
        match why {
            Some(why) => When::At { at: time, why },
            None => When::Now {},
        }
    }
}
