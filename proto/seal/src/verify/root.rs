//! Trust roots: which keys may sign what, and how one root follows another.

use std::collections::{BTreeMap, BTreeSet};

use super::name::check_name;
use super::{RoleName, Verified, check_threshold};
use crate::document::{KeySpec, Role, Root};
use crate::dsse::{Envelope, PayloadType};
use crate::key::PublicKey;
use crate::refusal::clip;
use crate::{Digest, Refusal, strict};

/// The most roots that are followed one after another.
pub const ROOT_HOPS_MAX: usize = 1024;
/// The most keys a root may name.
const KEYS_MAX: usize = 64;

/// A root that signs itself: whoever calls this has pinned its digest or shows it to a person.
pub fn root(bytes: &[u8], pinned: Option<&Digest>, now_ms: i64) -> Result<Verified<Root>, Refusal> {
    root_chain(bytes, pinned, &[], now_ms)
}

/// A pinned root and those that follow it, oldest first. Only the last must not have
/// expired: a runner that was away for long can catch up.
pub fn root_chain(
    first: &[u8],
    pinned: Option<&Digest>,
    hops: &[&[u8]],
    now_ms: i64,
) -> Result<Verified<Root>, Refusal> {
    if hops.len() > ROOT_HOPS_MAX {
        return Err(unsound(format!("it is more than {ROOT_HOPS_MAX} versions after the pinned one")));
    }
    let mut trusted = self_signed(first, pinned)?;
    for hop in hops {
        trusted = next_root(&trusted, hop)?;
    }
    check_unexpired(trusted.get(), now_ms)?;
    Ok(trusted)
}

/// The next root: signed by the thresholds of both, version greater by one. Its expiry is
/// not looked at here, since it may be one of many on the way to the newest.
pub fn next_root(trusted: &Verified<Root>, bytes: &[u8]) -> Result<Verified<Root>, Refusal> {
    let envelope = Envelope::parse(bytes, PayloadType::Root)?;
    check_threshold(trusted.get(), RoleName::Root, &envelope)?;
    let next = parse(&envelope)?;
    let signers = check_threshold(next.get(), RoleName::Root, &envelope)?;
    let (old, new) = (trusted.get(), next.get());
    if new.version != old.version.saturating_add(1) {
        return Err(Refusal::RootVersion { trusted: old.version, found: new.version });
    }
    check_vendor(old, &new.vendor)?;
    Ok(Verified { signers, ..next })
}

pub(super) fn check_unexpired(root: &Root, now_ms: i64) -> Result<(), Refusal> {
    let expires_ms = root.expires_ms;
    if now_ms >= expires_ms { Err(Refusal::RootExpired { expires_ms }) } else { Ok(()) }
}

pub(super) fn check_vendor(root: &Root, vendor: &str) -> Result<(), Refusal> {
    if root.vendor == vendor {
        return Ok(());
    }
    Err(Refusal::Vendor { expected: root.vendor.clone(), found: clip(vendor) })
}

/// The pinned root, whose time may be over: those that follow it count. Nothing else is believed by an
/// expired one, since every document's own check looks at that.
pub fn first_root(bytes: &[u8], pinned: &Digest) -> Result<Verified<Root>, Refusal> {
    self_signed(bytes, Some(pinned))
}

fn self_signed(bytes: &[u8], pinned: Option<&Digest>) -> Result<Verified<Root>, Refusal> {
    let envelope = Envelope::parse(bytes, PayloadType::Root)?;
    let found = envelope.payload_digest();
    if let Some(pinned) = pinned.filter(|pinned| **pinned != found) {
        return Err(Refusal::RootPin { pinned: *pinned, found });
    }
    let root = parse(&envelope)?;
    let signers = check_threshold(root.get(), RoleName::Root, &envelope)?;
    Ok(Verified { signers, ..root })
}

/// The only place where a document is parsed before a signature over it was verified: the
/// keys that verify it stand in it.
fn parse(envelope: &Envelope) -> Result<Verified<Root>, Refusal> {
    let root: Root = strict::from_slice(&envelope.payload)?;
    check_sound(&root)?;
    Ok(Verified { document: root, digest: envelope.payload_digest(), signers: BTreeSet::new() })
}

fn unsound(detail: impl Into<String>) -> Refusal {
    Refusal::RootInvalid { detail: detail.into() }
}

fn check_sound(root: &Root) -> Result<(), Refusal> {
    check_name("a vendor", &root.vendor)?;
    if root.version == 0 {
        return Err(unsound("versions begin with 1"));
    }
    if root.created_ms < 0 || root.created_ms >= root.expires_ms {
        return Err(unsound("it expires before it was made"));
    }
    if root.keys.len() > KEYS_MAX {
        return Err(unsound(format!("it names more than {KEYS_MAX} keys")));
    }
    check_keys(&root.keys)?;
    for name in RoleName::ALL {
        check_role(root, name)?;
    }
    check_destroy(root)?;
    check_apart(root)
}

fn check_keys(keys: &BTreeMap<String, KeySpec>) -> Result<(), Refusal> {
    for (found, spec) in keys {
        let key = PublicKey::from_spec(spec)?;
        if key.id() != found {
            return Err(Refusal::KeyId { expected: key.id().to_owned(), found: clip(found) });
        }
    }
    Ok(())
}

fn check_role(root: &Root, name: RoleName) -> Result<(), Refusal> {
    let (Role { keys, threshold }, name) = (name.of(root), name.as_str());
    let different: BTreeSet<&String> = keys.iter().collect();
    if different.len() != keys.len() {
        return Err(unsound(format!("the {name} role names a key twice")));
    }
    if keys.iter().any(|id| !root.keys.contains_key(id)) {
        return Err(unsound(format!("the {name} role names a key that the root does not have")));
    }
    if *threshold == 0 || *threshold as usize > keys.len() {
        return Err(unsound(format!("the {name} role's threshold is not between 1 and its number of keys")));
    }
    Ok(())
}

fn check_destroy(root: &Root) -> Result<(), Refusal> {
    let Some(rule) = &root.destroy else { return Ok(()) };
    let keys = root.release.keys.len();
    if rule.threshold < root.release.threshold || rule.threshold as usize > keys {
        let detail = "its threshold for destroying is below that of releases, or above their number of keys";
        return Err(unsound(detail));
    }
    Ok(())
}

/// The broker holds the dispatch keys; one that could also sign releases or roots would
/// make it the vendor.
fn check_apart(root: &Root) -> Result<(), Refusal> {
    let vendor = |id: &String| root.root.keys.contains(id) || root.release.keys.contains(id);
    if root.dispatch.keys.iter().any(vendor) {
        return Err(unsound("a dispatch key may not also sign roots or releases"));
    }
    Ok(())
}

impl Root {
    /// Whether it makes sense as a whole: what a signer asks before signing.
    pub fn check(&self) -> Result<(), Refusal> {
        check_sound(self)
    }

    /// A first root with one key for each role.
    pub fn one_of_one(
        vendor: &str,
        [root, release, dispatch]: [&KeySpec; 3],
        created_ms: i64,
        expires_ms: i64,
    ) -> Result<Self, Refusal> {
        let mut keys = BTreeMap::new();
        let mut role = |spec: &KeySpec| -> Result<Role, Refusal> {
            let id = spec.id()?;
            keys.insert(id.clone(), spec.clone());
            Ok(Role { keys: vec![id], threshold: 1 })
        };
        let (root, release, dispatch) = (role(root)?, role(release)?, role(dispatch)?);
        let vendor = vendor.to_owned();
        let (version, destroy) = (1, None);
        let made = Self { vendor, version, created_ms, expires_ms, keys, root, release, dispatch, destroy };
        check_sound(&made)?;
        Ok(made)
    }
}
