//! What a runner's receipts had come to, as it said with each ending: a later word that contradicts an
//! earlier one proves that they were changed, or that another journal took their place.

use super::Runner;
use super::message::Receipts;
use crate::event::{Effect, record_at};
use crate::timeline::Level;

impl Runner {
    /// How far its receipts had got when it last said so.
    pub fn receipts(&self) -> Option<&Receipts> {
        self.receipts.as_ref()
    }

    /// The runner says it with one ending after the other, so the number only grows.
    pub(super) fn hear_receipts(&mut self, said: &Receipts) -> Option<Effect> {
        let before = self.receipts.replace(said.clone())?;
        let text = if said.records < before.records {
            let (now, then) = (said.records, before.records);
            format!(
                "the runner's receipts went back from {then} to {now}: they were cut, or restored from a copy"
            )
        } else if said.records == before.records && said.head != before.head {
            format!(
                "the runner's receipts were changed: receipt {} has another digest than before",
                said.records
            )
        } else {
            return None;
        };
        let text = format!("{text}; the customer finds out with `remit-runner verify`");
        Some(record_at(Level::Error, "receipts.forked", text))
    }

    /// Another generation may keep a journal of its own, which begins anew.
    pub(super) fn forget_receipts(&mut self) {
        self.receipts = None;
    }
}
