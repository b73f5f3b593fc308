//! The order of checks: what must hold before a document is believed.
//!
//! Cheapest first, each fails closed: size, container, payload type, signatures by
//! threshold, typed parse, and then what the document itself says.

mod bind;
mod input;
mod job;
mod name;
mod release;
mod root;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use crate::document::{Role, Root};
use crate::dsse::{Envelope, PayloadType};
use crate::key::PublicKey;
use crate::{Digest, Refusal, strict};

pub use bind::{Bound, bind};
pub use input::{TEXT_LEN_MAX, broker_input_fits, input_fits};
pub use job::{Context, JOB_ID_LEN_MAX, SKEW_MAX_MS, START_WINDOW_MAX_MS, addressed, is_job_id, job};
pub use name::{FIELD_LEN_MAX, NAME_LEN_MAX, is_field, is_name};
pub use release::{ARTIFACT_SIZE_MAX, COMPONENTS_MAX, LONGEST_RUN_MAX_MS, LONGEST_RUN_MIN_MS, release};
pub use root::{ROOT_HOPS_MAX, next_root, root, root_chain};

/// A document whose signatures and shape were verified, with the digest of its exact bytes.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    document: T,
    digest: Digest,
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
}

/// A document signed by a role of the root, after its signatures and before its own checks.
fn signed<T: DeserializeOwned>(
    root: &Root,
    role: RoleName,
    kind: PayloadType,
    bytes: &[u8],
) -> Result<Verified<T>, Refusal> {
    let envelope = Envelope::parse(bytes, kind)?;
    check_threshold(root, role, &envelope)?;
    Ok(Verified { document: strict::from_slice(&envelope.payload)?, digest: envelope.payload_digest() })
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

/// Whether enough different keys of the role signed. Signatures by others are not looked at.
fn check_threshold(root: &Root, role: RoleName, envelope: &Envelope) -> Result<(), Refusal> {
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
        return Ok(());
    }
    let role = role.as_str();
    if any_false {
        return Err(Refusal::SignatureInvalid { role });
    }
    Err(Refusal::Threshold { role, have: counted.len(), need })
}
