//! What destroys: by how many keys, after a release has expired, and by keys that count no more.

use remit_seal::document::{Class, DestroyRule};

use crate::cases::Case;
use crate::world::{Key, NOW, RELEASE, World};

const SECOND: Key = Key::Ed(5);

pub(crate) const DESTROYING: &[Case] = &[
    ("good_destroy", destroy, "ok"),
    ("destroy_by_one_of_two", |w| (rule(w, 2), destroy(w)).1, "seal.destroy_threshold"),
    ("destroy_by_both", |w| (rule(w, 2), both(w), destroy(w)).2, "ok"),
    ("destroy_by_one_key_twice", |w| (rule(w, 2), twice(w), destroy(w)).2, "seal.destroy_threshold"),
    ("destroy_in_other_channel", |w| (rule(w, 2), beta(w), destroy(w)).2, "seal.destroy_threshold"),
    ("destroy_in_other_channel_by_both", |w| (rule(w, 2), beta(w), both(w), destroy(w)).3, "ok"),
    ("deploy_by_one_of_two", |w| rule(w, 2), "ok"),
    ("root_destroy_unreachable", |w| rule(w, 3), "seal.root_invalid"),
    ("root_destroy_below_release", |w| rule(w, 0), "seal.root_invalid"),
    ("root_destroy_same_as_release", |w| rule(w, 1), "ok"),
    ("expired_destroy_fresh", |w| (expired(w), destroy(w)).1, "ok"),
    ("expired_destroy_stale", |w| (expired(w), destroy(w), w.is_fresh = false).1, "seal.release_expired"),
    ("expired_deploy_fresh", expired, "seal.release_expired"),
    ("expired_read_fresh", |w| (expired(w), read(w)).1, "seal.release_expired"),
    (
        "expired_root_destroy_fresh",
        |w| (destroy(w), w.is_fresh = true, w.root.expires_ms = NOW).0,
        "seal.root_expired",
    ),
    ("key_without_role", |w| unused(w), "seal.key_revoked"),
    ("key_without_role_beside_good", |w| (unused(w), w.release_signers.push(RELEASE)).1, "ok"),
];

fn destroy(w: &mut World) {
    (w.job.operation, w.job.class) = ("destroy".to_owned(), Class::Destroy);
}

fn read(w: &mut World) {
    (w.job.operation, w.job.class) = ("drift".to_owned(), Class::Read);
}

fn expired(w: &mut World) {
    (w.release.expires_ms, w.is_fresh) = (NOW, true);
}

/// Two release keys, one of which signs; this many must where the rule holds.
fn rule(w: &mut World, threshold: u32) {
    w.root.keys.insert(SECOND.id(), SECOND.signing().public());
    w.root.release.keys.push(SECOND.id());
    w.root.destroy = Some(DestroyRule { threshold });
}

/// An install of another channel, whose release it is.
fn beta(w: &mut World) {
    for channel in [&mut w.audience.channel, &mut w.job.audience.channel, &mut w.release.channel] {
        "beta".clone_into(channel);
    }
}

fn both(w: &mut World) {
    w.release_signers = vec![SECOND, RELEASE];
}

fn twice(w: &mut World) {
    w.release_mangle = |bytes| {
        let mut container: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let first = container["signatures"][0].clone();
        container["signatures"] = vec![first; 2].into();
        container.to_string().into_bytes()
    };
}

/// A key that the root has and no role names: what is left of one that was revoked.
fn unused(w: &mut World) {
    w.root.keys.insert(SECOND.id(), SECOND.signing().public());
    w.release_signers = vec![SECOND];
}
