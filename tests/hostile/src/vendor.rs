//! What the vendor ever signed, and what the attacker therefore has.

use std::collections::{BTreeMap, BTreeSet};

use remit_seal::Digest;
use remit_seal::customer::{CustomerApproval, Every, Releases, Subject, Word};
use remit_seal::document::{
    Approval, Authority, Class, Component, ComponentKind, DestroyRule, Input, KeySpec, Operation, Release,
    Role, Root, Status, Terms, Value, ValueType,
};
use remit_seal::dsse::{Envelope, PayloadType};
use remit_seal::key::SigningKey;

/// When it all begins.
pub(crate) const START_MS: i64 = 1_790_000_000_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A release as the vendor signed it.
pub(crate) struct Published {
    pub(crate) document: Release,
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: Digest,
    /// Ids of the keys that signed it.
    pub(crate) signers: BTreeSet<String>,
}

/// The vendor and all that they published.
pub(crate) struct Vendor {
    /// Signs nothing that is in the roots.
    pub(crate) stranger: SigningKey,
    /// The dispatch keys: of the first root, and of the second.
    pub(crate) dispatch: [SigningKey; 2],
    /// Version 1 and 2.
    pub(crate) roots: [Vec<u8>; 2],
    pub(crate) releases: Vec<Published>,
    /// The customer's public key, and an approval of theirs that the attacker has seen.
    pub(crate) customer: KeySpec,
    pub(crate) word: Vec<u8>,
    /// Ids of the release keys.
    pub(crate) release_keys: [String; 2],
}

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::ed25519_from_seed(&[seed; 32])
}

pub(crate) fn sign<T: serde::Serialize>(kind: PayloadType, document: &T, keys: &[&SigningKey]) -> Vec<u8> {
    Envelope::sign(kind, document, keys).expect("what is made here can be signed").to_bytes()
}

/// The plan that the customer approved.
pub(crate) const PLAN: &[u8] = b"a plan";
/// The plan that the customer denied.
pub(crate) const DENIED: &[u8] = b"a plan that nobody wants";

/// What the customer says, for as long as all of this takes.
pub(crate) fn word(subject: Subject, word: Word, at_ms: i64) -> CustomerApproval {
    CustomerApproval {
        install: "ins_demo.shop.acme".to_owned(),
        subject,
        word,
        what: "in words".to_owned(),
        by: "cus".to_owned(),
        at_ms,
        until_ms: START_MS + 365 * DAY_MS,
    }
}

/// A word of the customer's that the attacker has seen.
pub(crate) fn seen_word() -> CustomerApproval {
    word(Subject::Content(Digest::of(PLAN)), Word::Approved, START_MS)
}

/// From somewhere in the first third of an episode on: every destroy of the network by these releases is approved.
pub(crate) fn general() -> Every {
    let (operation, component) = ("destroy".to_owned(), Some("network".to_owned()));
    Every { operation, component, releases: Some(Releases { from: 8, to: 8 }) }
}

impl Vendor {
    pub(crate) fn new() -> Self {
        let root_keys = [key(1), key(2), key(3)];
        let release_keys = [key(4), key(5)];
        let dispatch = [key(6), key(7)];
        let document =
            |version: u64, dispatch: &SigningKey| root(version, &root_keys, &release_keys, dispatch);
        let hands: Vec<&SigningKey> = root_keys[..2].iter().collect();
        let roots = [0, 1].map(|n| sign(PayloadType::Root, &document(n as u64 + 1, &dispatch[n]), &hands));
        Self {
            stranger: key(9),
            customer: key(8).public(),
            word: sign(PayloadType::Approval, &seen_word(), &[&key(8)]),
            roots,
            releases: releases(&release_keys),
            release_keys: release_keys.each_ref().map(SigningKey::id),
            dispatch,
        }
    }

    /// A root that the vendor's people sign.
    pub(crate) fn sign_root(&self, root: &Root) -> Vec<u8> {
        sign(PayloadType::Root, root, &[&key(1), &key(2)])
    }

    /// What the honest broker says once: a floor, and a release key that is gone.
    pub(crate) fn status(&self, now_ms: i64) -> Vec<u8> {
        let status = Status {
            vendor: "demo".to_owned(),
            root_version: 2,
            time_ms: now_ms,
            expires_ms: now_ms + HOUR_MS,
            floors: [("shop/stable".to_owned(), 5)].into(),
            revoked: vec![self.release_keys[0].clone()],
        };
        sign(PayloadType::Status, &status, &[&self.dispatch[1]])
    }
}

fn root(version: u64, root: &[SigningKey; 3], release: &[SigningKey; 2], dispatch: &SigningKey) -> Root {
    let all = root.iter().chain(release).chain([dispatch]);
    let role =
        |keys: &[SigningKey], threshold| Role { keys: keys.iter().map(SigningKey::id).collect(), threshold };
    Root {
        vendor: "demo".to_owned(),
        version,
        created_ms: START_MS - DAY_MS,
        expires_ms: START_MS + 365 * DAY_MS,
        keys: all.map(|key| (key.id(), key.public())).collect(),
        root: role(root, 2),
        release: role(release, 1),
        dispatch: Role { keys: vec![dispatch.id()], threshold: 1 },
        destroy: Some(DestroyRule { threshold: 2 }),
    }
}

fn releases(keys: &[SigningKey; 2]) -> Vec<Published> {
    let both: [&SigningKey; 2] = [&keys[0], &keys[1]];
    let publish = |signers: &[&SigningKey], change: fn(&mut Release)| {
        let mut document = release();
        change(&mut document);
        let bytes = sign(PayloadType::Release, &document, signers);
        let digest =
            Envelope::parse(&bytes, PayloadType::Release).expect("it was just signed").payload_digest();
        Published { document, bytes, digest, signers: signers.iter().map(|key| key.id()).collect() }
    };
    vec![
        publish(&both, |_| {}),
        publish(&both[..1], |r| (r.counter, r.version) = (6, "1.6.0".to_owned())),
        publish(&both[1..], |r| (r.counter, r.version) = (7, "1.7.0".to_owned())),
        publish(&both, |r| (r.counter, r.rollback_floor) = (3, 1)),
        publish(&both, |r| r.app = "other".to_owned()),
        publish(&both, |r| r.operations.retain(|name, _| name != "destroy")),
        publish(&both, |r| r.components.truncate(1)),
        publish(&both, |r| r.channel = "beta".to_owned()),
        publish(&both[1..], |r| (r.channel, r.counter) = ("beta".to_owned(), 8)),
        publish(&both, |r| r.expires_ms = START_MS - HOUR_MS),
        publish(&both, |r| (r.counter, r.version) = wanting(r, 10, Approval::Customer)),
        publish(&both, |r| (r.counter, r.version) = wanting(r, 11, Approval::Both)),
        publish(&both, by_two),
        // Its source runs programs, and it does not say so.
        publish(&both, |r| r.components[0].escapes.clear()),
        twice(publish(&both[1..], |r| (r.counter, r.version) = (9, "1.9.0".to_owned()))),
    ]
}

/// Nothing is made, changed or removed by it that these people have not approved.
fn wanting(release: &mut Release, counter: u64, approval: Approval) -> (u64, String) {
    for name in ["deploy", "destroy"] {
        if let Some(operation) = release.operations.get_mut(name) {
            operation.approval = approval;
        }
    }
    (counter, format!("1.{counter}.0"))
}

/// Two of the vendor's people must approve what it does, of three who may, and it counts for an hour.
fn by_two(release: &mut Release) {
    (release.counter, release.version) = wanting(release, 12, Approval::Vendor);
    let approvers = ["ann", "bob", "cleo"].map(str::to_owned).to_vec();
    let terms = Terms { quorum: 2, approvers, valid_ms: HOUR_MS };
    for operation in release.operations.values_mut().filter(|one| one.approval == Approval::Vendor) {
        operation.terms = Some(terms.clone());
    }
}

/// The one signature that there is, two times.
fn twice(mut release: Published) -> Published {
    let mut container: serde_json::Value =
        serde_json::from_slice(&release.bytes).expect("a container is JSON");
    let one = container["signatures"][0].clone();
    container["signatures"] = vec![one; 2].into();
    release.bytes = container.to_string().into_bytes();
    release
}

fn release() -> Release {
    let operation = |class, approval| Operation { class, approval, terms: None };
    let operations = [
        ("deploy", operation(Class::Change, Approval::None)),
        ("destroy", operation(Class::Destroy, Approval::None)),
        ("drift", operation(Class::Read, Approval::None)),
    ];
    Release {
        vendor: "demo".to_owned(),
        app: "shop".to_owned(),
        channel: "stable".to_owned(),
        version: "1.5.0".to_owned(),
        counter: 5,
        notes: String::new(),
        healing: Default::default(),
        created_ms: START_MS - 2 * DAY_MS,
        expires_ms: START_MS + 90 * DAY_MS,
        rollback_floor: 4,
        tools: BTreeMap::new(),
        components: vec![network(), component("web", true)],
        inputs: [("size".to_owned(), input()), ("email".to_owned(), email())].into(),
        operations: operations.map(|(name, operation)| (name.to_owned(), operation)).into(),
    }
}

/// What the source of the component `network` does that no plan shows.
pub(crate) const ESCAPE: &str = "local-exec";

fn network() -> Component {
    Component { escapes: [ESCAPE.to_owned()].into(), ..component("network", false) }
}

fn component(name: &str, sandbox: bool) -> Component {
    Component {
        name: name.to_owned(),
        kind: ComponentKind::Terraform,
        sandbox,
        digest: Digest::of(name.as_bytes()),
        size: 1_000,
        needs: Vec::new(),
        inputs: BTreeMap::new(),
        outputs: BTreeMap::new(),
        commands: BTreeMap::new(),
        longest_run_ms: 600_000,
        health: None,
        escapes: BTreeSet::new(),
    }
}

fn input() -> Input {
    Input {
        value_type: ValueType::Integer,
        authority: Authority::Broker,
        default: Some(Value::Integer(2)),
        max: 10,
        choices: Vec::new(),
        sensitive: false,
        description: "how many".to_owned(),
    }
}

fn email() -> Input {
    let (value_type, authority) = (ValueType::String, Authority::Customer);
    Input { value_type, authority, default: None, max: 100, sensitive: true, ..input() }
}
