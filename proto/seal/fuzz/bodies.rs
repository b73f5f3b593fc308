//! What each fuzz target does with its bytes, in a form that the crate's own tests run on the stable
//! toolchain, too (`tests/seal/fuzzed.rs`). A body panics where a rule is broken, and says whether it
//! believed something, so that seeds which have stopped reaching anything are noticed.

use std::sync::LazyLock;

use remit_seal::Digest;
use remit_seal::customer::{CustomerApproval, Subject, Word};
use remit_seal::document::{
    Checkpoint, Job, PermitScope, Release, RollbackPermit, Root, Status, Value as DocumentValue,
};
use remit_seal::dsse::{Envelope, PayloadType, Signature};
use remit_seal::strict::{self, Fault};
use remit_seal::verify::{self, Standing, Verified};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::world::{DAY, DISPATCH, Key, NOW, RELEASE, ROOT, World, sign, world};

/// Whether something was believed.
pub(crate) type Body = fn(&[u8]) -> bool;

/// Each target by its name.
pub(crate) const ALL: [(&str, Body); 10] = [
    ("checkpoint", checkpoint),
    ("container", container),
    ("countersign", countersign),
    ("job", job),
    ("json", json),
    ("key", key),
    ("permit", permit),
    ("release", release),
    ("root", root),
    ("status", status),
];

const KINDS: [PayloadType; 9] = [
    PayloadType::Root,
    PayloadType::Release,
    PayloadType::Job,
    PayloadType::Status,
    PayloadType::Checkpoint,
    PayloadType::Approval,
    PayloadType::Audit,
    PayloadType::Seen,
    PayloadType::Permit,
];

/// A container of any type: read back, it is the same.
pub(crate) fn container(bytes: &[u8]) -> bool {
    let mut read = 0;
    for kind in KINDS {
        let Ok(envelope) = Envelope::parse(bytes, kind) else { continue };
        read += 1;
        assert!(!envelope.signatures.is_empty() && envelope.payload_type == kind.as_str());
        assert_eq!(envelope.payload_digest(), Digest::of(&envelope.payload));
        assert!(envelope.message().ends_with(&envelope.payload));
        let written = envelope.to_bytes();
        if written.len() <= kind.size_max() {
            assert_eq!(Envelope::parse(&written, kind).as_ref(), Ok(&envelope));
        }
    }
    assert!(read <= 1, "one container is of two types");
    read == 1
}

/// Strict JSON is JSON, and what it refuses of JSON it refuses by one of its rules.
pub(crate) fn json(bytes: &[u8]) -> bool {
    let loose = serde_json::from_slice::<Value>(bytes);
    match (strict::check(bytes), loose) {
        (Ok(text), Ok(value)) => {
            assert_eq!(text.as_bytes(), bytes);
            check_strict(&value, 0);
            // What one reader wrote, the other reads as the same; the order of keys aside.
            let again = serde_json::to_vec(&value).expect("a value is JSON");
            assert!(strict::check(&again).is_ok());
            true
        }
        (Ok(_), Err(error)) => panic!("strict JSON that is none: {error}"),
        (Err(fault), Ok(_)) => {
            let rules = [Fault::DuplicateKey, Fault::Float, Fault::IntegerRange, Fault::Depth];
            assert!(rules.contains(&fault), "{fault:?} of what is JSON");
            false
        }
        (Err(_), Err(_)) => false,
    }
}

fn check_strict(value: &Value, depth: u32) {
    assert!(depth <= strict::DEPTH_MAX);
    match value {
        Value::Number(number) => {
            let size = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
            assert!(size.is_some_and(|size| size <= strict::INTEGER_MAX), "{number}");
        }
        Value::Array(items) => items.iter().for_each(|item| check_strict(item, depth + 1)),
        Value::Object(fields) => fields.values().for_each(|field| check_strict(field, depth + 1)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// A public key: its id is the digest of its only encoding.
pub(crate) fn key(bytes: &[u8]) -> bool {
    use remit_seal::document::KeySpec;
    let Ok(spec) = serde_json::from_slice::<KeySpec>(bytes) else { return false };
    let Ok(id) = spec.id() else { return false };
    let public = remit_seal::key::PublicKey::from_spec(&spec).expect("its id was told");
    assert_eq!(public.id(), id);
    assert!(!public.verifies(b"a message", &[0; 64]), "no key signs with zeros");
    true
}

/// The bytes as they came, and their payload under a good signature: behind the signatures the checks of
/// the documents begin.
fn with<T>(
    bytes: &[u8],
    kind: PayloadType,
    signer: Key,
    verify: impl Fn(&[u8]) -> Option<Verified<T>>,
) -> bool
where
    T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let as_it_is = verify(bytes);
    let payload = Envelope::parse(bytes, kind).map_or_else(|_| bytes.to_vec(), |envelope| envelope.payload);
    let mut envelope =
        Envelope { payload_type: kind.as_str().to_owned(), payload, signatures: Vec::<Signature>::new() };
    envelope.countersign(&signer.signing()).expect("one signature fits");
    let signed = verify(&envelope.to_bytes());
    for found in [&as_it_is, &signed].into_iter().flatten() {
        // What was believed can be written and read again as the same.
        let text = serde_json::to_vec(found.get()).expect("a document is JSON");
        assert_eq!(&strict::from_slice::<T>(&text).expect("it was read before"), found.get());
        assert!(found.signers() >= 1);
    }
    if let Some(found) = &signed {
        assert_eq!(found.digest(), envelope.payload_digest());
    }
    signed.is_some()
}

/// What every try begins with, made once.
struct Given {
    world: World,
    root: Verified<Root>,
    release: Verified<Release>,
}

static GIVEN: LazyLock<Given> = LazyLock::new(|| {
    let mut world = world();
    let signed = world.signed();
    let root = verify::root(&signed.root, Some(&signed.pin), NOW).expect("the world is in order");
    let release = verify::release(&root, &signed.release, NOW).expect("the world is in order");
    world.job.release = release.digest();
    Given { world, root, release }
});

/// A root, by itself and after the one that is trusted.
pub(crate) fn root(bytes: &[u8]) -> bool {
    let trusted = GIVEN.root.get();
    if let Ok(next) = verify::next_root(&GIVEN.root, bytes) {
        assert_eq!((next.get().version, &next.get().vendor), (trusted.version + 1, &trusted.vendor));
    }
    let check = |bytes: &[u8]| {
        let root = verify::root(bytes, None, NOW).ok()?;
        assert!(root.get().check().is_ok() && root.get().expires_ms > NOW && root.get().root.threshold >= 1);
        Some(root)
    };
    with(bytes, PayloadType::Root, ROOT, check)
}

/// A release, and the world's job after it.
pub(crate) fn release(bytes: &[u8]) -> bool {
    let Given { world, root, .. } = &*GIVEN;
    let check = |bytes: &[u8]| {
        let release = verify::release(root, bytes, NOW).ok()?;
        let (mut said, document) = (world.job.clone(), release.get());
        (said.release, said.release_counter, said.sandbox) = (release.digest(), document.counter, true);
        let job = sign(PayloadType::Job, &said, &[DISPATCH]);
        let job = verify::job(root, &job, &world.context()).expect("the job is in order");
        if let Ok(bound) = verify::bind(root, job, &release, &world.context()) {
            assert!(document.app == "shop" && document.counter >= world.counter_floor);
            assert_eq!(document.operations[&bound.job.operation], bound.operation);
        }
        Some(release)
    };
    with::<Release>(bytes, PayloadType::Release, RELEASE, check)
}

/// A job, bound to the world's release.
pub(crate) fn job(bytes: &[u8]) -> bool {
    let Given { world, root, release } = &*GIVEN;
    let check = |bytes: &[u8]| {
        let job = verify::job(root, bytes, &world.context()).ok()?;
        let said: &Job = job.get();
        assert!(said.seq > world.seq_high && said.audience == world.audience && said.fence > 0);
        assert!(verify::is_job_id(&said.job));
        if let Ok(bound) = verify::bind(root, job.clone(), release, &world.context()) {
            assert_eq!(bound.job.release, release.digest());
            assert!(
                bound.inputs.values().all(|value| !matches!(value, DocumentValue::List(l) if l.len() > 3))
            );
        }
        Some(job)
    };
    with::<Job>(bytes, PayloadType::Job, DISPATCH, check)
}

/// A status, and what is learnt of it: it only takes away.
pub(crate) fn status(bytes: &[u8]) -> bool {
    let trusted = &GIVEN.root;
    let check = |bytes: &[u8]| {
        let status = verify::status(trusted, bytes, NOW).ok()?;
        let mut standing = Standing::default().under(trusted.get());
        standing.learn(&status).expect("it is the first, of the same root");
        assert!(standing.now_ms(NOW) >= NOW && standing.learn(&status).is_ok());
        let restricted = standing.restrict(trusted);
        assert!(restricted.get().release.keys.len() <= trusted.get().release.keys.len());
        assert_eq!(restricted.get().root, trusted.get().root);
        Some(status)
    };
    with::<Status>(bytes, PayloadType::Status, DISPATCH, check)
}

/// A rollback permit: it leads back, to one release, and never for the release that runs.
pub(crate) fn permit(bytes: &[u8]) -> bool {
    let Given { root, release, .. } = &*GIVEN;
    let check = |bytes: &[u8]| {
        let permit = verify::permit(root, bytes, NOW).ok()?;
        let said = permit.get();
        assert!(said.to < said.from && said.until_ms > NOW);
        assert!(!said.allows(release.get(), "acme", said.from + 1));
        assert!(!said.allows(release.get(), "acme", 0) || release.get().counter == said.to);
        Some(permit)
    };
    with::<RollbackPermit>(bytes, PayloadType::Permit, RELEASE, check)
}

const CUSTOMER: Key = Key::Ed(80);

/// A customer's approval.
pub(crate) fn countersign(bytes: &[u8]) -> bool {
    let keys = [Key::P256(81), CUSTOMER].map(|key| key.signing().public());
    let check = |bytes: &[u8]| verify::customer_approval(&keys, bytes).ok();
    with::<CustomerApproval>(bytes, PayloadType::Approval, CUSTOMER, check)
}

/// A checkpoint of receipts.
pub(crate) fn checkpoint(bytes: &[u8]) -> bool {
    let key = CUSTOMER.signing().public();
    with::<Checkpoint>(bytes, PayloadType::Checkpoint, CUSTOMER, |bytes| verify::checkpoint(&key, bytes).ok())
}

/// Payloads to begin with, which their targets believe: by target, then by name.
pub(crate) fn seeds() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    fn payload<T: Serialize>(document: &T) -> Vec<u8> {
        serde_json::to_vec(document).expect("a document is JSON")
    }
    let Given { world, .. } = &*GIVEN;
    let mut planned = world.job.clone();
    planned.plan = Some(Digest::of(b"a plan"));
    let status = Status {
        vendor: "demo".to_owned(),
        root_version: 1,
        time_ms: NOW,
        expires_ms: NOW + DAY,
        floors: [("shop/stable".to_owned(), 5)].into(),
        revoked: vec![DISPATCH.id()],
    };
    let install = "ins_demo.shop.acme".to_owned();
    let approval = CustomerApproval {
        install: install.clone(),
        subject: Subject::Content(Digest::of(b"what was shown")),
        word: Word::Approved,
        what: "deploy of `network` by release 1.4.0".to_owned(),
        by: "ann".to_owned(),
        at_ms: NOW,
        until_ms: NOW + DAY,
    };
    let checkpoint = Checkpoint { install, segment: 1, records: 9, head: Digest::of(b"head"), at_ms: NOW };
    let permit = RollbackPermit {
        vendor: "demo".to_owned(),
        app: "shop".to_owned(),
        channel: "stable".to_owned(),
        scope: PermitScope::Install("acme".to_owned()),
        from: 6,
        to: 5,
        reason: "1.5.0 loses orders".to_owned(),
        created_ms: NOW,
        until_ms: NOW + DAY,
    };
    let release = payload(&world.release);
    vec![
        ("checkpoint", "good", payload(&checkpoint)),
        ("container", "job", world.signed().job),
        ("container", "root", world.signed().root),
        ("countersign", "content", payload(&approval)),
        ("job", "good", payload(&world.job)),
        ("job", "planned", payload(&planned)),
        ("json", "release", release.clone()),
        ("json", "numbers", b"[0,-1,9007199254740991,{\"a\":[null,true,\"\\u00e9\"]}]".to_vec()),
        ("key", "ed25519", payload(&ROOT.signing().public())),
        ("key", "p256", payload(&RELEASE.signing().public())),
        ("permit", "good", payload(&permit)),
        ("release", "good", release),
        ("root", "one_of_one", payload(&world.root)),
        ("status", "good", payload(&status)),
    ]
}
