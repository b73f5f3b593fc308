//! Break glass: for a time, somebody lets an install pass the vendor's own rules, and answers for it.
//!
//! Windows, freezes and the approvals of the vendor's people hold up nothing while it lasts. What the
//! customer's remit says holds as ever; each job says to the customer that, by whom and why.

use serde::{Deserialize, Serialize};

use crate::rejected::{Rejected, RejectedCode, check_reason};
use crate::time::Timestamp;

/// The shortest time: a minute.
pub const FOR_MS_MIN: i64 = 60_000;
/// The longest, and the longest reason in bytes: a runner takes no longer ones.
pub use remit_seal::verify::{
    BREAK_GLASS_MAX_MS as FOR_MS_MAX, BREAK_GLASS_REASON_LEN_MAX as REASON_LEN_MAX,
};

/// A broken glass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = BrokenGlass))]
pub struct BreakGlass {
    /// Who broke it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub since: Timestamp,
    /// The first moment at which it is whole again.
    pub until: Timestamp,
}

impl BreakGlass {
    /// Whether it is broken at this time.
    pub fn holds(&self, at: Timestamp) -> bool {
        at < self.until
    }
}

/// Refuses one that lasts too long, or says nothing that can be shown.
pub(crate) fn check(for_ms: i64, reason: &str) -> Result<(), Rejected> {
    check_reason(reason)?;
    let invalid = |message: String| Err(Rejected::new(RejectedCode::BreakGlassInvalid, message));
    if !(FOR_MS_MIN..=FOR_MS_MAX).contains(&for_ms) {
        return invalid(format!(
            "the glass is broken for {FOR_MS_MIN} ms (a minute) to {FOR_MS_MAX} ms (8 hours), not for {for_ms} ms"
        ));
    }
    if reason.len() > REASON_LEN_MAX || reason.chars().any(char::is_control) {
        return invalid(format!(
            "the reason is shown to the customer: one line of at most {REASON_LEN_MAX} bytes"
        ));
    }
    Ok(())
}
