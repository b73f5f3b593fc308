//! Break glass at work: what it lets go on, and how it ends by itself or by hand.

use super::Live;
use crate::break_glass::{self, BreakGlass};
use crate::event::{Effect, Event, record, record_at};
use crate::graph::StepState;
use crate::id::ObjectId;
use crate::rejected::{Rejected, conflict};
use crate::time::Timestamp;
use crate::timeline::Level;
use crate::waiting::Waiting;

impl Live {
    /// Somebody breaks it; a glass that is broken already gets the new time and reason.
    pub(super) fn break_glass(
        &mut self,
        event: &Event,
        for_ms: i64,
        reason: &str,
    ) -> Result<Vec<Effect>, Rejected> {
        break_glass::check(for_ms, reason)?;
        let (by, reason) = (event.by.to_string(), reason.to_owned());
        let until = event.at.plus_ms(for_ms);
        let text = format!(
            "{by} broke the glass until {until}: {reason}; windows, freezes and the vendor's approvals hold up nothing"
        );
        self.glass = Some(BreakGlass { by, reason, since: event.at, until });
        let entry = record_at(Level::Warning, "glass.broken", text);
        Ok([entry].into_iter().chain(self.pass_asking(event.at)).collect())
    }

    /// Somebody ends it before its time.
    pub(super) fn mend_glass(&mut self, event: &Event) -> Result<Vec<Effect>, Rejected> {
        let Some(glass) = self.glass.take() else {
            return Err(conflict("its glass is whole; there is nothing to mend"));
        };
        let text = format!("{} ended early what {} broke: the glass is whole again", event.by, glass.by);
        self.ask_again(event.at);
        Ok(vec![record("glass.mended", text)])
    }

    /// The glass that is broken at this time. One whose time is over passes nothing, even before a tick has
    /// taken it away.
    pub(super) fn glass_at(&self, at: Timestamp) -> Option<&BreakGlass> {
        self.glass.as_ref().filter(|glass| glass.holds(at))
    }

    /// It ends by itself when its time is over.
    pub(super) fn glass_over(&mut self, at: Timestamp) -> Option<Effect> {
        let glass = self.glass.take_if(|glass| !glass.holds(at))?;
        let text = format!("the time for which {} broke the glass is over: it is whole again", glass.by);
        self.ask_again(at);
        Some(record("glass.mended", text))
    }

    /// When it ends by itself.
    pub(super) fn glass_until(&self) -> Option<Timestamp> {
        self.glass.as_ref().map(|glass| glass.until)
    }

    /// Plans that only wait for the vendor's people go on.
    fn pass_asking(&mut self, at: Timestamp) -> Vec<Effect> {
        let Some(op) = self.work.as_mut().filter(|op| op.is_running()) else { return vec![] };
        let waiting: Vec<usize> = op.graph.asking().map(|(index, _)| index).collect();
        waiting.into_iter().filter_map(|index| op.pass_vendor(at, index)).collect()
    }

    /// What waits for the customer alone, since a glass passed the vendor's people, waits for those again.
    fn ask_again(&mut self, at: Timestamp) {
        let Some(mut op) = self.work.take() else { return };
        for index in 0..op.graph.steps.len() {
            let StepState::Asking(asking) = &op.graph.steps[index].state else { continue };
            let fresh = self.asking(at, &op, &op.graph.steps[index], &asking.plan);
            if let StepState::Asking(asking) = &mut op.graph.steps[index].state
                && asking.vendor < fresh.vendor
            {
                (asking.vendor, asking.reason, asking.terms) = (fresh.vendor, fresh.reason, fresh.terms);
            }
        }
        self.work = Some(op);
    }

    pub(super) fn glass_reason(&self, id: &ObjectId) -> Option<Waiting> {
        self.glass.as_ref().map(|glass| Waiting {
            code: "attention.glass".into(),
            reason: format!(
                "{} broke its glass until {}: {}; it passes windows, freezes and the vendor's approvals",
                glass.by, glass.until, glass.reason
            ),
            since: glass.since,
            on: None,
            remedy: format!("it ends by itself; now: `remit signal {id} mend_glass`"),
            evidence: None,
        })
    }
}
