//! What stays of an install that is gone: who ended it, what may be left, and a receipt for each destroy.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Live;
use crate::actor::Actor;
use crate::component::facts::Removed;
use crate::event::{Effect, record, record_at};
use crate::id::ObjectId;
use crate::notice::Notice;
use crate::parent::ToParent;
use crate::runner::message::ToRunner;
use crate::timeline::Level;
use crate::view::RemovedView;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tombstone {
    pub(super) by: Actor,
    /// Why it was forgotten; none when it was torn down.
    pub(super) forgotten: Option<String>,
    /// Components of which something may have been left in the customer's account.
    pub(super) leaked: Vec<String>,
    /// The receipts of what was destroyed, by component.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) removed: BTreeMap<String, Removed>,
}

impl Tombstone {
    /// What the install's going tells the others.
    pub(super) fn farewell(&self, id: &ObjectId) -> Vec<Effect> {
        let tell = |to: Option<ObjectId>, notice: Notice| to.map(|to| Effect::Tell { to, notice });
        let warn = |code: &str| record_at(Level::Warning, code, self.summary());
        let entry = match (&self.forgotten, self.leaked.is_empty()) {
            (None, true) => record("install.deleted", self.summary()),
            (None, false) => warn("install.deleted"),
            (Some(_), _) => warn("install.forgotten"),
        };
        let others = [
            tell(id.runner(), Notice::Runner(ToRunner::RunnerUnwanted)),
            tell(id.parent(), Notice::Parent(ToParent::ChildGone)),
        ];
        [entry].into_iter().chain(others.into_iter().flatten()).collect()
    }

    /// How it went, in a sentence.
    pub(super) fn summary(&self) -> String {
        let left = if self.leaked.is_empty() { "nothing".to_owned() } else { self.leaked.join(", ") };
        match &self.forgotten {
            Some(reason) => format!("forgotten by {}: {reason}; may be left in the account: {left}", self.by),
            None if self.leaked.is_empty() => format!("nothing is left of it{}", self.proof()),
            None => format!("gone, but left behind: {left}{}", self.proof()),
        }
    }

    /// On what that rests.
    fn proof(&self) -> String {
        let unswept: Vec<&str> =
            self.removed.iter().filter(|(_, r)| r.swept.is_empty()).map(|(name, _)| name.as_str()).collect();
        let mut proof = match self.removed.len() - unswept.len() {
            0 => String::new(),
            swept => format!("; {swept} components removed and looked for afterwards"),
        };
        if !unswept.is_empty() {
            proof.push_str(&format!("; removed by the word of their destroy alone: {}", unswept.join(", ")));
        }
        proof
    }

    pub(super) fn receipts(&self) -> Vec<RemovedView> {
        let view = |(name, removed): (&String, &Removed)| RemovedView {
            component: name.clone(),
            removed: removed.clone(),
        };
        self.removed.iter().map(view).collect()
    }
}

impl Live {
    /// The receipts of all components that were destroyed.
    pub(super) fn receipts(&self) -> BTreeMap<String, Removed> {
        let receipt = |(name, part): (&String, &super::Part)| {
            Some((name.clone(), part.facts.removed.as_deref().cloned()?))
        };
        self.parts.iter().filter_map(receipt).collect()
    }
}
