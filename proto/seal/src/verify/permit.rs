//! Rollback permits: signed like what destroys, since an old release can bring an old hole back.

use std::collections::BTreeSet;

use super::glass::is_line;
use super::name::check_name;
use super::root::{check_unexpired, check_vendor};
use super::{RoleName, Verified, check_threshold};
use crate::document::{PermitScope, RollbackPermit, Root};
use crate::dsse::{Envelope, PayloadType};
use crate::{Refusal, strict};

/// The longest that a permit counts: 30 days.
pub const PERMIT_LIFE_MAX_MS: i64 = 30 * 24 * 60 * 60 * 1_000;
/// The longest reason, in bytes.
pub const PERMIT_REASON_LEN_MAX: usize = 256;

/// A rollback permit of this vendor whose time is not over.
pub fn permit(root: &Verified<Root>, bytes: &[u8], now_ms: i64) -> Result<Verified<RollbackPermit>, Refusal> {
    let envelope = Envelope::parse(bytes, PayloadType::Permit)?;
    let signers = check_signed(root.get(), &envelope)?;
    let permit: RollbackPermit = strict::from_slice(&envelope.payload)?;
    check_unexpired(root.get(), now_ms)?;
    check_vendor(root.get(), &permit.vendor)?;
    check_form(&permit)?;
    let late_ms = now_ms.saturating_sub(permit.until_ms);
    if late_ms >= 0 {
        return Err(Refusal::PermitOver { late_ms });
    }
    Ok(Verified { document: permit, digest: envelope.payload_digest(), signers })
}

/// The root role may always sign one; release keys may when as many signed as must for what destroys.
fn check_signed(root: &Root, envelope: &Envelope) -> Result<BTreeSet<String>, Refusal> {
    if let Ok(signers) = check_threshold(root, RoleName::Root, envelope) {
        return Ok(signers);
    }
    let have = check_threshold(root, RoleName::Release, envelope)?;
    let need = root.destroy.as_ref().map_or(0, |rule| rule.threshold);
    if have.len() >= need as usize {
        return Ok(have);
    }
    Err(Refusal::Threshold { role: RoleName::Release.as_str(), have: have.len(), need })
}

fn check_form(permit: &RollbackPermit) -> Result<(), Refusal> {
    let unsound = |detail| Err(Refusal::PermitInvalid { detail });
    check_name("an app", &permit.app)?;
    check_name("a channel", &permit.channel)?;
    if let PermitScope::Install(name) = &permit.scope {
        check_name("an install", name)?;
    }
    if permit.to == 0 || permit.to >= permit.from {
        return unsound("it does not lead from a newer release to an older one");
    }
    if !is_line(&permit.reason, PERMIT_REASON_LEN_MAX) {
        return unsound("its reason is empty, longer than 256 bytes, or no single line");
    }
    if !(1..=PERMIT_LIFE_MAX_MS).contains(&permit.until_ms.saturating_sub(permit.created_ms)) {
        return unsound("it counts for no time at all, or for longer than 30 days");
    }
    Ok(())
}
