//! Plans: what a change would do, how much of a change a job is for, and who said yes to it.
//!
//! The plan itself stays in the customer's account; here are its digest and what it would change, without
//! any value of it.

use serde::{Deserialize, Serialize};

use crate::rejected::{Rejected, RejectedCode};
use crate::time::Timestamp;

/// What a plan would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = Plan))]
pub struct Plan {
    /// Of the saved plan and all that goes into it: `sha256:…`.
    pub digest: String,
    /// All changes, counted.
    pub changes: Changes,
    /// The first of them.
    pub list: Vec<Change>,
    /// How many are not in the list.
    pub more: u32,
    /// The customer's remit wants the customer's approval of it.
    pub customer_approval_needed: bool,
}

impl Plan {
    /// What would be done, in a few words.
    pub fn summary(&self) -> String {
        let said: Vec<String> =
            self.changes.counts().iter().map(|(n, word)| format!("{n} to {word}")).collect();
        if said.is_empty() { "no changes".to_owned() } else { said.join(", ") }
    }
}

/// One planned change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = PlannedChange))]
pub struct Change {
    /// What is changed.
    pub address: String,
    /// How.
    pub action: ChangeAction,
}

/// How something is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// Made.
    Create,
    /// Changed in place.
    Update,
    /// Removed.
    Delete,
    /// Removed and made anew.
    Replace,
    /// Taken over: it was there before.
    Import,
    /// Left where it is, and known no more.
    Forget,
    /// Known under another address.
    Move,
    /// The tool has a word for it that is not known here.
    Other,
}

impl ChangeAction {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeAction::Create => "create",
            ChangeAction::Update => "update",
            ChangeAction::Delete => "delete",
            ChangeAction::Replace => "replace",
            ChangeAction::Import => "take over",
            ChangeAction::Forget => "forget",
            ChangeAction::Move => "move",
            ChangeAction::Other => "unknown",
        }
    }
}

/// How much of an action a job is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// All of it: to work out what would change, and to carry that out.
    #[default]
    Whole,
    /// To work out what would change. Changes nothing.
    Plan,
    /// To carry out this plan, and nothing else.
    Apply(ApprovedPlan),
}

impl Stage {
    /// Whether it is all of the action: what is not said where nothing is.
    pub fn is_whole(&self) -> bool {
        *self == Stage::Whole
    }
}

/// A plan that may be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedPlan {
    /// Its digest.
    pub digest: String,
    /// Who approved it; nobody where a rule did.
    pub approvals: Vec<Approval>,
}

/// Somebody's yes to one plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Approval {
    /// On whose side they stand.
    pub side: Side,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// After this it counts no more.
    pub until: Timestamp,
}

/// On whose side somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The vendor's.
    Vendor,
    /// The customer's.
    Customer,
}

/// Whose approval a signed release wants for an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Needed {
    /// Nobody's.
    #[default]
    None,
    /// The vendor's.
    Vendor,
    /// The customer's.
    Customer,
    /// Both.
    Both,
}

impl Needed {
    /// Whether the vendor's is among them.
    pub fn vendor(self) -> bool {
        matches!(self, Needed::Vendor | Needed::Both)
    }

    /// Whether the customer's is among them.
    pub fn customer(self) -> bool {
        matches!(self, Needed::Customer | Needed::Both)
    }

    /// What is left of it without the vendor's.
    pub(crate) fn of_customer(self) -> Self {
        if self.customer() { Needed::Customer } else { Needed::None }
    }
}

/// The terms of the vendor's approval that a signed release wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ApprovalTerms))]
pub struct Terms {
    /// How many people must approve.
    pub quorum: u32,
    /// Whose approval counts; empty for everybody who may signal.
    pub approvers: Vec<String>,
    /// An approval counts no longer than this, milliseconds.
    pub valid_ms: i64,
}

impl Terms {
    /// Whether this person's approval counts.
    pub(crate) fn counts(&self, by: &str) -> Result<(), Rejected> {
        if self.approvers.is_empty() || self.approvers.iter().any(|name| name == by) {
            return Ok(());
        }
        let message = format!(
            "{by} is not among the approvers that the signed release names: {}",
            self.approvers.join(", ")
        );
        Err(Rejected::new(RejectedCode::NotApprover, message))
    }
}

/// What the customer says of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Carry it out.
    Approved {
        /// Who.
        by: String,
        /// After this it counts no more.
        until: Timestamp,
    },
    /// Do not.
    Denied {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// A plan that waits for somebody's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Asking {
    /// The plan.
    pub plan: Plan,
    /// How many of the vendor's people must approve it.
    pub vendor: u32,
    /// Whether the customer must.
    pub customer: bool,
    /// Why it is asked for, for people.
    pub reason: String,
    /// Who has approved it.
    pub approvals: Vec<Approval>,
    /// What the signed release says of the vendor's approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
}

impl Asking {
    /// The approvals that still count.
    pub fn valid(&self, at: Timestamp) -> impl Iterator<Item = &Approval> {
        self.approvals.iter().filter(move |approval| approval.until > at)
    }

    /// Whether everybody has said yes who must.
    pub fn is_complete(&self, at: Timestamp) -> bool {
        let of = |side| self.valid(at).filter(|approval| approval.side == side).count();
        of(Side::Vendor) >= self.vendor as usize && (!self.customer || of(Side::Customer) > 0)
    }

    /// Whose yes is missing, in words.
    pub fn missing(&self) -> String {
        let given = |side| self.approvals.iter().filter(|a| a.side == side).count();
        let vendor = (self.vendor as usize).saturating_sub(given(Side::Vendor));
        let customer = self.customer && given(Side::Customer) == 0;
        match (vendor, customer) {
            (0, false) => "nobody".to_owned(),
            (0, true) => "the customer".to_owned(),
            (1, false) => "one of the vendor's people".to_owned(),
            (n, false) => format!("{n} of the vendor's people"),
            (n, true) => format!("{n} of the vendor's people and the customer"),
        }
    }
}

/// How many things were changed, by how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Changes {
    /// Made.
    pub create: u32,
    /// Changed in place.
    pub update: u32,
    /// Removed.
    pub delete: u32,
    /// Removed and made anew.
    pub replace: u32,
    /// Taken over: it was there before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub import: u32,
    /// Left where it is, and known no more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forget: u32,
    /// Known under another address.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moved: u32,
    /// Something that the tool has a word for which is not known here.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other: u32,
    /// Outputs whose value changes.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub outputs: u32,
}

/// What is not said where there is none.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Changes {
    /// What was or would be done, each count with the word for it; empty where nothing is.
    pub fn counts(&self) -> Vec<(u32, &'static str)> {
        let Changes { create, update, delete, replace, import, forget, moved, other, outputs } = *self;
        let all = [
            (create, "create"),
            (update, "update"),
            (replace, "replace"),
            (delete, "remove"),
            (import, "take over"),
            (forget, "forget"),
            (moved, "move"),
            (other, "change in a way that the runner does not know"),
        ];
        let counts: Vec<_> = all.into_iter().filter(|(n, _)| *n > 0).collect();
        // Outputs follow from the rest; alone they are what is changed.
        if counts.is_empty() && outputs > 0 { vec![(outputs, "change as an output only")] } else { counts }
    }
}
