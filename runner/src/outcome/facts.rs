//! What a plan would do, in words that no tool has for itself: a policy is asked about them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::ChangeAction;

/// What a plan would do, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanFacts {
    /// Made.
    pub create: u32,
    /// Changed in place.
    pub update: u32,
    /// Removed.
    pub delete: u32,
    /// Removed and made anew.
    pub replace: u32,
    /// Taken over: it was there before.
    pub imports: u32,
    /// Left where it is, and known no more.
    pub forgets: u32,
    /// Known under another address.
    pub moves: u32,
    /// Something that the tool has a word for which the runner does not know.
    pub other: u32,
    /// Put off to another plan.
    pub deferred: u32,
    /// Outputs whose value changes.
    pub outputs: u32,
    /// Changes of who may do what.
    pub iam: u32,
    /// Changes that let the internet in.
    pub public: u32,
    /// The types of what is removed, replaced or forgotten.
    pub removes: BTreeSet<String>,
    /// The types of what is changed in place.
    pub updates: BTreeSet<String>,
    /// The types of what is taken over.
    pub imported: BTreeSet<String>,
    /// The types of all that is changed.
    pub changes: BTreeSet<String>,
    /// How many of each type are changed in which way.
    pub counts: BTreeSet<Count>,
}

/// How many of one type are changed in one way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// The way, as in the counts of the plan: `create`, `delete`, `take over` …
    pub action: String,
    /// How many.
    pub count: u32,
}

impl PlanFacts {
    /// Counts one.
    pub fn count(&mut self, action: ChangeAction, kind: &str) {
        let counter = match action {
            ChangeAction::Create => &mut self.create,
            ChangeAction::Update => &mut self.update,
            ChangeAction::Delete => &mut self.delete,
            ChangeAction::Replace => &mut self.replace,
            ChangeAction::Import => &mut self.imports,
            ChangeAction::Forget => &mut self.forgets,
            ChangeAction::Move => &mut self.moves,
            ChangeAction::Other => &mut self.other,
        };
        *counter += 1;
        let kind = kind.to_owned();
        match action {
            ChangeAction::Delete | ChangeAction::Replace | ChangeAction::Forget => {
                self.removes.insert(kind.clone());
            }
            ChangeAction::Update => {
                self.updates.insert(kind.clone());
            }
            ChangeAction::Import => {
                self.imported.insert(kind.clone());
            }
            ChangeAction::Create | ChangeAction::Move | ChangeAction::Other => {}
        }
        let is_move = action == ChangeAction::Move;
        let action = action.as_str().to_owned();
        let before = self.counts.iter().find(|one| one.kind == kind && one.action == action).cloned();
        let count = before.as_ref().map_or(0, |one| one.count) + 1;
        self.counts.retain(|one| Some(one) != before.as_ref());
        // What is only known under another address is as it was.
        if !is_move {
            self.changes.insert(kind.clone());
        }
        self.counts.insert(Count { kind, action, count });
    }
}

/// What was planned, and the digest of the saved plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedPlan {
    /// Counted.
    pub facts: PlanFacts,
    /// Of the file that is applied and of nothing else, hexadecimal.
    pub digest: String,
}

/// What a source says, in the words that a policy is asked in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFacts {
    /// What runs programs or fetches from elsewhere, which no plan shows.
    pub escapes: BTreeSet<String>,
    /// The types of what is read while it is planned.
    pub data: BTreeSet<String>,
    /// Where its modules are, as it says it.
    pub modules: BTreeSet<String>,
    /// The addresses of its providers.
    pub providers: BTreeSet<String>,
    /// The packages that these may be: address, version and hash.
    pub packages: BTreeSet<String>,
}

impl SourceFacts {
    /// What another part of it says, too.
    pub fn extend(&mut self, other: Self) {
        let Self { escapes, data, modules, providers, packages } = other;
        self.escapes.extend(escapes);
        self.data.extend(data);
        self.modules.extend(modules);
        self.providers.extend(providers);
        self.packages.extend(packages);
    }
}
