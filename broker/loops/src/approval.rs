//! An install's own rules of approval: when people are asked before a plan is carried out, and who counts.
//!
//! They ask for more than the signed release does, never for less.

use remit_seal::verify::{
    APPROVAL_VALID_MAX_MS as AGE_MAX_MS, APPROVAL_VALID_MIN_MS as AGE_MIN_MS, APPROVALS_MAX as APPROVERS_MAX,
};
use serde::{Deserialize, Serialize};

use crate::plan::{ChangeAction, Plan, Terms};
use crate::rejected::{Rejected, RejectedCode};

/// How long an approval counts when nobody says: a day.
const VALID_MS: i64 = 24 * 60 * 60 * 1_000;

/// How old a plan may become before it is made anew, when nobody says: a day.
const PLAN_AGE_MS: i64 = 24 * 60 * 60 * 1_000;

/// When plans of an install are asked for, and who may approve them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ApprovalPolicy))]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Which plans are asked for.
    pub ask: Ask,
    /// With `by_rule`: a plan that removes or replaces nothing needs nobody.
    pub no_destroy: bool,
    /// With `by_rule`: only plans of these components need nobody; empty for all components.
    pub components: Vec<String>,
    /// With `by_rule`: only plans of so many changes at most need nobody.
    pub changes_max: Option<u32>,
    /// How many people must approve, each counted once.
    pub quorum: u32,
    /// Whose approval counts, by the names of their tokens; empty for everybody who may signal.
    pub approvers: Vec<String>,
    /// The approval of the person who asked for the operation does not count.
    pub not_asker: bool,
    /// How long an approval counts, milliseconds.
    pub valid_ms: i64,
    /// How old a plan may become before it is made anew, milliseconds.
    pub plan_age_ms: i64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            ask: Ask::Never,
            no_destroy: false,
            components: vec![],
            changes_max: None,
            quorum: 1,
            approvers: vec![],
            not_asker: false,
            valid_ms: VALID_MS,
            plan_age_ms: PLAN_AGE_MS,
        }
    }
}

/// Which plans are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// None but those that the release or the customer wants approved.
    #[default]
    Never,
    /// All.
    Always,
    /// Those that no rule approves.
    ByRule,
}

impl Policy {
    /// Whether nobody has said anything.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses one that could never let anything through, or never ask.
    pub(crate) fn check(&self) -> Result<(), Rejected> {
        let invalid = |message: String| Err(Rejected::new(RejectedCode::Invalid, message));
        let (quorum, named) = (self.quorum as usize, self.approvers.len());
        if quorum == 0 || quorum > APPROVERS_MAX || named > APPROVERS_MAX {
            return invalid(format!(
                "1 to {APPROVERS_MAX} people approve; the quorum is {quorum}, {named} are named"
            ));
        }
        let mut names: Vec<&String> = self.approvers.iter().collect();
        names.sort();
        names.dedup();
        if named > 0 && names.len() < quorum {
            return invalid(format!(
                "{quorum} must approve and only {} may: nothing would ever go on",
                names.len()
            ));
        }
        if self.components.len() > crate::release::COMPONENTS_MAX {
            return invalid("more components are named than a release may have".to_owned());
        }
        let age = AGE_MIN_MS..=AGE_MAX_MS;
        if !age.contains(&self.valid_ms) || !age.contains(&self.plan_age_ms) {
            return invalid(
                "approvals and plans last from 60000 ms (a minute) to 2592000000 ms (30 days)".to_owned(),
            );
        }
        if self.ask == Ask::ByRule
            && !self.no_destroy
            && self.components.is_empty()
            && self.changes_max.is_none()
        {
            return invalid(
                "`by_rule` without a rule approves everything: give no_destroy, components or changes_max"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// Why the install's people are asked for this plan; none if they are not.
    pub(crate) fn asks(&self, component: &str, plan: &Plan) -> Option<String> {
        match self.ask {
            Ask::Never => None,
            Ask::Always => Some("every plan of this install is asked for".to_owned()),
            Ask::ByRule => self.breaks(component, plan),
        }
    }

    /// Which rule this plan does not keep.
    fn breaks(&self, component: &str, plan: &Plan) -> Option<String> {
        // What is forgotten is as little the product's afterwards as what is removed; what is not known may be.
        let destroys = plan.changes.delete + plan.changes.replace + plan.changes.forget + plan.changes.other;
        if self.no_destroy && destroys > 0 {
            let removes = |c: &&crate::plan::Change| match c.action {
                ChangeAction::Delete | ChangeAction::Replace | ChangeAction::Forget | ChangeAction::Other => {
                    true
                }
                ChangeAction::Create | ChangeAction::Update | ChangeAction::Import | ChangeAction::Move => {
                    false
                }
            };
            let first =
                plan.list.iter().find(removes).map(|c| c.address.as_str()).unwrap_or("what is not listed");
            return Some(format!("it removes, replaces or forgets {destroys}, {first} among them"));
        }
        if !self.components.is_empty() && !self.components.iter().any(|name| name == component) {
            return Some(format!("{component} is not among the components that need nobody"));
        }
        let changes = plan.changes.create + plan.changes.update + plan.changes.import + destroys;
        let max = self.changes_max.filter(|max| changes > *max)?;
        Some(format!("it makes {changes} changes, and {max} need nobody"))
    }

    /// What to say where fewer people may approve by both, the install's rules and the release's terms, than must.
    pub(crate) fn too_few(&self, terms: &Terms, quorum: u32) -> Option<String> {
        if self.approvers.is_empty() || terms.approvers.is_empty() {
            return None;
        }
        let both = terms.approvers.iter().filter(|name| self.approvers.contains(name)).count();
        (both < quorum as usize).then(|| {
            format!("{quorum} must approve, and the release and the install both name only {both}: `set_approval` changes the install's")
        })
    }

    /// Whether this person's approval counts.
    pub(crate) fn counts(&self, by: &str, asker: &str) -> Result<(), Rejected> {
        let refused = |message: String| Err(Rejected::new(RejectedCode::NotApprover, message));
        if !self.approvers.is_empty() && !self.approvers.iter().any(|name| name == by) {
            return refused(format!("{by} is not among the approvers: {}", self.approvers.join(", ")));
        }
        if self.not_asker && by == asker {
            return refused(format!("{by} asked for this operation, and another must approve it"));
        }
        Ok(())
    }
}
