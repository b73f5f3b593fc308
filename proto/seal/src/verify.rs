//! The order of checks: what must hold before a document is believed.
//!
//! Cheapest first, each fails closed: size, container, payload type, signatures by
//! threshold, typed parse, and then what the document itself says.

mod approval;
mod bind;
mod checkpoint;
mod countersign;
mod escape;
mod glass;
mod healing;
mod health;
mod input;
mod job;
mod name;
mod permit;
mod release;
mod root;
mod seen;
mod status;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use crate::document::{Role, Root};
use crate::dsse::{Envelope, PayloadType};
use crate::key::PublicKey;
use crate::{Digest, Refusal, strict};

pub use approval::{APPROVAL_VALID_MAX_MS, APPROVAL_VALID_MIN_MS, APPROVALS_MAX, APPROVER_LEN_MAX};
pub use bind::{Bound, bind};
pub use checkpoint::checkpoint;
pub use countersign::{CUSTOMER_BY_LEN_MAX, CUSTOMER_WHAT_LEN_MAX, customer_approval};
pub use escape::{ESCAPE_LEN_MAX, ESCAPES, ESCAPES_MAX, is_escape};
pub use glass::{BREAK_GLASS_BY_LEN_MAX, BREAK_GLASS_MAX_MS, BREAK_GLASS_REASON_LEN_MAX};
pub use healing::{
    DRIFT_EVERY_MAX_MS, DRIFT_EVERY_MIN_MS, RULE_COOL_DOWN_MAX_MS, RULE_LIST_MAX, RULE_PER_MAX_MS,
    RULE_PER_MIN_MS, RULE_RETRY_MAX_MS, RULE_RETRY_MIN_MS, RULE_TEXT_LEN_MAX, RULE_TIMES_MAX, RULES_MAX,
    rule_is_endless,
};
pub use health::{
    HEALTH_EVERY_MAX_MS, HEALTH_EVERY_MIN_MS, HEALTH_FAILURES_MAX, HEALTH_TIMEOUT_MIN_MS,
    HEALTH_WITHIN_MAX_MS,
};
pub use input::{TEXT_LEN_MAX, broker_input_fits, input_fits};
pub use job::{
    Context, JOB_ID_LEN_MAX, MARK_FIRST_MAX, MARK_LEAP_MAX, START_WINDOW_MAX_MS, addressed, is_job_id, job,
};
pub use name::{FIELD_LEN_MAX, NAME_LEN_MAX, is_account, is_field, is_name, is_region};
pub use permit::{PERMIT_LIFE_MAX_MS, PERMIT_REASON_LEN_MAX, permit};
pub use release::{
    ARTIFACT_SIZE_MAX, COMPONENTS_MAX, LONGEST_RUN_MAX_MS, LONGEST_RUN_MIN_MS, NOTES_LEN_MAX, kept_release,
    release,
};
pub use root::{ROOT_HOPS_MAX, first_root, next_root, root, root_chain};
pub use seen::{audit_checkpoint, seen, seen_by};
pub use status::{STATUS_LIFE_MAX_MS, Standing, status};

/// How far the clocks of a broker and a runner may be apart.
pub const SKEW_MAX_MS: i64 = 60 * 1_000;

/// A document whose signatures and shape were verified, with the digest of its exact bytes.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    document: T,
    digest: Digest,
    signers: BTreeSet<String>,
}

impl<T> Verified<T> {
    /// The document.
    pub fn get(&self) -> &T {
        &self.document
    }

    /// The digest of the payload's exact bytes.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many different keys of its role signed it.
    pub fn signers(&self) -> usize {
        self.signers.len()
    }

    /// The ids of those keys.
    pub fn signed_by(&self) -> &BTreeSet<String> {
        &self.signers
    }
}

/// A document signed by a role of the root, after its signatures and before its own checks.
fn signed<T: DeserializeOwned>(
    root: &Root,
    role: RoleName,
    kind: PayloadType,
    bytes: &[u8],
) -> Result<Verified<T>, Refusal> {
    let envelope = Envelope::parse(bytes, kind)?;
    let signers = check_threshold(root, role, &envelope)?;
    let document = strict::from_slice(&envelope.payload)?;
    Ok(Verified { document, digest: envelope.payload_digest(), signers })
}

/// The roles of a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RoleName {
    Root,
    Release,
    Dispatch,
}

impl RoleName {
    const ALL: [RoleName; 3] = [RoleName::Root, RoleName::Release, RoleName::Dispatch];

    fn as_str(self) -> &'static str {
        match self {
            RoleName::Root => "root",
            RoleName::Release => "release",
            RoleName::Dispatch => "dispatch",
        }
    }

    fn of(self, root: &Root) -> &Role {
        match self {
            RoleName::Root => &root.root,
            RoleName::Release => &root.release,
            RoleName::Dispatch => &root.dispatch,
        }
    }
}

/// The different keys of the role that signed, if they are enough. Signatures by others are not looked at.
fn check_threshold(root: &Root, role: RoleName, envelope: &Envelope) -> Result<BTreeSet<String>, Refusal> {
    let Role { keys, threshold } = role.of(root);
    let message = envelope.message();
    let (mut counted, mut any_false) = (BTreeSet::new(), false);
    for signature in &envelope.signatures {
        let Some(spec) = root.keys.get(&signature.keyid).filter(|_| keys.contains(&signature.keyid)) else {
            continue;
        };
        let key = PublicKey::from_spec(spec)?;
        if key.verifies(&message, &signature.sig) {
            counted.insert(key.id().to_owned());
        } else {
            any_false = true;
        }
    }
    // A root whose threshold is 0 was refused when it was read; this holds even so.
    let need = (*threshold).max(1);
    if counted.len() >= need as usize {
        return Ok(counted);
    }
    let is_revoked = role != RoleName::Root && envelope.signatures.iter().any(|s| is_unused(root, &s.keyid));
    let role = role.as_str();
    if any_false {
        return Err(Refusal::SignatureInvalid { role });
    }
    if is_revoked {
        return Err(Refusal::KeyRevoked { role });
    }
    Err(Refusal::Threshold { role, have: counted.len(), need })
}

/// Whether a root has this key and no use for it: what is left of one that was revoked.
fn is_unused(root: &Root, keyid: &String) -> bool {
    root.keys.contains_key(keyid) && !RoleName::ALL.iter().any(|role| role.of(root).keys.contains(keyid))
}
